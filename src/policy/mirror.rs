//! Copies of requests for another upstream.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::limits::{ConcurrencyLimit, ConcurrencyPermit};
use crate::config::plan::{Mirror, RequestLimit, UpstreamId, WHOLE_SHARE};

/// Copies of one rule that are open at once. Further ones are dropped.
const OPEN_MAX: usize = 64;

/// The copies of a rule in force.
pub struct Mirroring {
    mirror: Arc<Mirror>,
    open: ConcurrencyLimit,
    /// Requests so far.
    count: AtomicU64,
}

impl Mirroring {
    /// The copies. `before` are those of the rule until now, of which some may be open.
    pub(super) fn new(mirror: &Arc<Mirror>, before: Option<&Mirroring>) -> Self {
        let limit = RequestLimit { requests: OPEN_MAX, waiting: 0, timeout: Duration::ZERO };
        let open = ConcurrencyLimit::new(&Arc::new(limit), before.map(|before| &before.open));
        let count = before.map_or(0, |before| before.count.load(Relaxed));
        Self { mirror: mirror.clone(), open, count: AtomicU64::new(count) }
    }

    /// Counts a request. Returns whether it is one of those that are copied, which come at even distances.
    pub fn takes_next(&self) -> bool {
        let (parts, whole) = (u64::from(self.mirror.parts), u64::from(WHOLE_SHARE));
        let at = self.count.fetch_add(1, Relaxed) % whole;
        (at + 1) * parts / whole > at * parts / whole
    }

    /// The upstream that gets the copies.
    pub fn upstream(&self) -> UpstreamId {
        self.mirror.upstream.0
    }

    /// A place for a further copy. `None` if too many are open.
    pub fn place(&self) -> Option<ConcurrencyPermit> {
        self.open.try_take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::PolicyUpstream;

    #[test]
    fn a_share_of_requests_is_taken_evenly() {
        for (parts, requests, taken) in
            [(10_000, 7, 7), (5_000, 10, 5), (1_000, 100, 10), (1, 10_000, 1), (1, 9_999, 0)]
        {
            let mirror = Mirror { name: "a".into(), upstream: PolicyUpstream::default(), parts };
            let mirroring = Mirroring::new(&Arc::new(mirror), None);
            assert_eq!((0..requests).filter(|_| mirroring.takes_next()).count(), taken, "{parts}");
        }
    }
}
