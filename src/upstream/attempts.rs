//! One connection to one of several addresses. Attempts overlap, and the first that succeeds wins (RFC 8305,
//! "Happy Eyeballs"). An attempt includes TLS, because the kernel accepts connections even for a stopped
//! program.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use crate::worker::Timer;

/// The time for which an address is tried alone (RFC 8305, section 5: the connection attempt delay).
const ALONE: Duration = Duration::from_millis(250);

/// The time for which a failed address comes after the others.
const DEMOTED: Duration = Duration::from_secs(10);

/// Addresses of one target that are tried for one connection.
const ADDRESSES_MAX: usize = 3;

/// The order in which the addresses of a target are tried: round robin, with failed addresses last.
#[derive(Default)]
pub(super) struct Order {
    /// The index of the first address. It advances, so every address gets its turn.
    turn: Cell<usize>,
    /// Addresses that failed or were slow, with the time; the latest failure is last.
    failed: RefCell<Vec<(IpAddr, Instant)>>,
}

impl Order {
    /// The addresses to try for the next connection.
    pub(super) fn next(&self, addresses: &[IpAddr], now: Instant) -> Vec<IpAddr> {
        let mut failed = self.failed.borrow_mut();
        failed.retain(|(address, at)| now - *at < DEMOTED && addresses.contains(address));
        let turn = self.turn.replace(self.turn.get().wrapping_add(1));
        let mut order = addresses.to_vec();
        order.rotate_left(turn.checked_rem(addresses.len()).unwrap_or(0));
        // Addresses that have not failed sort first and keep their order.
        order.sort_by_key(|address| failed.iter().position(|(failed, _)| failed == address).map(|at| at + 1));
        order.truncate(ADDRESSES_MAX);
        order
    }

    fn demote(&self, address: IpAddr, now: Instant) {
        self.promote(address);
        self.failed.borrow_mut().push((address, now));
    }

    fn promote(&self, address: IpAddr) {
        self.failed.borrow_mut().retain(|(failed, _)| *failed != address);
    }
}

/// The state of the attempts, for the error message if they run out of time.
#[derive(Default)]
pub(super) struct Attempts {
    /// The address of the last attempt, while attempts run.
    pub(super) trying: Cell<Option<SocketAddr>>,
    /// The last address that has accepted a connection, if TLS has yet to begin on it.
    pub(super) accepted: Cell<Option<SocketAddr>>,
    /// The address and the error of the attempt that failed last.
    pub(super) failed: Cell<Option<(SocketAddr, io::Error)>>,
}

