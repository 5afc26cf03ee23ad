//! A bound on what may go on at once on one worker.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// So many at once; who comes later waits, in order.
pub struct Slots(Rc<State>);

/// One of the [`Slots`]; given back when dropped.
pub struct Slot(Rc<State>);

struct State {
    free: Cell<usize>,
    waiting: RefCell<VecDeque<Rc<Waiter>>>,
}

#[derive(Default)]
struct Waiter {
    /// A slot was put aside for it.
    served: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Slots {
    /// `most` at once.
    pub fn new(most: usize) -> Self {
        Self(Rc::new(State { free: Cell::new(most), waiting: RefCell::default() }))
    }

    /// A slot, as soon as one is free and everyone who came before has one.
    pub async fn take(&self) -> Slot {
        let state = &self.0;
        let free = state.free.get();
        if free > 0 {
            state.free.set(free - 1);
            return Slot(state.clone());
        }
        let place = Place { state: state.clone(), waiter: Rc::default() };
        state.waiting.borrow_mut().push_back(place.waiter.clone());
        poll_fn(|cx| {
            if place.waiter.served.take() {
                return Poll::Ready(Slot(state.clone()));
            }
            place.waiter.waker.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }
}

/// A place in the queue; left when whoever waits has lost patience.
struct Place {
    state: Rc<State>,
    waiter: Rc<Waiter>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.waiter.served.get() {
            self.state.give_back();
        } else {
            self.state.waiting.borrow_mut().retain(|waiter| !Rc::ptr_eq(waiter, &self.waiter));
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl State {
    /// To the next in the queue, or to nobody.
    fn give_back(&self) {
        let next = self.waiting.borrow_mut().pop_front();
        match next {
            Some(waiter) => {
                waiter.served.set(true);
                if let Some(waker) = waiter.waker.take() {
                    waker.wake();
                }
            }
            None => self.free.set(self.free.get() + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};
    use std::pin::pin;

    #[test]
    fn who_comes_later_waits_in_order() {
        let slots = Slots::new(1);
        let first = block_on(slots.take());
        let (mut second, mut third) = (pin!(slots.take()), pin!(slots.take()));
        assert!(block_on(poll_once(second.as_mut())).is_none());
        assert!(block_on(poll_once(third.as_mut())).is_none());
        drop(first);
        assert!(block_on(poll_once(third.as_mut())).is_none());
        let second = block_on(poll_once(second)).unwrap();
        assert!(block_on(poll_once(third.as_mut())).is_none());
        drop(second);
        assert!(block_on(poll_once(third)).is_some());
    }

    #[test]
    fn who_gives_up_waiting_takes_no_slot_along() {
        let slots = Slots::new(1);
        let first = block_on(slots.take());
        let mut gives_up = Box::pin(slots.take());
        assert!(block_on(poll_once(gives_up.as_mut())).is_none());
        let mut served = Box::pin(slots.take());
        assert!(block_on(poll_once(served.as_mut())).is_none());
        drop(gives_up);
        drop(first);
        // A slot was put aside for it, and it goes without looking.
        drop(served);
        assert!(block_on(poll_once(pin!(slots.take()))).is_some());
    }
}
