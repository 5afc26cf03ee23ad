//! Counters as Prometheus text, format 0.0.4.
//!
//! Four names come from the project that this one follows. They are kept unchanged for its users, although a
//! linter would reject them. All others follow the conventions: base units, `_total` on counters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::counter::HistogramSum;
use super::orders::{NameState, OrderResult, StoreOperation};
use super::page::{Kind, Page};
use super::process::ProcessStats;
use super::registry::Counters;
use super::series::{CertificateExpiry, Handshake, ListenerCounters, OTHER, SeriesKey, TUNNEL_ENDS};
use super::upstream::{self, UpstreamSum};
use super::worker_set::lock;
use crate::reason::Reason;

impl Counters {
    /// Everything, summed over the workers, as Prometheus text. `process` is left out if the system does not
    /// know it.
    pub fn render(&self, process: Option<&ProcessStats>) -> String {
        let sums = Sums::of(self);
        let mut page = Page::default();
        sums.inherited(&mut page);
        sums.requests(&mut page);
        sums.listeners(&mut page);
        sums.handshakes(&mut page);
        sums.tunnels(&mut page);
        self.render_certificates(&mut page);
        self.render_orders(&mut page);
        self.render_plugins(&mut page);
        upstream::render(&sums.upstreams, &mut page);
        sums.local_replies(&mut page);
        self.render_gate(&mut page);
        if let Some(figures) = process {
            render_process(figures, &mut page);
        }
        page.0
    }

    fn render_certificates(&self, page: &mut Page) {
        page.single(
            "smolgate_certificates_outdated",
            Kind::Gauge,
            "Certificates that are served in place of files that cannot be used.",
            self.certificates_outdated.load(Relaxed),
        );
        page.family(
            "smolgate_certificate_expiry_timestamp_seconds",
            Kind::Gauge,
            "When each certificate that is served expires.",
        );
        for CertificateExpiry { listener, name, expires } in lock(&self.certificates).iter() {
            page.sample("", &[("listener", listener), ("name", name)], expires);
        }
    }

    fn render_orders(&self, page: &mut Page) {
        page.family("smolgate_acme_orders_total", Kind::Counter, "Orders of certificates, by CA and result.");
        for (ca, counts) in lock(&self.orders).iter() {
            for (result, count) in OrderResult::ALL.iter().zip(counts) {
                page.sample("", &[("ca", ca), ("result", result.label())], count);
            }
        }
        page.family(
            "smolgate_acme_names",
            Kind::Gauge,
            "Names for which certificates are ordered, by state.",
        );
        for state in NameState::ALL {
            page.sample("", &[("state", state.label())], self.ordered_names[state as usize].load(Relaxed));
        }
        page.family(
            "smolgate_acme_next_attempt_timestamp_seconds",
            Kind::Gauge,
            "When the next order for each name may begin.",
        );
        for (name, next) in lock(&self.next_attempts).iter() {
            page.sample("", &[("name", name)], next);
        }
        page.single(
            "smolgate_store_orders_here",
            Kind::Gauge,
            "Whether this gate has the right to order.",
            u64::from(self.orders_here.load(Relaxed)),
        );
        page.family(
            "smolgate_store_errors_total",
            Kind::Counter,
            "Errors of the place in which certificates are kept, by operation.",
        );
        for operation in StoreOperation::ALL {
            let count = self.store_errors[operation as usize].load(Relaxed);
            page.sample("", &[("operation", operation.label())], count);
        }
    }

    fn render_plugins(&self, page: &mut Page) {
        let plugins = lock(&self.plugins);
        page.family("smolgate_plugin_up", Kind::Gauge, "Whether each plugin can be called.");
        plugins.iter().for_each(|(name, one)| page.sample("", &[("plugin", name)], one.is_up()));
        page.family("smolgate_plugin_calls_total", Kind::Counter, "Calls of plugins, by hook and result.");
        let calls = plugins.iter().flat_map(|(name, one)| one.calls().map(move |call| (name, call)));
        for (name, (hook, result, count)) in calls {
            page.sample("", &[("plugin", name), ("hook", hook), ("result", result)], count);
        }
        page.family("smolgate_plugin_restarts_total", Kind::Counter, "Further starts of each plugin.");
        plugins.iter().for_each(|(name, one)| page.sample("", &[("plugin", name)], one.restarts()));
    }

