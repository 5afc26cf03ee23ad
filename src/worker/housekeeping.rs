//! Housekeeping: after a peak of connections, memory goes back to the system.
//!
//! A worker keeps as much for reuse as it once needed at the same time. At intervals it drops the things that
//! it has not needed since the last time. After a peak, it also has the allocator return its free memory.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::executor::Worker;
use super::platform;

/// Time between two rounds. An unneeded thing is kept for at least this long and at most twice as long.
const TIDY_EVERY: Duration = Duration::from_secs(20);

/// Fall in the number of sockets after which the allocator is asked to return memory. A socket accounts for
/// some 2 KB, and the call may take a millisecond.
const FLOOD_SOCKETS: usize = 128;

/// A collection that keeps things for reuse.
pub(super) trait Keeper {
    /// Drops the things that were not needed since the last call.
    fn tidy(&self);
}

/// The collections that a worker's housekeeping visits.
#[derive(Default)]
pub(super) struct Household {
    /// The keepers that do not belong to the worker itself.
    keepers: RefCell<Vec<Weak<dyn Keeper>>>,
}

impl Household {
    pub(super) fn add(&self, keeper: &Rc<impl Keeper + 'static>) {
        let keeper: Weak<dyn Keeper> = Rc::downgrade(keeper) as _;
        self.keepers.borrow_mut().push(keeper);
    }
}

impl Worker {
    pub(super) async fn keep_house(self) {
        loop {
            self.sleep(TIDY_EVERY).await;
            self.tidy();
        }
    }

    /// Drops the things that were not needed since the last call.
    pub(super) fn tidy(&self) {
        let inner = &self.inner;
        let household = &inner.household;
        inner.buffers.tidy();
        inner.pipes.free.tidy();
        household.keepers.borrow_mut().retain(|keeper| keeper.strong_count() > 0);
        let keepers: Vec<_> = household.keepers.borrow().iter().filter_map(Weak::upgrade).collect();
        keepers.iter().for_each(|keeper| keeper.tidy());
        if inner.reactor.shrink() >= FLOOD_SOCKETS {
            inner.timers.shrink();
            inner.executor().shrink();
            platform::return_memory();
        }
    }
}
