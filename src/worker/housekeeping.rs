//! Housekeeping: after a peak of connections, memory goes back to the system.
//!
//! A worker keeps as much for reuse as it once needed at the same time. At intervals it drops the things that
//! it has not needed since the last time. After a peak, it also has the allocator return its free memory.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use super::platform;

/// A collection that keeps things for reuse.
pub(super) trait Keeper {
    /// Drops the things that were not needed since the last call.
    fn tidy(&self);
}

/// The collections that a worker's housekeeping covers.
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

    /// Has each keeper that is left drop the things that were not needed since the last call.
    pub(super) fn tidy(&self) {
        self.keepers.borrow_mut().retain(|keeper| keeper.strong_count() > 0);
        let keepers: Vec<_> = self.keepers.borrow().iter().filter_map(Weak::upgrade).collect();
        keepers.iter().for_each(|keeper| keeper.tidy());
    }
}

/// Unmaps the program's code after startup, because most of it only read arguments and configuration.
/// The kernel maps pages again when they run. This halves the reported memory of an idle process.
pub fn release_startup_code() {
    // If it fails, the code stays mapped and only takes memory.
    let _ = platform::release_startup_code();
}
