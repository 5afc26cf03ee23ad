//! The counters of an upstream, added up over all workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::waits::WaitSum;
use crate::metrics::counter::HistogramSum;
use crate::metrics::page::{Kind, Page};
use crate::metrics::series::UpstreamCounters;

/// The counters of an upstream, added up.
#[derive(Default)]
pub(in crate::metrics) struct UpstreamSum {
    pub(in crate::metrics) opened: u64,
    pub(in crate::metrics) reused: u64,
    pub(in crate::metrics) failed: u64,
    pub(in crate::metrics) retries: [u64; 2],
    pub(in crate::metrics) waits: WaitSum,
    pub(in crate::metrics) holds: WaitSum,
    pub(in crate::metrics) response: HistogramSum,
    mirrored: [u64; 2],
}

impl UpstreamSum {
    pub(in crate::metrics) fn add(&mut self, one: &UpstreamCounters) {
        let UpstreamCounters { opened, reused, failed, retries, waits, holds, response, mirrored } = one;
        self.opened += opened.get();
        self.reused += reused.get();
        self.failed += failed.get();
        self.retries.iter_mut().zip(retries).for_each(|(sum, count)| *sum += count.get());
        self.waits.add(waits);
        self.holds.add(holds);
        self.response.add(response);
        self.mirrored[0] += mirrored.sent.get();
        self.mirrored[1] += mirrored.dropped.get();
    }
}

/// Writes the families of upstreams.
pub(in crate::metrics) fn render(upstreams: &BTreeMap<Arc<str>, UpstreamSum>, page: &mut Page) {
    connections(upstreams, page);
    page.family(
        "smolgate_upstream_retries_total",
        Kind::Counter,
        "Further tries of requests: made, or refused because too many were made.",
    );
    for (upstream, one) in upstreams {
        for (result, count) in ["made", "refused"].into_iter().zip(one.retries) {
            page.sample("", &[("upstream", upstream), ("result", result)], count);
        }
    }
    mirrored(upstreams, page);
    waits(upstreams, page);
    page.family(
        "smolgate_upstream_response_seconds",
        Kind::Histogram,
        "From the end of a request to the head of its response.",
    );
    for (upstream, one) in upstreams {
        page.histogram("upstream", upstream, &one.response);
    }
}

fn connections(upstreams: &BTreeMap<Arc<str>, UpstreamSum>, page: &mut Page) {
    type Row = (&'static str, &'static str, fn(&UpstreamSum) -> u64);
    const ROWS: [Row; 3] = [
        ("smolgate_upstream_connections_opened_total", "Connections opened to targets.", |one| one.opened),
        ("smolgate_upstream_connections_reused_total", "Exchanges that reused an idle connection.", |one| {
            one.reused
        }),
        ("smolgate_upstream_connections_failed_total", "Connections that could not be opened.", |one| {
            one.failed
        }),
    ];
    for (name, help, value) in ROWS {
        page.family(name, Kind::Counter, help);
        for (upstream, one) in upstreams {
            page.sample("", &[("upstream", upstream)], value(one));
        }
    }
}

/// Copies of requests, of upstreams that get any.
fn mirrored(upstreams: &BTreeMap<Arc<str>, UpstreamSum>, page: &mut Page) {
    page.family(
        "smolgate_upstream_mirrored_total",
        Kind::Counter,
        "Copies of requests: sent, or dropped because too many were open or no endpoint was usable.",
    );
    for (upstream, one) in upstreams.iter().filter(|(_, one)| one.mirrored != [0, 0]) {
        for (result, count) in ["sent", "dropped"].into_iter().zip(one.mirrored) {
            page.sample("", &[("upstream", upstream), ("result", result)], count);
        }
    }
}

/// Queues and holds, of upstreams that have them.
fn waits(upstreams: &BTreeMap<Arc<str>, UpstreamSum>, page: &mut Page) {
    type Row = ([(&'static str, &'static str); 2], fn(&UpstreamSum) -> WaitSum);
    const ROWS: [Row; 2] = [
        (
            [
                ("smolgate_upstream_waiting", "Requests that wait for a place at an endpoint now."),
                ("smolgate_upstream_waits_total", "Waits for a place at an endpoint, by result."),
            ],
            |one| one.waits,
        ),
        (
            [
                ("smolgate_upstream_held", "Requests that are held until an endpoint works."),
                ("smolgate_upstream_holds_total", "Requests that were held, by result."),
            ],
            |one| one.holds,
        ),
    ];
    for ([(now, about_now), (total, about_total)], sum) in ROWS {
        let used = || upstreams.iter().map(|(name, one)| (name, sum(one))).filter(|(_, sum)| sum.is_used());
        page.family(now, Kind::Gauge, about_now);
        used().for_each(|(upstream, sum)| page.sample("", &[("upstream", upstream)], sum.waiting()));
        page.family(total, Kind::Counter, about_total);
        for (upstream, sum) in used() {
            for (result, count) in sum.results() {
                page.sample("", &[("upstream", upstream), ("result", result)], count);
            }
        }
    }
}