    fn render_gate(&self, page: &mut Page) {
        page.family("smolgate_reloads_total", Kind::Counter, "Reloads, by result.");
        page.sample("", &[("result", "ok")], self.reloads_ok.load(Relaxed));
        page.sample("", &[("result", "failed")], self.reloads_failed.load(Relaxed));
        page.single(
            "smolgate_config_generation",
            Kind::Gauge,
            "The number of the running configuration: 1 after the start, one more with each reload.",
            self.generation.load(Relaxed),
        );
        page.single(
            "smolgate_config_rejected_services",
            Kind::Gauge,
            "Services that are not served because something about them is wrong.",
            self.rejected_services.load(Relaxed),
        );
        page.single(
            "smolgate_config_last_reload_success",
            Kind::Gauge,
            "Whether the last load or reload succeeded.",
            u64::from(self.last_reload_ok.load(Relaxed)),
        );
        page.single(
            "smolgate_config_last_reload_success_timestamp_seconds",
            Kind::Gauge,
            "When a load or reload last succeeded.",
            self.last_success.load(Relaxed) as f64 / 1e3,
        );
        page.family("smolgate_build_info", Kind::Gauge, "Always 1; the label has the version.");
        page.sample("", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.single(
            "smolgate_access_log_dropped_total",
            Kind::Counter,
            "Access log lines dropped because they could not be written in time.",
            self.access_log_dropped().load(Relaxed),
        );
        page.single(
            "smolgate_log_dropped_total",
            Kind::Counter,
            "Log lines dropped because they could not be written in time.",
            self.log_dropped().load(Relaxed),
        );
    }
}

fn render_process(figures: &ProcessStats, page: &mut Page) {
    let ProcessStats { cpu_seconds, resident_bytes, virtual_bytes, open_fds, max_fds, threads, start } =
        figures;
    page.single("process_cpu_seconds_total", Kind::Counter, "User and system time used.", cpu_seconds);
    page.single("process_resident_memory_bytes", Kind::Gauge, "Memory in use.", resident_bytes);
    page.single("process_virtual_memory_bytes", Kind::Gauge, "Address space in use.", virtual_bytes);
    page.single("process_open_fds", Kind::Gauge, "File descriptors open.", open_fds);
    if let Some(max_fds) = max_fds {
        page.single("process_max_fds", Kind::Gauge, "File descriptors that may be open.", max_fds);
    }
    page.single("process_threads", Kind::Gauge, "Threads of the process.", threads);
    page.single("process_start_time_seconds", Kind::Gauge, "When the process started.", start);
}

/// The counters of all workers, added up.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) listeners: BTreeMap<Arc<str>, ListenerSum>,
    pub(super) upstreams: BTreeMap<Arc<str>, UpstreamSum>,
    pub(super) series: BTreeMap<SeriesKey, u64>,
    pub(super) reasons: Vec<u64>,
}

#[derive(Default)]
pub(super) struct ListenerSum {
    pub(super) opened: u64,
    closed: u64,
    /// The part of `opened` and `closed` from times when a listener of this name was one for TCP.
    tcp_opened: u64,
    tcp_closed: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) requests: u64,
    pub(super) accept_errors: u64,
    pub(super) streams: u64,
    streams_refused: u64,
    http: bool,
    tls: bool,
    pub(super) handshakes: [u64; Handshake::ALL.len()],
    pub(super) tunnels_begun: u64,
    pub(super) tunnels_ended: [u64; TUNNEL_ENDS.len()],
    pub(super) duration: HistogramSum,
}

impl ListenerSum {
    fn add(&mut self, one: &ListenerCounters) {
        let ListenerCounters {
            opened,
            closed,
            bytes_in,
            bytes_out,
            requests,
            duration,
            accept_errors,
            streams,
            streams_refused,
            handshakes,
            tunnels_begun,
            tunnels_ended,
            ends_tls,
            protocol,
        } = one;
        // Read `closed` before `opened`. Else the difference could be -1.
        let closed = closed.get();
        let opened = opened.get();
        self.closed += closed;
        self.opened += opened;
        if *protocol == "tcp" {
            self.tcp_closed += closed;
            self.tcp_opened += opened;
        }
        self.streams += streams.get();
        self.streams_refused += streams_refused.get();
        self.bytes_in += bytes_in.get();
        self.bytes_out += bytes_out.get();
        self.requests += requests.get();
        self.accept_errors += accept_errors.get();
        self.http |= *protocol == "http";
        self.tls |= ends_tls.get() > 0;
        for (sum, count) in self.handshakes.iter_mut().zip(handshakes) {
            *sum += count.get();
        }
        // Read the ends before the starts, for the reason above.
        for (sum, count) in self.tunnels_ended.iter_mut().zip(tunnels_ended) {
            *sum += count.get();
        }
        self.tunnels_begun += tunnels_begun.get();
        self.duration.add(duration);
    }

    pub(super) fn open(&self) -> u64 {
        self.opened.saturating_sub(self.closed)
    }
}

impl Sums {
    pub(super) fn of(counters: &Counters) -> Sums {
        let mut sums = Sums { reasons: vec![0; Reason::ALL.len()], ..Sums::default() };
        for set in counters.sets() {
            for (name, one) in set.listeners.all() {
                sums.listeners.entry(name).or_default().add(&one);
            }
            for (name, one) in set.upstreams.all() {
                sums.upstreams.entry(name).or_default().add(&one);
            }
            for (key, count) in lock(&set.series).iter() {
                *sums.series.entry(key.clone()).or_default() += count.get();
            }
            for (sum, count) in sums.reasons.iter_mut().zip(&set.reasons) {
                *sum += count.get();
            }
        }
        sums
    }

