//! Tasks: started, joined, cancelled, and none left when the run ends.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::{on_worker, pair};
use crate::worker::{Listener, run};

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_task_gives_its_result_to_who_joins_it() {
    let sum = on_worker(|worker| async move {
        let tasks: Vec<_> = (0..1000_u64).map(|number| worker.spawn(async move { number })).collect();
        let mut sum = 0;
        for task in tasks {
            sum += task.await;
        }
        sum
    });
    assert_eq!(sum, 999 * 1000 / 2);
}

#[test]
fn tasks_run_in_the_order_they_were_woken_in() {
    on_worker(|worker| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = (0..1000)
            .map(|number| {
                let order = order.clone();
                let own = worker.clone();
                worker.spawn(async move {
                    order.borrow_mut().push(number);
                    own.yield_now().await;
                    order.borrow_mut().push(1000 + number);
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        assert_eq!(*order.borrow(), (0..2000).collect::<Vec<_>>());
    });
}

#[test]
fn a_dropped_handle_cancels_and_a_detached_one_does_not() {
    on_worker(|worker| async move {
        let (witness, ran) = (Rc::new(()), Rc::new(Cell::new(0)));
        let task = |times: Rc<Cell<u32>>| {
            let (witness, own) = (witness.clone(), worker.clone());
            worker.spawn(async move {
                let _witness = witness;
                own.yield_now().await;
                times.set(times.get() + 1);
            })
        };
        // One task that never ran, one that waits, one that is cancelled and joined, one that is detached.
        drop(task(ran.clone()));
        let waiting = task(ran.clone());
        worker.yield_now().await;
        drop(waiting);
        assert_eq!(task(ran.clone()).cancel().await, None);
        task(ran.clone()).detach();
        while Rc::strong_count(&witness) > 1 {
            worker.yield_now().await;
        }
        assert_eq!(ran.get(), 1);
    });
}

#[test]
fn a_result_outlives_the_run() {
    let bytes = on_worker(|worker| async move {
        let (ours, mut peer) = pair(&worker);
        drop(worker);
        // A task and its result may own things that need the worker when they are dropped.
        (ours, peer.set_nonblocking(true).map(|()| peer.read(&mut [0]).unwrap_err().kind()).unwrap())
    });
    drop(bytes);
}

#[test]
fn every_task_is_dropped_when_the_run_ends() {
    let witness = Arc::new(());
    let (waiting_thread, wakers) = mpsc::channel::<Waker>();
    let mut peer = on_worker({
        let witness = witness.clone();
        move |worker| async move {
            let (ours, peer) = pair(&worker);
            let ours = Rc::new(ours);
            let spawn_waiting = |what: std::pin::Pin<Box<dyn Future<Output = ()>>>| {
                let witness = witness.clone();
                let task = async move {
                    let _witness = witness;
                    what.await;
                };
                worker.spawn(task).detach();
            };
            let socket = ours.clone();
            spawn_waiting(Box::pin(async move { socket.readable().await }));
            let own = worker.clone();
            spawn_waiting(Box::pin(async move { own.sleep(LONG).await }));
            let socket =
                crate::worker::listen("127.0.0.1:0".parse().map(crate::config::plan::Bind::Address).unwrap());
            let listener = Listener::new(&worker, socket.unwrap()).unwrap();
            spawn_waiting(Box::pin(async move { drop(listener.accept(|_| ()).await) }));
            spawn_waiting(Box::pin(poll_fn(move |cx| {
                waiting_thread.send(cx.waker().clone()).unwrap();
                Poll::Pending
            })));
            let own = worker.clone();
            let join = worker.spawn(async move { own.sleep(LONG).await });
            spawn_waiting(Box::pin(join));
            let own = worker.clone();
            // This task is always ready, so it is in the queue when the run ends.
            spawn_waiting(Box::pin(async move {
                loop {
                    own.yield_now().await;
                }
            }));
            drop(ours);
            for _ in 0..100 {
                worker.yield_now().await;
            }
            // This task never ran.
            spawn_waiting(Box::pin(pending()));
            peer
        }
    });
    assert_eq!(Arc::strong_count(&witness), 1);
    assert_eq!(peer.read(&mut [0]).unwrap(), 0, "the socket was closed");
    // A wake after the end has no effect.
    wakers.into_iter().for_each(Waker::wake);
}

/// Values that a future owns may wake other tasks and drop their handles when they are dropped.
#[test]
fn tasks_that_own_tasks_are_dropped_too() {
    let witness = Rc::new(());
    on_worker({
        let witness = witness.clone();
        |worker| async move {
            let mut innermost = None;
            for _ in 0..1000 {
                let (inner, witness) = (innermost.take(), witness.clone());
                innermost = Some(worker.spawn(async move {
                    let _witness = witness;
                    if let Some(inner) = inner {
                        let () = inner.await;
                    }
                    pending::<()>().await;
                }));
            }
            innermost.unwrap().detach();
            worker.yield_now().await;
        }
    });
    assert_eq!(Rc::strong_count(&witness), 1);
}

#[test]
fn a_panic_in_a_task_ends_the_run_cleanly() {
    let witness = Rc::new(());
    for _ in 0..2 {
        let own = witness.clone();
        let result = catch_unwind(AssertUnwindSafe(|| {
            on_worker(move |worker| async move {
                let sleeper = worker.clone();
                let task = async move {
                    let _own = own;
                    sleeper.sleep(LONG).await;
                };
                worker.spawn(task).detach();
                worker.yield_now().await;
                worker.spawn(async { panic!("as planned") }).await
            });
        }));
        assert_eq!(*result.unwrap_err().downcast::<&str>().unwrap(), "as planned");
        assert_eq!(Rc::strong_count(&witness), 1);
    }
    on_worker(|_| async {});
}

#[test]
fn a_panic_before_the_first_task_leaves_the_thread_free_for_a_run() {
    let result = catch_unwind(|| run(|_| -> std::future::Ready<()> { panic!("as planned") }));
    assert!(result.is_err());
    on_worker(|_| async {});
}

#[test]
fn a_thread_is_one_worker_at_most() {
    let result = on_worker(|_| async { catch_unwind(|| drop(run(|_| async {}))) });
    let message = result.unwrap_err();
    assert!(message.downcast_ref::<&str>().unwrap().contains("one worker a thread"));
}

/// A task that is always ready does not keep the worker from serving sockets and timers.
#[test]
fn a_busy_task_starves_nobody() {
    on_worker(|worker| async move {
        let (ours, mut peer) = pair(&worker);
        let own = worker.clone();
        let busy = worker.spawn(async move {
            loop {
                own.yield_now().await;
            }
        });
        std::io::Write::write_all(&mut peer, b"x").unwrap();
        ours.readable().await;
        worker.sleep(Duration::from_millis(1)).await;
        drop(busy);
    });
}
