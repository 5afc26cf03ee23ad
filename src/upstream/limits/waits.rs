//! The waits of a request, as they are counted.

use std::sync::Arc;
use std::task::{Context, Poll};

use super::limits::{Limits, OpenConnection, Ticket};
use crate::metrics::{UpstreamCounters, WaitEnd};

/// The waits of one request for a place. They count as one, and the request keeps its turn over all of them.
#[derive(Default)]
pub struct Waits {
    waited: Option<Waited>,
    /// The place of the connection that is opened next, if the number of connections has a limit.
    pub(in crate::upstream) place: Option<OpenConnection>,
}

/// A request that waits or has waited. Its result is counted when it is dropped.
struct Waited {
    limits: Arc<Limits>,
    /// The number of its ticket.
    number: u64,
    counters: Arc<UpstreamCounters>,
    end: WaitEnd,
}

impl Drop for Waited {
    fn drop(&mut self) {
        self.counters.waits.end(self.end);
    }
}

/// A ticket that is counted as waiting.
pub(in crate::upstream) struct Waiting {
    ticket: Ticket,
    counters: Arc<UpstreamCounters>,
}

impl Waiting {
    /// See [`Ticket::poll`].
    pub(in crate::upstream) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        take: impl FnOnce() -> Option<T>,
    ) -> Poll<T> {
        self.ticket.poll(cx, take)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.counters.waits.leave();
    }
}

impl Waits {
    /// Takes a place in the line, and counts it.
    pub(in crate::upstream) fn join(
        &mut self,
        limits: &Arc<Limits>,
        counters: &Arc<UpstreamCounters>,
        most: usize,
    ) -> Option<Waiting> {
        let before = self.waited.take_if(|before| !Arc::ptr_eq(&before.limits, limits));
        // The limits were lifted and set again by reloads: the old ones count no more.
        drop(before);
        let Some(ticket) = limits.join(most, self.waited.as_ref().map(|before| before.number)) else {
            counters.waits.refuse();
            return None;
        };
        counters.waits.begin();
        let waited = self.waited.get_or_insert_with(|| Waited {
            limits: limits.clone(),
            number: ticket.number(),
            counters: counters.clone(),
            end: WaitEnd::Gone,
        });
        waited.end = WaitEnd::Gone;
        Some(Waiting { ticket, counters: counters.clone() })
    }

    pub(in crate::upstream) fn end(&mut self, end: WaitEnd) {
        if let Some(waited) = &mut self.waited {
            waited.end = end;
        }
    }
}
