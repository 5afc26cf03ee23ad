//! The budget of further tries: without it, an upstream that is down gets twice the requests.

use std::cell::Cell;

/// A further try costs as much as so many requests earn: a fifth of the requests may be tried again.
const PRICE: u64 = 5;

/// The largest balance: so many further tries may follow each other.
const MOST: u64 = 20 * PRICE;

/// The further tries that an upstream may make on one worker.
pub(super) struct RetryBudget {
    balance: Cell<u64>,
    /// The requests that have earned something already.
    counted: Cell<u64>,
}

impl RetryBudget {
    /// The budget of an upstream that had so many requests before.
    pub(super) fn new(requests: u64) -> Self {
        Self { balance: Cell::new(MOST / 2), counted: Cell::new(requests) }
    }

    /// Pays for a further try. `requests` is the number of all requests so far: a request that needs no further try costs
    /// no account of its own. Returns whether the balance was enough.
    pub(super) fn spend(&self, requests: u64) -> bool {
        let is_enough = self.has_one(requests);
        if is_enough {
            self.balance.set(self.balance.get() - PRICE);
        }
        is_enough
    }

    /// Whether the balance is enough for a further try.
    pub(super) fn has_one(&self, requests: u64) -> bool {
        let earned = requests.saturating_sub(self.counted.replace(requests));
        self.balance.set((self.balance.get() + earned).min(MOST));
        self.balance.get() >= PRICE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_requests_may_be_tried_again() {
        let budget = RetryBudget::new(7);
        assert_eq!((0..100).filter(|_| budget.spend(7)).count(), 10, "at the start");
        assert_eq!((1..=1000).filter(|request| budget.spend(7 + request)).count(), 200);
        assert_eq!((0..100).filter(|_| budget.spend(5000)).count(), 20, "after a long time without");
    }
}
