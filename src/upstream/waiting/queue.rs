//! The queue of an upstream: requests that wait until an endpoint has a free place.

use std::future::poll_fn;
use std::num::NonZero;
use std::time::Duration;

use crate::metrics::WaitEnd;
use crate::reason::Reason;
use crate::upstream::limits::{OpenConnection, Waits};
use crate::upstream::upstream::{Choice, Upstream};
use crate::worker::Worker;

/// The time after which a request that waits looks at the endpoints again. The end of an ejection wakes nothing.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The longest wait without a queue, for an idle connection of another worker to be closed. A worker closes it between two
/// tasks.
const ROOM_TIME: Duration = Duration::from_millis(500);

/// The parts of a request by which an endpoint is chosen.
#[derive(Default)]
pub struct Keys {
    /// The hash of its key, if the balance has one.
    pub hash: Option<NonZero<u64>>,
    /// The value of its sticky cookie.
    pub cookie: Option<Box<[u8]>>,
}

/// A choice, and the place of the connection that it needs, if their number has a limit.
type Chosen = (Choice, Option<OpenConnection>);

/// The generation in which a request looks for a place, and the keys that it has there.
struct Search<'u, K> {
    upstream: &'u Upstream,
    keys: Keys,
    keys_of: K,
}

impl<'u, K: Fn(&Upstream) -> Result<Keys, Reason>> Search<'u, K> {
    fn new(upstream: &'u Upstream, keys_of: K) -> Result<Self, Reason> {
        let upstream = upstream.newest();
        Ok(Self { upstream, keys: keys_of(upstream)?, keys_of })
    }

    /// A choice in the newest generation, with the place of its connection, or the reason why there will be none. `None`
    /// while every endpoint is full. Without the place, the next one in the line could take it.
    fn look(&mut self, worker: &Worker, failed: Option<&Choice>) -> Option<Result<Chosen, Reason>> {
        let newest = self.upstream.newest();
        if !std::ptr::eq(newest, self.upstream) {
            self.upstream = newest;
            match (self.keys_of)(newest) {
                Ok(keys) => self.keys = keys,
                Err(reason) => return Some(Err(reason)),
            }
        }
        let now = worker.now();
        if let Some(choice) = newest.choose_now(now, self.keys.hash, self.keys.cookie.as_deref(), failed) {
            let has_idle = choice.pool().has_idle();
            let place =
                if has_idle { Ok(None) } else { choice.endpoints.begin_connection(choice.index, None) };
            if let Ok(place) = place {
                return Some(Ok((choice, place)));
            }
        }
        let Some(limits) = newest.set.limits.as_ref().filter(|_| newest.is_any_usable(now, failed)) else {
            return Some(Err(Reason::NoTarget));
        };
        limits.ask_for_room();
        None
    }
}

impl Upstream {
    /// Waits until an endpoint has a free place. `failed` is the choice that has failed before, if there was one: its
    /// endpoints are not tried again. The choice is one of the upstream that is returned, the newest generation of this
    /// one; `keys_of` gives the keys of the request there.
    ///
    /// # Errors
    /// `NoTarget` if no endpoint may be used. `TargetBusy` if too many requests wait, or this one for too long. Those of
    /// `keys_of`.
    pub async fn wait_for_place<'u>(
        &'u self,
        worker: &Worker,
        waits: &mut Waits,
        keys_of: impl Fn(&Upstream) -> Result<Keys, Reason>,
        failed: Option<&Choice>,
    ) -> Result<(&'u Upstream, Choice), Reason> {
        // A place that was not used must not be the one that this request waits for.
        waits.place = None;
        let mut search = Search::new(self, keys_of)?;
        let upstream = search.upstream;
        let has_hope = upstream.is_any_usable(worker.now(), failed);
        let Some(limits) = upstream.set.limits.as_ref().filter(|_| has_hope) else {
            let (choice, place) = search.look(worker, failed).unwrap_or(Err(Reason::NoTarget))?;
            waits.place = place;
            return Ok((search.upstream, choice));
        };
        let queue = &upstream.set.plan.policy.queue;
        let time = if queue.max > 0 { queue.timeout } else { ROOM_TIME };
        let most = queue.max.max(upstream.idle_connections(worker.now(), failed));
        let waiting = waits.join(limits, &upstream.counters, most).ok_or(Reason::TargetBusy)?;
        let until = worker.now() + time;
        loop {
            let chosen = poll_fn(|cx| waiting.poll(cx, || search.look(worker, failed)).map(Ok));
            let left = until.saturating_duration_since(worker.now());
            match worker.timer().within(left.min(LOOK_AGAIN), chosen).await {
                Ok(chosen) => {
                    waits.end(if chosen.is_ok() { WaitEnd::Served } else { WaitEnd::Gone });
                    let (choice, place) = chosen?;
                    waits.place = place;
                    return Ok((search.upstream, choice));
                }
                Err(_) if left <= LOOK_AGAIN => {
                    waits.end(WaitEnd::TimedOut);
                    return Err(Reason::TargetBusy);
                }
                Err(_) => {}
            }
        }
    }
}
