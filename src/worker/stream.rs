//! A TCP connection on a worker.
//!
//! All operations take `&self`: a task may read while it writes, which is what a proxy does.

use std::future::poll_fn;
use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, SocketAddr, TcpStream as Socket};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};
use socket2::{Domain, Protocol, SockRef, Type};

use super::executor::Worker;
use super::platform;
use super::source::Source;

/// A TCP connection. Reads and writes do not allocate. Each direction is for one task at a time.
pub struct TcpStream {
    socket: Socket,
    source: Rc<Source>,
    key: usize,
    worker: Worker,
}

impl TcpStream {
    /// Takes over a connected, non-blocking socket.
    ///
    /// # Errors
    /// When the reactor cannot register it.
    pub fn new(worker: &Worker, socket: Socket) -> io::Result<Self> {
        let (key, source) = worker.inner.reactor.add(&socket)?;
        source.write.set_ready(true);
        Ok(Self { socket, source, key, worker: worker.clone() })
    }

    /// Opens a connection. Has no deadline of its own.
    ///
    /// # Errors
    /// What the system says of the attempt.
    pub async fn connect(worker: &Worker, address: SocketAddr) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        // Registered only now: a socket that is not connecting reports a hang-up at once.
        let socket = Socket::from(socket);
        let (key, source) = worker.inner.reactor.add(&socket)?;
        let stream = Self { socket, source, key, worker: worker.clone() };
        poll_fn(|cx| stream.source.write.poll_ready(cx)).await;
        match stream.socket.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// The worker it belongs to.
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// The address of the other side.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// The address of our side.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Reads what is there, into `bytes`, which is not empty. 0 is the end of what the peer sends.
    pub fn poll_read(&self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        let read =
            std::task::ready!(self.source.read.poll_with(cx, || platform::read(self.socket.as_fd(), bytes)))?;
        self.learn_from(read, bytes.len());
        Poll::Ready(Ok(read))
    }

    /// The same without a wait, whether the reactor has told of something or not.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there, and what the connection fails with.
    pub fn read_now(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = platform::read(self.socket.as_fd(), bytes)?;
        self.learn_from(read, bytes.len());
        Ok(read)
    }

    /// Less than asked for is all there was, and the kernel will tell of more. It will not tell again of an
    /// end that came along with these bytes, nor of bytes behind an urgent one.
    fn learn_from(&self, read: usize, asked_for: usize) {
        if read < asked_for && !self.source.may_have_ended.get() {
            self.source.read.set_ready(false);
        }
    }

    /// Writes from all of `slices` in one call.
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.source.write.poll_with(cx, || self.write_vectored(slices))
    }

    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            // The kernel has less to do for `send` than for `writev`.
            [slice] => platform::write(self.socket.as_fd(), slice),
            slices => (&self.socket).write_vectored(slices),
        }
    }

    /// The same for bytes that [`TcpStream::shutdown_write`] follows at once: the kernel holds the last
    /// of them back for it, so that both go in one packet.
    pub fn poll_write_last(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.source.write.poll_with(cx, || platform::write_last(self.socket.as_fd(), slices))
    }

    /// Writes what the system takes at once, which is mostly all; says how much, and waits for nothing.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source.write.try_with(|| self.write_vectored(slices)).unwrap_or(Ok(0))
    }

    /// Writes what the system takes at once of a few last bytes, and no more.
    pub fn write_best_effort(&self, bytes: &[u8]) {
        // What comes after them is the end in any case.
        let _ = (&self.socket).write(bytes);
    }

    /// Waits until a read may give something; reads nothing.
    pub async fn readable(&self) {
        poll_fn(|cx| self.source.read.poll_ready(cx)).await;
    }

    /// Polls what [`TcpStream::readable`] waits for.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.source.read.poll_ready(cx)
    }

    /// Ready once the connection is dead both ways: reset, or ended by both. A peer that has only
    /// finished sending is alive.
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.source.closed.poll_ready(cx)
    }

    /// Ready once the peer has reset the connection. One that both sides have ended is gone, and not reset: what
    /// the peer sent before its end may still be there to be read.
    pub fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        let reset = || match self.socket.take_error() {
            Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
            Ok(Some(_)) | Err(_) => Ok(()),
        };
        self.source.closed.poll_with(cx, reset).map(|_| ())
    }

    /// Whether the kernel has told of bytes, an end or an error that no read has taken yet. An idle
    /// connection of which that is true is of no use any more. Costs no system call while the last
    /// read has come up short, as it mostly has; else the kernel is asked once whether there is more.
    pub fn has_pending_event(&self) -> bool {
        if self.source.read.is_ready() && self.is_open_and_idle() {
            self.source.read.set_ready(false);
        }
        self.source.read.is_ready()
    }

    /// Whether the connection is open and silent, asked of the kernel: one system call, for when a
    /// mistake would be worse than that.
    pub fn is_open_and_idle(&self) -> bool {
        let mut byte = [0];
        matches!(self.socket.peek(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Says to the peer that nothing more will come; reading goes on.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Says that a close from now on must be a reset, or may be a clean end again: while it would make
    /// the peer take an incomplete message for a complete one, however the close comes about.
    pub fn close_with_reset(&self, reset: bool) {
        // Should it fail, the peer sees a clean end of an incomplete message.
        let _ = SockRef::from(&self.socket).set_linger(reset.then_some(std::time::Duration::ZERO));
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        self.worker.inner.reactor.remove(self.key, &self.socket);
    }
}

impl AsyncRead for &TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        TcpStream::poll_read(&self, cx, bytes)
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        TcpStream::poll_read(&self, cx, bytes)
    }
}

impl AsyncWrite for &TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        TcpStream::poll_write_vectored(&self, cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        TcpStream::poll_write_vectored(&self, cx, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        TcpStream::poll_write_vectored(&self, cx, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shutdown_write())
    }
}
