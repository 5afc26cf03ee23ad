//! The worker as its users see it: whole runs over real sockets, threads and descriptors.
//!
//! No test sleeps and hopes: each waits for the event that it wants to see. A test that waits in vain panics
//! after [`DEADLINE`]. Unit tests are beside their code.

#[cfg(target_os = "linux")]
mod alone;
mod buffers;
mod halves;
mod listeners;
mod shares;
mod streams;
mod tasks;
mod timers;
mod traits;
#[cfg(all(target_os = "linux", not(portable)))]
mod transfers;
mod wakes;

use std::future::Future;
use std::net::{TcpListener, TcpStream as Peer};
use std::time::Duration;

use futures_lite::FutureExt;

use super::{TcpStream, Worker, run};

/// Deadline after which a test counts as hanging. It is long enough for a busy machine; no test comes near
/// it.
const DEADLINE: Duration = Duration::from_secs(30);

/// Runs `main` on a worker on this thread.
fn on_worker<F: Future + 'static>(main: impl FnOnce(Worker) -> F) -> F::Output
where
    F::Output: 'static,
{
    let result = run(|worker| {
        let work = main(worker.clone());
        work.or(async move {
            worker.sleep(DEADLINE).await;
            panic!("the test hangs")
        })
    });
    result.unwrap()
}

/// A connection: its own side is on the worker, the other side is an ordinary blocking socket.
fn pair(worker: &Worker) -> (TcpStream, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, _) = listener.accept().unwrap();
    ours.set_nonblocking(true).unwrap();
    peer.set_read_timeout(Some(DEADLINE)).unwrap();
    peer.set_write_timeout(Some(DEADLINE)).unwrap();
    (TcpStream::new(worker, ours).unwrap(), peer)
}

/// Bytes that differ enough to show a swap, a gap or a repetition.
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}
