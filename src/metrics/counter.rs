//! A counter with one writer, a histogram of durations, and counts of waits.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A number with one writing thread and any number of readers.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the owning thread may call it, because two writers would lose additions.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// The current value, possibly a moment old.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A histogram of durations.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One bucket per bound, and one for longer durations.
    pub(super) buckets: [Counter; Histogram::BOUNDS.len() + 1],
    pub(super) nanos: Counter,
}

impl Histogram {
    /// Upper bounds of the buckets, inclusive, in nanoseconds.
    pub(super) const BOUNDS: [u64; 15] = {
        const MS: u64 = 1_000_000;
        [
            MS,
            5 * MS / 2,
            5 * MS,
            10 * MS,
            25 * MS,
            50 * MS,
            100 * MS,
            250 * MS,
            500 * MS,
            1_000 * MS,
            2_500 * MS,
            5_000 * MS,
            10_000 * MS,
            30_000 * MS,
            60_000 * MS,
        ]
    };

    /// Counts one duration. Only the owning thread may call it, as for [`Counter::add`].
    pub fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = Histogram::BOUNDS.iter().take_while(|bound| **bound < nanos).count();
        self.buckets[bucket].add(1);
        self.nanos.add(nanos);
    }
}

/// A sum of histograms.
#[derive(Clone, Debug, Default)]
pub(super) struct HistogramSum {
    pub(super) buckets: [u64; Histogram::BOUNDS.len() + 1],
    pub(super) nanos: u64,
}

impl HistogramSum {
    pub(super) fn add(&mut self, histogram: &Histogram) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += bucket.get();
        }
        self.nanos = self.nanos.wrapping_add(histogram.nanos.get());
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// The end of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitEnd {
    /// The request went on.
    Served,
    /// The time was over.
    TimedOut,
    /// The client left, or there was nothing to wait for any more.
    Gone,
}

/// Counts of requests that wait.
#[derive(Debug, Default)]
pub struct WaitCounters {
    /// Not 0 once requests may wait.
    pub(in crate::metrics) used: Counter,
    pub(in crate::metrics) begun: Counter,
    pub(in crate::metrics) left: Counter,
    /// By [`WaitEnd`].
    pub(in crate::metrics) ended: [Counter; 3],
    pub(in crate::metrics) refused: Counter,
}

impl WaitCounters {
    /// Says whether requests may wait. If they may once, the counts are shown from then on.
    pub fn is_used(&self, is_used: bool) {
        self.used.add(u64::from(is_used));
    }

    /// Counts a request that waits now.
    pub fn begin(&self) {
        self.begun.add(1);
    }

    /// Counts a request that waits no longer. It may wait again.
    pub fn leave(&self) {
        self.left.add(1);
    }

    /// Counts the result for a request, after its last wait.
    pub fn end(&self, end: WaitEnd) {
        self.ended[end as usize].add(1);
    }

    /// Counts a request that did not wait, because too many did.
    pub fn refuse(&self) {
        self.refused.add(1);
    }
}
