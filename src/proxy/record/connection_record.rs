//! What a connection came to that is not HTTP, or not any more.

use std::net::{IpAddr, SocketAddr};
use std::time::{Instant, SystemTime};

use super::failure::Failure;
use super::meter::Meter;
use super::request_summary::RequestSummary;
use crate::generation::{ListenerSnapshot, TunnelContext};
use crate::http::Method;
use crate::log::AccessRecord;
use crate::reason::Reason;
use crate::tls::Stream;

/// Notes that a connection was ended in the middle of what it was at: it had outlived
/// `shutdown_timeout`.
pub(in crate::proxy) fn log_forced_close(snapshot: &ListenerSnapshot, peer: IpAddr) {
    let reason = Reason::ShuttingDown;
    snapshot.state.counters.local_reply(reason);
    let listener = &*snapshot.listener().name;
    tracing::warn!(reason = reason.code(), client = %peer, listener, "connection ended: it outlived shutdown_timeout");
}

/// Notes that a rule dropped a connection by the name that it asked for.
pub(in crate::proxy) fn log_dropped(
    snapshot: &ListenerSnapshot,
    peer: IpAddr,
    stream: &Stream,
    rule: usize,
    name: &[u8],
) {
    let reason = Reason::Dropped;
    count(snapshot, Some(rule), Method::Other.label(), reason.status());
    let start = TunnelStart { name: name.into(), exchange: None };
    ConnectionRecord::new(&TunnelContext::new(snapshot, Some(rule)), peer, stream, start).end(Err(reason));
}

/// Counts for the listener and for the rule, so that their sums are the same.
pub(super) fn count(snapshot: &ListenerSnapshot, rule: Option<usize>, method: &'static str, status: u16) {
    snapshot.counters.requests.add(1);
    snapshot.rule_counters(rule).exchange(method, status);
}

/// What there was of a connection before nobody looked for requests in it any more.
pub(in crate::proxy) struct TunnelStart {
    /// What the client asked for; empty if nothing.
    pub(in crate::proxy) name: Box<[u8]>,
    /// The exchange that it was until then.
    pub(in crate::proxy) exchange: Option<UpgradedRequest>,
}

/// An exchange that ended in a tunnel.
pub(in crate::proxy) struct UpgradedRequest {
    pub(super) summary: Option<Box<RequestSummary>>,
    pub(super) status: u16,
    pub(super) began: Instant,
    pub(super) received: u64,
    pub(super) sent: u64,
}

/// What a connection came to in which nobody looked for requests, or not any more. Counted, and
/// written into the access log, when dropped: so that nothing is missing however the connection ends.
pub(in crate::proxy) struct ConnectionRecord<'a> {
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
    pub(in crate::proxy) received: Meter<'a>,
    /// What went to the client.
    pub(in crate::proxy) sent: Meter<'a>,
}

impl<'a> ConnectionRecord<'a> {
    pub(in crate::proxy) fn new(
        context: &'a TunnelContext,
        client: IpAddr,
        stream: &Stream,
        start: TunnelStart,
    ) -> Self {
        let now = context.worker().now();
        let (began, received, sent) = match &start.exchange {
            Some(exchange) => (exchange.began, exchange.received, exchange.sent),
            None => (now, 0, 0),
        };
        Self {
            context,
            began,
            client,
            tls: stream.cipher(),
            start,
            target: None,
            reason: Some(Reason::ShuttingDown),
            received: Meter::after(received, &context.counters.bytes_in, now),
            sent: Meter::after(sent, &context.counters.bytes_out, now),
        }
    }

    /// Notes that a target has it now.
    pub(in crate::proxy) fn is_tunnel_to(&mut self, target: SocketAddr) {
        self.target = Some(target);
        self.context.counters.tunnels_begun.add(1);
    }

    /// Notes how it ended.
    pub(in crate::proxy) fn end(&mut self, result: Result<(), Reason>) {
        self.reason = result.err();
        if let Some(reason) = self.reason {
            let TunnelContext { state, listener, .. } = self.context;
            state.counters.local_reply(reason);
            let rule = self.context.rule_name();
            tracing::debug!(reason = reason.code(), client = %self.client, %listener, rule, "connection ended");
        }
    }

    /// Notes that no target could be reached.
    pub(in crate::proxy) fn fail(&mut self, Failure { reason, detail }: &Failure) {
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
