//! A body on its way in: its bytes, and how much of them was taken.
//!
//! Reading from a peer and accounting for what was read are one method here, between two awaits. So a
//! future that is dropped in the middle of a body leaves a state from which the rest of the body, and
//! no byte of the next message, can be read.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::task::{Context, Poll, ready};

use crate::http::Framing;
use crate::http1::{BodyError, BodyReader};
use crate::tls::{Input, Stream};
use crate::worker::{Pipe, TcpStream};

/// The state of one body.
pub(in crate::proxy) struct Body {
    reader: BodyReader,
    /// Bytes at the front of the input that are accounted for and still there: the head, while it may
    /// have to be read again, and data that is being written. [`Body::release`] removes them.
    held: usize,
    /// Data bytes decoded so far.
    bytes: u64,
}

/// A piece of a body that was decoded.
pub(in crate::proxy) struct Piece {
    /// Where its data stands in the unread bytes of the input; may be empty.
    data: Range<usize>,
    /// Bytes of the message that became this piece, with their framing.
    pub(in crate::proxy) consumed: usize,
    /// The body ends with it.
    pub(in crate::proxy) is_last: bool,
}

/// A body together with the connection that it comes from.
pub(in crate::proxy) struct Incoming<'a> {
    pub(in crate::proxy) stream: &'a Stream,
    pub(in crate::proxy) input: &'a mut Input,
    pub(in crate::proxy) body: &'a mut Body,
}

impl Body {
    /// A body of which the input begins with `head` bytes of its head.
    pub(in crate::proxy) fn new(framing: Framing, head: usize) -> Self {
        Self { reader: BodyReader::new(framing), held: head, bytes: 0 }
    }

    /// Whether all of it was read.
    pub(in crate::proxy) fn is_complete(&self) -> bool {
        self.reader.is_done()
    }

    /// Whether at most `most` bytes are left to read. The rest of a chunked body counts as long: its length
    /// is unknown.
    pub(in crate::proxy) fn is_short(&self, most: usize) -> bool {
        self.is_complete() || self.remaining().is_some_and(|left| left <= most as u64)
    }

    /// Data bytes that were not read yet, where their number is known.
    pub(in crate::proxy) fn remaining(&self) -> Option<u64> {
        self.reader.remaining()
    }

    /// Data bytes decoded so far.
    pub(in crate::proxy) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Trailers that may be forwarded.
    pub(in crate::proxy) fn trailers(&self) -> &[u8] {
        self.reader.trailers()
    }

    /// Removes from the input what is accounted for. A request can not be sent again after this.
    pub(in crate::proxy) fn release(&mut self, input: &mut Input) {
        input.consume(std::mem::take(&mut self.held));
    }
}

impl Incoming<'_> {
    /// Takes the rest of the body, if it is all here and at most `most` bytes of a known length.
    pub(in crate::proxy) fn take_short(&mut self, most: usize) -> Option<&[u8]> {
        let Body { reader, held, bytes } = &mut *self.body;
        let length = reader.remaining().filter(|length| *length <= most as u64)?;
        let from = *held;
        let data = self.input.unread().get(from..from + length as usize)?;
        reader.skip(length);
        *held += data.len();
        *bytes += length;
        Some(data)
    }

    /// Decodes the bytes that are here.
    ///
    /// # Errors
    /// When they are not a body.
    pub(in crate::proxy) fn decode(&mut self) -> Result<Piece, BodyError> {
        let Body { reader, held, bytes } = &mut *self.body;
        let decoded = reader.decode(&mut self.input.unread_mut()[*held..])?;
        let data = *held + decoded.data.start..*held + decoded.data.end;
        *held += decoded.consumed;
        *bytes += data.len() as u64;
        Ok(Piece { data, consumed: decoded.consumed, is_last: decoded.done })
    }

    /// The data of a piece that was not released yet.
    pub(in crate::proxy) fn data(&self, piece: &Piece) -> &[u8] {
        &self.input.unread()[piece.data.clone()]
    }

    /// Removes from the input what was decoded.
    pub(in crate::proxy) fn release(&mut self) {
        self.body.release(self.input);
    }

    /// Reads more bytes of a body that is not complete. If the peer has closed, the body ends here, and
    /// that is an error unless its framing says so. Has no deadline of its own.
    ///
    /// # Errors
    /// The error of the connection; [`BodyError::Truncated`] within `Ok`, so that a caller can tell
    /// them apart.
    pub(in crate::proxy) async fn read(&mut self) -> io::Result<Result<(), BodyError>> {
        match self.input.fill(self.stream, usize::MAX).await? {
            0 => Ok(self.body.reader.finish()),
            _ => Ok(Ok(())),
        }
    }

    /// Whether at least `least` bytes of a known length are left, and none of them was read yet.
    pub(in crate::proxy) fn is_worth_splicing(&self, least: u64) -> bool {
        self.body.remaining().is_some_and(|left| left >= least) && self.input.is_empty()
    }

    /// Moves bytes of the body from the socket into `pipe` and accounts for them in the same poll.
    /// The number of bytes; 0 if the peer has closed.
    ///
    /// # Errors
    /// The error of the connection.
    pub(in crate::proxy) async fn move_into(
        &mut self,
        pipe: &mut Pipe,
        stream: &TcpStream,
    ) -> io::Result<usize> {
        poll_fn(|cx| self.poll_move_into(pipe, stream, cx)).await
    }

    fn poll_move_into(
        &mut self,
        pipe: &mut Pipe,
        stream: &TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let reader = &mut self.body.reader;
        let most = usize::try_from(reader.remaining().unwrap_or(0)).unwrap_or(usize::MAX);
        let moved = ready!(pipe.poll_fill(stream, most, cx))?;
        reader.skip(moved as u64);
        Poll::Ready(Ok(moved))
    }

    /// Reads and discards the rest. Whether the end of the body was reached. Has no deadline of its own.
    ///
    /// # Errors
    /// The error of the connection.
    pub(in crate::proxy) async fn discard(&mut self) -> io::Result<bool> {
        while !self.body.is_complete() {
            let Ok(piece) = self.decode() else { return Ok(false) };
            self.release();
            if !piece.is_last && self.read().await?.is_err() {
                return Ok(false);
            }
        }
        self.release();
        Ok(true)
    }
}
