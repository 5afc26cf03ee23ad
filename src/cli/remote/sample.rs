//! The counters of a gate at one moment, and the rates between two.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The parts of `/stats` that the tables show.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Sample {
    pub(super) version: String,
    pub(super) phase: String,
    pub(super) generation: u64,
    pub(super) time_ms: u64,
    pub(super) uptime_seconds: u64,
    pub(super) bounds_ms: Vec<f64>,
    pub(super) listeners: Vec<Listener>,
    pub(super) rules_total: usize,
    pub(super) rules: Vec<Rule>,
    pub(super) upstreams: Vec<Upstream>,
    pub(super) replies: Vec<Reply>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Listener {
    pub(super) open: u64,
    pub(super) requests: u64,
    pub(super) bytes_received: u64,
    pub(super) bytes_sent: u64,
    pub(super) durations: Durations,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Durations {
    pub(super) counts: Vec<u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Rule {
    pub(super) listener: String,
    pub(super) name: String,
    pub(super) host: Vec<String>,
    #[serde(default)]
    pub(super) path_prefix: String,
    pub(super) action: String,
    pub(super) responses: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) durations: Durations,
    pub(super) endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Endpoint {
    pub(super) target: String,
    pub(super) state: String,
    pub(super) open: u64,
    pub(super) requests: u64,
    pub(super) failures: u64,
    #[serde(default)]
    pub(super) why: String,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Reply {
    pub(super) reason: String,
    pub(super) status: u16,
    pub(super) count: u64,
    pub(super) text: String,
}

impl Durations {
    /// The durations that came after `before`.
    pub(super) fn since(&self, before: Option<&Self>) -> Self {
        let of_before =
            |index: usize| before.and_then(|before| before.counts.get(index)).copied().unwrap_or(0);
        let counts =
            self.counts.iter().enumerate().map(|(index, count)| count.saturating_sub(of_before(index)));
        Self { counts: counts.collect() }
    }

    /// The sum of both.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
        self
    }

    /// The duration in milliseconds that a part of them, such as 0.99, does not exceed, as far as the bounds tell.
    /// `None` without any. Beyond the last bound, that bound.
    pub(super) fn quantile(&self, part: f64, bounds: &[f64]) -> Option<f64> {
        let total: u64 = self.counts.iter().sum();
        if total == 0 {
            return None;
        }
        let rank = part * total as f64;
        let mut below = 0.0;
        for (index, count) in self.counts.iter().enumerate() {
            let count = *count as f64;
            let Some(upper) = bounds.get(index) else { break };
            if below + count >= rank && count > 0.0 {
                let lower = index.checked_sub(1).map_or(0.0, |index| bounds[index]);
                return Some(lower + (upper - lower) * (rank - below) / count);
            }
            below += count;
        }
        bounds.last().copied()
    }
}

impl Sample {
    /// Seconds from `before`; never 0.
    pub(super) fn seconds_since(&self, before: &Sample) -> f64 {
        (self.time_ms.saturating_sub(before.time_ms).max(1)) as f64 / 1e3
    }

    /// The sum of a number of all listeners.
    pub(super) fn sum(&self, of: fn(&Listener) -> u64) -> u64 {
        self.listeners.iter().map(of).sum()
    }

    /// Durations of all listeners.
    pub(super) fn durations(&self) -> Durations {
        self.listeners.iter().fold(Durations::default(), |sum, listener| sum.and(&listener.durations))
    }

    /// Responses of a class, such as `5xx`, of all rules.
    pub(super) fn responses(&self, class: &str) -> u64 {
        self.rules.iter().filter_map(|rule| rule.responses.get(class)).sum()
    }

    /// The rule of that name, if it is there.
    pub(super) fn rule(&self, like: &Rule) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.listener == like.listener && rule.name == like.name)
    }

    /// The upstream of that name.
    pub(super) fn upstream(&self, name: &str) -> Option<&Upstream> {
        self.upstreams.iter().find(|upstream| upstream.name == name)
    }
}

impl Rule {
    /// All responses.
    pub(super) fn total(&self) -> u64 {
        self.responses.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_bounds() {
        let bounds = [1.0, 10.0, 100.0];
        let of = |counts: &[u64], part| Durations { counts: counts.to_vec() }.quantile(part, &bounds);
        assert_eq!(of(&[0, 0, 0, 0], 0.5), None);
        assert_eq!(of(&[10, 0, 0, 0], 0.5), Some(0.5));
        assert_eq!(of(&[0, 10, 0, 0], 0.5), Some(5.5));
        assert_eq!(of(&[50, 0, 50, 0], 0.5), Some(1.0));
        assert_eq!(of(&[0, 0, 0, 3], 0.99), Some(100.0), "beyond the last bound");
    }

    #[test]
    fn durations_of_two_samples_are_subtracted() {
        let durations = |counts: &[u64]| Durations { counts: counts.to_vec() };
        assert_eq!(durations(&[3, 5]).since(Some(&durations(&[1, 5]))).counts, [2, 0]);
        assert_eq!(durations(&[3, 5]).since(None).counts, [3, 5]);
        // A gate that was started again counts from 0.
        assert_eq!(durations(&[1, 0]).since(Some(&durations(&[3, 5]))).counts, [0, 0]);
        assert_eq!(Durations::default().and(&durations(&[1, 2])).counts, [1, 2]);
    }
}
