//! A transport of messages: a connection, or a stream that shares one.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::task::{Context, Poll};

use super::stream::Stream;
use crate::tls::{self, Admission, Readable};
use crate::worker::{Buffer, BufferSize, TcpStream, Worker};

/// A connection, or a stream of HTTP/2.
pub enum Transport {
    /// A connection of its own.
    Connection(tls::Stream),
    /// A stream, which has one exchange.
    Stream(Stream),
}

impl From<tls::Stream> for Transport {
    #[inline]
    fn from(connection: tls::Stream) -> Self {
        Self::Connection(connection)
    }
}

impl AsRef<tls::Stream> for Transport {
    /// The connection, which other streams may share.
    #[inline]
    fn as_ref(&self) -> &tls::Stream {
        match self {
            Self::Connection(connection) => connection,
            Self::Stream(stream) => stream.connection(),
        }
    }
}

/// Methods of `tls::Stream`, which tells what they mean for a connection.
impl Transport {
    /// The stream, if it is one.
    #[inline]
    pub fn stream(&self) -> Option<&Stream> {
        match self {
            Self::Connection(_) => None,
            Self::Stream(stream) => Some(stream),
        }
    }

    /// The terms on which the client was accepted.
    pub fn admission(&self) -> Admission {
        self.as_ref().admission()
    }

    /// Whether the connection uses TLS.
    #[inline]
    pub fn is_encrypted(&self) -> bool {
        self.as_ref().is_encrypted()
    }

    /// Version and cipher suite of TLS.
    pub fn cipher(&self) -> Option<(&'static str, &'static str)> {
        self.as_ref().cipher()
    }

    /// The TCP connection, if this is one and not encrypted.
    #[inline]
    pub fn plain(&self) -> Option<&TcpStream> {
        match self {
            Self::Connection(connection) => connection.plain(),
            Self::Stream(_) => None,
        }
    }

    /// The TCP connection, if this is one and not encrypted, or this transport.
    ///
    /// # Errors
    /// It is encrypted, or a stream.
    pub fn into_plain(self) -> Result<TcpStream, Self> {
        match self {
            Self::Connection(connection) => connection.into_plain().map_err(Self::Connection),
            stream @ Self::Stream(_) => Err(stream),
        }
    }

    /// The address of the peer and the local address.
    ///
    /// # Errors
    /// If the connection has closed.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        self.as_ref().addresses()
    }

    /// The worker of the connection.
    #[inline]
    pub fn worker(&self) -> Worker {
        self.as_ref().worker()
    }

    /// Ready when a read may return something; reads nothing.
    #[inline]
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Connection(connection) => connection.poll_readable(cx),
            Self::Stream(stream) => stream.poll_readable(cx),
        }
    }

    /// Writes from all of `slices` at once. Returns how many bytes were taken.
    #[inline]
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Connection(connection) => connection.poll_write_vectored(cx, slices),
            Self::Stream(stream) => stream.poll_write(cx, slices),
        }
    }

    /// Writes without waiting.
    ///
    /// # Errors
    /// If the connection has closed, or the stream was reset.
    #[inline]
    pub fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Connection(connection) => connection.try_write(slices),
            Self::Stream(stream) => stream.try_write(slices),
        }
    }

    /// Writes the last bytes.
    #[inline]
    pub fn poll_write_last(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Self::Connection(connection) => connection.poll_write_last(cx, slices),
            Self::Stream(stream) => stream.poll_write(cx, slices),
        }
    }

    /// Sends the bytes that TLS holds back.
    #[inline]
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Connection(connection) => connection.poll_flush(cx),
            Self::Stream(_) => Poll::Ready(Ok(())),
        }
    }

    /// Ends the writing side; reading goes on.
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Connection(connection) => connection.poll_shutdown(cx),
            Self::Stream(stream) => {
                stream.end(&[]);
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Ready once the peer is gone. A client may end a stream and wait for the response, so with `at_end` only the
    /// end of a connection counts.
    #[inline]
    pub fn poll_gone(&self, cx: &mut Context<'_>, at_end: bool) -> Poll<()> {
        match self {
            Self::Connection(connection) => connection.poll_gone(cx, at_end),
            Self::Stream(stream) => stream.poll_gone(cx),
        }
    }

    /// Ready once the peer has reset the connection or the stream.
    pub fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Connection(connection) => connection.poll_reset(cx),
            Self::Stream(stream) => stream.poll_gone(cx),
        }
    }

    /// Whether bytes, an end or an error have come to a connection that no read has taken.
    #[inline]
    pub fn has_pending_event(&self) -> bool {
        match self {
            Self::Connection(connection) => connection.has_pending_event(),
            Self::Stream(_) => false,
        }
    }

    /// Whether the connection is open and has no pending event, according to the kernel.
    pub fn is_open_and_idle(&self) -> bool {
        self.as_ref().is_open_and_idle()
    }

    /// Whether the connection is open and its socket has no unread bytes.
    pub fn is_socket_idle(&self) -> bool {
        self.as_ref().is_socket_idle()
    }

    /// Reports that a message is complete. It ends a stream.
    #[inline]
    pub fn message_ended(&self) {
        match self {
            Self::Connection(connection) => connection.message_ended(),
            Self::Stream(stream) => stream.end(&[]),
        }
    }

    /// Reports that a message is complete, with these trailers. In HTTP/1.1 they were written with the body.
    #[inline]
    pub fn message_ended_with<'t>(&self, trailers: impl FnOnce() -> &'t [u8]) {
        match self {
            Self::Connection(connection) => connection.message_ended(),
            Self::Stream(stream) => stream.end(trailers()),
        }
    }

    /// Sets whether the end of the connection must not look clean. A stream that is not complete never looks so.
    #[inline]
    pub fn close_with_reset(&self, reset: bool) {
        if let Self::Connection(connection) = self {
            connection.close_with_reset(reset);
        }
    }
}

impl Readable for Transport {
    #[inline]
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_readable(cx)
    }

    #[inline]
    fn poll_read_into(&self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
        match self {
            Self::Connection(connection) => connection.poll_read_into(cx, buffer),
            Self::Stream(stream) => stream.poll_read_into(cx, buffer),
        }
    }

    #[inline]
    fn lend(&self, size: BufferSize) -> Buffer {
        match self {
            Self::Connection(connection) => connection.lend(size),
            Self::Stream(stream) => stream.worker().buffer_of(size),
        }
    }
}
