//! What an exchange came to, and the one place where that is counted and written down.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use tracing::field::display;

use super::connection::Client;
use super::failure::Failure;
use super::request::Request;
use super::site::Site;
use super::transfer::Meter;
use crate::config::plan::Action;
use crate::log::counters::method_label;
use crate::log::{AccessRecord, Reason};

/// Notes that a connection was ended in the middle of what it was at: it had outlived
/// `shutdown_timeout`.
pub(super) fn sent_away(site: &Site, peer: IpAddr) {
    let reason = Reason::ShuttingDown;
    site.state.counters.own_answer(reason);
    let listener = &*site.listener().name;
    tracing::warn!(reason = reason.code(), client = %peer, listener, "connection ended: it outlived shutdown_timeout");
}

/// Notes that a rule dropped a connection by the name that it asked for.
pub(super) fn dropped(site: &Site, client: &Client, rule: usize) {
    let reason = Reason::Dropped;
    site.state.counters.own_answer(reason);
    site.rule_counters(Some(rule)).exchange(method_label(b""), reason.status());
    let (listener, rule) = (&*site.listener().name, site.rule(rule).map(|rule| &*rule.name));
    tracing::debug!(reason = reason.code(), client = %client.peer, listener, rule, "connection dropped");
}

/// What one exchange came to.
pub(super) struct Record<'a> {
    pub(super) site: &'a Site,
    began: Instant,
    /// Bytes of the request's head that are still in the client's input.
    pub(super) unconsumed: usize,
    /// The target has sent something.
    pub(super) heard: Cell<bool>,
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

impl<'a> Record<'a> {
    pub(super) fn new(site: &'a Site) -> Self {
        let now = site.worker().now();
        Self {
            site,
            began: now,
            unconsumed: 0,
            heard: Cell::new(false),
            status: None,
            reason: None,
            target: None,
            received: Meter::new(&site.counters.bytes_in, now),
            sent: Meter::new(&site.counters.bytes_out, now),
        }
    }

    /// Notes a failure: counted by its reason, and logged at WARN when it was not the client's doing.
    pub(super) fn fail(&mut self, failure: &Failure, client: &Client, request: Option<&Request>) {
        let Failure { reason, detail } = failure;
        self.reason = Some(*reason);
        self.site.state.counters.own_answer(*reason);
        let (code, peer, target) = (reason.code(), client.peer, self.target.map(display));
        let (rule, upstream) = (self.rule_name(request), self.upstream_name(request));
        if reason.is_of_the_client() {
            tracing::debug!(reason = code, %detail, client = %peer, rule, upstream, target, "exchange refused");
        } else {
            tracing::warn!(reason = code, %detail, client = %peer, rule, upstream, target, "exchange failed");
        }
    }

    /// Counts the exchange and writes it into the access log.
    pub(super) fn finish(&self, client: &Client, request: Option<&Request>) {
        // Nobody was answered: the client had left, unless it was dropped. 499 and 444 are what nginx
        // calls that.
        let silence = self.reason.filter(|reason| *reason == Reason::Dropped).unwrap_or(Reason::ClientGone);
        let status = self.status.unwrap_or(silence.status());
        let duration = self.site.worker().now().saturating_duration_since(self.began);
        let method = request.map_or("other", |request| request.method.label());
        self.site.counters.requests.add(1);
        // A tunnel's life is not the time that a request took.
        if status != 101 {
            self.site.counters.duration.observe(duration);
        }
        self.site.rule_counters(request.and_then(|request| request.rule)).exchange(method, status);
        if let Some(log) = &self.site.generation.access {
            let note = request.and_then(|request| request.note.as_deref());
            log.write(&AccessRecord {
                time: SystemTime::now(),
                listener: &self.site.listener().name,
                rule: self.rule_name(request).unwrap_or("none"),
                client: client.peer,
                method: note.map_or(b"-", |note| &note.method),
                host: note.map_or(b"", |note| &note.host),
                target: note.map_or(b"-", |note| &note.target),
                version: note.map_or("-", |note| note.version),
                status,
                bytes_in: self.received.bytes(),
                bytes_out: self.sent.bytes(),
                duration: duration.max(Duration::from_micros(1)),
                upstream: self.upstream_name(request),
                target_address: self.target,
                tls: client.stream.cipher(),
                reason: self.reason,
                user_agent: note.map_or(b"", |note| &note.user_agent),
                referer: note.map_or(b"", |note| &note.referer),
            });
        }
    }

    fn rule_name(&self, request: Option<&Request>) -> Option<&'a str> {
        let rule = self.site.rule(request?.rule?)?;
        Some(&rule.name)
    }

    fn upstream_name(&self, request: Option<&Request>) -> Option<&'a str> {
        match &self.site.rule(request?.rule?)?.action {
            Action::Proxy(proxy) => Some(&self.site.generation.plan.upstreams[proxy.upstream.0].name),
            Action::Pass(pass) => Some(&self.site.generation.plan.upstreams[pass.upstream.0].name),
            Action::Redirect(_) | Action::Respond(_) | Action::Drop => None,
        }
    }
}
