//! Linux: the same work in fewer system calls.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::net::SocketFlags;
use rustix::pipe::{PipeFlags, SpliceFlags};

use super::portable;
use crate::worker::reactor::Readiness;

/// Events taken from the kernel in one wait.
const EVENTS: usize = 256;

/// The key under which `polling` registers its own notifications.
const NOTIFICATION: u64 = usize::MAX as u64;

/// Registers a socket, edge-triggered, both ways, and with `EPOLLRDHUP`, which `polling` does not ask
/// for: without it a short read does not prove that there is nothing more, an end for example.
pub(crate) fn register(poller: &polling::Poller, socket: BorrowedFd<'_>, key: usize) -> io::Result<()> {
    use epoll::EventFlags as Flags;
    let flags = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::ET;
    Ok(epoll::add(poller.as_fd(), socket, epoll::EventData::new_u64(key as u64), flags)?)
}

/// Forgets a socket.
pub(crate) fn deregister(poller: &polling::Poller, socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(epoll::delete(poller.as_fd(), socket)?)
}

/// Events out of the kernel, straight from the epoll instance that `polling` made.
///
/// `polling` waits portably: it arms a timerfd, waits, reads its eventfd and arms both again, five
/// system calls a turn where one is enough. Making the instance and notifying it stay with `polling`.
pub(crate) struct Wait {
    events: Vec<epoll::Event>,
    notified: portable::Wait,
}

impl Wait {
    pub(crate) fn new() -> Self {
        Self { events: Vec::with_capacity(EVENTS), notified: portable::Wait::new() }
    }

    pub(crate) fn wait(
        &mut self,
        poller: &polling::Poller,
        timeout: Option<Duration>,
        mut each: impl FnMut(usize, Readiness),
    ) -> io::Result<()> {
        let timeout = timeout.map(in_whole_milliseconds);
        self.events.clear();
        match epoll::wait(poller.as_fd(), spare_capacity(&mut self.events), timeout.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(()),
            result => result?,
        };
        let mut notified = false;
        for event in &self.events {
            match event.data.u64() {
                NOTIFICATION => notified = true,
                key => each(key as usize, readiness(event.flags)),
            }
        }
        if notified {
            // `polling` must see its own notification, to clear it and to arm the next one.
            self.notified.wait(poller, Some(Duration::ZERO), each)?;
        }
        Ok(())
    }
}

fn readiness(flags: epoll::EventFlags) -> Readiness {
    use epoll::EventFlags as Flags;
    Readiness {
        readable: flags.intersects(Flags::IN | Flags::RDHUP | Flags::HUP | Flags::ERR | Flags::PRI),
        writable: flags.intersects(Flags::OUT | Flags::HUP | Flags::ERR),
        ending: flags.intersects(Flags::RDHUP | Flags::HUP | Flags::ERR),
        gone: flags.intersects(Flags::HUP | Flags::ERR),
    }
}

/// Rounded up: a wait that ends before the deadline it waits for would be spent again, many times.
fn in_whole_milliseconds(timeout: Duration) -> Timespec {
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i64;
    Timespec { tv_sec: milliseconds / 1000, tv_nsec: (milliseconds % 1000) * 1_000_000 }
}

/// Takes a connection from the queue of `listener`, ready for non-blocking use. One system call:
/// `TCP_NODELAY` is inherited from the listening socket.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, peer) = rustix::net::acceptfrom_with(listener, flags)?;
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    // A peer that is gone already has no address; ECONNABORTED is what the kernel calls that too.
    let peer = peer.ok_or(io::ErrorKind::ConnectionAborted)?;
    Ok((TcpStream::from(socket), peer))
}

/// A pipe for [`splice`]: its reading and its writing end.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?)
}

/// Moves up to `most` bytes between a socket and a pipe inside the kernel.
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(rustix::pipe::splice(from, None, to, None, most, flags)?)
}
