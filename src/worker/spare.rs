//! Free things kept for reuse, and dropped when they were not needed for a while.

use std::cell::{Cell, RefCell};

/// Free things of one kind. `take` returns the one that was kept last.
pub(super) struct Spare<T> {
    free: RefCell<Vec<T>>,
    /// The smallest number of free things at any moment since the last [`Spare::tidy`]. That many were not
    /// needed.
    unused: Cell<usize>,
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self { free: RefCell::default(), unused: Cell::new(0) }
    }
}

impl<T> Spare<T> {
    /// Takes a free thing, if there is one.
    pub(super) fn take(&self) -> Option<T> {
        let mut free = self.free.borrow_mut();
        let taken = free.pop();
        self.unused.set(self.unused.get().min(free.len()));
        taken
    }

    /// Keeps `thing`, unless `most` things are kept already.
    pub(super) fn keep(&self, thing: T, most: usize) {
        let mut free = self.free.borrow_mut();
        if free.len() < most {
            free.push(thing);
        }
    }

    /// Drops the things that were not needed since the last call, and returns their number.
    pub(super) fn tidy(&self) -> usize {
        let mut free = self.free.borrow_mut();
        let unused: Vec<T> = free.drain(..self.unused.get()).collect();
        free.shrink_to_fit();
        self.unused.set(free.len());
        // Drop the things outside the borrow, because a drop may call `keep`.
        drop(free);
        unused.len()
    }
}

#[cfg(test)]
impl<T> Spare<T> {
    pub(super) fn len(&self) -> usize {
        self.free.borrow().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_needed_for_a_while_is_given_up() {
        let spare = Spare::default();
        (0..10).for_each(|number| spare.keep(number, 8));
        assert_eq!((spare.len(), spare.tidy()), (8, 0), "kept a moment ago");
        // Three things are in use at the same time, again and again.
        for _ in 0..5 {
            let used = [spare.take().unwrap(), spare.take().unwrap(), spare.take().unwrap()];
            assert_eq!(used, [7, 6, 5]);
            used.into_iter().rev().for_each(|number| spare.keep(number, 8));
        }
        assert_eq!((spare.tidy(), spare.len()), (5, 3));
        assert_eq!((spare.tidy(), spare.len()), (3, 0), "and none was used since");
    }
}
