//! Wakes from other threads: each interrupts the wait in the kernel, and none is lost.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use event_listener::{Event, Listener};
use smol::channel;

use super::on_worker;

const THREADS: u64 = 4;

/// Each thread waits for the answer to every message. So the worker is in the kernel or about to enter it at
/// each wake, and one lost wake stops everything.
#[test]
fn no_wake_of_a_waiting_worker_is_lost() {
    const ROUNDS: u64 = 5_000;
    let mut threads = Vec::new();
    on_worker(|worker| {
        let tasks: Vec<_> = (0..THREADS)
            .map(|_| {
                let (to_worker, questions) = channel::bounded(1);
                let (to_thread, answers) = channel::bounded(1);
                threads.push(std::thread::spawn(move || {
                    for number in 0..ROUNDS {
                        to_worker.send_blocking(number).unwrap();
                        assert_eq!(answers.recv_blocking(), Ok(number * 3));
                    }
                }));
                worker.spawn(async move {
                    let mut count = 0;
                    while let Ok(number) = questions.recv().await {
                        to_thread.send(number * 3).await.unwrap();
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        async move {
            for task in tasks {
                assert_eq!(task.await, ROUNDS);
            }
        }
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// A worker that sleeps to coalesce is not in the kernel's wait, and must still see a wake.
#[test]
fn a_wake_while_something_gathers_is_heard_after_it() {
    const ROUNDS: usize = 100;
    // Many times the duration of a wake.
    const GATHERING: Duration = Duration::from_millis(5);
    let (to_wake, wakers) = channel::bounded::<Waker>(1);
    let waking = std::thread::spawn(move || {
        while let Ok(waker) = wakers.recv_blocking() {
            waker.wake();
        }
    });
    let heard_later = on_worker(|worker| async move {
        let mut heard_later = 0;
        for _ in 0..ROUNDS {
            let (since, mut asked) = (Instant::now(), false);
            poll_fn(|cx| {
                if std::mem::replace(&mut asked, true) {
                    return Poll::Ready(());
                }
                worker.coalesce(GATHERING);
                to_wake.send_blocking(cx.waker().clone()).unwrap();
                Poll::Pending
            })
            .await;
            // Otherwise the wake came while this task still ran, so the worker had work.
            heard_later += usize::from(since.elapsed() >= GATHERING);
        }
        heard_later
    });
    assert!(heard_later > 0);
    waking.join().unwrap();
}

/// Threads that do not wait cause many wakes of one task in one turn.
#[test]
fn a_flood_of_messages_arrives_whole() {
    const MESSAGES: u64 = 20_000;
    let (sender, receiver) = channel::unbounded();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for number in 0..MESSAGES {
                    sender.send_blocking(thread * MESSAGES + number).unwrap();
                }
            })
        })
        .collect();
    drop(sender);
    let mut seen = on_worker(|_| async move {
        let mut seen = Vec::new();
        while let Ok(number) = receiver.recv().await {
            seen.push(number);
        }
        seen
    });
    seen.sort_unstable();
    assert_eq!(seen, (0..THREADS * MESSAGES).collect::<Vec<_>>());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// A reload sets a value and then notifies all listeners.
#[test]
fn an_event_reaches_every_task_that_listens() {
    const ROUNDS: u64 = 2_000;
    const LISTENERS: usize = 8;
    let generation = Arc::new((AtomicU64::new(0), Event::new()));
    let acknowledged = Arc::new((AtomicU64::new(0), Event::new()));
    let thread = {
        let (generation, acknowledged) = (generation.clone(), acknowledged.clone());
        std::thread::spawn(move || {
            for round in 1..=ROUNDS {
                generation.0.store(round, Ordering::SeqCst);
                generation.1.notify(usize::MAX);
                while acknowledged.0.load(Ordering::SeqCst) < round * LISTENERS as u64 {
                    event_listener::listener!(acknowledged.1 => listener);
                    if acknowledged.0.load(Ordering::SeqCst) < round * LISTENERS as u64 {
                        listener.wait();
                    }
                }
            }
        })
    };
    on_worker(|worker| async move {
        let listening: Vec<_> = (0..LISTENERS)
            .map(|_| {
                let (generation, acknowledged) = (generation.clone(), acknowledged.clone());
                worker.spawn(async move {
                    for round in 1..=ROUNDS {
                        while generation.0.load(Ordering::SeqCst) < round {
                            event_listener::listener!(generation.1 => listener);
                            if generation.0.load(Ordering::SeqCst) < round {
                                listener.await;
                            }
                        }
                        acknowledged.0.fetch_add(1, Ordering::SeqCst);
                        acknowledged.1.notify(usize::MAX);
                    }
                })
            })
            .collect();
        for task in listening {
            task.await;
        }
    });
    thread.join().unwrap();
}

/// Several threads call wakers by hand, again and again, while the task runs, waits or is in the queue. After
/// the last wake, the task sees the values that were set before it.
#[test]
fn wakes_from_all_sides_at_once_are_one_wake_or_more() {
    const ROUNDS: u64 = 20_000;
    let waker = Arc::new(Mutex::new(None::<Waker>));
    let (counted, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (waker, counted) = (waker.clone(), counted.clone());
            std::thread::spawn(move || {
                for _ in 0..ROUNDS {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let waker = waker.lock().unwrap().clone();
                    waker.iter().for_each(Waker::wake_by_ref);
                }
            })
        })
        .collect();
    on_worker(|worker| {
        let done = done.clone();
        let all = poll_fn(move |cx| {
            *waker.lock().unwrap() = Some(cx.waker().clone());
            let ready = counted.load(Ordering::SeqCst) == THREADS * ROUNDS;
            done.store(ready, Ordering::SeqCst);
            if ready { Poll::Ready(()) } else { Poll::Pending }
        });
        worker.spawn(all)
    });
    assert!(done.load(Ordering::SeqCst));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_wake_at_home_queues_a_task_once() {
    on_worker(|worker| async move {
        let (waker, polls) = (Rc::new(Cell::new(None::<Waker>)), Rc::new(Cell::new(0)));
        let task = {
            let (waker, polls) = (waker.clone(), polls.clone());
            worker.spawn(poll_fn(move |cx| {
                polls.set(polls.get() + 1);
                waker.set(Some(cx.waker().clone()));
                if polls.get() < 1000 { Poll::Pending } else { Poll::Ready(()) }
            }))
        };
        worker.yield_now().await;
        while polls.get() < 1000 {
            let before = polls.get();
            let woken = waker.take().unwrap();
            woken.wake_by_ref();
            woken.wake_by_ref();
            woken.wake();
            worker.yield_now().await;
            assert_eq!(polls.get(), before + 1);
        }
        task.await;
    });
}

/// A waker that is called on another worker's thread still queues the task on its own worker.
#[test]
fn workers_wake_each_other() {
    const ROUNDS: u32 = 5_000;
    let (to_second, from_first) = channel::bounded::<u32>(1);
    let (to_first, from_second) = channel::bounded::<u32>(1);
    let second = std::thread::spawn(move || {
        on_worker(|_| async move {
            while let Ok(number) = from_first.recv().await {
                to_first.send(number + 1).await.unwrap();
            }
        });
    });
    let last = on_worker(|_| async move {
        let mut number = 0;
        while number < ROUNDS {
            to_second.send(number).await.unwrap();
            number = from_second.recv().await.unwrap();
        }
        number
    });
    assert_eq!(last, ROUNDS);
    second.join().unwrap();
}
