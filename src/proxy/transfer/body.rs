//! A body that is read, and the account of how much of it was read.
//!
//! Bytes that were read stay in the client's [`Input`] until `decode` has accounted for them. Only a splice takes
//! bytes past the input, and it reads and accounts in one poll. So a future that is dropped at any await leaves a
//! valid state. The rest of the body can be read from there, and no byte of the next message.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::task::{Context, Poll, ready};

use crate::http::Framing;
use crate::http1::{BodyError, BodyReader};
use crate::mux::Transport;
use crate::tls::Input;
use crate::worker::{Pipe, TcpStream};

/// How much of a body was read.
pub(in crate::proxy) struct Body {
    reader: BodyReader,
    /// Bytes at the front of the input that are accounted for and not yet removed. They are the head, while it may
    /// have to be parsed again, and data that is being written. [`Body::release`] removes them.
    held: usize,
    /// Data bytes decoded so far.
    bytes: u64,
}

/// A decoded piece of a body.
pub(in crate::proxy) struct Piece {
    /// The place of its data in the unread bytes of the input; may be empty.
    data: Range<usize>,
    /// Bytes of the message that were decoded, framing included.
    pub(in crate::proxy) consumed: usize,
    /// The body ends with it.
    pub(in crate::proxy) is_last: bool,
}

/// A body together with the connection that it comes from.
pub(in crate::proxy) struct Incoming<'a> {
    pub(in crate::proxy) stream: &'a Transport,
    pub(in crate::proxy) input: &'a mut Input,
    pub(in crate::proxy) body: &'a mut Body,
}

impl Body {
    /// A body of which nothing was read. The input begins with its head, of `head` bytes.
    pub(in crate::proxy) fn new(framing: Framing, head: usize) -> Self {
        Self { reader: BodyReader::new(framing), held: head, bytes: 0 }
    }

    /// Whether the whole body was read.
    pub(in crate::proxy) fn is_complete(&self) -> bool {
        self.reader.is_done()
    }

    /// Whether at most `most` bytes are left to read. The rest of a chunked body counts as long: its length
    /// is unknown.
    pub(in crate::proxy) fn is_short(&self, most: usize) -> bool {
        self.is_complete() || self.remaining().is_some_and(|left| left <= most as u64)
    }

    /// Data bytes that were not read yet, if their number is known.
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

    /// Trailers that may be forwarded, if they are wanted.
    pub(in crate::proxy) fn trailers_if(&self, wanted: bool) -> &[u8] {
        if wanted { self.trailers() } else { &[] }
    }

    /// Whether all bytes that are accounted for were removed from the input, so that they were sent on.
    pub(in crate::proxy) fn is_released(&self) -> bool {
        self.held == 0
    }

    /// Removes the bytes that are accounted for from the input. After this the request cannot be sent again.
    pub(in crate::proxy) fn release(&mut self, input: &mut Input) {
        input.consume(std::mem::take(&mut self.held));
    }
}

impl Incoming<'_> {
    /// Takes the rest of a body of known length, if it is at most `most` bytes and all of them are in the input.
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

    /// Decodes the bytes that are in the input.
    ///
    /// # Errors
    /// When the framing is not valid.
    pub(in crate::proxy) fn decode(&mut self) -> Result<Piece, BodyError> {
        let Body { reader, held, bytes } = &mut *self.body;
        let decoded = reader.decode(&mut self.input.unread_mut()[*held..])?;
        let data = *held + decoded.data.start..*held + decoded.data.end;
        *held += decoded.consumed;
        *bytes += data.len() as u64;
        Ok(Piece { data, consumed: decoded.consumed, is_last: decoded.done })
    }

    /// The data of a piece that was not yet released.
    pub(in crate::proxy) fn data(&self, piece: &Piece) -> &[u8] {
        &self.input.unread()[piece.data.clone()]
    }

    /// Removes the decoded bytes from the input.
    pub(in crate::proxy) fn release(&mut self) {
        self.body.release(self.input);
    }

    /// Reads more bytes of a body that is not complete. If the peer has closed, the body ends here, which is an error
    /// unless its framing says so. Has no deadline of its own.
    ///
    /// # Errors
    /// The error of the connection. [`BodyError::Truncated`] is inside `Ok`, so that a caller can tell them apart.
    pub(in crate::proxy) async fn read(&mut self) -> io::Result<Result<(), BodyError>> {
        match self.input.fill(self.stream, usize::MAX).await? {
            0 => Ok(self.body.reader.finish()),
            _ => Ok(Ok(())),
        }
    }

    /// Whether at least `least` bytes of a known length are left, and none of them is in the input.
    pub(in crate::proxy) fn is_worth_splicing(&self, least: u64) -> bool {
        self.body.remaining().is_some_and(|left| left >= least) && self.input.is_empty()
    }

    /// Data bytes of a known length that were not read yet.
    pub(in crate::proxy) fn left(&self) -> usize {
        usize::try_from(self.body.remaining().unwrap_or(0)).unwrap_or(usize::MAX)
    }

    /// Moves at most `most` bytes of the body from the socket into `pipe` and accounts for them in the same poll. Returns their
    /// number; 0 if the peer has closed.
    ///
    /// # Errors
    /// The error of the connection.
    pub(in crate::proxy) async fn move_into(
        &mut self,
        pipe: &mut Pipe,
        stream: &TcpStream,
        most: usize,
    ) -> io::Result<usize> {
        poll_fn(|cx| self.poll_move_into(pipe, stream, most, cx)).await
    }

    fn poll_move_into(
        &mut self,
        pipe: &mut Pipe,
        stream: &TcpStream,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let most = most.min(self.left());
        let reader = &mut self.body.reader;
        let moved = ready!(pipe.poll_fill(stream, most, cx))?;
        reader.skip(moved as u64);
        Poll::Ready(Ok(moved))
    }

    /// Reads and discards the rest. Returns whether the end of the body was reached. Has no deadline of its own.
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
