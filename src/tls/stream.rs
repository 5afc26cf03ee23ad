//! A connection, plain or encrypted, with one interface.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::{Connection, ProtocolVersion};

use super::client_auth::{Admission, ClientAuthKey, Demanded};
use super::session::Session;
use super::shared_stream::{NoStream, SharedStream};
use crate::worker::{Buffer, TcpStream, Worker};

/// A connection, or one of the streams that share one. All operations take `&self`, so that one task can read while it
/// writes. Without a type for such streams there are none, and a question for them costs nothing.
pub enum Stream<S = NoStream> {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP; boxed, because a TLS state is large and plain connections should not carry its
    /// size.
    Encrypted(Box<Encrypted>),
    /// A stream that shares its connection.
    Shared(S),
}

/// TLS over TCP, from either side.
pub struct Encrypted {
    /// The session, borrowed for one call at a time and never across an await.
    session: RefCell<Session>,
    /// The requirements for the client certificate, if the peer is a client.
    client_auth: ClientAuthKey,
}

impl Stream {
    /// Creates a TLS connection. It begins with [`Stream::poll_handshake`].
    pub(super) fn encrypted(tcp: TcpStream, tls: Connection, client_auth: ClientAuthKey) -> Self {
        Self::Encrypted(Box::new(Encrypted { session: Session::new(tcp, tls).into(), client_auth }))
    }

    /// The same connection, where there may be streams, too.
    pub fn widen<S>(self) -> Stream<S> {
        match self {
            Self::Plain(stream) => Stream::Plain(stream),
            Self::Encrypted(tls) => Stream::Encrypted(tls),
            Self::Shared(none) => match none {},
        }
    }
}

impl<S: SharedStream<Connection = Stream>> Stream<S> {
    /// The connection, if this is not a stream that shares one.
    pub fn into_connection(self) -> Option<Stream> {
        match self {
            Self::Plain(stream) => Some(Stream::Plain(stream)),
            Self::Encrypted(tls) => Some(Stream::Encrypted(tls)),
            Self::Shared(_) => None,
        }
    }

    /// The requirements for the client certificate when the connection began.
    pub(super) fn client_auth(&self) -> Option<&Arc<Demanded>> {
        match self {
            Self::Plain(_) => None,
            Self::Encrypted(tls) => tls.client_auth.as_ref(),
            Self::Shared(stream) => stream.connection().client_auth(),
        }
    }

    /// The name and the requirements under which the client was accepted.
    pub fn admission(&self) -> Admission {
        let name = match self {
            Self::Plain(_) => None,
            Self::Encrypted(tls) => match tls.session.borrow().tls() {
                Connection::Server(tls) => tls.server_name().map(Box::from),
                Connection::Client(_) => None,
            },
            Self::Shared(stream) => return stream.connection().admission(),
        };
        Admission { name, client_auth: self.client_auth().cloned() }
    }

