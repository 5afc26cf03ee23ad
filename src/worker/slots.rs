//! A bounded number of slots. A new holder never waits: if all slots are taken, the holder that has waited longest
//! loses its slot.
//!
//! The handshakes of a worker hold such slots. Each has a TLS state with its buffers while its client is silent.
//! Clients that stall take slots from each other, and a client that answers within a round trip keeps its own. The
//! processor needs no bound: a worker calculates for one handshake at a time.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A bounded number of slots.
pub struct Slots {
    most: usize,
    state: Rc<State>,
}

/// A slot of [`Slots`]. Dropping it gives it back.
pub struct Slot {
    state: Rc<State>,
    /// Its key among the slots that are held.
    turn: Cell<u64>,
}

#[derive(Default)]
struct State {
    /// The next key.
    next: Cell<u64>,
    /// The slots that are held, in the order in which their waits began, with the task to wake if a slot is lost.
    held: RefCell<BTreeMap<u64, Option<Waker>>>,
}

impl Slots {
    /// At most `most` slots are held at the same time.
    pub fn new(most: usize) -> Self {
        Self { most, state: Rc::default() }
    }

    /// Takes a slot. If all are taken, the holder whose wait began first loses its slot.
    pub fn take(&self) -> Slot {
        let mut held = self.state.held.borrow_mut();
        let lost = if held.len() >= self.most { held.pop_first() } else { None };
        let turn = self.state.turn();
        held.insert(turn, None);
        drop(held);
        if let Some((_, Some(waker))) = lost {
            waker.wake();
        }
        Slot { state: self.state.clone(), turn: turn.into() }
    }
}

impl Slot {
    /// Starts a new wait for the peer, because smolgate has answered it. Bytes of the peer are no reason, since it
    /// may send a byte at a time.
    pub fn wait_anew(&self) {
        let mut held = self.state.held.borrow_mut();
        if let Some(waker) = held.remove(&self.turn.get()) {
            self.turn.set(self.state.turn());
            held.insert(self.turn.get(), waker);
        }
    }

    /// Ready when the slot is lost to another holder.
    pub fn poll_lost(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut held = self.state.held.borrow_mut();
        let Some(waker) = held.get_mut(&self.turn.get()) else { return Poll::Ready(()) };
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.state.held.borrow_mut().remove(&self.turn.get());
    }
}

impl State {
    fn turn(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};
    use std::future::poll_fn;

    fn is_lost(slot: &Slot) -> bool {
        block_on(poll_once(poll_fn(|cx| slot.poll_lost(cx)))).is_some()
    }

    #[test]
    fn the_one_that_has_waited_longest_makes_room() {
        let slots = Slots::new(2);
        let (first, second) = (slots.take(), slots.take());
        assert!(!is_lost(&first) && !is_lost(&second));
        first.wait_anew();
        let third = slots.take();
        assert!(is_lost(&second) && !is_lost(&first) && !is_lost(&third));
        let fourth = slots.take();
        assert!(is_lost(&first) && !is_lost(&third) && !is_lost(&fourth));
        // A lost slot does not come back, and its guard takes nothing from the others.
        first.wait_anew();
        drop(second);
        assert!(is_lost(&first) && !is_lost(&third) && !is_lost(&fourth));
    }

    #[test]
    fn one_that_is_given_back_is_nobodys_loss() {
        let slots = Slots::new(1);
        drop(slots.take());
        let held = slots.take();
        assert!(!is_lost(&held));
    }

    #[test]
    fn the_task_that_loses_its_slot_is_woken() {
        let slots = Slots::new(1);
        let slot = slots.take();
        let lost = poll_fn(|cx| slot.poll_lost(cx));
        let take = async { drop(slots.take()) };
        block_on(futures_lite::future::zip(lost, take));
    }
}
