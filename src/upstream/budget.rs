//! The budget of further tries: without it, an upstream that is down gets twice the requests.

use std::cell::Cell;

/// A further try costs as much as so many requests earn: a fifth of the requests may be tried again.
const PRICE: u32 = 5;

/// The largest balance: so many further tries may follow each other.
const MOST: u32 = 20 * PRICE;

/// The further tries that an upstream may make on one worker.
pub(super) struct RetryBudget(Cell<u32>);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Cell::new(MOST / 2))
    }
}

impl RetryBudget {
    /// Adds what a request earns.
    pub(super) fn earn(&self) {
        self.0.set((self.0.get() + 1).min(MOST));
    }

    /// Pays for a further try. Returns whether the balance was enough.
    pub(super) fn spend(&self) -> bool {
        let rest = self.0.get().checked_sub(PRICE);
        rest.inspect(|rest| self.0.set(*rest)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_requests_may_be_tried_again() {
        let budget = RetryBudget::default();
        assert_eq!((0..100).filter(|_| budget.spend()).count(), 10, "at the start");
        let tried_again = (0..1000).filter(|_| {
            budget.earn();
            budget.spend()
        });
        assert_eq!(tried_again.count(), 200);
        (0..1000).for_each(|_| budget.earn());
        assert_eq!((0..100).filter(|_| budget.spend()).count(), 20, "after a long time without");
    }
}
