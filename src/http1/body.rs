//! Bodies: bytes in, data out, in place, and always knowing whether the end was reached
//! (RFC 9112, sections 6 to 8).

use std::ops::Range;

use super::body_error::BodyError;
use super::chunk_reader::ChunkReader;
use crate::http::Framing;

/// Reads one body.
#[derive(Debug)]
pub struct BodyReader {
    state: State,
    /// Once a body is broken it stays broken: what comes after cannot be understood.
    broken: Option<BodyError>,
}

#[derive(Debug)]
enum State {
    /// No body, or its end was reached without knowing a length.
    Done,
    Length {
        left: u64,
    },
    Chunked(ChunkReader),
    UntilClose,
}

/// What [`BodyReader::decode`] made of some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes that belong to the body and are used up: all, unless the body ends before.
    pub consumed: usize,
    /// Where the data stands now, in the bytes that were given; may be empty.
    pub data: Range<usize>,
    /// The body is complete.
    pub done: bool,
}

impl BodyReader {
    /// A reader at the first byte of a body.
    pub fn new(framing: Framing) -> BodyReader {
        let state = match framing {
            Framing::None => State::Done,
            Framing::Length(left) => State::Length { left },
            Framing::Chunked => State::Chunked(ChunkReader::new()),
            Framing::UntilClose => State::UntilClose,
        };
        BodyReader { state, broken: None }
    }

    /// Takes bytes that were read and are not used up yet. The data of several chunks is moved
    /// together within `raw`; what stands beyond `consumed` is left as it is.
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

    /// Whether the whole body has been seen.
    pub fn is_done(&self) -> bool {
        match &self.state {
            State::Done | State::Length { left: 0 } => true,
            State::Length { .. } | State::UntilClose => false,
            State::Chunked(reader) => reader.is_done(),
        }
    }

    /// The peer closed. That ends a body that lasts until then, and is well after the end of any
    /// other; else the body is cut short, which must not look like an end to anybody.
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

    /// Data bytes still to come, where their number is known; `None` where the end shows only when it is there.
    pub fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Done => Some(0),
            State::Length { left } => Some(left),
            State::UntilClose | State::Chunked(_) => None,
        }
    }

    /// `n` bytes of an announced length went by without passing through here. Not more than
    /// [`remaining`](BodyReader::remaining); without effect on every other framing.
    pub fn skip(&mut self, n: u64) {
        if let State::Length { left } = &mut self.state {
            debug_assert!(n <= *left, "more skipped than the body has");
            *left = left.saturating_sub(n);
        }
    }

    /// Trailer field lines that are safe to forward, each with its CRLF; empty before the end.
    /// Fields that frame, route, authenticate or change how the message is read were dropped
    /// (RFC 9110, section 6.5.1).
    pub fn trailers(&self) -> &[u8] {
        match &self.state {
            State::Chunked(reader) => reader.trailers(),
            _ => &[],
        }
    }
}
