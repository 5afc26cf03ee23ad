//! The state of one socket: whether a read or a write may succeed, and which task waits for that.
//!
//! Each direction of a socket also has a share of a turn of the loop. Without it, a loop whose socket is
//! ready each time would keep all other tasks waiting. If the share is spent, the direction is pending until
//! the worker has asked the kernel for the events of all sockets. This bounds every loop, because each one
//! reads or writes; so no loop needs a counter of its own.

use std::cell::Cell;
use std::io;
use std::task::{Context, Poll, Waker};

/// Calls that one direction of a socket may make in one turn. A larger share makes other connections wait
/// longer; a smaller one asks the kernel more often. The number is a choice: other numbers were not measured.
const SHARE: u64 = 8;

/// Bytes that count as one call. A call that moves more counts as several, even if `splice` moves them
/// cheaply.
pub(super) const BYTES_PER_CALL: usize = 64 * 1024;

/// The step of [`TURN`], larger than the calls that a direction can make in one turn.
const TURN_STEP: u64 = 1 << 16;

thread_local! {
    /// The number of this worker's turn, times [`TURN_STEP`]: the least that a direction may have spent. It is a
    /// thread-local because all directions compare with it.
    static TURN: Cell<u64> = const { Cell::new(0) };
}

/// Gives every direction of this thread's worker a new share.
pub(super) fn begin_turn() {
    TURN.set(TURN.get() + TURN_STEP);
}

/// The content of one event of a socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// Whether a short read may be followed by more. True if the peer has sent its last byte, or if the
    /// platform cannot tell that it has not.
    pub(super) may_have_ended: bool,
    /// Whether the connection was reset, or has ended in both directions.
    pub(super) closed: bool,
}

/// The state of one socket. Both directions are independent, so one task may read while another writes.
#[derive(Default)]
pub(super) struct Source {
    pub(super) read: Direction,
    pub(super) write: Direction,
    /// Whether the peer has or may have sent its last byte. If so, a short read proves nothing.
    /// The flag is never cleared, which costs a read or two that find nothing.
    pub(super) may_have_ended: Cell<bool>,
    /// Ready once the connection is closed in both directions.
    pub(super) closed: Direction,
}

/// One direction of a socket. It has one waiter, the task that polled it last, as with any future. A second
/// task that waits for the same direction replaces the first.
#[derive(Default)]
pub(super) struct Direction {
    /// Whether a call may succeed. An event sets it; a call that would block clears it.
    ready: Cell<bool>,
    /// [`TURN`] when the direction made its last call, and the calls that it has made since then.
    spent: Cell<u64>,
    waker: Cell<Option<Waker>>,
}

impl Source {
    /// Records an event and wakes the tasks that wait for it.
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

    /// Marks that a call may succeed or cannot. A new socket, for example, can be written to.
    pub(super) fn set_ready(&self, ready: bool) {
        self.ready.set(ready);
    }

    /// Whether some of the direction's share is left in this turn.
    fn has_share(&self) -> bool {
        self.spent.get() < TURN.get() + SHARE
    }

    /// Counts `calls` against the share.
    pub(super) fn spend(&self, calls: u8) {
        self.spent.set(self.spent.get().max(TURN.get()) + u64::from(calls));
    }

    /// Waits until a call may succeed.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ready.get() {
            if self.has_share() {
                return Poll::Ready(());
            }
            // A task that wakes itself runs again in the next turn.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.wake_at_event(cx);
        Poll::Pending
    }

    /// Wakes the task at the next event.
    pub(super) fn wake_at_event(&self, cx: &Context<'_>) {
        let waker = self.waker.take().filter(|waker| waker.will_wake(cx.waker()));
        self.waker.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
    }

    /// Tries `call` if it may succeed. `None` means that it would block, or that this turn's share is spent.
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

    /// Tries `call` whenever it may succeed, until it returns something else than "would block".
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
