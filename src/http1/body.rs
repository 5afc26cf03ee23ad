//! Message bodies: bytes in, data out, decoded in place. A reader always knows whether its body has ended
//! (RFC 9112, sections 6 to 8).

use std::ops::Range;

use super::body_error::BodyError;
use super::chunk_reader::ChunkReader;
use crate::http::Framing;

/// Reads one body.
#[derive(Debug)]
pub struct BodyReader {
    state: State,
    /// The error that broke the body. It stays, because the bytes after it cannot be understood.
    broken: Option<BodyError>,
}

#[derive(Debug)]
enum State {
    /// There is no body, or a body without a length has ended.
    Done,
    Length {
        left: u64,
    },
    Chunked(ChunkReader),
    UntilClose,
}

/// The result of [`BodyReader::decode`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes that belong to the body and are used up: all, unless the body ends before.
    pub consumed: usize,
    /// The range of the data in the bytes that were given; may be empty.
    pub data: Range<usize>,
    /// Whether the body is complete.
    pub done: bool,
}

impl BodyReader {
    /// Creates a reader at the first byte of a body.
    pub fn new(framing: Framing) -> BodyReader {
        let state = match framing {
            Framing::None => State::Done,
            Framing::Length(left) => State::Length { left },
            Framing::Chunked => State::Chunked(ChunkReader::new()),
            Framing::UntilClose => State::UntilClose,
        };
        BodyReader { state, broken: None }
    }

    /// Decodes bytes that were read and are not used up yet. The data of several chunks is moved together
    /// within `raw`. Bytes beyond `consumed` stay as they are.
    pub fn decode(&mut self, raw: &mut [u8]) -> Result<Decoded, BodyError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let (consumed, data) = match &mut self.state {
            State::Done => (0, 0..0),
            State::UntilClose => (raw.len(), 0..raw.len()),
            State::Length { left } => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(raw.len());
                *left -= taken as u64;
                (taken, 0..taken)
            }
            State::Chunked(reader) => reader.decode(raw).inspect_err(|error| self.broken = Some(*error))?,
        };
        Ok(Decoded { consumed, data, done: self.is_done() })
    }

    /// Whether the body is complete.
    pub fn is_done(&self) -> bool {
        match &self.state {
            State::Done | State::Length { left: 0 } => true,
            State::Length { .. } | State::UntilClose => false,
            State::Chunked(reader) => reader.is_done(),
        }
    }

    /// Reports that the peer has closed. That ends a body that lasts until the close, and is fine after the
    /// end of any other body. Else the body is truncated, which must not look like its end.
    pub fn finish(&mut self) -> Result<(), BodyError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        if let State::UntilClose = self.state {
            self.state = State::Done;
        }
        if self.is_done() {
            return Ok(());
        }
        self.broken = Some(BodyError::Truncated);
        Err(BodyError::Truncated)
    }

    /// Data bytes still to come; `None` if their number is unknown.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Done => Some(0),
            State::Length { left } => Some(left),
            State::UntilClose | State::Chunked(_) => None,
        }
    }

    /// Counts `n` bytes of an announced length that did not pass through the reader, at most
    /// [`remaining`](BodyReader::remaining). It has no effect on any other framing.
    pub fn skip(&mut self, n: u64) {
        if let State::Length { left } = &mut self.state {
            debug_assert!(n <= *left, "more skipped than the body has");
            *left = left.saturating_sub(n);
        }
    }

    /// Trailer field lines that are safe to forward, each with its CRLF; empty before the end. Fields that
    /// frame, route, authenticate or change the meaning of the message are dropped (RFC 9110, section 6.5.1).
    pub fn trailers(&self) -> &[u8] {
        match &self.state {
            State::Chunked(reader) => reader.trailers(),
            _ => &[],
        }
    }
}
