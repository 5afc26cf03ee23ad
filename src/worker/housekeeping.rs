//! Memory of a flood goes back to the system when the flood is over.
//!
//! What a worker keeps to use it again is as much as it once needed at the same time. Every now and then it gives
//! up what it has not needed since the last time, and after a flood has the allocator return what it holds.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::executor::Worker;
use super::platform;

/// How long what is not needed is kept: between this and twice as long.
const TIDY_EVERY: Duration = Duration::from_secs(20);

/// So many sockets fewer than there have been, and the allocator is asked to return memory: some 2 KB each, and that
/// may take a millisecond.
const FLOOD_SOCKETS: usize = 128;

/// Something that keeps things to use them again.
pub(super) trait Keeper {
    /// Gives up what was not needed since the last time.
    fn tidy(&self);
}

/// What a worker's housekeeping knows.
#[derive(Default)]
pub(super) struct Household {
    /// Those that are not the worker's own.
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

    /// Gives up what was not needed since the last time.
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
