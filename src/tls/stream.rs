//! A connection, plain or encrypted, with one face.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::{Connection, ProtocolVersion};

use super::client_auth::{Admission, ClientAuthKey, Demanded};
use super::session::Session;
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
    /// Borrowed for one call at a time and never across an await.
    session: RefCell<Session>,
    /// What the client had to show, if it is one of ours.
    client_auth: ClientAuthKey,
}

impl Stream {
    /// TLS that begins with [`Stream::poll_handshake`].
    pub(super) fn encrypted(tcp: TcpStream, tls: Connection, client_auth: ClientAuthKey) -> Self {
        Self::Encrypted(Box::new(Encrypted { session: Session::new(tcp, tls).into(), client_auth }))
    }

    /// What the client had to show when this connection began.
    pub(super) fn client_auth(&self) -> Option<&Arc<Demanded>> {
        match self {
            Self::Plain(_) => None,
            Self::Encrypted(tls) => tls.client_auth.as_ref(),
        }
    }

    /// What the client was let in by when this connection began.
    pub fn admission(&self) -> Admission {
        let name = match self {
            Self::Plain(_) => None,
            Self::Encrypted(tls) => match tls.session.borrow().tls() {
                Connection::Server(tls) => tls.server_name().map(Box::from),
                Connection::Client(_) => None,
            },
        };
        Admission { name, client_auth: self.client_auth().cloned() }
    }

    /// Gives TLS what was read of the peer before; nothing to do for TCP.
    pub(super) fn feed_client_hello(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Encrypted(tls) => tls.session.borrow_mut().feed_client_hello(bytes),
        }
    }

    /// Shakes hands, if it is TLS; see [`Session::poll_handshake`].
    pub(super) fn poll_handshake(
        &self,
        cx: &mut Context<'_>,
        answered: impl FnMut(),
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Encrypted(tls) => tls.session.borrow_mut().poll_handshake(cx, answered),
        }
    }

    /// Whether it is TLS.
    pub fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted(_))
    }

    /// Version and cipher suite of TLS, such as `TLSv1.3` and `TLS13_AES_128_GCM_SHA256`.
    pub fn cipher(&self) -> Option<(&'static str, &'static str)> {
        let Self::Encrypted(tls) = self else { return None };
        let session = tls.session.borrow();
        let session = session.tls();
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

    /// Ready when a read may give something; reads nothing. For TLS that may turn out to be no bytes yet.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(stream) => stream.poll_readable(cx),
            Self::Encrypted(tls) => tls.session.borrow().poll_readable(cx),
        }
    }

    /// Reads into `bytes`, which is not empty; 0 is the end. Where TLS ends without `close_notify`, that is
    /// an error.
    pub fn poll_read(&self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_read(cx, bytes),
            Self::Encrypted(tls) => tls.session.borrow_mut().poll_read(cx, bytes),
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
            Self::Encrypted(tls) => tls.session.borrow_mut().poll_write(cx, slices, false),
        }
    }

    /// See [`TcpStream::try_write`]. What is taken goes out without another call. TLS takes nothing that
    /// way: a part of a record may have to wait.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.plain().map_or(Ok(0), |stream| stream.try_write(slices))
    }

    /// Writes the last bytes that are written: the end goes out with them, as far as it can. For TCP the
    /// shutdown has to follow, see [`TcpStream::poll_write_last`]; TLS has sent `close_notify` then.
    pub fn poll_write_last(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_write_last(cx, slices),
            Self::Encrypted(tls) => tls.session.borrow_mut().poll_write(cx, slices, true),
        }
    }

    /// Sends what TLS holds back; nothing to do for TCP.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Encrypted(tls) => tls.session.borrow_mut().poll_flush(cx),
        }
    }

    /// Says to the peer that nothing more will come; reading goes on. TLS has to send `close_notify` first,
    /// which a peer that reads nothing holds up: this needs a deadline.
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Poll::Ready(stream.shutdown_write()),
            Self::Encrypted(tls) => tls.session.borrow_mut().poll_shutdown(cx),
        }
    }

    /// See [`TcpStream::poll_closed`].
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.with_tcp(|stream| stream.poll_closed(cx))
    }

    /// See [`TcpStream::poll_reset`].
    pub fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.with_tcp(|stream| stream.poll_reset(cx))
    }

    /// Whether bytes, an end or an error are here that no read has taken: of TCP what the reactor has told,
    /// see [`TcpStream::has_pending_event`], and of TLS also what it has decrypted, and a record of which only a part
    /// is here. A session ticket is no news.
    pub fn has_pending_event(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.has_pending_event(),
            Self::Encrypted(tls) => !tls.session.borrow_mut().is_silent(|tcp| !tcp.has_pending_event()),
        }
    }

    /// Whether the connection is open and none of that is here, with the kernel asked: one system call, for
    /// when a mistake would be worse than that.
    pub fn is_open_and_idle(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_open_and_idle(),
            Self::Encrypted(tls) => tls.session.borrow_mut().is_silent(TcpStream::is_open_and_idle),
        }
    }

    /// Says that a message was written to its end. If the connection is dropped before the next is begun,
    /// that is a clean end, and TLS says so with `close_notify`; else it does not (RFC 8446, section 6.1).
    pub fn message_ended(&self) {
        if let Self::Encrypted(tls) = self {
            tls.session.borrow_mut().set_whole(true);
        }
    }

    /// Says that an end from now on must not look clean, or may again: TCP resets then, see
    /// [`TcpStream::close_with_reset`], and TLS ends without `close_notify`.
    pub fn close_with_reset(&self, reset: bool) {
        match self {
            Self::Plain(stream) => stream.close_with_reset(reset),
            Self::Encrypted(tls) => tls.session.borrow_mut().set_whole(!reset),
        }
    }

    fn with_tcp<T>(&self, ask: impl FnOnce(&TcpStream) -> T) -> T {
        match self {
            Self::Plain(stream) => ask(stream),
            Self::Encrypted(tls) => ask(tls.session.borrow().tcp()),
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