    /// The four names of the project that this one follows.
    fn inherited(&self, page: &mut Page) {
        let total = |of: fn(&ListenerSum) -> u64| self.listeners.values().map(of).sum::<u64>();
        let requests = total(|one| one.requests);
        let (timed, nanos) = self.listeners.values().fold((0, 0.0), |(count, nanos), one| {
            (count + one.duration.count(), nanos + one.duration.nanos as f64)
        });
        let average = if timed == 0 { 0.0 } else { nanos / 1e6 / timed as f64 };
        page.single(
            "tcp_connections_active_count",
            Kind::Gauge,
            "Connections of TCP listeners open now.",
            total(|one| one.tcp_opened.saturating_sub(one.tcp_closed)),
        );
        page.single(
            "tcp_connections_total_count",
            Kind::Counter,
            "Connections of TCP listeners accepted.",
            total(|one| one.tcp_opened),
        );
        page.single(
            "http_request_time_avg_milliseconds",
            Kind::Gauge,
            "Mean time of an exchange since the start.",
            average,
        );
        page.single(
            "http_request_total_count",
            Kind::Counter,
            "Requests, of all listeners and rules.",
            requests,
        );
    }

    fn requests(&self, page: &mut Page) {
        page.family("smolgate_requests_total", Kind::Counter, "Exchanges, by rule, method and status.");
        for (SeriesKey { listener, rule, method, code }, count) in &self.series {
            let digits = code.to_string();
            let code = if *code == 0 { OTHER } else { &digits };
            let labels = [("listener", &**listener), ("rule", rule), ("method", method), ("code", code)];
            page.sample("", &labels, count);
        }
        page.family(
            "smolgate_request_duration_seconds",
            Kind::Histogram,
            "From the first byte of a request to the last of its response.",
        );
        for (listener, one) in self.listeners.iter().filter(|(_, one)| one.http) {
            page.histogram("listener", listener, &one.duration);
        }
    }

    fn listeners(&self, page: &mut Page) {
        use Kind::{Counter, Gauge};
        type Row = (&'static str, Kind, &'static str, fn(&ListenerSum) -> u64);
        const ROWS: [Row; 7] = [
            ("smolgate_bytes_received_total", Counter, "Bytes read from clients.", |one| one.bytes_in),
            ("smolgate_bytes_sent_total", Counter, "Bytes written to clients.", |one| one.bytes_out),
            ("smolgate_connections_open", Gauge, "Client connections open now.", ListenerSum::open),
            ("smolgate_connections_total", Counter, "Client connections accepted.", |one| one.opened),
            ("smolgate_accept_errors_total", Counter, "Connections that could not be accepted.", |one| {
                one.accept_errors
            }),
            ("smolgate_http2_streams_total", Counter, "Streams of HTTP/2 that began.", |one| one.streams),
            (
                "smolgate_http2_streams_refused_total",
                Counter,
                "Streams of HTTP/2 that were refused because max_streams was reached.",
                |one| one.streams_refused,
            ),
        ];
        for (name, kind, help, value) in ROWS {
            page.family(name, kind, help);
            for (listener, one) in &self.listeners {
                page.sample("", &[("listener", listener)], value(one));
            }
        }
    }

    /// Every result, even with 0, for listeners that terminate TLS.
    fn handshakes(&self, page: &mut Page) {
        page.family(
            "smolgate_tls_handshakes_total",
            Kind::Counter,
            "TLS handshakes with clients, by result.",
        );
        for (listener, one) in self.listeners.iter().filter(|(_, one)| one.tls) {
            for (result, count) in Handshake::ALL.iter().zip(one.handshakes) {
                page.sample("", &[("listener", listener), ("result", result.label())], count);
            }
        }
    }

    fn tunnels(&self, page: &mut Page) {
        page.family(
            "smolgate_tunnels_open",
            Kind::Gauge,
            "Open tunnels: WebSockets and connections that are passed through.",
        );
        for (listener, one) in &self.listeners {
            let ended: u64 = one.tunnels_ended.iter().sum();
            page.sample("", &[("listener", listener)], one.tunnels_begun.saturating_sub(ended));
        }
        page.family("smolgate_tunnels_ended_total", Kind::Counter, "Tunnels that ended, by result.");
        for (listener, one) in &self.listeners {
            for (reason, count) in TUNNEL_ENDS.iter().zip(one.tunnels_ended) {
                let result = reason.map_or("ok", Reason::code);
                page.sample("", &[("listener", listener), ("result", result)], count);
            }
        }
    }

    /// Every reason, even with 0, because a series that appears with its first event has no rate.
    fn local_replies(&self, page: &mut Page) {
        page.family(
            "smolgate_local_replies_total",
            Kind::Counter,
            "Local replies and closes by smolgate itself, by reason.",
        );
        for (reason, count) in Reason::ALL.iter().zip(&self.reasons) {
            page.sample("", &[("reason", reason.code())], count);
        }
    }
}

#[cfg(test)]
#[path = "exposition_tests.rs"]
mod tests;
