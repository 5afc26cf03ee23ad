//! Timers in a run: in order, by the thousands, and as a limit on other futures.

use std::cell::RefCell;
use std::future::pending;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{on_worker, pair};

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn who_sleeps_shorter_wakes_first() {
    on_worker(|worker| async move {
        let order = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = [90, 30, 60, 0, 120]
            .map(|milliseconds| {
                let (own, order) = (worker.clone(), order.clone());
                worker.spawn(async move {
                    own.sleep(Duration::from_millis(milliseconds)).await;
                    order.borrow_mut().push(milliseconds);
                })
            })
            .into();
        for task in tasks {
            task.await;
        }
        assert_eq!(*order.borrow(), [0, 30, 60, 90, 120]);
    });
}

#[test]
fn the_time_of_a_turn_stands_still_and_then_moves() {
    on_worker(|worker| async move {
        let before = worker.now();
        assert_eq!(worker.now(), before);
        worker.sleep(Duration::from_millis(1)).await;
        assert!(worker.now() > before && worker.now() <= Instant::now());
    });
}

/// Ten thousand deadlines are armed and most of them disarmed. Only the others fire.
#[test]
fn thousands_of_deadlines_are_armed_and_taken_back() {
    on_worker(|worker| async move {
        let fired = Rc::new(RefCell::new(Vec::new()));
        let tasks: Vec<_> = (0..10_000_u64)
            .map(|number| {
                let (own, fired) = (worker.clone(), fired.clone());
                worker.spawn(async move {
                    let timer = own.timer();
                    for round in 0..10 {
                        timer.arm(LONG + Duration::from_millis(number * round));
                        own.yield_now().await;
                        timer.disarm();
                    }
                    timer.arm(if number % 100 == 0 { Duration::from_millis(number % 7) } else { LONG });
                    timer.expired().await;
                    fired.borrow_mut().push(number);
                })
            })
            .collect();
        let (mut awaited, mut cancelled) = (Vec::new(), Vec::new());
        for (number, task) in tasks.into_iter().enumerate() {
            if number % 100 == 0 { awaited.push(task) } else { cancelled.push(task) }
        }
        for task in awaited {
            task.await;
        }
        drop(cancelled);
        let mut fired = fired.take();
        fired.sort_unstable();
        assert_eq!(fired, (0..10_000).step_by(100).collect::<Vec<_>>());
    });
}

#[test]
fn a_limit_that_passes_is_a_timeout_and_the_timer_can_be_used_again() {
    on_worker(|worker| async move {
        let timer = worker.timer();
        for _ in 0..3 {
            let result = timer.within(Duration::from_millis(1), pending::<io::Result<()>>()).await;
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
            let (ours, mut peer) = pair(&worker);
            let readable = async {
                ours.readable().await;
                Ok(7)
            };
            let writing = async {
                worker.yield_now().await;
                peer.write_all(b"x").unwrap();
            };
            let (result, ()) = futures_lite::future::zip(timer.within(LONG, readable), writing).await;
            assert_eq!(result.unwrap(), 7);
        }
    });
}

#[test]
fn what_is_ready_at_once_is_within_any_limit() {
    on_worker(|worker| async move {
        let timer = worker.timer();
        assert_eq!(timer.within(Duration::ZERO, async { Ok(1) }).await.unwrap(), 1);
        let failed =
            timer.within(Duration::ZERO, async { Err::<(), _>(io::ErrorKind::NotFound.into()) }).await;
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn a_disarmed_timer_never_expires_and_an_armed_again_one_does() {
    on_worker(|worker| async move {
        let timer = worker.timer();
        timer.arm(Duration::ZERO);
        timer.disarm();
        let expired = async {
            timer.expired().await;
            true
        };
        let slept = async {
            worker.sleep(Duration::from_millis(50)).await;
            false
        };
        assert!(!futures_lite::future::or(expired, slept).await);
        timer.arm(Duration::ZERO);
        timer.expired().await;
    });
}
