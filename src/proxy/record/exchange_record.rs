//! What an exchange came to, and the one place where that is counted and written down.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use tracing::field::display;

use super::connection_record::{TunnelStart, UpgradedRequest, count};
use super::failure::Failure;
use super::meter::Meter;
use super::request_summary::RequestSummary;
use crate::generation::ListenerSnapshot;
use crate::http::Method;
use crate::log::AccessRecord;
use crate::reason::Reason;
use crate::tls::Stream;

/// How far an exchange has come.
#[derive(PartialEq, Eq)]
enum Stage {
    /// No byte of a request is there: nothing to be counted.
    IdleEnd,
    /// It goes on.
    Begun,
    /// It is counted and written down, or a [`ConnectionRecord`] does that.
    Told,
}

/// What one exchange came to. Counted, and written into the access log, once: with `finish`, or when dropped in
/// the middle, as an exchange that outlives `shutdown_timeout` is.
pub(in crate::proxy) struct ExchangeRecord<'a> {
    pub(in crate::proxy) snapshot: &'a ListenerSnapshot,
    began: Instant,
    stage: Stage,
    client: IpAddr,
    /// Version and cipher suite, where there is a log that wants to know.
    tls: Option<(&'static str, &'static str)>,
    method: Method,
    /// Index of the rule that matched.
    pub(in crate::proxy) rule: Option<usize>,
    /// What the access log wants to know of the request.
    summary: Option<Box<RequestSummary>>,
    /// The target has sent something.
    pub(in crate::proxy) response_started: Cell<bool>,
    /// The status the client gets; from then on nothing else can be said.
    pub(in crate::proxy) status: Cell<Option<u16>>,
    /// Why it failed, if it did.
    pub(in crate::proxy) reason: Option<Reason>,
    /// The target that got the request.
    pub(in crate::proxy) target: Option<SocketAddr>,
    /// What came from the client.
    pub(in crate::proxy) received: Meter<'a>,
    /// What went to the client.
    pub(in crate::proxy) sent: Meter<'a>,
}

impl<'a> ExchangeRecord<'a> {
    pub(in crate::proxy) fn new(snapshot: &'a ListenerSnapshot, client: IpAddr, stream: &Stream) -> Self {
        let now = snapshot.worker().now();
        let log = snapshot.generation.access.as_ref();
        Self {
            snapshot,
            began: now,
            stage: Stage::IdleEnd,
            client,
            tls: log.and_then(|_| stream.cipher()),
            method: Method::Other,
            rule: None,
            summary: None,
            response_started: Cell::new(false),
            status: Cell::new(None),
            reason: None,
            target: None,
            received: Meter::new(&snapshot.counters.bytes_in, now),
            sent: Meter::new(&snapshot.counters.bytes_out, now),
        }
    }

    /// Notes that there is something of a request: from here on this is an exchange, however it ends.
    pub(in crate::proxy) fn begin(&mut self) {
        self.stage = Stage::Begun;
    }

    /// Notes which request it is.
    pub(in crate::proxy) fn learn(
        &mut self,
        method: Method,
        rule: Option<usize>,
        summary: Option<Box<RequestSummary>>,
    ) {
        self.begin();
        (self.method, self.rule, self.summary) = (method, rule, summary);
    }

    /// Notes what can be told of a head that is refused.
    pub(in crate::proxy) fn learn_part(&mut self, head: &[u8]) {
        self.begin();
        self.received.add(head.len(), self.snapshot.worker().now());
        self.summary =
            self.snapshot.generation.access.is_some().then(|| Box::new(RequestSummary::of_part(head)));
    }

    /// Notes a failure: counted by its reason, and logged at WARN when it was not the client's doing.
    pub(in crate::proxy) fn fail(&mut self, failure: &Failure) {
        self.begin();
        let Failure { reason, detail } = failure;
        self.reason = Some(*reason);
        self.snapshot.state.counters.local_reply(*reason);
        let (code, peer, target) = (reason.code(), self.client, self.target.map(display));
        let (rule, upstream) = (self.rule_name(), self.upstream_name());
        if reason.is_client_error() {
            tracing::debug!(reason = code, %detail, client = %peer, rule, upstream, target, "exchange refused");
        } else {
            tracing::warn!(reason = code, %detail, client = %peer, rule, upstream, target, "exchange failed");
        }
    }

    /// Counts the exchange and writes it into the access log.
    pub(in crate::proxy) fn finish(&mut self) {
        self.stage = Stage::Told;
        // No answer was sent: the client had left, unless it was dropped or sent away. 499 and 444 are what nginx
        // calls that.
        let ours = |reason: &Reason| matches!(reason, Reason::Dropped | Reason::ShuttingDown);
        let silence = self.reason.filter(ours).unwrap_or(Reason::ClientGone);
        let status = self.status.get().unwrap_or(silence.status());
        let duration = self.snapshot.worker().now().saturating_duration_since(self.began);
        count(self.snapshot, self.rule, self.method.label(), status);
        self.snapshot.counters.duration.observe(duration);
        if let Some(log) = &self.snapshot.generation.access {
            let (host, request) = RequestSummary::line(self.summary.as_deref(), status);
            log.write(&AccessRecord {
                time: SystemTime::now(),
                listener: &self.snapshot.listener().name,
                rule: self.rule_name().unwrap_or("none"),
                client: self.client,
                host,
                request: Some(request),
                bytes_in: self.received.bytes(),
                bytes_out: self.sent.bytes(),
                duration: duration.max(Duration::from_micros(1)),
                upstream: self.upstream_name(),
                target_address: self.target,
                tls: self.tls,
                reason: self.reason,
            });
        }
    }

    /// Counts an exchange that ends in a tunnel, and leaves the line for the access log to that: its life is
    /// not the time that a request took.
    pub(in crate::proxy) fn tunnel_start(&mut self, status: u16) -> TunnelStart {
        count(self.snapshot, self.rule, self.method.label(), status);
        let (began, received, sent) = (self.began, self.received.bytes(), self.sent.bytes());
        let TunnelStart { name, .. } = self.withdraw();
        TunnelStart {
            name,
            exchange: Some(UpgradedRequest { summary: self.summary.take(), status, began, received, sent }),
        }
    }

    /// Says that it was no exchange: it had no answer of ours, and the access log has it as a connection.
    pub(in crate::proxy) fn withdraw(&mut self) -> TunnelStart {
        self.stage = Stage::Told;
        let name = self.summary.as_deref().map(|summary| summary.host.clone()).unwrap_or_default();
        TunnelStart { name, exchange: None }
    }

    fn rule_name(&self) -> Option<&'a str> {
        Some(&self.snapshot.rule(self.rule?)?.name)
    }

    fn upstream_name(&self) -> Option<&'a str> {
        let upstream = self.snapshot.rule(self.rule?)?.action.upstream()?;
        Some(self.snapshot.upstream_name(upstream))
    }
}

impl Drop for ExchangeRecord<'_> {
    fn drop(&mut self) {
        if self.stage == Stage::Begun {
            // `log_forced_close` counts the reason, once for the connection.
            self.reason.get_or_insert(Reason::ShuttingDown);
            self.finish();
        }
    }
}
