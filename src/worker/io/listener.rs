//! Accepting connections from a listening socket, even when the system has no resources left.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener as Socket};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;

use super::stream::TcpStream;
use crate::worker::platform;
use crate::worker::source::Source;
use crate::worker::worker::Worker;

/// The first pause after a failed accept. Each further failure doubles it up to `LAST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// A listening socket on a worker.
pub struct Listener {
    /// The address of the socket.
    pub address: SocketAddr,
    socket: Socket,
    source: Rc<Source>,
    key: usize,
    worker: Worker,
}

/// A failed accept.
#[derive(Debug)]
pub struct AcceptError {
    /// The error that the system reports.
    pub error: io::Error,
    /// The number of failures in a row, this one included. Only the first is worth a log line.
    pub in_a_row: u32,
}

impl Listener {
    /// Takes over a listening, non-blocking socket.
    ///
    /// # Errors
    /// When the socket has no address, or the reactor cannot register it.
    pub fn new(worker: &Worker, socket: Socket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let (key, source) = worker.inner.reactor.add(&socket)?;
        Ok(Self { address, socket, source, key, worker: worker.clone() })
    }

    /// Accepts the next connection. If the system has no file descriptor or memory left, the listener calls
    /// `on_error`, pauses, and tries again: it never ends and never spins. Only one task at a time may call
    /// it.
    ///
    /// `permit` runs when a connection waits in the queue. If that connection has gone by then, the permit is
    /// dropped, because connections hold permits and waiting tasks do not. If `permit` returns none,
    /// `permit_later` runs. It may take long and may cost other connections something, so the listener first
    /// makes sure that a connection is in the queue.
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
                    // A connection that comes after this look is a new edge.
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

    /// Another handle of the socket.
    ///
    /// # Errors
    /// The process has no descriptor left.
    pub fn share(&self) -> io::Result<Socket> {
        self.socket.try_clone()
    }

    /// Stops new connections, where the system can do that. It is for the time before the queue is emptied
    /// and the socket is closed.
    pub fn refuse_new(&self) {
        platform::refuse_new(self.socket.as_fd());
    }

    /// Accepts a connection that is still in the queue before a close, which would reset it. It waits only
    /// for its share of the next turn.
    pub async fn accept_queued(&self) -> Option<(TcpStream, SocketAddr)> {
        loop {
            self.source.read.set_ready(true);
            poll_fn(|cx| self.source.read.poll_ready(cx)).await;
            match self.take()? {
                Ok(connection) => return Some(connection),
                // Others may be queued behind a connection that has gone.
                Err(error) if is_of_the_connection(&error) => {}
                Err(_) => return None,
            }
        }
    }

    /// Takes a connection or an error from the queue. `None` means that the queue is empty or the share is
    /// spent.
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

/// Whether the error concerns only this one connection, so that the next accept may succeed.
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
    pub(in crate::worker) fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Accepts the next connection without a limit on open connections.
    pub(in crate::worker) async fn accept(
        &self,
        on_error: impl FnMut(AcceptError),
    ) -> (TcpStream, SocketAddr) {
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
