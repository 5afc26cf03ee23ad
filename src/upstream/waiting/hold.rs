//! Requests that wait for an endpoint: none is usable, or none accepts a connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::metrics::{UpstreamCounters, WaitEnd};
use crate::upstream::endpoint_set::Generations;
use crate::upstream::upstream::Upstream;
use crate::worker::Worker;

/// The first time between two attempts. It doubles with each of them.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest time between two attempts.
const WAIT_MAX: Duration = Duration::from_millis(800);

/// A request that waits. The number of those of an upstream is bounded, so that a dead service does not take all
/// connections of clients.
pub struct Hold {
    generations: Arc<Generations>,
    counters: Arc<UpstreamCounters>,
    end: WaitEnd,
    until: Instant,
    next_wait: Duration,
}

impl Upstream {
    /// Whether requests wait for an endpoint.
    pub fn holds(&self) -> bool {
        !self.set.plan.settings.hold.is_zero()
    }

    /// Holds a request, if the upstream wants that and not too many are held. `now` is the time of its first failure.
    pub fn hold(&self, now: Instant) -> Option<Hold> {
        let settings = &self.set.plan.settings;
        if !self.holds() {
            return None;
        }
        if !self.set.generations.begin_hold(settings.hold_max) {
            self.counters.holds.refuse();
            return None;
        }
        self.counters.holds.begin();
        Some(Hold {
            generations: self.set.generations.clone(),
            counters: self.counters.clone(),
            end: WaitEnd::Gone,
            until: now + settings.hold,
            next_wait: FIRST_WAIT,
        })
    }
}

impl Hold {
    /// Waits until the next attempt. Returns `false` when the time is over.
    pub async fn wait(&mut self, worker: &Worker) -> bool {
        let left = self.until.saturating_duration_since(worker.now());
        worker.sleep(self.next_wait.min(left)).await;
        self.next_wait = (2 * self.next_wait).min(WAIT_MAX);
        if left.is_zero() {
            self.end = WaitEnd::TimedOut;
        }
        !left.is_zero()
    }

    /// Ends the wait: the request has a connection.
    pub fn served(mut self) {
        self.end = WaitEnd::Served;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.generations.end_hold();
        self.counters.holds.leave();
        self.counters.holds.end(self.end);
    }
}
