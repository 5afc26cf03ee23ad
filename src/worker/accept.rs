//! Taking connections from a listening socket, also when the system has nothing left to give.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener as Socket};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;

use super::executor::Worker;
use super::platform;
use super::source::Source;
use super::stream::TcpStream;

/// First pause after a failed accept; doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// A listening socket on a worker.
pub struct Listener {
    socket: Socket,
    source: Rc<Source>,
    key: usize,
    worker: Worker,
}

/// What an accept that did not give a connection came from.
#[derive(Debug)]
pub struct AcceptError {
    /// What the system says.
    pub error: io::Error,
    /// How many accepts in a row have failed so, this one included: 1 is worth a log line.
    pub in_a_row: u32,
}

impl Listener {
    /// Takes over a listening, non-blocking socket.
    ///
    /// # Errors
    /// When the reactor cannot register it.
    pub fn new(worker: &Worker, socket: Socket) -> io::Result<Self> {
        let (key, source) = worker.inner.reactor.add(&socket)?;
        Ok(Self { socket, source, key, worker: worker.clone() })
    }

    /// The next connection. When the system has none to give (no file descriptor or memory left)
    /// it tells `on_error`, pauses, and tries again: never an end, never a spin. For one task at a time.
    ///
    /// `permit` is asked when a connection waits in the queue, and its answer is dropped should that be gone by then:
    /// a permit is held by connections, not by those that wait for one. If it has none, `permit_later` is asked: it
    /// may take long, and cost others something, so a connection is certain to be there.
    pub async fn accept_if<P>(
        &self,
        mut permit: impl FnMut() -> Option<P>,
        mut permit_later: impl AsyncFnMut() -> P,
        mut on_error: impl FnMut(AcceptError),
    ) -> ((TcpStream, SocketAddr), P) {
        let mut failures = 0;
        loop {
            poll_fn(|cx| self.source.read.poll_ready(cx)).await;
            let permit = match permit() {
                Some(permit) => permit,
                None if platform::has_backlog(&self.socket) => permit_later().await,
                None => {
                    self.source.read.set_ready(false);
                    continue;
                }
            };
            match self.take() {
                None => {}
                Some(Ok(connection)) => {
                    // Whoever comes after this look is a new edge.
                    self.source.read.set_ready(platform::has_backlog(&self.socket));
                    return (connection, permit);
                }
                Some(Err(error)) if is_of_the_connection(&error) => {}
                Some(Err(error)) => {
                    drop(permit);
                    failures += 1;
                    on_error(AcceptError { error, in_a_row: failures });
                    self.worker.sleep(pause(failures)).await;
                }
            }
        }
    }

    /// Lets no further connections come, where the system can do that: before the queue is emptied and the socket
    /// closed.
    pub fn refuse_new(&self) {
        platform::refuse_new(self.socket.as_fd());
    }

    /// Takes what the queue still has: before a close, which would reset it. Waits for nothing but a share of the
    /// next turn.
    pub async fn accept_queued(&self) -> Option<(TcpStream, SocketAddr)> {
        loop {
            self.source.read.set_ready(true);
            poll_fn(|cx| self.source.read.poll_ready(cx)).await;
            match self.take()? {
                Ok(connection) => return Some(connection),
                // Others may stand behind one that is gone.
                Err(error) if is_of_the_connection(&error) => {}
                Err(_) => return None,
            }
        }
    }

    /// A connection from the queue, or why there is none of it; `None` when the queue is empty.
    fn take(&self) -> Option<io::Result<(TcpStream, SocketAddr)>> {
        let accepted = self.source.read.try_with(|| platform::accept(&self.socket))?;
        Some(accepted.and_then(|(socket, peer)| Ok((TcpStream::new(&self.worker, socket)?, peer))))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.worker.inner.reactor.remove(self.key, &self.socket);
    }
}

/// Whether the error is of the one connection that could not be taken; the next may be fine.
fn is_of_the_connection(error: &io::Error) -> bool {
    let of_the_connection =
        [Errno::CONNABORTED, Errno::PROTO, Errno::NETDOWN, Errno::HOSTUNREACH, Errno::NETUNREACH];
    error.kind() == io::ErrorKind::ConnectionAborted
        || of_the_connection.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(16)).min(LAST_PAUSE)
}

#[cfg(test)]
impl Listener {
    pub(super) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// The next connection, whatever others there are.
    pub(super) async fn accept(&self, on_error: impl FnMut(AcceptError)) -> (TcpStream, SocketAddr) {
        self.accept_if(|| Some(()), async || (), on_error).await.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_its_limit() {
        assert_eq!(pause(1), Duration::from_millis(10));
        assert_eq!(pause(2), Duration::from_millis(20));
        assert_eq!(pause(7), Duration::from_millis(640));
        assert_eq!(pause(8), LAST_PAUSE);
        assert_eq!(pause(u32::MAX), LAST_PAUSE);
    }

    #[test]
    fn a_lost_connection_is_no_reason_to_pause_and_a_full_table_is() {
        assert!(is_of_the_connection(&io::ErrorKind::ConnectionAborted.into()));
        assert!(!is_of_the_connection(&io::Error::from(Errno::MFILE)));
        assert!(!is_of_the_connection(&io::Error::from(Errno::NFILE)));
    }
}
