//! A connection, plain or encrypted, with one face.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};
use futures_rustls::TlsStream;
use rustls::ProtocolVersion;

use crate::config::plan::ClientAuth;
use crate::worker::{TcpStream, Worker};

/// A connection. All operations take `&self`, so that one task can read while it writes.
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP; boxed, because a TLS state is large and plain connections should not carry its
    /// size.
    Encrypted(Box<Encrypted>),
}

/// TLS over TCP, from either side.
pub struct Encrypted {
    /// Borrowed for one poll at a time and never across an await.
    stream: RefCell<TlsStream<TcpStream>>,
    /// What the client had to show, if it is one of ours.
    demand: Option<Arc<ClientAuth>>,
}

impl Stream {
    pub(super) fn encrypted(stream: TlsStream<TcpStream>, demand: Option<Arc<ClientAuth>>) -> Self {
        Self::Encrypted(Box::new(Encrypted { stream: stream.into(), demand }))
    }

    /// What the client had to show when this connection began.
    pub(super) fn demand(&self) -> Option<&Arc<ClientAuth>> {
        match self {
            Self::Plain(_) => None,
            Self::Encrypted(encrypted) => encrypted.demand.as_ref(),
        }
    }

    /// Whether it is TLS.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted(_))
    }

    /// Version and cipher suite of TLS, such as `TLSv1.3` and `TLS13_AES_128_GCM_SHA256`.
    pub fn cipher(&self) -> Option<(&'static str, &'static str)> {
        let Self::Encrypted(encrypted) = self else { return None };
        let stream = encrypted.stream.borrow();
        let session = stream.get_ref().1;
        let version = match session.protocol_version()? {
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            _ => "TLSv1.3",
        };
        Some((version, session.negotiated_cipher_suite()?.suite().as_str().unwrap_or("unknown")))
    }

    /// The TCP connection, when nothing stands between it and the bytes: only then can they be spliced.
    pub fn plain(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Encrypted(_) => None,
        }
    }

    /// Addresses of the other side and of ours.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        self.with_tcp(|stream| Ok((stream.peer_address()?, stream.local_address()?)))
    }

    /// The worker it belongs to.
    pub fn worker(&self) -> Worker {
        self.with_tcp(|stream| stream.worker().clone())
    }

    /// Waits for something to read, without reading it. For TLS that may turn out to be no bytes yet.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(stream) => stream.poll_readable(cx),
            Self::Encrypted(encrypted) => {
                let stream = encrypted.stream.borrow();
                let (tcp, session) = stream.get_ref();
                // What was decrypted and not yet taken, or the end, is not to be seen on the socket.
                if session.wants_read() { tcp.poll_readable(cx) } else { Poll::Ready(()) }
            }
        }
    }

    /// Reads into `bytes`, which is not empty; 0 is the end.
    pub fn poll_read(&self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_read(cx, bytes),
            Self::Encrypted(tls) => Pin::new(&mut *tls.stream.borrow_mut()).poll_read(cx, bytes),
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
            Self::Encrypted(tls) => Pin::new(&mut *tls.stream.borrow_mut()).poll_write_vectored(cx, slices),
        }
    }

    /// See [`TcpStream::write_at_once`]. TLS takes nothing that way: it may have to wait in the middle.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn write_at_once(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.plain().map_or(Ok(0), |stream| stream.write_at_once(slices))
    }

    /// See [`TcpStream::poll_write_last`]. With TLS it is a write like any other.
    pub fn poll_write_last(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_write_last(cx, slices),
            Self::Encrypted(_) => self.poll_write_vectored(cx, slices),
        }
    }

    /// Sends what TLS holds back; nothing to do for TCP.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Encrypted(tls) => Pin::new(&mut *tls.stream.borrow_mut()).poll_flush(cx),
        }
    }

    /// Says to the peer that nothing more will come; reading goes on.
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Poll::Ready(stream.shutdown_write()),
            Self::Encrypted(tls) => Pin::new(&mut *tls.stream.borrow_mut()).poll_close(cx),
        }
    }

    /// See [`TcpStream::poll_gone`].
    pub fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.with_tcp(|stream| stream.poll_gone(cx))
    }

    /// See [`TcpStream::poll_reset`].
    pub fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.with_tcp(|stream| stream.poll_reset(cx))
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
            Self::Encrypted(tls) => ask(tls.stream.borrow().get_ref().0),
        }
    }
}
