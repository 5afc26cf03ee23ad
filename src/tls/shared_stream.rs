//! Streams that share a connection: what they must be able to do to stand in for one of their own.

use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use crate::worker::{Buffer, BufferSize};

/// A source of bytes for an [`Input`](super::Input).
pub trait Readable {
    /// Ready when a read may return something; reads nothing.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Reads behind the unread bytes of `buffer`, which has room; 0 means the end.
    fn poll_read_into(&self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>>;

    /// Lends an empty buffer.
    fn lend(&self, size: BufferSize) -> Buffer;
}

/// One of several streams that share a connection. A message is sent over it as over a connection of its own.
pub trait SharedStream {
    /// The type of the connection.
    type Connection;

    /// The connection that it shares.
    fn connection(&self) -> &Self::Connection;

    /// See [`Readable::poll_readable`].
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// See [`Readable::poll_read_into`].
    fn poll_read_into(&self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>>;

    /// See [`Stream::try_write`](super::Stream::try_write).
    ///
    /// # Errors
    /// If the stream is gone.
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// See [`Stream::poll_write_vectored`](super::Stream::poll_write_vectored).
    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Ready once the peer has reset the stream, or the connection is gone.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Ends the message, and the stream with it.
    fn end(&self, trailers: &[u8]);
}

/// The streams of a connection that is not shared: there are none.
pub enum NoStream {}
