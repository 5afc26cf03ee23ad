//! Counters as numbers, for the views of the internal API. They are those of `/metrics`, without its text.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use serde::Serialize;

use crate::metrics::counter::{Histogram, HistogramSum};
use crate::metrics::exposition::{ListenerSum, Sums};
use crate::metrics::registry::Counters;
use crate::metrics::series::{CertificateExpiry, Handshake};
use crate::metrics::upstream::UpstreamSum;
use crate::metrics::worker_set::lock;
use crate::reason::Reason;

/// The counters of the process, added up over all workers.
#[derive(Debug)]
pub struct Stats {
    /// By name, sorted.
    pub listeners: Vec<(Arc<str>, ListenerStats)>,
    /// By name.
    pub upstreams: BTreeMap<Arc<str>, UpstreamStats>,
    /// Responses by the names of listener and rule.
    pub responses: BTreeMap<(Arc<str>, Arc<str>), Responses>,
    /// Local replies and closes, of reasons that have any.
    pub replies: Vec<(Reason, u64)>,
    /// Loads of the configuration.
    pub reloads: ReloadStats,
    /// The certificates that are served.
    pub certificates: Vec<CertificateExpiry>,
    /// Lines that no log could take in time: of the access log, and of events.
    pub lines_lost: [u64; 2],
}

/// Numbers of durations, by the bounds of [`Stats::BOUNDS_MS`]. The last number is that of longer ones.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Durations {
    counts: Vec<u64>,
    total_ms: f64,
}

impl From<&HistogramSum> for Durations {
    fn from(sum: &HistogramSum) -> Self {
        Self { counts: sum.buckets.to_vec(), total_ms: sum.nanos as f64 / 1e6 }
    }
}

/// Responses by the class of their status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Responses {
    /// 1xx: exchanges that became tunnels.
    #[serde(rename = "1xx")]
    pub informational: u64,
    /// 2xx.
    #[serde(rename = "2xx")]
    pub successful: u64,
    /// 3xx.
    #[serde(rename = "3xx")]
    pub redirected: u64,
    /// 4xx.
    #[serde(rename = "4xx")]
    pub client_errors: u64,
    /// 5xx.
    #[serde(rename = "5xx")]
    pub server_errors: u64,
    /// Those over the limits of series, whose status is not known any more.
    pub other: u64,
}

impl Responses {
    fn add(&mut self, code: u16, count: u64) {
        *match code / 100 {
            1 => &mut self.informational,
            2 => &mut self.successful,
            3 => &mut self.redirected,
            4 => &mut self.client_errors,
            5 => &mut self.server_errors,
            _ => &mut self.other,
        } += count;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        let Self { informational, successful, redirected, client_errors, server_errors, other } = self;
        informational + successful + redirected + client_errors + server_errors + other
    }
}

/// The counters of a listener.
#[derive(Clone, Debug, Serialize)]
pub struct ListenerStats {
    connections: u64,
    open: u64,
    accept_errors: u64,
    requests: u64,
    bytes_received: u64,
    bytes_sent: u64,
    tunnels_open: u64,
    handshakes: u64,
    handshakes_failed: u64,
    streams: u64,
    durations: Durations,
}

impl From<&ListenerSum> for ListenerStats {
    fn from(sum: &ListenerSum) -> Self {
        let is_good =
            |end: &Handshake| matches!(end, Handshake::Ok | Handshake::Passed | Handshake::Challenge);
        let ends = || Handshake::ALL.iter().zip(sum.handshakes);
        Self {
            connections: sum.opened,
            open: sum.open(),
            accept_errors: sum.accept_errors,
            requests: sum.requests,
            bytes_received: sum.bytes_in,
            bytes_sent: sum.bytes_out,
            tunnels_open: sum.tunnels_begun.saturating_sub(sum.tunnels_ended.iter().sum()),
            handshakes: sum.handshakes.iter().sum(),
            handshakes_failed: ends().filter(|(end, _)| !is_good(end)).map(|(_, count)| count).sum(),
            streams: sum.streams,
            durations: (&sum.duration).into(),
        }
    }
}

/// The counters of an upstream.
#[derive(Clone, Debug, Default, Serialize)]
pub struct UpstreamStats {
    connections_opened: u64,
    connections_reused: u64,
    connections_failed: u64,
    retries: u64,
    waiting: u64,
    held: u64,
    durations: Durations,
}

