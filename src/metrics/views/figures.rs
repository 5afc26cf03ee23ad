//! Sums by upstream, for pages with other names than those of `/metrics`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::metrics::counter::{Histogram, HistogramSum};
use crate::metrics::registry::{Counters, SERIES_MAX};
use crate::metrics::worker_set::lock;
use crate::reason::Reason;

/// The times from the end of a request to the head of its response, of one upstream.
#[derive(Clone, Debug)]
pub struct ResponseTimes(HistogramSum);

impl ResponseTimes {
    /// The number of responses that took at most so long. A bound between those of the histogram counts as the next
    /// lower one.
    pub fn within(&self, millis: u64) -> u64 {
        let bounds = Histogram::BOUNDS.iter().take_while(|bound| **bound <= millis * 1_000_000);
        self.0.buckets[..bounds.count()].iter().sum()
    }

    /// The number of responses.
    pub fn count(&self) -> u64 {
        self.0.count()
    }

    /// The sum of the times in seconds.
    pub fn seconds(&self) -> f64 {
        self.0.nanos as f64 / 1e9
    }
}

impl Counters {
    /// Notes the upstream of a rule, for [`Counters::exchanges`]. A rule that is removed keeps it, because a counter must
    /// not vanish.
    pub fn note_upstream(&self, listener: &Arc<str>, rule: &Arc<str>, upstream: &Arc<str>) {
        let mut noted = lock(&self.upstreams_of_rules);
        if noted.len() < SERIES_MAX {
            noted.insert((listener.clone(), rule.clone()), upstream.clone());
        }
    }

    /// The exchanges of rules whose upstream was noted, by upstream and status. The status 0 stands for others.
    pub fn exchanges(&self) -> BTreeMap<(Arc<str>, u16), u64> {
        let noted = lock(&self.upstreams_of_rules).clone();
        let mut all = BTreeMap::new();
        for set in self.sets() {
            for (key, count) in lock(&set.series).iter() {
                if let Some(upstream) = noted.get(&(key.listener.clone(), key.rule.clone())) {
                    *all.entry((upstream.clone(), key.code)).or_default() += count.get();
                }
            }
        }
        all
    }

    /// The times of each upstream's responses.
    pub fn response_times(&self) -> BTreeMap<Arc<str>, ResponseTimes> {
        let mut all = BTreeMap::new();
        for set in self.sets() {
            for (name, one) in set.upstreams.all() {
                let ResponseTimes(sum) =
                    all.entry(name).or_insert_with(|| ResponseTimes(HistogramSum::default()));
                sum.add(&one.response);
            }
        }
        all
    }

    /// The local replies of these reasons.
    pub fn local_replies(&self, which: impl Fn(Reason) -> bool) -> u64 {
        let sets = self.sets();
        let of_set = |reason: &Reason| sets.iter().map(|set| set.reasons[reason.index()].get()).sum::<u64>();
        Reason::ALL.iter().filter(|reason| which(**reason)).map(of_set).sum()
    }
}
