//! The share of a turn that each direction of a socket has: a direction that is always ready gives way.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{IoSlice, Write};
use std::rc::Rc;
use std::task::Poll;

use futures_lite::AsyncReadExt;
use futures_lite::future::zip;

use super::{on_worker, pair, pattern};
use crate::worker::{TcpStream, Worker};

/// Repetitions of an always-ready action if it does not give way.
const TIMES: usize = 50_000;

/// Generous bound on repetitions before another task runs whose socket has become ready meanwhile.
const BEFORE_OTHERS: usize = 1_000;

/// Runs `busy`, which counts its repetitions, beside a task that waits for a socket. The socket becomes ready
/// once `busy` has begun. Returns the count at the moment when the other task ran.
async fn done_before_another<F>(worker: &Worker, busy: impl FnOnce(Rc<Cell<usize>>) -> F) -> usize
where
    F: Future<Output = ()> + 'static,
{
    let (other, mut peer) = pair(worker);
    let (done, seen) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(None)));
    let waiting = {
        let (done, seen) = (done.clone(), seen.clone());
        worker.spawn(async move {
            other.readable().await;
            seen.set(Some(done.get()));
        })
    };
    worker.yield_now().await;
    let busy = busy(done.clone());
    let busy = worker.spawn(async move {
        peer.write_all(b"x").unwrap();
        busy.await;
        peer
    });
    let _peer = busy.await;
    assert_eq!(done.get(), TIMES, "it did not come to its end");
    waiting.await;
    seen.get().expect("the other task has run")
}

/// A connection on which all bytes that these tests read already wait.
async fn full(worker: &Worker) -> TcpStream {
    let (ours, mut peer) = pair(worker);
    peer.write_all(&pattern(TIMES)).unwrap();
    // The peer closes. So no short read is believed, and the socket stays ready to the end.
    drop(peer);
    ours.readable().await;
    ours
}

async fn read_bytes(stream: &TcpStream, done: &Cell<usize>) {
    let mut byte = [0];
    while poll_fn(|cx| stream.poll_read(cx, &mut byte)).await.unwrap() > 0 {
        done.set(done.get() + 1);
    }
}

#[test]
fn a_reader_that_is_always_ready_gives_way() {
    on_worker(|worker| async move {
        let stream = full(&worker).await;
        let busy = |done: Rc<Cell<usize>>| async move { read_bytes(&stream, &done).await };
        let before = done_before_another(&worker, busy).await;
        assert!(before < BEFORE_OTHERS, "{before} reads");
    });
}

/// A task that only uses calls that never wait must be told that no more is taken.
#[test]
fn a_writer_that_is_always_ready_gives_way() {
    on_worker(|worker| async move {
        let (ours, peer) = pair(&worker);
        let reading = std::thread::spawn(move || std::io::copy(&mut &peer, &mut std::io::sink()).unwrap());
        let busy = |done: Rc<Cell<usize>>| async move {
            let slices = [IoSlice::new(b"x")];
            for _ in 0..TIMES {
                if ours.try_write(&slices).unwrap() == 0 {
                    poll_fn(|cx| ours.poll_write_vectored(cx, &slices)).await.unwrap();
                }
                done.set(done.get() + 1);
            }
        };
        let before = done_before_another(&worker, busy).await;
        assert!(before < BEFORE_OTHERS, "{before} writes");
        assert_eq!(reading.join().unwrap(), TIMES as u64);
    });
}

#[test]
fn who_asks_only_whether_a_socket_is_ready_gives_way_too() {
    on_worker(|worker| async move {
        let stream = full(&worker).await;
        let busy = |done: Rc<Cell<usize>>| async move {
            let mut byte = [0];
            while done.get() < TIMES {
                stream.readable().await;
                if let Poll::Ready(read) = poll_fn(|cx| Poll::Ready(stream.poll_read(cx, &mut byte))).await {
                    done.set(done.get() + read.unwrap());
                }
            }
        };
        let before = done_before_another(&worker, busy).await;
        assert!(before < BEFORE_OTHERS, "{before} reads");
    });
}

/// A task that has more to do runs after the worker has asked the kernel, not before.
#[test]
fn a_yield_reaches_the_kernel() {
    on_worker(|worker| async move {
        let (ours, mut peer) = pair(&worker);
        for _ in 0..100 {
            peer.write_all(b"x").unwrap();
            worker.yield_now().await;
            assert!(ours.source().read.is_ready());
            let mut byte = [0];
            (&mut &ours).read_exact(&mut byte).await.unwrap();
        }
    });
}

/// Both directions of a tunnel belong to one task. If the task had the share, the direction that is polled
/// first would take all of it, each time.
#[test]
fn of_two_loops_in_one_task_neither_takes_the_share_of_the_other() {
    on_worker(|worker| async move {
        let (first, second) = (full(&worker).await, full(&worker).await);
        let (one, other) = (Cell::new(0), Cell::new(0));
        let behind = Cell::new(0);
        let watched = async {
            let mut byte = [0];
            while poll_fn(|cx| first.poll_read(cx, &mut byte)).await.unwrap() > 0 {
                one.set(one.get() + 1);
                behind.set(behind.get().max(one.get() - other.get()));
            }
        };
        zip(watched, read_bytes(&second, &other)).await;
        assert_eq!((one.get(), other.get()), (TIMES, TIMES));
        assert!(behind.get() < BEFORE_OTHERS, "{} reads behind", behind.get());
    });
}

/// Connections arrive faster than they are accepted.
#[test]
fn who_accepts_gives_way() {
    on_worker(|worker| async move {
        let bind = crate::config::plan::Bind::Address(([127, 0, 0, 1], 0).into());
        let listener = crate::worker::Listener::new(&worker, crate::worker::listen(bind).unwrap()).unwrap();
        let address = listener.address();
        let clients: Vec<_> = (0..500).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        let turns = Rc::new(Cell::new(0));
        let counting = {
            let (own, turns) = (worker.clone(), turns.clone());
            worker.spawn(async move {
                loop {
                    own.yield_now().await;
                    turns.set(turns.get() + 1);
                }
            })
        };
        for _ in &clients {
            drop(listener.accept(|error| panic!("{error:?}")).await);
        }
        drop(counting);
        assert!(turns.get() > 10, "{} turns", turns.get());
    });
}
