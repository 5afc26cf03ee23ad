//! What is known of one socket: whether to try a read or a write, and who waits for that.
//!
//! Each direction of a socket also has a share of a turn of the loop. A loop that finds its socket ready each
//! time would never give way to other tasks: when the share is spent, the direction is pending until the
//! kernel has been asked for news of all sockets. That holds for every loop there is, since none goes on
//! without reading or writing, and none has to count for itself.

use std::cell::Cell;
use std::io;
use std::task::{Context, Poll, Waker};

use super::reactor::Readiness;

/// Calls that one direction of a socket may make in one turn. A larger share makes other connections wait longer,
/// a smaller one asks the kernel for news more often. The number is a choice: other numbers were not measured.
const SHARE: u8 = 8;

/// A call that moves more than this counts as several: what `splice` moves is no smaller for being cheap.
pub(super) const BYTES_PER_CALL: usize = 64 * 1024;

thread_local! {
    /// The number of the turn of the worker on this thread, here because all of its directions compare with it.
    static TURN: Cell<u32> = const { Cell::new(0) };
}

/// Gives every direction of this thread's worker a new share.
pub(super) fn begin_turn() {
    TURN.set(TURN.get().wrapping_add(1));
}

/// One socket's state. Both directions are independent, so that one task may read while it writes.
#[derive(Default)]
pub(super) struct Source {
    pub(super) read: Direction,
    pub(super) write: Direction,
    /// The peer has sent its last byte, or may have: a read that comes up short proves nothing then.
    /// Stays so, which costs a read or two that find nothing.
    pub(super) may_have_ended: Cell<bool>,
    /// Ready once the connection is dead both ways.
    pub(super) closed: Direction,
}

/// One direction of a socket. It has one waiter: who polled it last, as with any future; a second task
/// that waits for the same direction takes the place of the first.
#[derive(Default)]
pub(super) struct Direction {
    /// Trying may succeed. Set by an event, taken back by a call that found nothing more.
    ready: Cell<bool>,
    /// How much of its share it has spent in `turn`.
    spent: Cell<u8>,
    turn: Cell<u32>,
    waker: Cell<Option<Waker>>,
}

impl Source {
    /// Takes in an event and wakes who waits for it.
    pub(super) fn mark(&self, readiness: Readiness) {
        if readiness.may_have_ended {
            self.may_have_ended.set(true);
        }
        if readiness.closed {
            self.closed.mark();
        }
        if readiness.readable {
            self.read.mark();
        }
        if readiness.writable {
            self.write.mark();
        }
    }
}

impl Direction {
    fn mark(&self) {
        self.ready.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.get()
    }

    /// Says that trying may succeed (a new socket can be written to) or cannot.
    pub(super) fn set_ready(&self, ready: bool) {
        self.ready.set(ready);
    }

    /// Whether something of its share is left.
    fn has_share(&self) -> bool {
        self.turn.get() != TURN.get() || self.spent.get() < SHARE
    }

    /// Counts so many calls.
    pub(super) fn spend(&self, calls: u8) {
        let now = TURN.get();
        let before = if self.turn.replace(now) == now { self.spent.get() } else { 0 };
        self.spent.set(before.saturating_add(calls));
    }

    /// Waits until trying may succeed.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ready.get() {
            if self.has_share() {
                return Poll::Ready(());
            }
            // A task that wakes itself runs again in the next turn.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let waker = self.waker.take().filter(|waker| waker.will_wake(cx.waker()));
        self.waker.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
        Poll::Pending
    }

    /// Tries `call` if it may succeed. `None`: it would block, or the share of this turn is spent.
    pub(super) fn try_with<T>(&self, mut call: impl FnMut() -> io::Result<T>) -> Option<io::Result<T>> {
        while self.ready.get() && self.has_share() {
            match call() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.ready.set(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    self.spend(1);
                    return Some(result);
                }
            }
        }
        None
    }

    /// Tries `call` whenever it may succeed, until it does not say "would block".
    pub(super) fn poll_with<T>(
        &self,
        cx: &mut Context<'_>,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        loop {
            if let Some(result) = self.try_with(&mut call) {
                return Poll::Ready(result);
            }
            std::task::ready!(self.poll_ready(cx));
        }
    }
}
