//! The portable form, for every system that `polling` and std know.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{BorrowedFd, OwnedFd};

pub(crate) use super::events::Wait;

/// Registers a socket for reading and writing. The caller removes it before it closes it.
#[expect(unsafe_code, reason = "polling asks for a promise that the types cannot make")]
pub(crate) fn add(poller: &polling::Poller, socket: BorrowedFd<'_>, key: usize) -> io::Result<()> {
    let event = polling::Event::all(key);
    // SAFETY: a registered socket must be removed before it is closed. Only `Reactor::add` comes here,
    // for `io/stream.rs` and `io/listener.rs`; both own the socket and remove it in `Drop`, before its field
    // drops.
    unsafe { poller.add_with_mode(&socket, event, polling::PollMode::Edge) }
}

/// Forgets a socket.
pub(crate) fn remove(poller: &polling::Poller, socket: BorrowedFd<'_>) {
    // It can fail only for a socket that is not registered.
    let _ = poller.delete(socket);
}

/// Takes a connection from the queue of `listener`, ready for non-blocking use.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept()?;
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    Ok((stream, peer))
}

/// Whether another connection may be in the queue. Always true, because only an `accept` can tell.
pub(crate) fn has_backlog(_listener: &TcpListener) -> bool {
    true
}

/// Whether the peer has ended its side and all of its bytes were read. Without a count of unread bytes, an end behind
/// them is not noticed.
pub(crate) fn has_ended(socket: &TcpStream) -> bool {
    matches!(socket.peek(&mut [0]), Ok(0))
}

/// Reads from a socket.
pub(crate) fn read(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(socket, bytes)?)
}

/// Writes to a socket.
pub(crate) fn write(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(socket, bytes)?)
}

/// Writes the last bytes before the end of the connection.
pub(crate) fn write_last(socket: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(rustix::io::writev(socket, slices)?)
}

/// Fails, because systems do not agree on such a call. Callers copy instead.
pub(crate) fn send_file(
    _socket: BorrowedFd<'_>,
    _file: BorrowedFd<'_>,
    _offset: &mut u64,
    _most: usize,
) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Fails, because there is no priority of a single thread here.
pub(crate) fn lower_priority() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Fails, because there is no idle priority here.
pub(crate) fn use_idle_priority() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Fails, because there is no `splice` here. Callers copy instead.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Does nothing, because there is no pipe here.
pub(crate) fn enlarge(_pipe: BorrowedFd<'_>, _bytes: usize) {}

/// Does nothing, because there is no packet filter here.
pub(crate) fn refuse_new(_listener: BorrowedFd<'_>) {}

/// Fails, because there is no pipe here.
pub(crate) fn write_pipe(_pipe: BorrowedFd<'_>, _bytes: &[u8]) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Fails, because there is no `splice` here. Callers copy instead.
pub(crate) fn splice(_from: BorrowedFd<'_>, _to: BorrowedFd<'_>, _most: usize) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Fails, because there is no way to unmap code here. It stays mapped.
pub(crate) fn release_startup_code() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Not known here.
///
/// # Errors
/// Never.
pub fn peer_process(_socket: BorrowedFd<'_>) -> io::Result<Option<u32>> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::source::{Source, begin_turn};
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    /// A deadline for a test that hangs.
    const DEADLINE: Duration = Duration::from_secs(30);

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let ours = listener.accept().unwrap().0;
        ours.set_nonblocking(true).unwrap();
        (ours, peer)
    }

    /// Reads a socket to its end on a reactor of its own, with reads of `size` bytes.
    fn read_to_end(ours: &TcpStream, size: usize) -> Vec<u8> {
        let (poller, mut wait, source) = (polling::Poller::new().unwrap(), Wait::new(), Source::default());
        add(&poller, ours.as_fd(), 7).unwrap();
        let (mut seen, mut bytes) = (Vec::new(), vec![0; size]);
        loop {
            let mut told = false;
            let each = |key, readiness| {
                assert_eq!(key, 7);
                told = true;
                source.mark(readiness);
            };
            wait.wait(&poller, Some(DEADLINE), each).unwrap();
            assert!(told, "nothing was told before the deadline");
            let mut cx = Context::from_waker(Waker::noop());
            begin_turn();
            while let Poll::Ready(count) = source.read.poll_with(&mut cx, || (&mut &*ours).read(&mut bytes)) {
                match count.unwrap() {
                    0 => {
                        poller.delete(ours).unwrap();
                        return seen;
                    }
                    count => seen.extend(&bytes[..count]),
                }
                // The share of a turn does not matter here.
                begin_turn();
            }
        }
    }

    #[test]
    fn a_long_transfer_is_read_to_its_end() {
        let (ours, mut peer) = pair();
        let sent: Vec<u8> = (0..4_000_000_u32).map(|at| (at / 7) as u8).collect();
        let writing = {
            let sent = sent.clone();
            std::thread::spawn(move || peer.write_all(&sent).unwrap())
        };
        assert!(read_to_end(&ours, 10_000) == sent);
        writing.join().unwrap();
    }

    #[test]
    fn an_end_that_comes_with_the_last_bytes_is_told() {
        let (ours, mut peer) = pair();
        peer.write_all(b"last words").unwrap();
        drop(peer);
        assert_eq!(read_to_end(&ours, 64), b"last words");
    }

    #[test]
    fn a_notification_ends_a_wait_that_has_no_timeout() {
        let (poller, mut wait) = (polling::Poller::new().unwrap(), Wait::new());
        let (turns, next) = mpsc::sync_channel(0);
        std::thread::scope(|scope| {
            let poller = &poller;
            scope.spawn(move || next.iter().for_each(|()| poller.notify().unwrap()));
            for _ in 0..1000 {
                turns.send(()).unwrap();
                wait.wait(poller, None, |_, _| panic!("there is no socket")).unwrap();
            }
            drop(turns);
        });
    }

    #[test]
    fn a_wait_ends_with_its_timeout() {
        let (poller, mut wait) = (polling::Poller::new().unwrap(), Wait::new());
        wait.wait(&poller, Some(Duration::from_millis(1)), |_, _| panic!("there is no socket")).unwrap();
    }
}
