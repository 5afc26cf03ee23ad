//! The Linux form, which does the work in fewer system calls.

mod startup_code;

use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size};
use socket2::{SockFilter, SockRef};

use super::events;
use crate::worker::source::Readiness;

pub(crate) use startup_code::release_startup_code;

/// Events that one wait takes from the kernel.
const EVENTS: usize = 256;

/// The events that epoll reports for a socket, once each time the state begins (`ET`). Epoll reports a
/// hang-up and an error in any case, but `RDHUP`, the end of the peer's half, only on request.
const INTEREST: epoll::EventFlags = epoll::EventFlags::IN
    .union(epoll::EventFlags::PRI)
    .union(epoll::EventFlags::RDHUP)
    .union(epoll::EventFlags::OUT)
    .union(epoll::EventFlags::ET);

/// The niceness of a thread that lowers its priority. Its weight is 335 against 1,024 of a worker. So a
/// worker that wakes on the same core mostly has some of its share left, and runs first. Measured in the 200
/// ms in which 10,000 rules are read: 2.5 % of the exchanges take longer than 1 ms. Without niceness it is
/// 7.7 %, with 10 it is 1.5 %. But on a core that a worker never leaves, the thread gets a quarter of the
/// time. With 10 it gets a tenth, and with 15 reloads of a busy machine took seconds.
const NICENESS: i32 = 5;

/// The key under which `polling` registers its own notifications.
const NOTIFICATION: u64 = usize::MAX as u64;

/// The wait for events of the kernel, on the epoll instance that `polling` created.
///
/// `polling` waits portably: it arms a timerfd, waits, reads its eventfd and arms both again. That is five
/// system calls a turn where one is enough. It also does not know `EPOLLRDHUP`, and without that flag a short
/// read does not prove that nothing follows. So sockets are registered here too. `polling` still does the
/// notifying.
pub(crate) struct Wait {
    events: Vec<epoll::Event>,
    notified: events::Wait,
}

impl Wait {
    pub(crate) fn new() -> Self {
        Self { events: Vec::with_capacity(EVENTS), notified: events::Wait::new() }
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
            // `polling` must see its own notification to clear it and to arm the next one.
            self.notified.wait(poller, Some(Duration::ZERO), each)?;
        }
        Ok(())
    }
}

/// Registers a socket for all events in `INTEREST`.
pub(crate) fn add(poller: &polling::Poller, socket: BorrowedFd<'_>, key: usize) -> io::Result<()> {
    Ok(epoll::add(poller.as_fd(), socket, epoll::EventData::new_u64(key as u64), INTEREST)?)
}

/// Does nothing, which saves each connection a system call. Epoll forgets a socket when its last descriptor
/// closes. Each socket here has only one, and the caller closes it next.
pub(crate) fn remove(_poller: &polling::Poller, _socket: BorrowedFd<'_>) {}

fn readiness(flags: epoll::EventFlags) -> Readiness {
    use epoll::EventFlags as Flags;
    Readiness {
        readable: flags.intersects(Flags::IN | Flags::RDHUP | Flags::HUP | Flags::ERR | Flags::PRI),
        writable: flags.intersects(Flags::OUT | Flags::HUP | Flags::ERR),
        // `PRI`: a read stops in front of an urgent byte, and more bytes may follow it.
        may_have_ended: flags.intersects(Flags::RDHUP | Flags::HUP | Flags::ERR | Flags::PRI),
        closed: flags.intersects(Flags::HUP | Flags::ERR),
    }
}

/// Rounds up to whole milliseconds. A wait that ends before its deadline would be repeated many times.
fn in_whole_milliseconds(timeout: Duration) -> Timespec {
    let milliseconds = timeout.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128) as i64;
    Timespec { tv_sec: milliseconds / 1000, tv_nsec: (milliseconds % 1000) * 1_000_000 }
}

/// Accepts a connection from the queue of `listener` in non-blocking mode. It takes one system call, because
/// the connection inherits `TCP_NODELAY` from the listening socket.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, peer) = rustix::net::acceptfrom_with(listener, flags)?;
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    // A peer that has gone already has no address. The kernel uses ECONNABORTED for that case too.
    let peer = peer.ok_or(io::ErrorKind::ConnectionAborted)?;
    Ok((TcpStream::from(socket), peer))
}

/// Whether the peer has ended its side. Bytes before the end may be unread.
pub(crate) fn has_ended(socket: &TcpStream) -> bool {
    let mut ended = [PollFd::new(socket, PollFlags::RDHUP)];
    poll(&mut ended, Some(&Timespec::default())) != Ok(0)
}

/// Whether another connection is in the queue. An `accept` that finds none creates a socket and a file and
/// discards them, which costs three times as much as this check.
pub(crate) fn has_backlog(listener: &TcpListener) -> bool {
    let mut queue = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut queue, Some(&Timespec::default())) != Ok(0)
}