    /// Passes the client hello, which was read before, to TLS. Does nothing for TCP.
    pub(super) fn feed_client_hello(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Encrypted(tls) => tls.session.borrow_mut().feed_client_hello(bytes),
            Self::Shared(_) => Ok(()),
        }
    }

    /// Performs the handshake of TLS; see [`Session::poll_handshake`]. Does nothing for TCP.
    pub(super) fn poll_handshake(
        &self,
        cx: &mut Context<'_>,
        answered: impl FnMut(),
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Encrypted(tls) => tls.session.borrow_mut().poll_handshake(cx, answered),
            Self::Shared(_) => Poll::Ready(Ok(())),
        }
    }

    /// Whether this is one of several streams of a connection.
    #[inline(always)]
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Shared(_))
    }

    /// The stream, if this is one.
    pub fn stream(&self) -> Option<&S> {
        match self {
            Self::Plain(_) | Self::Encrypted(_) => None,
            Self::Shared(stream) => Some(stream),
        }
    }

    /// Whether the connection uses TLS.
    pub fn is_encrypted(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Encrypted(_) => true,
            Self::Shared(stream) => stream.connection().is_encrypted(),
        }
    }

    /// Version and cipher suite of TLS, such as `TLSv1.3` and `TLS13_AES_128_GCM_SHA256`.
    pub fn cipher(&self) -> Option<(&'static str, &'static str)> {
        let tls = match self {
            Self::Plain(_) => return None,
            Self::Encrypted(tls) => tls,
            Self::Shared(stream) => return stream.connection().cipher(),
        };
        let session = tls.session.borrow();
        let session = session.tls();
        let version = match session.protocol_version()? {
            ProtocolVersion::TLSv1_2 => "TLSv1.2",
            _ => "TLSv1.3",
        };
        Some((version, session.negotiated_cipher_suite()?.suite().as_str().unwrap_or("unknown")))
    }

    /// The TCP connection if it is not encrypted. Only then can its bytes be spliced.
    pub fn plain(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(stream) => Some(stream),
            Self::Encrypted(_) | Self::Shared(_) => None,
        }
    }

    /// The TCP connection if it is not encrypted, or this stream.
    ///
    /// # Errors
    /// It is encrypted.
    pub fn into_plain(self) -> Result<TcpStream, Self> {
        match self {
            Self::Plain(stream) => Ok(stream),
            other => Err(other),
        }
    }

    /// The protocol that both sides agreed on in the handshake (ALPN).
    pub fn protocol(&self) -> Option<Box<[u8]>> {
        match self {
            Self::Plain(_) => None,
            Self::Encrypted(tls) => tls.session.borrow().tls().alpn_protocol().map(Box::from),
            Self::Shared(stream) => stream.connection().protocol(),
        }
    }

    /// The address of the peer and the local address.
    ///
    /// # Errors
    /// If the connection has closed.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        self.with_tcp(|stream| Ok((stream.peer_address()?, stream.local_address()?)))
    }

    /// The worker of the connection.
    pub fn worker(&self) -> Worker {
        self.with_tcp(|stream| stream.worker().clone())
    }

    /// Ready when a read may return something; reads nothing. With TLS, the read may still have no bytes.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(stream) => stream.poll_readable(cx),
            Self::Encrypted(tls) => tls.session.borrow().poll_readable(cx),
            Self::Shared(stream) => stream.poll_readable(cx),
        }
    }

    /// Reads into `bytes`, which is not empty; 0 means the end. An end of TLS without `close_notify` is an
    /// error.
    pub fn poll_read(&self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_read(cx, bytes),
            Self::Encrypted(tls) => tls.session.borrow_mut().poll_read(cx, bytes),
            // A stream hands its bytes over in a buffer.
            Self::Shared(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    /// Writes from all of `slices` at once. Returns how many bytes were taken.
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_write_vectored(cx, slices),
            Self::Encrypted(tls) => tls.session.borrow_mut().poll_write(cx, slices, false),
            Self::Shared(stream) => stream.poll_write(cx, slices),
        }
    }

    /// Writes without waiting; see [`TcpStream::try_write`]. Bytes that are taken go out without another
    /// call. TLS takes none, because a part of a record might have to wait.
    ///
    /// # Errors
    /// If the connection has closed.
    pub fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.try_write(slices),
            Self::Encrypted(_) => Ok(0),
            Self::Shared(stream) => stream.try_write(slices),
        }
    }

    /// Writes the last bytes. The end goes out with them as far as possible. With TCP, the shutdown must
    /// follow; see [`TcpStream::poll_write_last`]. TLS sends `close_notify`.
    pub fn poll_write_last(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => stream.poll_write_last(cx, slices),
            Self::Encrypted(tls) => tls.session.borrow_mut().poll_write(cx, slices, true),
            Self::Shared(stream) => stream.poll_write(cx, slices),
        }
    }

    /// Sends the bytes that TLS holds back. Does nothing for TCP.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) | Self::Shared(_) => Poll::Ready(Ok(())),
            Self::Encrypted(tls) => tls.session.borrow_mut().poll_flush(cx),
        }
    }

    /// Ends the writing side; reading goes on. TLS has to send `close_notify` first. A peer that does not
    /// read delays that, so the call needs a deadline.
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Poll::Ready(stream.shutdown_write()),
            Self::Encrypted(tls) => tls.session.borrow_mut().poll_shutdown(cx),
            Self::Shared(stream) => {
                stream.shut_down();
                Poll::Ready(Ok(()))
            }
        }
    }

    /// See [`TcpStream::poll_closed`].
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.with_tcp(|stream| stream.poll_closed(cx))
    }

    /// Ready once the peer is gone: see [`TcpStream::poll_closed`], and with `at_end` [`TcpStream::poll_ended`]. A client
    /// that ends a shared stream waits for the response.
    pub fn poll_gone(&self, cx: &mut Context<'_>, at_end: bool) -> Poll<()> {
        if let Self::Shared(stream) = self {
            return stream.poll_gone(cx);
        }
        self.with_tcp(|stream| match stream.poll_closed(cx) {
            Poll::Pending if at_end => stream.poll_ended(cx),
            closed => closed,
        })
    }

    /// See [`TcpStream::poll_reset`].
    pub fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        if let Self::Shared(stream) = self {
            return stream.poll_gone(cx);
        }
        self.with_tcp(|stream| stream.poll_reset(cx))
    }

    /// Whether bytes, an end or an error have come that no read has taken. For TCP the reactor knows; see
    /// [`TcpStream::has_pending_event`]. With TLS, decrypted data and an incomplete record count too, but a
    /// session ticket does not. A stream to a target counts as ended: it has one exchange.
    pub fn has_pending_event(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.has_pending_event(),
            Self::Encrypted(tls) => !tls.session.borrow_mut().is_silent(|tcp| !tcp.has_pending_event()),
            Self::Shared(stream) => stream.is_spent(),
        }
    }

    /// Takes back a request that was written to a stream, head and body, as far as it was. `None` if it is not kept.
    pub fn take_back(&self) -> Option<Buffer> {
        self.stream().and_then(SharedStream::take_back)
    }

    /// Whether the connection is open and has no pending event, according to the kernel. That takes one
    /// system call, so it is for cases in which a mistake costs more.
    pub fn is_open_and_idle(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_open_and_idle(),
            Self::Encrypted(tls) => tls.session.borrow_mut().is_silent(TcpStream::is_open_and_idle),
            Self::Shared(stream) => stream.connection().is_open_and_idle(),
        }
    }

    /// Whether the connection is open and its socket has no unread bytes, with the kernel asked. Unlike with
    /// `is_open_and_idle`, TLS may hold a part of a record.
    pub fn is_socket_idle(&self) -> bool {
        self.with_tcp(TcpStream::is_open_and_idle)
    }

    /// Reports that a message is complete. If the connection is dropped before the next message begins, TLS
    /// sends `close_notify`; else it does not (RFC 8446, section 6.1).
    #[inline]
    pub fn message_ended(&self) {
        self.message_ended_with(|| &[]);
    }

    /// Reports that a message with trailers is complete. On a connection of its own they were written with the body.
    #[inline]
    pub fn message_ended_with<'t>(&self, trailers: impl FnOnce() -> &'t [u8]) {
        match self {
            Self::Plain(_) => {}
            Self::Encrypted(tls) => tls.session.borrow_mut().set_whole(true),
            Self::Shared(stream) => stream.end(trailers()),
        }
    }

    /// Sets whether the end of the connection must not look clean. Then TCP resets, see
    /// [`TcpStream::close_with_reset`], and TLS ends without `close_notify`.
    pub fn close_with_reset(&self, reset: bool) {
        match self {
            Self::Plain(stream) => stream.close_with_reset(reset),
            Self::Encrypted(tls) => tls.session.borrow_mut().set_whole(!reset),
            // A stream whose message is not complete never looks clean.
            Self::Shared(_) => {}
        }
    }

    /// Sets for how long the messages of a stream may be silent, as those of gRPC are. A connection of its own has
    /// none.
    pub fn set_patience(&self, time: Duration) {
        if let Self::Shared(stream) = self {
            stream.set_patience(time);
        }
    }

    /// The time for which messages may be silent, if it was set.
    #[cold]
    pub fn patience(&self) -> Option<Duration> {
        match self {
            Self::Plain(_) | Self::Encrypted(_) => None,
            Self::Shared(stream) => stream.patience(),
        }
    }

    #[inline(always)]
    fn with_tcp<T>(&self, ask: impl FnOnce(&TcpStream) -> T) -> T {
        match self {
            Self::Plain(stream) => ask(stream),
            Self::Encrypted(tls) => ask(tls.session.borrow().tcp()),
            Self::Shared(stream) => stream.connection().with_tcp(ask),
        }
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