impl Attempts {
    /// Tries each address when the one before has failed, or has not succeeded within [`ALONE`]. Returns the
    /// first that succeeds and drops the other attempts. Returns `None` if all fail.
    pub(super) async fn race<T, F: Future<Output = io::Result<T>>>(
        &self,
        addresses: impl IntoIterator<Item = SocketAddr>,
        order: &Order,
        timer: Timer,
        connect: impl Fn(SocketAddr) -> F,
    ) -> Option<(SocketAddr, T)> {
        let mut addresses = addresses.into_iter();
        let mut running: Vec<(SocketAddr, Pin<Box<F>>)> = Vec::with_capacity(ADDRESSES_MAX);
        let mut due = true;
        let won = poll_fn(|cx| {
            loop {
                if timer.poll_expired(cx).is_ready() {
                    due = true;
                    running.last().inspect(|(slow, _)| order.demote(slow.ip(), Instant::now()));
                }
                if std::mem::take(&mut due) {
                    timer.disarm();
                    if let Some(address) = addresses.next() {
                        self.trying.set(Some(address));
                        running.push((address, Box::pin(connect(address))));
                        timer.arm(ALONE);
                    } else if running.is_empty() {
                        return Poll::Ready(None);
                    }
                }
                let mut index = 0;
                while let Some((address, attempt)) = running.get_mut(index) {
                    match attempt.as_mut().poll(cx) {
                        Poll::Pending => index += 1,
                        Poll::Ready(Ok(won)) => return Poll::Ready(Some((*address, won))),
                        Poll::Ready(Err(error)) => {
                            order.demote(address.ip(), Instant::now());
                            self.accepted.set(self.accepted.get().filter(|accepted| accepted != address));
                            self.failed.set(Some((*address, error)));
                            running.remove(index);
                            due = true;
                        }
                    }
                }
                if !due && timer.poll_expired(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await;
        self.trying.set(None);
        won.inspect(|(address, _)| order.promote(address.ip()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::worker::Worker;

    type Attempt = Pin<Box<dyn Future<Output = io::Result<()>>>>;

    fn addresses(count: u8) -> Vec<SocketAddr> {
        (1..=count).map(|last| ([10, 0, 0, last], 80).into()).collect()
    }

    /// The address that won and the addresses that were tried, by their last bytes. `connect` is called with
    /// that byte.
    fn race(count: u8, connect: fn(u8, &Worker) -> Attempt) -> (Option<u8>, Vec<u8>, Order) {
        let ended = crate::worker::run(move |worker| async move {
            let (attempts, order, tried) = (Attempts::default(), Order::default(), RefCell::new(Vec::new()));
            let number = |address: SocketAddr| match address.ip() {
                IpAddr::V4(address) => address.octets()[3],
                IpAddr::V6(address) => panic!("{address}"),
            };
            let try_one = |address| {
                tried.borrow_mut().push(number(address));
                connect(number(address), &worker)
            };
            let won = attempts.race(addresses(count), &order, worker.timer(), try_one).await;
            (won.map(|(address, ())| number(address)), tried.take(), order)
        });
        ended.unwrap()
    }

    fn refuse() -> Attempt {
        Box::pin(ready(Err(io::ErrorKind::ConnectionRefused.into())))
    }

    #[test]
    fn a_silent_address_does_not_delay_the_next() {
        let silent_first = |number, _: &Worker| -> Attempt {
            if number == 1 { Box::pin(pending()) } else { Box::pin(ready(Ok(()))) }
        };
        let (won, tried, order) = race(3, silent_first);
        assert_eq!((won, &tried[..]), (Some(2), &[1, 2][..]));
        let (all, now) = (addresses(3).iter().map(SocketAddr::ip).collect::<Vec<_>>(), Instant::now());
        for _ in 0..4 {
            assert_eq!(order.next(&all, now).last(), Some(&all[0]), "a slow address comes last");
        }
        let firsts: Vec<IpAddr> = (0..3).map(|_| order.next(&all, now + DEMOTED)[0]).collect();
        assert!(all.iter().all(|address| firsts.contains(address)), "only for a while: {firsts:?}");
    }

    #[test]
    fn after_a_failure_the_next_address_is_tried_at_once() {
        let (won, tried, order) = race(3, |_, _| refuse());
        assert_eq!((won, &tried[..]), (None, &[1, 2, 3][..]));
        let (all, now) = (addresses(4).iter().map(SocketAddr::ip).collect::<Vec<_>>(), Instant::now());
        assert_eq!(order.next(&all, now), [all[3], all[0], all[1]], "the latest failure is last");
        order.promote(all[2]);
        assert_eq!(order.next(&all, now), [all[2], all[3], all[0]]);
        assert!(order.next(&[], now).is_empty());
    }

    #[test]
    fn the_first_attempt_goes_on_beside_the_second() {
        let slow_first = |number, worker: &Worker| -> Attempt {
            let (worker, begun) = (worker.clone(), number == 1);
            Box::pin(async move {
                worker.sleep(if begun { 2 * ALONE } else { Duration::ZERO }).await;
                if begun { Ok(()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
            })
        };
        let (won, tried, order) = race(2, slow_first);
        assert_eq!((won, &tried[..]), (Some(1), &[1, 2][..]));
        let all: Vec<IpAddr> = addresses(2).iter().map(SocketAddr::ip).collect();
        assert_eq!(order.next(&all, Instant::now()), all, "an address that won is no longer demoted");
    }
}
