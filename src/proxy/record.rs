//! What an exchange came to, and the one place where that is counted and written down.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use tracing::field::display;

use super::connection::Client;
use super::failure::Failure;
use super::request_summary::RequestSummary;
use super::transfer::Meter;
use crate::generation::ListenerSnapshot;
use crate::generation::TunnelContext;
use crate::http::Method;
use crate::log::counters::method_label;
use crate::log::{AccessRecord, Reason};

/// Notes that a connection was ended in the middle of what it was at: it had outlived
/// `shutdown_timeout`.
pub(super) fn log_forced_close(snapshot: &ListenerSnapshot, peer: IpAddr) {
    let reason = Reason::ShuttingDown;
    snapshot.state.counters.local_reply(reason);
    let listener = &*snapshot.listener().name;
    tracing::warn!(reason = reason.code(), client = %peer, listener, "connection ended: it outlived shutdown_timeout");
}

/// Notes that a rule dropped a connection by the name that it asked for.
pub(super) fn log_dropped(snapshot: &ListenerSnapshot, client: &Client, rule: usize, name: &[u8]) {
    let reason = Reason::Dropped;
    count(snapshot, Some(rule), method_label(b""), reason.status());
    let start = TunnelStart { name: name.into(), exchange: None };
    ConnectionRecord::new(&TunnelContext::new(snapshot, Some(rule)), client, start).end(Err(reason));
}

/// Counts for the listener and for the rule, so that their sums are the same.
fn count(snapshot: &ListenerSnapshot, rule: Option<usize>, method: &'static str, status: u16) {
    snapshot.counters.requests.add(1);
    snapshot.rule_counters(rule).exchange(method, status);
}

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
pub(super) struct ExchangeRecord<'a> {
    pub(super) snapshot: &'a ListenerSnapshot,
    began: Instant,
    stage: Stage,
    client: IpAddr,
    /// Version and cipher suite, where there is a log that wants to know.
    tls: Option<(&'static str, &'static str)>,
    method: Method,
    /// Index of the rule that matched.
    pub(super) rule: Option<usize>,
    /// What the access log wants to know of the request.
    summary: Option<Box<RequestSummary>>,
    /// The target has sent something.
    pub(super) response_started: Cell<bool>,
    /// The status the client gets; from then on nothing else can be said.
    pub(super) status: Option<u16>,
    /// Why it failed, if it did.
    pub(super) reason: Option<Reason>,
    /// The target that got the request.
    pub(super) target: Option<SocketAddr>,
    /// What came from the client.
    pub(super) received: Meter<'a>,
    /// What went to the client.
    pub(super) sent: Meter<'a>,
}

impl<'a> ExchangeRecord<'a> {
    pub(super) fn new(snapshot: &'a ListenerSnapshot, client: &Client) -> Self {
        let now = snapshot.worker().now();
        let log = snapshot.generation.access.as_ref();
        Self {
            snapshot,
            began: now,
            stage: Stage::IdleEnd,
            client: client.peer,
            tls: log.and_then(|_| client.stream.cipher()),
            method: Method::Other,
            rule: None,
            summary: None,
            response_started: Cell::new(false),
            status: None,
            reason: None,
            target: None,
            received: Meter::new(&snapshot.counters.bytes_in, now),
            sent: Meter::new(&snapshot.counters.bytes_out, now),
        }
    }

    /// Notes that there is something of a request: from here on this is an exchange, however it ends.
    pub(super) fn begin(&mut self) {
        self.stage = Stage::Begun;
    }

    /// Notes which request it is.
    pub(super) fn learn(
        &mut self,
        method: Method,
        rule: Option<usize>,
        summary: Option<Box<RequestSummary>>,
    ) {
        self.begin();
        (self.method, self.rule, self.summary) = (method, rule, summary);
    }

    /// Notes what can be told of a head that is refused.
    pub(super) fn learn_part(&mut self, head: &[u8]) {
        self.begin();
        self.received.add(head.len(), self.snapshot.worker().now());
        self.summary =
            self.snapshot.generation.access.is_some().then(|| Box::new(RequestSummary::of_part(head)));
    }

