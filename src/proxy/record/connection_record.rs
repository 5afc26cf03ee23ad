//! The record of a connection that is not HTTP, or no longer.

use std::net::IpAddr;
use std::time::SystemTime;

use tracing::Level;

use super::failure::Failure;
use super::logged_request::shown;
use super::meter::Meter;
use super::request_summary::RequestSummary;
use crate::config::plan::TargetAddress;
use crate::generation::{ListenerSnapshot, TunnelContext};
use crate::http::Method;
use crate::log::AccessRecord;
use crate::log::repeats::{self, Admitted, Subject};
use crate::mux::Transport;
use crate::reason::Reason;
use crate::worker::Moment;

/// Counts and logs a connection that was closed because it did not end within `shutdown_timeout`.
pub(in crate::proxy) fn log_forced_close(snapshot: &ListenerSnapshot, peer: IpAddr) {
    let reason = Reason::ShuttingDown;
    snapshot.state.counters.local_reply(reason);
    let (message, listener) = ("connection closed after shutdown_timeout", &snapshot.listener().name);
    let subject = Subject { level: Level::WARN, message, reason, listener: listener.clone(), upstream: None };
    if let Some(Admitted(repeated)) = repeats::admit(subject) {
        tracing::warn!(reason = reason.code(), client = %peer, %listener, repeated, "{message}");
    }
}

/// Counts and logs a connection that a rule dropped by its server name.
pub(in crate::proxy) fn log_dropped(
    snapshot: &ListenerSnapshot,
    peer: IpAddr,
    stream: &Transport,
    rule: usize,
    name: &[u8],
) {
    let reason = Reason::Dropped;
    count(snapshot, Some(rule), Method::Other.label(), reason.status());
    let start = TunnelStart { name: name.into(), exchange: None };
    ConnectionRecord::new(&TunnelContext::new(snapshot, Some(rule)), peer, stream, start).end(Err(reason));
}

/// Counts a request, for the listener and for the rule, so that both sums are equal.
pub(super) fn count(snapshot: &ListenerSnapshot, rule: Option<usize>, method: &'static str, status: u16) {
    snapshot.counters.requests.add(1);
    snapshot.rule_counters(rule).exchange(method, status);
}

/// The history of a connection before it became a tunnel.
pub(in crate::proxy) struct TunnelStart {
    /// The host or server name that the client asked for; may be empty.
    pub(in crate::proxy) name: Box<[u8]>,
    /// The exchange that became the tunnel, after 101.
    pub(in crate::proxy) exchange: Option<UpgradedRequest>,
}

/// An exchange that became a tunnel.
pub(in crate::proxy) struct UpgradedRequest {
    pub(super) client: IpAddr,
    pub(super) summary: Option<Box<RequestSummary>>,
    pub(super) status: u16,
    pub(super) began: Moment,
    pub(super) received: u64,
    pub(super) sent: u64,
}

/// The record of a connection that is not HTTP, or no longer: passed through, dropped or upgraded. It is counted and
/// logged in `Drop`, so that no way to end is missed.
pub(in crate::proxy) struct ConnectionRecord<'a> {
    context: &'a TunnelContext,
    began: Moment,
    client: IpAddr,
    tls: Option<(&'static str, &'static str)>,
    start: TunnelStart,
    /// The target of the tunnel; `None` before there is one.
    target: Option<TargetAddress>,
    /// Why the connection ended; `None`: both sides have ended it. The first value holds if it is closed before its
    /// end.
    reason: Option<Reason>,
    /// Bytes from the client.
    pub(in crate::proxy) received: Meter<'a>,
    /// Bytes to the client.
    pub(in crate::proxy) sent: Meter<'a>,
}

impl<'a> ConnectionRecord<'a> {
    pub(in crate::proxy) fn new(
        context: &'a TunnelContext,
        peer: IpAddr,
        stream: &Transport,
        start: TunnelStart,
    ) -> Self {
        let now = context.worker().moment();
        let (client, began, received, sent) = match &start.exchange {
            Some(exchange) => (exchange.client, exchange.began, exchange.received, exchange.sent),
            None => (peer, now, 0, 0),
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

    /// Records that the tunnel to this target has begun.
    pub(in crate::proxy) fn is_tunnel_to(&mut self, target: TargetAddress) {
        self.target = Some(target);
        self.context.counters.tunnels_begun.add(1);
    }

    /// The server name or host that the client asked for.
    pub(in crate::proxy) fn name(&self) -> &[u8] {
        &self.start.name
    }

    /// Records how the connection ended.
    pub(in crate::proxy) fn end(&mut self, result: Result<(), Reason>) {
        self.reason = result.err();
        if let Some(reason) = self.reason {
            let TunnelContext { state, listener, .. } = self.context;
            state.counters.local_reply(reason);
            let rule = self.context.rule_name();
            tracing::debug!(reason = reason.code(), client = %self.client, %listener, rule, "connection ended");
        }
    }

    /// Records that no target could be reached.
    pub(in crate::proxy) fn fail(&mut self, Failure { reason, detail }: &Failure) {
        self.reason = Some(*reason);
        self.context.state.counters.local_reply(*reason);
        let (code, detail, client) = (reason.code(), detail.shown(), self.client);
        let (listener, rule, upstream) =
            (&*self.context.listener, self.context.rule_name(), self.context.upstream_name());
        let host = shown(&self.start.name);
        let host = host.as_deref();
        if reason.is_client_error() {
            tracing::debug!(reason = code, detail, host, %client, listener, rule, upstream, "connection not passed on");
        } else if let Some(Admitted(repeated)) = repeats::admit(self.subject(*reason)) {
            tracing::warn!(reason = code, detail, host, %client, listener, rule, upstream, repeated, "connection not passed on");
        }
    }

    /// The subject of a failure in the log.
    fn subject(&self, reason: Reason) -> Subject {
        let TunnelContext { listener, upstream, .. } = self.context;
        Subject {
            level: Level::WARN,
            message: "connection not passed on",
            reason,
            listener: listener.clone(),
            upstream: upstream.as_ref().map(|upstream| upstream.name.clone()),
        }
    }
}

impl Drop for ConnectionRecord<'_> {
    fn drop(&mut self) {
        if self.target.is_some() {
            self.context.counters.tunnel_ended(self.reason);
        }
        let Some(lines) = self.context.access.as_ref().filter(|lines| lines.are_wanted()) else { return };
        let TunnelStart { name, exchange } = &self.start;
        let request = exchange
            .as_ref()
            .map(|exchange| RequestSummary::line(exchange.summary.as_deref(), exchange.status).1);
        lines.write(&AccessRecord {
            time: SystemTime::now(),
            listener: &self.context.listener,
            rule: self.context.rule_name().unwrap_or("none"),
            client: self.client,
            host: name,
            request,
            bytes_in: self.received.bytes(),
            bytes_out: self.sent.bytes(),
            duration: self.context.worker().moment() - self.began,
            upstream: self.context.upstream_name(),
            target_address: self.target.as_ref(),
            tls: self.tls,
            reason: self.reason,
        });
    }
}