impl From<&UpstreamSum> for UpstreamStats {
    fn from(sum: &UpstreamSum) -> Self {
        Self {
            connections_opened: sum.opened,
            connections_reused: sum.reused,
            connections_failed: sum.failed,
            retries: sum.retries[0],
            waiting: sum.waits.waiting(),
            held: sum.holds.waiting(),
            durations: (&sum.response).into(),
        }
    }
}

/// Loads of the configuration.
#[derive(Clone, Debug, Serialize)]
pub struct ReloadStats {
    ok: u64,
    failed: u64,
    last_ok: bool,
    /// Milliseconds since 1970; 0 before the first one.
    last_ok_ms: u64,
    rejected_services: u64,
}

impl Stats {
    /// Upper bounds of durations, inclusive, in milliseconds.
    pub const BOUNDS_MS: [f64; Histogram::BOUNDS.len()] = {
        let mut bounds = [0.0; Histogram::BOUNDS.len()];
        let mut index = 0;
        while index < bounds.len() {
            bounds[index] = Histogram::BOUNDS[index] as f64 / 1e6;
            index += 1;
        }
        bounds
    };
}

impl Counters {
    /// Everything, summed over the workers.
    pub fn stats(&self) -> Stats {
        let sums = Sums::of(self);
        let mut responses: BTreeMap<_, Responses> = BTreeMap::new();
        for (key, count) in sums.series {
            responses.entry((key.listener, key.rule)).or_default().add(key.code, count);
        }
        let replies = Reason::ALL.iter().copied().zip(sums.reasons);
        Stats {
            listeners: sums.listeners.iter().map(|(name, sum)| (name.clone(), sum.into())).collect(),
            upstreams: sums.upstreams.iter().map(|(name, sum)| (name.clone(), sum.into())).collect(),
            responses,
            replies: replies.filter(|(_, count)| *count > 0).collect(),
            reloads: ReloadStats {
                ok: self.reloads_ok.load(Relaxed),
                failed: self.reloads_failed.load(Relaxed),
                last_ok: self.last_reload_ok.load(Relaxed),
                last_ok_ms: self.last_success.load(Relaxed),
                rejected_services: self.rejected_services.load(Relaxed),
            },
            certificates: lock(&self.certificates).clone(),
            lines_lost: [self.access_log_dropped(), self.log_dropped()].map(|count| count.load(Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::metrics::*;
    use crate::reason::Reason;

    #[test]
    fn numbers_are_those_of_the_counters() {
        let counters = Counters::new();
        for _ in 0..2 {
            let worker = counters.worker();
            let web = worker.listener(&"web".into(), "http");
            web.opened.add(3);
            web.closed.add(1);
            web.duration.observe(Duration::from_millis(3));
            web.handshake(Handshake::Ok);
            web.handshake(Handshake::NotTls);
            let rule = worker.rule(&"web".into(), &"all".into());
            for status in [101, 200, 204, 308, 404, 502, 999] {
                rule.exchange("GET", status);
            }
            worker.local_reply(Reason::NoRule);
            worker.upstream(&"api".into()).response.observe(Duration::from_secs(120));
        }
        let stats = counters.stats();
        let (name, web) = &stats.listeners[0];
        assert_eq!((&**name, web.connections, web.open), ("web", 6, 4));
        assert_eq!((web.handshakes, web.handshakes_failed), (4, 2));
        assert_eq!((web.durations.counts[2], web.durations.total_ms), (2, 6.0));
        assert_eq!((Stats::BOUNDS_MS[0], Stats::BOUNDS_MS[2]), (1.0, 5.0));
        let responses = stats.responses[&("web".into(), "all".into())];
        let Responses { informational, successful, redirected, client_errors, server_errors, other } =
            responses;
        assert_eq!(
            [informational, successful, redirected, client_errors, server_errors, other],
            [2, 4, 2, 2, 2, 2]
        );
        assert_eq!(responses.total(), 14);
        assert_eq!(stats.replies, [(Reason::NoRule, 2)]);
        assert_eq!(stats.upstreams["api"].durations.counts.last(), Some(&2));
    }
}
