//! Figures of endpoints, as the control plane collects them.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::metrics::page::{Kind, Page};
use crate::metrics::registry::Counters;
use crate::metrics::series::{EndpointCounters, OTHER};

/// Endpoints with series of their own. The sums of further ones are `other`.
const ENDPOINTS_MAX: usize = 1_024;

/// The figures of one endpoint.
#[derive(Clone, Debug, Default, Serialize)]
pub struct EndpointFigures {
    /// The upstream's name.
    #[serde(serialize_with = "text")]
    pub upstream: Arc<str>,
    /// The address, or the target if it has none yet.
    #[serde(serialize_with = "text")]
    pub target: Arc<str>,
    /// `up`, `down`, `ejected` or `draining`.
    pub state: &'static str,
    /// The weight of the target.
    pub weight: u16,
    /// Used only if no other endpoint is usable.
    pub backup: bool,
    /// Requests and tunnels at it now.
    pub open: u64,
    /// Requests and tunnels that it got.
    pub requests: u64,
    /// Failures, also those that were forgiven.
    pub failures: u64,
    /// Times it was ejected.
    pub ejections: u64,
    /// Health checks that passed.
    pub checks_passed: u64,
    /// Health checks that failed.
    pub checks_failed: u64,
    /// Why it gets no requests, if it gets none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl EndpointFigures {
    fn add(&mut self, other: &Self) {
        self.open += other.open;
        self.requests += other.requests;
        self.failures += other.failures;
        self.ejections += other.ejections;
        self.checks_passed += other.checks_passed;
        self.checks_failed += other.checks_failed;
    }
}

impl Counters {
    /// Requests and tunnels that an endpoint got, and those of them that have ended.
    pub fn endpoint(&self, upstream: &str, target: &str) -> (u64, u64) {
        let key = EndpointCounters::key(upstream, target);
        let (mut begun, mut ended) = (0, 0);
        for set in self.sets() {
            let counters = set.endpoints.find(&key);
            // `ended` before `begun`, so that it is never the larger one.
            ended += counters.as_ref().map_or(0, |one| one.ended.get());
            begun += counters.as_ref().map_or(0, |one| one.begun.get());
        }
        (begun, ended)
    }
}

/// The figures of all endpoints as Prometheus text.
pub fn render_endpoints(all: &[EndpointFigures]) -> String {
    let (shown, rest) = all.split_at(all.len().min(ENDPOINTS_MAX));
    let mut shown = shown.to_vec();
    if !rest.is_empty() {
        let state = if rest.iter().any(|one| one.state == "up") { "up" } else { "down" };
        let mut other =
            EndpointFigures { upstream: OTHER.into(), target: OTHER.into(), state, ..Default::default() };
        rest.iter().for_each(|one| other.add(one));
        shown.push(other);
    }
    type Row = (&'static str, Kind, &'static str, fn(&EndpointFigures) -> u64);
    const ROWS: [Row; 5] = [
        ("smolgate_target_up", Kind::Gauge, "1 if the endpoint gets requests.", |one| {
            u64::from(one.state == "up")
        }),
        ("smolgate_target_requests_open", Kind::Gauge, "Requests and tunnels at the endpoint now.", |one| {
            one.open
        }),
        ("smolgate_target_requests_total", Kind::Counter, "Requests and tunnels of the endpoint.", |one| {
            one.requests
        }),
        ("smolgate_target_failures_total", Kind::Counter, "Failures of the endpoint.", |one| one.failures),
        ("smolgate_target_ejections_total", Kind::Counter, "Times the endpoint was ejected.", |one| {
            one.ejections
        }),
    ];
    let mut page = Page::default();
    for (name, kind, help, value) in ROWS {
        page.family(name, kind, help);
        for one in &shown {
            page.sample("", &[("upstream", &one.upstream), ("target", &one.target)], value(one));
        }
    }
    page.family("smolgate_health_checks_total", Kind::Counter, "Health checks of the endpoint, by result.");
    for one in &shown {
        for (result, count) in [("passed", one.checks_passed), ("failed", one.checks_failed)] {
            let labels = [("upstream", &*one.upstream), ("target", &*one.target), ("result", result)];
            page.sample("", &labels, count);
        }
    }
    page.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_series_is_bounded() {
        let one = |number| EndpointFigures {
            upstream: "a".into(),
            target: format!("{number}").into(),
            state: "up",
            requests: 1,
            ..EndpointFigures::default()
        };
        let all: Vec<EndpointFigures> = (0..ENDPOINTS_MAX + 10).map(one).collect();
        let text = render_endpoints(&all);
        let name = "smolgate_target_requests_total{";
        assert_eq!(text.lines().filter(|line| line.starts_with(name)).count(), ENDPOINTS_MAX + 1);
        assert!(text.contains("smolgate_target_requests_total{upstream=\"other\",target=\"other\"} 10\n"));
    }
}
