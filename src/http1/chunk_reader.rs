//! Chunked transfer coding, read strictly and byte-exactly (RFC 9112, section 7.1).
//!
//! ```text
//!  Size --;--> Extension        Data ----> DataCr --> DataLf --> Size
//!    |             |             ^
//!    +-----CR------+--> SizeLf --+--(size 0)--> LineStart --CR--> EndLf --> Done
//!                                                 |   ^
//!                                                 +---+ TrailerLine
//! ```
//!
//! The reader accepts no variants: a size is hex digits and nothing else, and lines and data end in CRLF.
//! Each variant has been a way to smuggle a request past a proxy.

use std::ops::Range;

use memchr::memchr;

use super::body_error::BodyError;
use super::field_lines::{LineStop, read_row};
use crate::http::{Name, identifies_client};

/// Bytes of one chunk line: size and extensions.
pub const CHUNK_LINE_BYTES_MAX: u32 = 4096;

/// Bytes of all chunk extensions of one body. Their only use is to keep a reader busy.
pub const CHUNK_EXTENSION_BYTES_MAX: u32 = 16 * 1024;

/// Bytes of a trailer section, dropped fields included.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// Field lines of a trailer section, dropped ones included.
pub const TRAILER_FIELDS_MAX: usize = 64;

/// The kind of byte that must come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A digit of a size, or the byte that ends the size.
    Size,
    /// The rest of a chunk line after the semicolon, or its CR.
    Extension,
    /// The LF of a chunk line.
    SizeLf,
    /// Data; `left` bytes of it, at least 1.
    Data,
    /// The CR after data.
    DataCr,
    /// The LF after data.
    DataLf,
    /// The first byte of a trailer line, or the CR of the last line.
    LineStart,
    /// A trailer line up to its LF. The part that has come is at the end of `trailers`.
    TrailerLine,
    /// The last LF.
    EndLf,
    /// Nothing: the body is over.
    Done,
}

/// The state of a chunked body between two reads.
#[derive(Debug)]
pub(super) struct ChunkReader {
    step: Step,
    /// The size while it is read, then the data bytes still to come.
    left: u64,
    /// Bytes of the chunk line so far.
    line_bytes: u32,
    extension_bytes: u32,
    /// Trailer lines to forward. The last one is incomplete while it is read.
    trailers: Vec<u8>,
    /// The offset in `trailers` of the line that is being read.
    line_start: usize,
    trailer_bytes: usize,
    trailer_fields: usize,
}

