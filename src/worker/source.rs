//! What is known of one socket: whether to try a read or a write, and who waits for that.

use std::cell::Cell;
use std::io;
use std::task::{Context, Poll, Waker};

use super::reactor::Readiness;

/// One socket's state. Both directions are independent, so that one task may read while it writes.
#[derive(Default)]
pub(super) struct Source {
    pub(super) read: Direction,
    pub(super) write: Direction,
    /// The peer has sent its last byte, or may have: a read that comes up short proves nothing then.
    /// Stays so, which costs a read or two that find nothing.
    pub(super) ending: Cell<bool>,
    /// Ready once the connection is dead both ways.
    pub(super) gone: Direction,
}

/// One direction of a socket. It has one waiter: who polled it last, as with any future; a second task
/// that waits for the same direction takes the place of the first.
#[derive(Default)]
pub(super) struct Direction {
    /// Trying may succeed. Set by an event, taken back by a call that found nothing more.
    ready: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Source {
    /// Takes in an event and wakes who waits for it.
    pub(super) fn mark(&self, readiness: Readiness) {
        if readiness.ending {
            self.ending.set(true);
        }
        if readiness.gone {
            self.gone.mark();
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

    /// Waits until trying may succeed.
    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ready.get() {
            return Poll::Ready(());
        }
        let waker = self.waker.take().filter(|waker| waker.will_wake(cx.waker()));
        self.waker.set(Some(waker.unwrap_or_else(|| cx.waker().clone())));
        Poll::Pending
    }

    /// Tries `call` if it may succeed. `None`: it would block.
    pub(super) fn try_with<T>(&self, mut call: impl FnMut() -> io::Result<T>) -> Option<io::Result<T>> {
        while self.ready.get() {
            match call() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.ready.set(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Some(result),
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
