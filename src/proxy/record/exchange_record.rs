//! The record of an exchange: it counts and logs the exchange, in one place and once.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::Level;
use tracing::field::display;

use super::connection_record::{TunnelStart, UpgradedRequest, count};
use super::failure::Failure;
use super::header_state::HeaderState;
use super::logged_request::LoggedRequest;
use super::meter::Meter;
use super::request_summary::RequestSummary;
use crate::config::plan::{Policies, RuleHeaders, TargetAddress};
use crate::generation::ListenerSnapshot;
use crate::http::Method;
use crate::log::AccessRecord;
use crate::log::repeats::{self, Admitted, Subject};
use crate::mux::Transport;
use crate::plugin::PluginExchange;
use crate::policy::PolicyState;
use crate::reason::Reason;
use crate::worker::Moment;

/// How far a record is.
#[derive(PartialEq, Eq)]
enum Stage {
    /// No byte of a request has come: there is nothing to count.
    Idle,
    /// The exchange goes on.
    Begun,
    /// The exchange was counted and logged, or a [`ConnectionRecord`] does that.
    ///
    /// [`ConnectionRecord`]: super::connection_record::ConnectionRecord
    Finished,
}

/// The record of one exchange. It is counted and logged once: in `finish`, or in `Drop` if the exchange is dropped
/// before its end, as after `shutdown_timeout`.
pub(in crate::proxy) struct ExchangeRecord<'a> {
    pub(in crate::proxy) snapshot: &'a ListenerSnapshot,
    began: Moment,
    stage: Stage,
    /// The address of the client: that of the connection, or the one that a trusted proxy tells.
    pub(in crate::proxy) client: IpAddr,
    /// TLS version and cipher suite, if there is an access log.
    tls: Option<(&'static str, &'static str)>,
    method: Method,
    /// Index of the rule that matched, in four bytes, since every exchange has one.
    rule: Option<u32>,
    /// The state of the policies of the rule.
    pub(in crate::proxy) policies: PolicyState,
    /// The plugins that hear more of the exchange.
    pub(in crate::proxy) plugins: Option<Box<PluginExchange>>,
    /// The parts of the request that the rule's changes of fields need.
    pub(in crate::proxy) headers: HeaderState,
    /// The parts of the head for the access log.
    summary: Option<Box<RequestSummary>>,
    /// The target has sent a head, maybe an interim one.
    pub(in crate::proxy) response_started: Cell<bool>,
    /// The status of the response. Once it is set, the client can get no other.
    pub(in crate::proxy) status: Cell<Option<u16>>,
    /// Why the exchange failed.
    pub(in crate::proxy) reason: Option<Reason>,
    /// The target that got the request.
    pub(in crate::proxy) target: Option<TargetAddress>,
    /// Bytes from the client.
    pub(in crate::proxy) received: Meter<'a>,
    /// Bytes to the client.
    pub(in crate::proxy) sent: Meter<'a>,
}

impl<'a> ExchangeRecord<'a> {
    pub(in crate::proxy) fn new(snapshot: &'a ListenerSnapshot, client: IpAddr, stream: &Transport) -> Self {
        let now = snapshot.worker().moment();
        let log = snapshot.generation.access.wanted();
        Self {
            snapshot,
            began: now,
            stage: Stage::Idle,
            client,
            tls: log.and_then(|_| stream.cipher()),
            method: Method::Other,
            rule: None,
            headers: HeaderState::default(),
            policies: PolicyState::default(),
            plugins: None,
            summary: None,
            response_started: Cell::new(false),
            status: Cell::new(None),
            reason: None,
            target: None,
            received: Meter::new(&snapshot.counters.bytes_in, now),
            sent: Meter::new(&snapshot.counters.bytes_out, now),
        }
    }

    /// Records that the first bytes of a request have come: from now on this is an exchange, however it ends.
    pub(in crate::proxy) fn begin(&mut self) {
        self.stage = Stage::Begun;
    }

    /// Records the request.
    pub(in crate::proxy) fn learn(
        &mut self,
        method: Method,
        rule: Option<usize>,
        summary: Option<Box<RequestSummary>>,
    ) {
        self.begin();
        (self.method, self.rule, self.summary) = (method, rule.map(|rule| rule as u32), summary);
    }

    /// Records the parts of a head that is refused.
    pub(in crate::proxy) fn learn_part(&mut self, head: &[u8]) {
        self.begin();
        self.received.add(head.len(), self.snapshot.worker().moment());
        let is_wanted = self.snapshot.generation.access.wanted().is_some();
        self.summary = is_wanted.then(|| Box::new(RequestSummary::of_part(head)));
    }

