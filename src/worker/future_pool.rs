//! Reusable memory for large futures: one allocation serves many exchanges.
//!
//! The future that serves an exchange takes some kilobytes. A connection that waits for its next request
//! should not pay for it. So the connection's task is small, and borrows a box while it has work. The boxes
//! are reused, so a busy worker allocates none.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::housekeeping::Keeper;
use super::spare::Spare;
use super::worker::Worker;

/// Free boxes that a pool keeps. The system gets back all others.
const FREE_MAX: usize = 256;

/// A pool of boxes for futures of one type.
pub struct FuturePool<F> {
    free: Rc<Spare<Slot<F>>>,
}

type Slot<F> = Pin<Box<Option<F>>>;

impl<F> Clone for FuturePool<F> {
    fn clone(&self) -> Self {
        Self { free: self.free.clone() }
    }
}

impl<F> Keeper for Spare<Slot<F>> {
    fn tidy(&self) {
        Spare::tidy(self);
    }
}

impl<F: 'static> FuturePool<F> {
    /// Creates a pool without boxes.
    pub fn new(worker: &Worker) -> Self {
        let free = Rc::default();
        worker.inner.household.add(&free);
        Self { free }
    }
}

impl<F: Future> FuturePool<F> {
    /// Puts `future` into a free box. Dropping the returned value drops the future and frees the box.
    pub fn run_in_pool(&self, future: F) -> PooledFuture<F> {
        let slot = match self.free.take() {
            Some(mut slot) => {
                slot.set(Some(future));
                slot
            }
            None => Box::pin(Some(future)),
        };
        PooledFuture { slot: Some(slot), pool: self.clone() }
    }
}

/// A future in its box.
pub struct PooledFuture<F> {
    /// The box; `Some` until dropped.
    slot: Option<Slot<F>>,
    pool: FuturePool<F>,
}

impl<F: Future> Future for PooledFuture<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let slot = self.slot.as_mut().and_then(|slot| slot.as_mut().as_pin_mut());
        slot.expect("invariant: a future is not polled after it was dropped").poll(cx)
    }
}

impl<F> Drop for PooledFuture<F> {
    fn drop(&mut self) {
        if let Some(mut slot) = self.slot.take() {
            slot.set(None);
            self.pool.free.keep(slot, FREE_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::run;

    #[test]
    fn a_box_goes_round_and_its_future_is_dropped_when_it_is_done() {
        let ended = run(|worker| async move {
            let pool = FuturePool::new(&worker);
            let dropped = Rc::new(());
            let make = |witness: Rc<()>| async move {
                let _witness = witness;
                7
            };
            for _ in 0..3 {
                assert_eq!(pool.run_in_pool(make(dropped.clone())).await, 7);
                assert_eq!(Rc::strong_count(&dropped), 1);
                assert_eq!(pool.free.len(), 1);
            }
            let (first, second) =
                (pool.run_in_pool(make(dropped.clone())), pool.run_in_pool(make(dropped.clone())));
            assert_eq!(Rc::strong_count(&dropped), 3);
            drop((first, second));
            assert_eq!(Rc::strong_count(&dropped), 1);
            assert_eq!(pool.free.len(), 2);
            worker.tidy();
            worker.tidy();
            assert_eq!(pool.free.len(), 0, "nobody has needed one for long");
        });
        ended.unwrap();
    }
}
