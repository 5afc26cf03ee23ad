//! A connection, plain or encrypted, with one face.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};
use futures_rustls::client::TlsStream;

use crate::worker::{TcpStream, Worker};

/// A connection. All operations take `&self`, so that one task can read while it writes.
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP. The cell is borrowed for one poll at a time and never across an await; boxed,
    /// because a TLS state is large and plain connections should not carry its size.
    Encrypted(Box<RefCell<TlsStream<TcpStream>>>),
}

impl Stream {
    pub(super) fn encrypted(stream: TlsStream<TcpStream>) -> Self {
        Self::Encrypted(Box::new(RefCell::new(stream)))
    }

    /// The TCP connection, when nothing stands between it and the bytes: only then can they be spliced.
    pub fn plain(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Encrypted(_) => None,
        }
    }

    /// The worker it belongs to.
    pub fn worker(&self) -> Worker {
        self.with_tcp(|stream| stream.worker().clone())
    }

    /// Waits for something to read, without reading it. For TLS it cannot know, and says yes:
    /// what the record layer holds already is not to be seen on the socket.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(stream) => stream.poll_readable(cx),
            Self::Encrypted(_) => Poll::Ready(()),
        }
    }

    /// Reads into `bytes`, which is not empty; 0 is the end.
    pub fn poll_read(&self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_read(cx, bytes),
            Self::Encrypted(stream) => Pin::new(&mut *stream.borrow_mut()).poll_read(cx, bytes),
        }
    }

    /// Writes from all of `slices` at once; how much was taken.
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_write_vectored(cx, slices),
            Self::Encrypted(stream) => Pin::new(&mut *stream.borrow_mut()).poll_write_vectored(cx, slices),
        }
    }

    /// Sends what TLS holds back; nothing to do for TCP.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Encrypted(stream) => Pin::new(&mut *stream.borrow_mut()).poll_flush(cx),
        }
    }

    /// Says to the peer that nothing more will come; reading goes on.
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Poll::Ready(stream.shutdown_write()),
            Self::Encrypted(stream) => Pin::new(&mut *stream.borrow_mut()).poll_close(cx),
        }
    }

    /// See [`TcpStream::poll_gone`].
    pub fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.with_tcp(|stream| stream.poll_gone(cx))
    }

    /// See [`TcpStream::has_news`].
    pub fn has_news(&self) -> bool {
        self.with_tcp(TcpStream::has_news)
    }

    /// See [`TcpStream::is_quiet`].
    pub fn is_quiet(&self) -> bool {
        self.with_tcp(TcpStream::is_quiet)
    }

    /// See [`TcpStream::close_with_reset`]. With TLS there is nothing to do: without `close_notify`
    /// an end is visibly not clean (RFC 8446, section 6.1).
    pub fn close_with_reset(&self, reset: bool) {
        if let Self::Plain(stream) = self {
            stream.close_with_reset(reset);
        }
    }

    fn with_tcp<T>(&self, ask: impl FnOnce(&TcpStream) -> T) -> T {
        match self {
            Self::Plain(stream) => ask(stream),
            Self::Encrypted(stream) => ask(stream.borrow().get_ref().0),
        }
    }
}