    /// Notes a failure: counted by its reason, and logged at WARN when it was not the client's doing.
    pub(super) fn fail(&mut self, failure: &Failure) {
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
    pub(super) fn finish(&mut self) {
        self.stage = Stage::Told;
        // No answer was sent: the client had left, unless it was dropped or sent away. 499 and 444 are what nginx
        // calls that.
        let ours = |reason: &Reason| matches!(reason, Reason::Dropped | Reason::ShuttingDown);
        let silence = self.reason.filter(ours).unwrap_or(Reason::ClientGone);
        let status = self.status.unwrap_or(silence.status());
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
    pub(super) fn tunnel_start(&mut self, status: u16) -> TunnelStart {
        count(self.snapshot, self.rule, self.method.label(), status);
        let (began, received, sent) = (self.began, self.received.bytes(), self.sent.bytes());
        let TunnelStart { name, .. } = self.withdraw();
        TunnelStart {
            name,
            exchange: Some(UpgradedRequest { summary: self.summary.take(), status, began, received, sent }),
        }
    }

    /// Says that it was no exchange: it had no answer of ours, and the access log has it as a connection.
    pub(super) fn withdraw(&mut self) -> TunnelStart {
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

/// What there was of a connection before nobody looked for requests in it any more.
pub(super) struct TunnelStart {
    /// What the client asked for; empty if nothing.
    pub(super) name: Box<[u8]>,
    /// The exchange that it was until then.
    pub(super) exchange: Option<UpgradedRequest>,
}

/// An exchange that ended in a tunnel.
pub(super) struct UpgradedRequest {
    summary: Option<Box<RequestSummary>>,
    status: u16,
    began: Instant,
    received: u64,
    sent: u64,
}

/// What a connection came to in which nobody looked for requests, or not any more. Counted, and
/// written into the access log, when dropped: so that nothing is missing however the connection ends.
pub(super) struct ConnectionRecord<'a> {
    context: &'a TunnelContext,
    began: Instant,
    client: IpAddr,
    tls: Option<(&'static str, &'static str)>,
    start: TunnelStart,
    /// The target that it was passed on to: from then on it is a tunnel.
    target: Option<SocketAddr>,
    /// Why it ended, if not because both sides had finished. Until somebody knows better, it was sent
    /// away in the middle.
    reason: Option<Reason>,
    /// What came from the client.
    pub(super) received: Meter<'a>,
    /// What went to the client.
    pub(super) sent: Meter<'a>,
}

impl<'a> ConnectionRecord<'a> {
    pub(super) fn new(context: &'a TunnelContext, client: &Client, start: TunnelStart) -> Self {
        let now = context.worker().now();
        let (began, received, sent) = match &start.exchange {
            Some(exchange) => (exchange.began, exchange.received, exchange.sent),
            None => (now, 0, 0),
        };
        Self {
            context,
            began,
            client: client.peer,
            tls: client.stream.cipher(),
            start,
            target: None,
            reason: Some(Reason::ShuttingDown),
            received: Meter::after(received, &context.counters.bytes_in, now),
            sent: Meter::after(sent, &context.counters.bytes_out, now),
        }
    }

    /// Notes that a target has it now.
    pub(super) fn is_tunnel_to(&mut self, target: SocketAddr) {
        self.target = Some(target);
        self.context.counters.tunnels_begun.add(1);
    }

    /// Notes how it ended.
    pub(super) fn end(&mut self, result: Result<(), Reason>) {
        self.reason = result.err();
        if let Some(reason) = self.reason {
            let TunnelContext { state, listener, .. } = self.context;
            state.counters.local_reply(reason);
            let rule = self.context.rule_name();
            tracing::debug!(reason = reason.code(), client = %self.client, %listener, rule, "connection ended");
        }
    }

    /// Notes that no target could be reached.
    pub(super) fn fail(&mut self, Failure { reason, detail }: &Failure) {
        self.reason = Some(*reason);
        self.context.state.counters.local_reply(*reason);
        let (code, client, upstream) = (reason.code(), self.client, self.context.upstream_name());
        if reason.is_client_error() {
            tracing::debug!(reason = code, %detail, %client, upstream, "connection not passed on");
        } else {
            tracing::warn!(reason = code, %detail, %client, upstream, "connection not passed on");
        }
    }
}

impl Drop for ConnectionRecord<'_> {
    fn drop(&mut self) {
        if self.target.is_some() {
            self.context.counters.tunnel_ended(self.reason);
        }
        let Some(log) = &self.context.access else { return };
        let TunnelStart { name, exchange } = &self.start;
        let request = exchange
            .as_ref()
            .map(|exchange| RequestSummary::line(exchange.summary.as_deref(), exchange.status).1);
        log.write(&AccessRecord {
            time: SystemTime::now(),
            listener: &self.context.listener,
            rule: self.context.rule_name().unwrap_or("none"),
            client: self.client,
            host: name,
            request,
            bytes_in: self.received.bytes(),
            bytes_out: self.sent.bytes(),
            duration: self.context.worker().now().saturating_duration_since(self.began),
            upstream: self.context.upstream_name(),
            target_address: self.target,
            tls: self.tls,
            reason: self.reason,
        });
    }
}
