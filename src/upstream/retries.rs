//! Further tries of a request, at endpoints that it has not tried.

use std::time::Instant;

use super::balance;
use super::limits::OpenRequest;
use super::upstream::{Choice, Upstream};

/// The next step after an endpoint has failed.
pub enum Next {
    /// Another endpoint is chosen.
    Chosen,
    /// Another endpoint may be tried, and has no room yet.
    Wait,
    /// No other endpoint may be tried.
    GiveUp,
}

impl Upstream {
    /// Chooses an endpoint that was not tried, after the one before has failed. A try costs budget, unless the request was
    /// not sent so far and the endpoint has not failed since its last success.
    pub fn choose_next(&self, choice: &mut Choice, now: Instant, was_sent: bool) -> Next {
        choice.failed += 1;
        choice.tried.add(choice.index);
        choice.counted = None;
        let may_try = (choice.failed as usize) < self.set.plan.settings.tries;
        let is_new = |index: usize| !choice.tried.has(index);
        if !may_try || !balance::is_any_usable(&choice.endpoints, is_new, now) {
            return Next::GiveUp;
        }
        let Choice { endpoints, tried, hash, .. } = &*choice;
        let mut is_paid = false;
        while let Some(index) = self.balancer.pick(&self.set, endpoints, *tried, *hash, now) {
            let share = &endpoints.shares[index];
            is_paid = is_paid || self.pay(!was_sent && !share.state.has_failed());
            if !is_paid {
                return Next::GiveUp;
            }
            if let Some(counted) = OpenRequest::new(&share.count) {
                (choice.index, choice.counted) = (index, Some(counted));
                return Next::Chosen;
            }
        }
        if is_paid || self.pay(!was_sent) { Next::Wait } else { Next::GiveUp }
    }

    /// Pays for a further try, and counts it. Returns whether it may be made.
    fn pay(&self, is_free: bool) -> bool {
        let may = is_free || self.budget.spend(self.counters.opened.get() + self.counters.reused.get());
        self.counters.retries[usize::from(!may)].add(1);
        may
    }

    /// Whether a request that was answered with `status` may be tried at another endpoint, which has room.
    pub fn may_retry(&self, choice: &Choice, status: u16, now: Instant) -> bool {
        if !self.set.plan.policy.retry_statuses.contains(&status) {
            return false;
        }
        let mut tried = choice.tried;
        tried.add(choice.index);
        let has_room = |index: usize| !tried.has(index) && choice.endpoints.has_room(index);
        if choice.failed as usize + 1 >= self.set.plan.settings.tries
            || !balance::is_any_usable(&choice.endpoints, has_room, now)
        {
            return false;
        }
        // It is paid for by `choose_next`.
        let may = self.budget.has_one(self.counters.opened.get() + self.counters.reused.get());
        self.counters.retries[1].add(u64::from(!may));
        may
    }
}
