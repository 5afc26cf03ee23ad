//! A connection on a worker: TCP, or a Unix socket.
//!
//! All operations take `&self`, because a proxy reads and writes one connection at the same time.

use std::future::poll_fn;
use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, SocketAddr, TcpStream as Socket};
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, TcpKeepalive, Type};

use crate::worker::platform;
use crate::worker::source::Source;
use crate::worker::worker::Worker;

/// The time until the next attempt at a Unix socket whose queue is full.
const QUEUE_FULL: Duration = Duration::from_millis(10);

/// A byte with one valid value. An enum around a connection keeps its variant in the others, so it has no tag of its own.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Tag {
    Tcp = 0,
}

/// A TCP connection. Reads and writes do not allocate. Only one task at a time may use each direction.
pub struct TcpStream {
    _tag: Tag,
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
        Ok(Self { _tag: Tag::Tcp, socket, source, key, worker: worker.clone() })
    }

    /// Opens a connection. It has no deadline of its own.
    ///
    /// # Errors
    /// The error that the system reports for the attempt.
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
        // Register the socket only now: the kernel reports a hang-up for a socket that is not connecting.
        let socket = Socket::from(socket);
        let (key, source) = worker.inner.reactor.add(&socket)?;
        let stream = Self { _tag: Tag::Tcp, socket, source, key, worker: worker.clone() };
        poll_fn(|cx| stream.source.write.poll_ready(cx)).await;
        match stream.socket.take_error()? {
            Some(error) => Err(error),
            None => Ok(stream),
        }
    }

    /// Opens a connection to a Unix socket, which is used as one of TCP. It has no deadline of its own.
    ///
    /// # Errors
    /// The error that the system reports for the attempt.
    pub async fn connect_unix(worker: &Worker, path: &str) -> io::Result<Self> {
        let address = SockAddr::unix(path)?;
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        loop {
            match socket.connect(&address) {
                Ok(()) => return Self::new(worker, Socket::from(socket)),
                // The queue of the listener is full, and the kernel reports no event when it has room again.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => worker.sleep(QUEUE_FULL).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets the kernel ask whether the peer is there: after `time` without a byte, and then again in that interval. Zero
    /// stands for never.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn set_keepalive(&self, time: Duration) -> io::Result<()> {
        if time.is_zero() {
            return Ok(());
        }
        let keepalive = TcpKeepalive::new().with_time(time).with_interval(time);
        SockRef::from(&self.socket).set_tcp_keepalive(&keepalive)
    }

    /// The worker that this connection belongs to.
    pub fn worker(&self) -> &Worker {
        &self.worker
    }

    /// The address of the peer.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn peer_address(&self) -> io::Result<SocketAddr> {
        self.socket.peer_addr()
    }

    /// The local address.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Reads available bytes into `bytes`, which is not empty. 0 means that the peer has finished sending.
    pub fn poll_read(&self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        let read =
            std::task::ready!(self.source.read.poll_with(cx, || platform::read(self.socket.as_fd(), bytes)))?;
        self.learn_from(read, bytes.len());
        Poll::Ready(Ok(read))
    }

    /// Reads without waiting, even if the reactor has reported no event.
    ///
    /// # Errors
    /// `WouldBlock` if no byte is there, and any error of the connection.
    pub fn read_now(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = platform::read(self.socket.as_fd(), bytes)?;
        self.learn_from(read, bytes.len());
        Ok(read)
    }

    /// Clears the readiness after a short read, because the kernel reports later bytes as a new event.
    /// It does not report again an end that came with these bytes, nor bytes behind an urgent byte.
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
            // `send` costs the kernel less than `writev`.
            [slice] => platform::write(self.socket.as_fd(), slice),
            slices => (&self.socket).write_vectored(slices),
        }
    }

    /// Writes bytes that [`TcpStream::shutdown_write`] follows at once. The kernel holds the last of them
    /// back, so that they and the end go in one packet.
    pub fn poll_write_last(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.source.write.poll_with(cx, || platform::write_last(self.socket.as_fd(), slices))
    }

    /// Writes as much as the system takes at once, mostly all, and returns the number of bytes. Never waits.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.source.write.try_with(|| self.write_vectored(slices)).unwrap_or(Ok(0))
    }

    /// Writes a few last bytes, as far as the system takes them at once.
    pub fn write_best_effort(&self, bytes: &[u8]) {
        // Ignore errors: the connection ends after these bytes in any case.
        let _ = (&self.socket).write(bytes);
    }

    /// Waits until a read may succeed. It reads nothing.
    pub async fn readable(&self) {
        poll_fn(|cx| self.source.read.poll_ready(cx)).await;
    }

    /// Polls for the event that [`TcpStream::readable`] waits for.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.source.read.poll_ready(cx)
    }

    /// Ready once the connection is closed in both directions, by a reset or by two ends. A peer that has
    /// only finished sending still receives.
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.source.closed.poll_ready(cx)
    }

    /// Ready once the peer has ended its side, whether its last bytes were read or not. The peer may still receive.
    pub fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.source.may_have_ended.get() && platform::has_ended(&self.socket) {
            return Poll::Ready(());
        }
        // The kernel reports an end as something to read.
        self.source.read.wake_at_event(cx);
        Poll::Pending
    }

    /// Ready once the peer has reset the connection. Two ends are no reset: bytes that the peer sent before
    /// its end may still be unread.
    pub fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<()> {
        let reset = || match self.socket.take_error() {
            Ok(None) => Err(io::ErrorKind::WouldBlock.into()),
            Ok(Some(_)) | Err(_) => Ok(()),
        };
        self.source.closed.poll_with(cx, reset).map(|_| ())
    }

    /// Whether the kernel has reported bytes, an end or an error that no read has taken yet. An idle
    /// connection with such an event cannot be used again. If the last read came up short, as most do, this
    /// costs no system call; otherwise one `peek` asks the kernel.
    pub fn has_pending_event(&self) -> bool {
        if self.source.read.is_ready() && self.is_open_and_idle() {
            self.source.read.set_ready(false);
        }
        self.source.read.is_ready()
    }

    /// Whether the connection is open and has no unread bytes. It asks the kernel with one system call, for
    /// callers to which a mistake costs more.
    pub fn is_open_and_idle(&self) -> bool {
        let mut byte = [0];
        matches!(self.socket.peek(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Tells the peer that no more bytes will come. Reading goes on.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Makes every later close a reset, or a clean end again. Use the reset while a clean end would make the
    /// peer take an incomplete message for a complete one.
    pub fn close_with_reset(&self, reset: bool) {
        // If it fails, the peer sees a clean end of an incomplete message.
        let _ = SockRef::from(&self.socket).set_linger(reset.then_some(Duration::ZERO));
    }

    pub(in crate::worker) fn source(&self) -> &Source {
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
