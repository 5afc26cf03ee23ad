//! Deadlines without a system call, for thousands that are armed and disarmed each second.
//!
//! A proxy arms a deadline before each wait for a peer and nearly always disarms it again. So arming must be
//! cheap, and a deadline may fire up to two ticks late. A [`Timer`] is a slot that holds its deadline. The queue
//! holds the times at which to look at slots. Most deadlines only move later, and such a move changes the
//! slot alone. When the queue's older entry comes up, the slot is not due, so the queue takes a new entry
//! for the right time. Disarming is one store.
//!
//! The earliest entry is the timeout of the wait in the kernel that the worker makes anyway.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::{Future, poll_fn};
use std::io;
use std::ops::Sub;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

/// The resolution of deadlines. Rounding up to it lets deadlines that are close fire in one turn.
pub(super) const TICK: Duration = Duration::from_millis(TICK_MILLISECONDS);
const TICK_MILLISECONDS: u64 = 8;

/// A point in time, in ticks since the worker started.
type Tick = u64;

const NEVER: Tick = Tick::MAX;

/// A point in time of a worker: nanoseconds since the worker started. It is half of an [`Instant`], and a difference of
/// two is one subtraction. 64 bits are 584 years.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Moment(u64);

impl Moment {
    /// The start of a worker.
    pub(super) const START: Self = Self(0);

    /// The moment of `now` for a worker that started at `started`.
    pub(super) fn of(now: Instant, started: Instant) -> Self {
        Self(now.saturating_duration_since(started).as_nanos() as u64)
    }

    /// Whole milliseconds since the start of the worker.
    pub(super) fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

/// The time between two moments; zero if the other one is later.
impl Sub for Moment {
    type Output = Duration;

    #[inline(always)]
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// All deadlines of a worker.
pub(super) struct Timers {
    state: RefCell<State>,
}

struct State {
    started: Instant,
    now: Tick,
    slots: Slab<Slot>,
    /// The times at which to look at slots. The number tells a slot from an earlier user of its key.
    queue: BinaryHeap<Reverse<(Tick, usize, u64)>>,
    next_number: u64,
}

struct Slot {
    /// The tick at which the slot expires; `NEVER` while it is disarmed.
    deadline: Tick,
    /// The tick of the slot's earliest entry in the queue; `NEVER` if no entry counts.
    queued: Tick,
    number: u64,
    waker: Option<Waker>,
}

impl Timers {
    pub(super) fn new(started: Instant) -> Self {
        let state = State { started, now: 0, slots: Slab::new(), queue: BinaryHeap::new(), next_number: 0 };
        Self { state: RefCell::new(state) }
    }

    /// The longest time that the kernel may wait before a slot must be looked at.
    pub(super) fn next(&self, now: Instant) -> Option<Duration> {
        let state = self.state.borrow();
        let Reverse((tick, ..)) = state.queue.peek()?;
        let since_start = Duration::from_millis(tick.saturating_mul(TICK_MILLISECONDS));
        // If the clock cannot show the time, the deadline never comes.
        Some(state.started.checked_add(since_start)?.saturating_duration_since(now))
    }

    /// Frees room for more deadlines than there are.
    pub(super) fn shrink(&self) {
        let mut state = self.state.borrow_mut();
        state.slots.shrink_to_fit();
        state.queue.shrink_to_fit();
    }

    /// Wakes the tasks whose deadlines have passed. Returns the moment of `now`.
    pub(super) fn fire(&self, now: Instant) -> Moment {
        let moment = {
            let mut state = self.state.borrow_mut();
            let moment = Moment::of(now, state.started);
            state.now = moment.as_millis() / TICK_MILLISECONDS;
            moment
        };
        // Call the waker outside the borrow: it may drop the last reference to a task that owns timers.
        while let Some(waker) = self.next_due() {
            waker.wake();
        }
        moment
    }