/// Reads from a socket with the bare system call. The C library's `read` allows thread cancellation. Together
/// with [`write`] that takes a seventieth of an exchange's instructions, eight of them atomic.
pub(crate) fn read(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::net::recv(socket, bytes, RecvFlags::empty())?.1)
}

/// Writes to a socket.
pub(crate) fn write(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?)
}

/// Writes the last bytes before an immediate shutdown. `MORE` tells the kernel to wait, so that the bytes
/// and the end go in one packet.
pub(crate) fn write_last(socket: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = SendFlags::NOSIGNAL | SendFlags::MORE;
    Ok(match slices {
        [slice] => rustix::net::send(socket, slice, flags)?,
        slices => rustix::net::sendmsg(socket, slices, &mut SendAncillaryBuffer::default(), flags)?,
    })
}

/// Sends up to `most` bytes of a file from `offset` on, and moves `offset` behind them. Waits for the disk if
/// they are not in memory.
pub(crate) fn send_file(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: &mut u64,
    most: usize,
) -> io::Result<usize> {
    Ok(rustix::fs::sendfile(socket, file, Some(offset), most)?)
}

/// Puts the calling thread behind threads of ordinary priority. On Linux, unlike elsewhere, `nice` changes
/// one thread.
pub(crate) fn lower_priority() -> io::Result<()> {
    rustix::process::nice(NICENESS)?;
    Ok(())
}

/// Puts the calling thread into the idle class (`SCHED_IDLE`). Any other thread that wakes on its core takes
/// the core at once.
#[expect(unsafe_code, reason = "rustix does not know the call")]
pub(crate) fn use_idle_priority() -> io::Result<()> {
    // The idle class has no priorities of its own.
    let none = libc::sched_param { sched_priority: 0 };
    // SAFETY: the kernel only reads what the pointer points to, during the call; 0 is the calling thread.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Opens a pipe for [`splice`] and returns its reading and its writing end.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC)?)
}

/// Enlarges a pipe to `bytes` if the user's limit for pipes allows it; else leaves it as it is. If pages are
/// larger than 4 KiB, a pipe may hold more from the beginning.
pub(crate) fn enlarge(pipe: BorrowedFd<'_>, bytes: usize) {
    if fcntl_getpipe_size(pipe).is_ok_and(|now| now < bytes) {
        let _ = fcntl_setpipe_size(pipe, bytes);
    }
}

/// Stops new connections at a listening socket with a filter that drops each packet with the SYN flag. The
/// client sends the packet again a second later. If another socket listens there by then, it gets the
/// connection. Handshakes that have begun go on.
pub(crate) fn refuse_new(listener: BorrowedFd<'_>) {
    let filter = [
        // Load byte 13 of the TCP header, the flags (RFC 9293, section 3.1).
        SockFilter::new(0x30, 0, 0, 13),
        // If SYN is not set, skip one instruction.
        SockFilter::new(0x45, 0, 1, 0x02),
        // Keep no byte of the packet.
        SockFilter::new(0x06, 0, 0, 0),
        // Keep the whole packet.
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    // If it fails, a connection that comes at the moment of the close is reset.
    let _ = SockRef::from(&listener).attach_filter(&filter);
}

/// Writes bytes into a pipe.
pub(crate) fn write_pipe(pipe: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(pipe, bytes)?)
}

/// Moves up to `most` bytes between a socket and a pipe inside the kernel.
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    Ok(rustix::pipe::splice(from, None, to, None, most, flags)?)
}

/// The process at the other end of a Unix socket. `None` if the system does not tell.
///
/// # Errors
/// The socket is none of Unix.
pub fn peer_process(socket: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    let credentials = rustix::net::sockopt::socket_peercred(socket)?;
    Ok(u32::try_from(credentials.pid.as_raw_nonzero().get()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;

    #[test]
    fn who_stands_aside_is_in_the_idle_class() {
        let policy = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            // proc(5): the policy is field 41. The name, field 2, is in parentheses and may have spaces.
            stat.rsplit(')').next().unwrap().split(' ').nth(39).unwrap().parse::<i32>().unwrap()
        };
        let asking = std::thread::spawn(move || {
            use_idle_priority().unwrap();
            policy()
        });
        assert_eq!(asking.join().unwrap(), libc::SCHED_IDLE);
        assert_ne!(policy(), libc::SCHED_IDLE);
    }

    #[test]
    fn only_the_thread_that_asks_gives_way() {
        let ordinary = getpriority_process(None).unwrap();
        let asking = std::thread::spawn(|| {
            lower_priority().unwrap();
            getpriority_process(None).unwrap()
        });
        assert_eq!(asking.join().unwrap(), (ordinary + NICENESS).min(19));
        assert_eq!(getpriority_process(None).unwrap(), ordinary);
    }
}
