//! The queue of an upstream: requests that wait until an endpoint has a free place.

use std::future::poll_fn;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::{UpstreamCounters, WaitEnd};
use crate::reason::Reason;
use crate::upstream::limits::{Limits, Ticket};
use crate::upstream::upstream::{Choice, Upstream};
use crate::worker::Worker;

/// The time after which a request that waits looks at the endpoints again. The end of an ejection wakes nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The parts of a request by which an endpoint is chosen.
#[derive(Default)]
pub struct Keys {
    /// The hash of its key, if the balance has one.
    pub hash: Option<NonZero<u64>>,
    /// The value of its sticky cookie.
    pub cookie: Option<Box<[u8]>>,
}

/// A request that waits. It is counted when it ends.
struct Wait<'u> {
    ticket: Ticket,
    counters: &'u UpstreamCounters,
    end: WaitEnd,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.counters.waits.end(self.end);
    }
}

impl Upstream {
    /// Waits until an endpoint has a free place. `failed` is the choice that has failed before, if there was one: its
    /// endpoints are not tried again.
    ///
    /// # Errors
    /// `NoTarget` if no endpoint may be used. `TargetBusy` if too many requests wait, or this one for too long.
    pub async fn wait_for_place(
        &self,
        worker: &Worker,
        keys: &Keys,
        failed: Option<&Choice>,
    ) -> Result<Choice, Reason> {
        let Some(limits) = self.set.limits.as_ref().filter(|_| self.is_any_usable(worker.now(), failed))
        else {
            return Err(Reason::NoTarget);
        };
        let queue = &self.set.plan.policy.queue;
        let mut wait = self.join(limits, queue.max).ok_or(Reason::TargetBusy)?;
        let until = worker.now() + queue.timeout;
        loop {
            let ticket = &wait.ticket;
            let chosen = poll_fn(|cx| ticket.poll(cx, || self.try_for_place(worker, keys, failed)).map(Ok));
            let left = until.saturating_duration_since(worker.now());
            match worker.timer().within(left.min(LOOK_AGAIN), chosen).await {
                Ok(chosen) => {
                    wait.end = if chosen.is_ok() { WaitEnd::Served } else { WaitEnd::Gone };
                    return chosen;
                }
                Err(_) if left <= LOOK_AGAIN => {
                    wait.end = WaitEnd::TimedOut;
                    return Err(Reason::TargetBusy);
                }
                Err(_) => {}
            }
        }
    }

    /// Takes a place in the line of this generation, and counts it.
    fn join(&self, limits: &Arc<Limits>, most: usize) -> Option<Wait<'_>> {
        let ticket = limits.join(self.set.line(), most);
        if ticket.is_none() {
            self.counters.waits.refuse();
        }
        let counters = &*self.counters;
        ticket.map(|ticket| {
            counters.waits.begin();
            Wait { ticket, counters, end: WaitEnd::Gone }
        })
    }

    /// A choice, or the reason why there will be none; `None` while every endpoint is full.
    fn try_for_place(
        &self,
        worker: &Worker,
        keys: &Keys,
        failed: Option<&Choice>,
    ) -> Option<Result<Choice, Reason>> {
        let now = worker.now();
        if let Some(choice) = self.choose_now(now, keys.hash, keys.cookie.as_deref(), failed) {
            return Some(Ok(choice));
        }
        if !self.is_any_usable(now, failed) {
            return Some(Err(Reason::NoTarget));
        }
        if let Some(limits) = &self.set.limits {
            limits.ask_for_room();
        }
        None
    }
}