    fn next_due(&self) -> Option<Waker> {
        self.state.borrow_mut().next_due()
    }
}

impl State {
    fn arm(&mut self, key: usize, after: Duration) {
        let whole = after.as_secs().saturating_mul(1000 / TICK_MILLISECONDS);
        let ticks = whole.saturating_add(after.subsec_nanos().div_ceil(TICK.subsec_nanos()).into());
        let slot = &mut self.slots[key];
        // Add one tick, because this turn began up to a tick after `now` and a deadline must not fire early.
        // A sum beyond `u64` saturates at `NEVER`.
        slot.deadline = ticks.saturating_add(self.now + 1);
        if slot.deadline < slot.queued {
            slot.queued = slot.deadline;
            self.queue.push(Reverse((slot.deadline, key, slot.number)));
            self.remove_stale_entries();
        }
    }

    /// Removes due entries from the queue, up to the first whose slot has a waker.
    fn next_due(&mut self) -> Option<Waker> {
        while let Some(&Reverse((tick, key, number))) =
            self.queue.peek().filter(|entry| entry.0.0 <= self.now)
        {
            self.queue.pop();
            let Some(slot) =
                self.slots.get_mut(key).filter(|slot| slot.number == number && slot.queued == tick)
            else {
                continue;
            };
            slot.queued = NEVER;
            if slot.deadline <= self.now {
                if let Some(waker) = slot.waker.take() {
                    return Some(waker);
                }
            } else if slot.deadline != NEVER {
                slot.queued = slot.deadline;
                self.queue.push(Reverse((slot.deadline, key, number)));
            }
        }
        None
    }

    /// Removes the entries of dropped timers once they are the majority. Else they stay until their time.
    fn remove_stale_entries(&mut self) {
        if self.queue.len() > 2 * self.slots.len() + 64 {
            let slots = &self.slots;
            self.queue.retain(|Reverse((tick, key, number))| {
                slots.get(*key).is_some_and(|slot| slot.number == *number && slot.queued == *tick)
            });
        }
    }
}

/// A deadline that one task owns and uses again and again.
pub struct Timer {
    timers: Rc<Timers>,
    key: usize,
}

impl Timer {
    pub(super) fn new(timers: &Rc<Timers>) -> Self {
        let mut state = timers.state.borrow_mut();
        let number = state.next_number;
        state.next_number += 1;
        let key = state.slots.insert(Slot { deadline: NEVER, queued: NEVER, number, waker: None });
        Self { timers: timers.clone(), key }
    }

    /// Sets the deadline, counted from the start of this turn, and replaces an earlier one. A deadline beyond
    /// the range of the clock never comes.
    pub fn arm(&self, after: Duration) {
        self.timers.state.borrow_mut().arm(self.key, after);
    }

    /// Removes the deadline.
    pub fn disarm(&self) {
        self.timers.state.borrow_mut().slots[self.key].deadline = NEVER;
    }

    /// Ready once the deadline has passed. Pending for ever while the timer is disarmed.
    pub fn poll_expired(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.timers.state.borrow_mut();
        let now = state.now;
        let slot = &mut state.slots[self.key];
        if slot.deadline <= now {
            return Poll::Ready(());
        }
        if slot.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            return Poll::Pending;
        }
        let older = slot.waker.replace(cx.waker().clone());
        // Drop the older waker outside the borrow, because it may own timers (see `Timers::fire`).
        drop(state);
        drop(older);
        Poll::Pending
    }

    /// Waits until the deadline has passed.
    pub async fn expired(&self) {
        poll_fn(|cx| self.poll_expired(cx)).await;
    }

    /// Runs `future` for at most `limit`.
    ///
    /// # Errors
    /// `TimedOut` if the limit has passed, and any error of the future.
    pub async fn within<T>(
        &self,
        limit: Duration,
        future: impl Future<Output = io::Result<T>>,
    ) -> io::Result<T> {
        let mut future = std::pin::pin!(future);
        let mut armed = false;
        let result = poll_fn(|cx| {
            if let Poll::Ready(result) = future.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            // A future that is ready at once, as most reads are, never touches the queue.
            if !armed {
                armed = true;
                self.arm(limit);
            }
            self.poll_expired(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
        })
        .await;
        if armed {
            self.disarm();
        }
        result
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let slot = self.timers.state.borrow_mut().slots.remove(self.key);
        // Drop the slot outside the borrow: the last waker of a task drops its future, which may own timers.
        drop(slot);
    }
}

#[cfg(test)]
#[path = "tests/timer_state.rs"]
mod tests;