    /// Records a failure: counts its reason, and logs it, at WARN unless the client is the cause. `head` begins with
    /// the head of the request, as far as it is known.
    pub(in crate::proxy) fn fail(&mut self, failure: &Failure, head: &[u8]) {
        self.begin();
        let Failure { reason, detail } = failure;
        self.reason = Some(*reason);
        self.snapshot.state.counters.local_reply(*reason);
        let (code, detail, peer, target) =
            (reason.code(), detail.shown(), self.client, self.target.as_ref().map(display));
        let (listener, rule, upstream) =
            (&*self.snapshot.listener().name, self.rule_name(), self.upstream().map(|name| &**name));
        let LoggedRequest { method, host, path } = LoggedRequest::of(head);
        let (method, host, path) = (method.as_deref(), host.as_deref(), path.as_deref());
        if reason.is_client_error() {
            tracing::debug!(reason = code, detail, method, host, path, client = %peer, listener, rule, upstream, target, "exchange refused");
        } else if let Some(Admitted(repeated)) = repeats::admit(self.subject(*reason)) {
            tracing::warn!(reason = code, detail, method, host, path, client = %peer, listener, rule, upstream, target, repeated, "exchange failed");
        }
    }

    /// The subject of a failure in the log.
    fn subject(&self, reason: Reason) -> Subject {
        Subject {
            level: Level::WARN,
            message: "exchange failed",
            reason,
            listener: self.snapshot.listener().name.clone(),
            upstream: self.upstream().cloned(),
        }
    }

    /// Counts the exchange and writes it into the access log.
    pub(in crate::proxy) fn finish(&mut self) {
        self.stage = Stage::Finished;
        // Without a response, the client has closed, or smolgate has. nginx logs that as 499 and 444.
        let is_close = |reason: &Reason| matches!(reason, Reason::Dropped | Reason::ShuttingDown);
        let without_response = self.reason.filter(is_close).unwrap_or(Reason::ClientGone);
        let status = self.status.get().unwrap_or(without_response.status());
        let duration = self.snapshot.worker().moment() - self.began;
        count(self.snapshot, self.rule(), self.method.label(), status);
        self.snapshot.counters.duration.observe(duration);
        if let Some(plugins) = self.plugins.take() {
            let target = self.target.as_ref().map(ToString::to_string);
            plugins.end(target, self.received.bytes(), self.sent.bytes(), duration.as_millis() as u64);
        }
        if let Some(lines) = self.snapshot.access_lines(self.rule()) {
            self.summarise_user();
            let (host, request) = RequestSummary::line(self.summary.as_deref(), status);
            lines.write(&AccessRecord {
                time: SystemTime::now(),
                listener: &self.snapshot.listener().name,
                rule: self.rule_name().unwrap_or("none"),
                client: self.client,
                host,
                request: Some(request),
                bytes_in: self.received.bytes(),
                bytes_out: self.sent.bytes(),
                duration: duration.max(Duration::from_micros(1)),
                upstream: self.upstream().map(|name| &**name),
                target_address: self.target.as_ref(),
                tls: self.tls,
                reason: self.reason,
            });
        }
    }

    /// Counts an exchange that becomes a tunnel. The tunnel logs it at its end. Its duration is not that of a
    /// request, and so is not observed.
    pub(in crate::proxy) fn tunnel_start(&mut self, status: u16) -> TunnelStart {
        count(self.snapshot, self.rule(), self.method.label(), status);
        let (began, received, sent) = (self.began, self.received.bytes(), self.sent.bytes());
        let TunnelStart { name, .. } = self.withdraw();
        self.summarise_user();
        TunnelStart {
            name,
            exchange: Some(UpgradedRequest {
                client: self.client,
                summary: self.summary.take(),
                status,
                began,
                received,
                sent,
            }),
        }
    }

    /// Takes the name of the user into the summary.
    fn summarise_user(&mut self) {
        if let Some(summary) = &mut self.summary {
            summary.user = self.policies.user().into();
        }
    }

    /// Withdraws the record, because the connection is passed on: the access log has a connection, and no exchange.
    pub(in crate::proxy) fn withdraw(&mut self) -> TunnelStart {
        self.stage = Stage::Finished;
        let name = self.summary.as_deref().map(|summary| summary.host.clone()).unwrap_or_default();
        TunnelStart { name, exchange: None }
    }

    /// The changes of fields of the rule that matched.
    #[inline]
    pub(in crate::proxy) fn rule_headers(&self) -> Option<&'a RuleHeaders> {
        if !self.headers.is_begun() {
            return None;
        }
        self.snapshot.rule(self.rule()?)?.headers.as_deref()
    }

    /// The policies of the rule that matched.
    pub(in crate::proxy) fn rule_policies(&self) -> Option<&'a Policies> {
        self.snapshot.rule(self.rule()?)?.policies.as_deref()
    }

    /// Index of the rule that matched.
    pub(in crate::proxy) fn rule(&self) -> Option<usize> {
        self.rule.map(|rule| rule as usize)
    }

    /// Name of the rule that matched.
    pub(in crate::proxy) fn rule_name(&self) -> Option<&'a str> {
        Some(&self.snapshot.rule(self.rule()?)?.name)
    }

    /// Name of the upstream of the rule.
    fn upstream(&self) -> Option<&'a Arc<str>> {
        let upstream = self.snapshot.rule(self.rule()?)?.action.upstream()?;
        Some(self.snapshot.upstream_name(upstream))
    }
}

impl Drop for ExchangeRecord<'_> {
    fn drop(&mut self) {
        if self.stage == Stage::Begun {
            // `log_forced_close` counts this reason, once for the connection.
            self.reason.get_or_insert(Reason::ShuttingDown);
            self.finish();
        }
    }
}
