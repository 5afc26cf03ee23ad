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
use crate::log::{AccessRecord, AccessRequest, Reason};

/// Notes that a connection was ended in the middle of what it was at: it had outlived
/// `shutdown_timeout`.
pub(super) fn sent_away(site: &Site, peer: IpAddr) {
    let reason = Reason::ShuttingDown;
    site.state.counters.own_answer(reason);
    let listener = &*site.listener().name;
    tracing::warn!(reason = reason.code(), client = %peer, listener, "connection ended: it outlived shutdown_timeout");
}

/// Notes that a rule dropped a connection by the name that it asked for.
pub(super) fn dropped(site: &Site, client: &Client, rule: usize, name: &[u8]) {
    let reason = Reason::Dropped;
    site.rule_counters(Some(rule)).exchange(method_label(b""), reason.status());
    Visit::new(site, client, Some(rule), name).end(Err(reason));
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
                host: note.map_or(b"", |note| &note.host),
                request: Some(AccessRequest {
                    method: note.map_or(b"-", |note| &note.method),
                    target: note.map_or(b"-", |note| &note.target),
                    version: note.map_or("-", |note| note.version),
                    status,
                    user_agent: note.map_or(b"", |note| &note.user_agent),
                    referer: note.map_or(b"", |note| &note.referer),
                }),
                bytes_in: self.received.bytes(),
                bytes_out: self.sent.bytes(),
                duration: duration.max(Duration::from_micros(1)),
                upstream: self.upstream_name(request),
                target_address: self.target,
                tls: client.stream.cipher(),
                reason: self.reason,
            });
        }
    }

    fn rule_name(&self, request: Option<&Request>) -> Option<&'a str> {
        rule_name(self.site, request?.rule)
    }

    fn upstream_name(&self, request: Option<&Request>) -> Option<&'a str> {
        match &self.site.rule(request?.rule?)?.action {
            Action::Proxy(proxy) => Some(self.site.upstream_name(proxy.upstream)),
            Action::Pass(pass) => Some(self.site.upstream_name(pass.upstream)),
            Action::Redirect(_) | Action::Respond(_) | Action::Drop => None,
        }
    }
}

fn rule_name(site: &Site, rule: Option<usize>) -> Option<&str> {
    Some(&site.rule(rule?)?.name)
}

/// What a connection came to in which nobody looked for requests. Written into the access log when
/// dropped, so that there is a line however the connection ends.
pub(super) struct Visit<'a> {
    site: &'a Site,
    began: Instant,
    client: IpAddr,
    tls: Option<(&'static str, &'static str)>,
    rule: Option<usize>,
    name: &'a [u8],
    /// The target that it was passed on to.
    pub(super) target: Option<SocketAddr>,
    /// Why it ended, if not because both sides had finished. Until somebody knows better, it was sent
    /// away in the middle.
    pub(super) reason: Option<Reason>,
    /// What came from the client.
    pub(super) received: Meter<'a>,
    /// What went to the client.
    pub(super) sent: Meter<'a>,
}

impl<'a> Visit<'a> {
    /// `name` is what the client asked for; empty if nothing.
    pub(super) fn new(site: &'a Site, client: &Client, rule: Option<usize>, name: &'a [u8]) -> Self {
        let now = site.worker().now();
        Self {
            site,
            began: now,
            client: client.peer,
            tls: client.stream.cipher(),
            rule,
            name,
            target: None,
            reason: Some(Reason::ShuttingDown),
            received: Meter::new(&site.counters.bytes_in, now),
            sent: Meter::new(&site.counters.bytes_out, now),
        }
    }

    /// Notes how it ended.
    pub(super) fn end(&mut self, result: Result<(), Reason>) {
        self.reason = result.err();
        if let Some(reason) = self.reason {
            self.site.state.counters.own_answer(reason);
            let (listener, rule) = (&*self.site.listener().name, rule_name(self.site, self.rule));
            tracing::debug!(reason = reason.code(), client = %self.client, listener, rule, "connection ended");
        }
    }

    /// Notes that no target could be reached.
    pub(super) fn fail(&mut self, Failure { reason, detail }: &Failure) {
        self.reason = Some(*reason);
        self.site.state.counters.own_answer(*reason);
        let (client, upstream) = (self.client, self.upstream_name());
        tracing::warn!(reason = reason.code(), %detail, %client, upstream, "connection not passed on");
    }

    fn upstream_name(&self) -> Option<&'a str> {
        Some(self.site.upstream_name(self.site.pass(self.rule)?.upstream))
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let Some(log) = &self.site.generation.access else { return };
        log.write(&AccessRecord {
            time: SystemTime::now(),
            listener: &self.site.listener().name,
            rule: rule_name(self.site, self.rule).unwrap_or("none"),
            client: self.client,
            host: self.name,
            request: None,
            bytes_in: self.received.bytes(),
            bytes_out: self.sent.bytes(),
            duration: self.site.worker().now().saturating_duration_since(self.began),
            upstream: self.upstream_name(),
            target_address: self.target,
            tls: self.tls,
            reason: self.reason,
        });
    }
}
