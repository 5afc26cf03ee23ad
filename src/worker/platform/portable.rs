//! The same on every system that `polling` and std know.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroUsize;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use crate::worker::reactor::Readiness;

/// Events taken from the kernel in one wait.
const EVENTS: NonZeroUsize = NonZeroUsize::new(256).expect("invariant: not zero");

/// Registers a socket, edge-triggered, both ways.
#[cfg_attr(target_os = "linux", expect(dead_code, reason = "Linux has its own"))]
#[expect(unsafe_code, reason = "polling asks for a promise that the types cannot make")]
pub(crate) fn register(poller: &polling::Poller, socket: BorrowedFd<'_>, key: usize) -> io::Result<()> {
    let event = polling::Event::all(key);
    // SAFETY: a registered socket must be removed before it is closed. The reactor's callers,
    // `stream.rs` and `accept.rs`, own the socket and remove it in `Drop`, before the field drops.
    unsafe { poller.add_with_mode(&socket, event, polling::PollMode::Edge) }
}

/// Forgets a socket.
#[cfg_attr(target_os = "linux", expect(dead_code, reason = "Linux has its own"))]
pub(crate) fn deregister(poller: &polling::Poller, socket: BorrowedFd<'_>) -> io::Result<()> {
    poller.delete(socket)
}

/// Events out of the kernel, by way of `polling`.
pub(crate) struct Wait {
    events: polling::Events,
}

impl Wait {
    pub(crate) fn new() -> Self {
        Self { events: polling::Events::with_capacity(EVENTS) }
    }

    pub(crate) fn wait(
        &mut self,
        poller: &polling::Poller,
        timeout: Option<Duration>,
        mut each: impl FnMut(usize, Readiness),
    ) -> io::Result<()> {
        self.events.clear();
        poller.wait(&mut self.events, timeout)?;
        for event in self.events.iter() {
            // `polling` does not say whether the peer has finished, so it may have.
            let gone = event.is_interrupt() || event.is_err() == Some(true);
            each(
                event.key,
                Readiness { readable: event.readable, writable: event.writable, ending: true, gone },
            );
        }
        Ok(())
    }
}

/// Takes a connection from the queue of `listener`, ready for non-blocking use.
#[cfg_attr(target_os = "linux", expect(dead_code, reason = "Linux has its own"))]
pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept()?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok((stream, peer))
}

/// There is no `splice` here: callers copy.
#[cfg_attr(target_os = "linux", expect(dead_code, reason = "Linux has its own"))]
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There is no `splice` here: callers copy.
#[cfg_attr(target_os = "linux", expect(dead_code, reason = "Linux has its own"))]
pub(crate) fn splice(_from: BorrowedFd<'_>, _to: BorrowedFd<'_>, _most: usize) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}
