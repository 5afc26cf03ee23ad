//! Counts of requests that wait, added up over all workers.

use crate::metrics::counter::WaitCounters;

/// A sum of such counts.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::metrics) struct WaitSum {
    used: u64,
    begun: u64,
    left: u64,
    ended: [u64; 3],
    refused: u64,
}

impl WaitSum {
    pub(super) fn add(&mut self, one: &WaitCounters) {
        let WaitCounters { used, begun, left, ended, refused } = one;
        // Read `left` before `begun`. Else the difference could be -1.
        self.left += left.get();
        for (sum, count) in self.ended.iter_mut().zip(ended) {
            *sum += count.get();
        }
        self.begun += begun.get();
        self.refused += refused.get();
        self.used += used.get();
    }

    pub(super) fn is_used(self) -> bool {
        self.used > 0
    }

    /// Requests that wait now.
    pub(in crate::metrics) fn waiting(self) -> u64 {
        self.begun.saturating_sub(self.left)
    }

    /// The results with their counts.
    pub(super) fn results(self) -> [(&'static str, u64); 4] {
        let [served, timeout, gone] = self.ended;
        [("served", served), ("timeout", timeout), ("gone", gone), ("full", self.refused)]
    }
}
