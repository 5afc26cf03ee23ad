//! What is kept to be used again, and given up when it has not been for a while.

use std::cell::{Cell, RefCell};

/// Things of one kind that are free. The one that was kept last is used first.
pub(super) struct Spare<T> {
    free: RefCell<Vec<T>>,
    /// The fewest that were free at any moment since the last [`Spare::tidy`]: so many were not needed.
    unused: Cell<usize>,
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self { free: RefCell::default(), unused: Cell::new(0) }
    }
}

impl<T> Spare<T> {
    /// One of them, if any is free.
    pub(super) fn take(&self) -> Option<T> {
        let mut free = self.free.borrow_mut();
        let taken = free.pop();
        self.unused.set(self.unused.get().min(free.len()));
        taken
    }

    /// Keeps one, unless `most` are kept already.
    pub(super) fn keep(&self, thing: T, most: usize) {
        let mut free = self.free.borrow_mut();
        if free.len() < most {
            free.push(thing);
        }
    }

    /// Gives up those that were not needed since the last time; how many.
    pub(super) fn tidy(&self) -> usize {
        let mut free = self.free.borrow_mut();
        let unused: Vec<T> = free.drain(..self.unused.get()).collect();
        free.shrink_to_fit();
        self.unused.set(free.len());
        // Only now, outside the borrow: what is dropped may have some to keep.
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
        // Three are in use at the same time, again and again.
        for _ in 0..5 {
            let used = [spare.take().unwrap(), spare.take().unwrap(), spare.take().unwrap()];
            assert_eq!(used, [7, 6, 5]);
            used.into_iter().rev().for_each(|number| spare.keep(number, 8));
        }
        assert_eq!((spare.tidy(), spare.len()), (5, 3));
        assert_eq!((spare.tidy(), spare.len()), (3, 0), "and none was used since");
    }
}
