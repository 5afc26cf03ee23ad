//! One connection to one of several endpoints of a target. Attempts overlap, and the first that succeeds wins (RFC
//! 8305, "Happy Eyeballs"). An attempt includes TLS, because the kernel accepts connections even for a stopped
//! program.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use crate::worker::Timer;

/// The time for which an endpoint is tried alone (RFC 8305, section 5: the connection attempt delay).
const ALONE: Duration = Duration::from_millis(250);

/// Endpoints of one target that are tried for one connection.
pub(in crate::upstream) const ENDPOINTS_MAX: usize = 3;

/// Attempts to connect to endpoints of one target. Endpoints are known by their indices.
#[derive(Default)]
pub(in crate::upstream) struct Race {
    /// Every endpoint that was tried.
    pub(in crate::upstream) tried: RefCell<Vec<usize>>,
    /// The attempts that run, oldest first.
    pub(in crate::upstream) trying: RefCell<Vec<usize>>,
    /// The endpoint that accepted a connection last, if TLS follows.
    pub(in crate::upstream) accepted: Cell<Option<usize>>,
    /// The endpoint and the error of the attempt that failed last.
    pub(in crate::upstream) failed: Cell<Option<(usize, io::Error)>>,
}

impl Race {
    /// Tries each endpoint when the one before has failed, or has not succeeded within [`ALONE`]. Returns the first
    /// that succeeds and drops the other attempts. Returns `None` if all fail. `failed` is told of each endpoint that
    /// failed, with the error, and of each that was tried earlier than the one that won.
    pub(in crate::upstream) async fn run<T, F: Future<Output = io::Result<T>>>(
        &self,
        order: &[usize],
        timer: Timer,
        connect: impl Fn(usize) -> F,
        failed: impl Fn(usize, Option<&io::Error>),
    ) -> Option<(usize, T)> {
        let mut order = order.iter().copied();
        let mut running: Vec<Pin<Box<F>>> = Vec::with_capacity(ENDPOINTS_MAX);
        let mut due = true;
        poll_fn(|cx| {
            loop {
                due |= timer.poll_expired(cx).is_ready();
                if std::mem::take(&mut due) {
                    timer.disarm();
                    if let Some(endpoint) = order.next() {
                        self.tried.borrow_mut().push(endpoint);
                        self.trying.borrow_mut().push(endpoint);
                        running.push(Box::pin(connect(endpoint)));
                        timer.arm(ALONE);
                    } else if running.is_empty() {
                        return Poll::Ready(None);
                    }
                }
                let mut index = 0;
                while let Some(attempt) = running.get_mut(index) {
                    match attempt.as_mut().poll(cx) {
                        Poll::Pending => index += 1,
                        Poll::Ready(Ok(won)) => {
                            let trying = std::mem::take(&mut *self.trying.borrow_mut());
                            trying[..index].iter().for_each(|slower| failed(*slower, None));
                            return Poll::Ready(Some((trying[index], won)));
                        }
                        Poll::Ready(Err(error)) => {
                            drop(running.remove(index));
                            let endpoint = self.trying.borrow_mut().remove(index);
                            failed(endpoint, Some(&error));
                            self.failed.set(Some((endpoint, error)));
                            due = true;
                        }
                    }
                }
                if !due && timer.poll_expired(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::worker::Worker;

    type Attempt = Pin<Box<dyn Future<Output = io::Result<()>>>>;

    /// The endpoint that won, those that were tried, and those that failed. `connect` is called with the endpoint.
    fn race(count: usize, connect: fn(usize, &Worker) -> Attempt) -> (Option<usize>, Vec<usize>, Vec<usize>) {
        let ended = crate::worker::run(move |worker| async move {
            let (race, failed) = (Race::default(), RefCell::new(Vec::new()));
            let order: Vec<usize> = (0..count).collect();
            let connect = |endpoint| connect(endpoint, &worker);
            let won =
                race.run(&order, worker.timer(), connect, |slow, _| failed.borrow_mut().push(slow)).await;
            (won.map(|(endpoint, ())| endpoint), race.tried.take(), failed.take())
        });
        ended.unwrap()
    }

    fn refuse() -> Attempt {
        Box::pin(ready(Err(io::ErrorKind::ConnectionRefused.into())))
    }

    #[test]
    fn a_silent_endpoint_does_not_delay_the_next() {
        let silent_first = |number, _: &Worker| -> Attempt {
            if number == 0 { Box::pin(pending()) } else { Box::pin(ready(Ok(()))) }
        };
        assert_eq!(race(3, silent_first), (Some(1), vec![0, 1], vec![0]));
    }

    #[test]
    fn after_a_failure_the_next_endpoint_is_tried_at_once() {
        assert_eq!(race(3, |_, _| refuse()), (None, vec![0, 1, 2], vec![0, 1, 2]));
        assert_eq!(race(0, |_, _| refuse()), (None, vec![], vec![]));
    }

    #[test]
    fn the_first_attempt_goes_on_beside_the_second() {
        let slow_first = |number, worker: &Worker| -> Attempt {
            let (worker, begun) = (worker.clone(), number == 0);
            Box::pin(async move {
                worker.sleep(if begun { 2 * ALONE } else { Duration::ZERO }).await;
                if begun { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
            })
        };
        assert_eq!(race(2, slow_first), (Some(0), vec![0, 1], vec![1]));
    }

    #[test]
    fn an_endpoint_that_was_tried_later_than_the_one_that_won_has_not_failed() {
        let slow_first = |number, worker: &Worker| -> Attempt {
            let (worker, begun) = (worker.clone(), number == 0);
            Box::pin(async move {
                if !begun {
                    pending::<()>().await;
                }
                worker.sleep(2 * ALONE).await;
                Ok(())
            })
        };
        assert_eq!(race(2, slow_first), (Some(0), vec![0, 1], vec![]));
    }
}