impl ChunkReader {
    pub(super) fn new() -> ChunkReader {
        ChunkReader {
            step: Step::Size,
            left: 0,
            line_bytes: 0,
            extension_bytes: 0,
            trailers: Vec::new(),
            line_start: 0,
            trailer_bytes: 0,
            trailer_fields: 0,
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.step == Step::Done
    }

    /// The trailer lines to forward; empty before the body is done.
    pub(super) fn trailers(&self) -> &[u8] {
        if self.is_done() { &self.trailers } else { &[] }
    }

    /// Takes bytes up to the end of the body. Returns their number and the range of the data. The first run
    /// of data stays in place, and later runs are moved up to it.
    pub(super) fn decode(&mut self, raw: &mut [u8]) -> Result<(usize, Range<usize>), BodyError> {
        let mut at = 0;
        let mut data = 0..0;
        while at < raw.len() && self.step != Step::Done {
            match self.step {
                Step::Data => {
                    let run = usize::try_from(self.left).unwrap_or(usize::MAX).min(raw.len() - at);
                    if data.is_empty() {
                        data = at..at + run;
                    } else {
                        raw.copy_within(at..at + run, data.end);
                        data.end += run;
                    }
                    at += run;
                    self.left -= run as u64;
                    if self.left == 0 {
                        self.step = Step::DataCr;
                    }
                }
                Step::TrailerLine => at += self.take_trailer_line(&raw[at..])?,
                _ => {
                    self.step = self.take_byte(raw[at])?;
                    at += 1;
                }
            }
        }
        Ok((at, data))
    }

    fn take_byte(&mut self, byte: u8) -> Result<Step, BodyError> {
        match self.step {
            Step::Size | Step::Extension => self.take_line_byte(byte),
            Step::SizeLf | Step::DataLf | Step::EndLf if byte != b'\n' => {
                Err(BodyError::Malformed("a CR that no LF follows in chunked coding"))
            }
            Step::SizeLf if self.left > 0 => Ok(Step::Data),
            Step::SizeLf => Ok(Step::LineStart),
            Step::DataCr if byte == b'\r' => Ok(Step::DataLf),
            Step::DataCr => Err(BodyError::Malformed("chunk data is longer than its size says")),
            Step::DataLf => {
                self.line_bytes = 0;
                Ok(Step::Size)
            }
            Step::LineStart if byte == b'\r' => Ok(Step::EndLf),
            Step::LineStart => self.start_trailer_line(byte),
            Step::EndLf => Ok(Step::Done),
            // `decode` handles these steps itself.
            Step::Data | Step::TrailerLine | Step::Done => Ok(self.step),
        }
    }

    /// Takes a byte of the line that holds the size and the extensions.
    fn take_line_byte(&mut self, byte: u8) -> Result<Step, BodyError> {
        let first = self.line_bytes == 0;
        self.line_bytes += 1;
        if self.line_bytes > CHUNK_LINE_BYTES_MAX {
            return Err(BodyError::TooLarge("a chunk line is longer than 4096 bytes"));
        }
        if byte == b'\r' && !first {
            return Ok(Step::SizeLf);
        }
        if self.step == Step::Extension {
            return self.take_extension_byte(byte);
        }
        match char::from(byte).to_digit(16) {
            Some(digit) => {
                // The largest size is that of a signed 64-bit number, as for lengths.
                let size = self.left.checked_mul(16).filter(|size| *size <= i64::MAX as u64);
                self.left = size.ok_or(BodyError::Malformed("a chunk size over 2^63-1"))? | u64::from(digit);
                Ok(Step::Size)
            }
            None if byte == b';' && !first => self.take_extension_byte(byte),
            None => Err(BodyError::Malformed("a chunk size is hex digits and nothing else")),
        }
    }

    /// Drops a byte of an extension unread. That is safe, because no part of an extension, not even a quoted
    /// string, may hold CR or LF.
    fn take_extension_byte(&mut self, byte: u8) -> Result<Step, BodyError> {
        self.extension_bytes += 1;
        if self.extension_bytes > CHUNK_EXTENSION_BYTES_MAX {
            return Err(BodyError::TooLarge("more than 16 KiB of chunk extensions"));
        }
        match byte {
            b'\t' | b' '..=0x7e | 0x80.. => Ok(Step::Extension),
            _ => Err(BodyError::Malformed("a control byte or a bare LF in a chunk line")),
        }
    }

    fn start_trailer_line(&mut self, byte: u8) -> Result<Step, BodyError> {
        if matches!(byte, b' ' | b'\t') {
            return Err(BodyError::Malformed("a trailer line starts with white space"));
        }
        self.trailer_fields += 1;
        if self.trailer_fields > TRAILER_FIELDS_MAX {
            return Err(BodyError::TooLarge("more than 64 trailer fields"));
        }
        self.line_start = self.trailers.len();
        self.keep_trailer_bytes(&[byte])?;
        match byte {
            b'\n' => Err(BodyError::Malformed("a trailer line that ends in LF alone")),
            _ => Ok(Step::TrailerLine),
        }
    }

    fn take_trailer_line(&mut self, raw: &[u8]) -> Result<usize, BodyError> {
        let Some(lf) = memchr(b'\n', raw) else {
            self.keep_trailer_bytes(raw)?;
            return Ok(raw.len());
        };
        self.keep_trailer_bytes(&raw[..=lf])?;
        let row = match read_row(&self.trailers, self.line_start) {
            Ok(row) => row,
            Err(LineStop::Fault(fault)) => return Err(BodyError::Malformed(fault.explain())),
            Err(LineStop::More) => return Err(BodyError::Malformed("a trailer line without a colon")),
        };
        // All names that frame, route, authenticate or change the meaning of a message are known. Fields that
        // identify the client are written by smolgate, into heads. A program that merges trailers must not
        // find a stranger's.
        if row.known != Name::Other || identifies_client(row.name(&self.trailers)) {
            self.trailers.truncate(self.line_start);
        }
        self.step = Step::LineStart;
        Ok(lf + 1)
    }

    fn keep_trailer_bytes(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        self.trailer_bytes += bytes.len();
        if self.trailer_bytes > TRAILER_BYTES_MAX {
            return Err(BodyError::TooLarge("more than 8 KiB of trailers"));
        }
        self.trailers.extend_from_slice(bytes);
        Ok(())
    }
}
