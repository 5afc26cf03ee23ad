//! What an exchange came to, and the one place where that is counted and written down.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use tracing::field::display;

use super::access::{self, Note};
use super::connection::Client;
use super::failure::Failure;
use super::ground::Ground;
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
pub(super) fn dropped(site: &Site, client: &Client, rule: usize, name: &[u8]) {
    let reason = Reason::Dropped;
    count(site, Some(rule), method_label(b""), reason.status());
    let prelude = Prelude { name: name.into(), exchange: None };
    Visit::new(&Ground::new(site, Some(rule)), client, prelude).end(Err(reason));
}

/// Counts for the listener and for the rule, so that their sums are the same.
fn count(site: &Site, rule: Option<usize>, method: &'static str, status: u16) {
    site.counters.requests.add(1);
    site.rule_counters(rule).exchange(method, status);
}

/// What one exchange came to.
pub(super) struct Record<'a> {
    pub(super) site: &'a Site,
    began: Instant,
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
        self.count(request, status);
        self.site.counters.duration.observe(duration);
        if let Some(log) = &self.site.generation.access {
            let (host, line) = match request {
                Some(request) => Note::line(request.note.as_deref(), status),
                // A head that was refused is still in the client's input.
                None => access::refused(client.input.unread(), status),
            };
            log.write(&AccessRecord {
                time: SystemTime::now(),
                listener: &self.site.listener().name,
                rule: self.rule_name(request).unwrap_or("none"),
                client: client.peer,
                host,
                request: Some(line),
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

    /// Counts an exchange that ends in a tunnel, and leaves the line for the access log to that: its life is
    /// not the time that a request took.
    pub(super) fn hand_over(&self, request: &Request, status: u16) -> Prelude {
        self.count(Some(request), status);
        let note = request.note.clone();
        let name = note.as_deref().map(|note| note.host.clone()).unwrap_or_default();
        let (received, sent) = (self.received.bytes(), self.sent.bytes());
        Prelude { name, exchange: Some(Exchange { note, status, began: self.began, received, sent }) }
    }

    fn count(&self, request: Option<&Request>, status: u16) {
        let method = request.map_or("other", |request| request.method.label());
        count(self.site, request.and_then(|request| request.rule), method, status);
    }

    fn rule_name(&self, request: Option<&Request>) -> Option<&'a str> {
        Some(&self.site.rule(request?.rule?)?.name)
    }

    fn upstream_name(&self, request: Option<&Request>) -> Option<&'a str> {
        match &self.site.rule(request?.rule?)?.action {
            Action::Proxy(proxy) => Some(self.site.upstream_name(proxy.upstream)),
            Action::Pass(pass) => Some(self.site.upstream_name(pass.upstream)),
            Action::Redirect(_) | Action::Respond(_) | Action::Drop => None,
        }
    }
}

/// What there was of a connection before nobody looked for requests in it any more.
pub(super) struct Prelude {
    /// What the client asked for; empty if nothing.
    pub(super) name: Box<[u8]>,
    /// The exchange that it was until then.
    pub(super) exchange: Option<Exchange>,
}

/// An exchange that ended in a tunnel.
pub(super) struct Exchange {
    note: Option<Box<Note>>,
    status: u16,
    began: Instant,
    received: u64,
    sent: u64,
}

/// What a connection came to in which nobody looked for requests, or not any more. Counted, and
/// written into the access log, when dropped: so that nothing is missing however the connection ends.
pub(super) struct Visit<'a> {
    ground: &'a Ground,
    began: Instant,
    client: IpAddr,
    tls: Option<(&'static str, &'static str)>,
    prelude: Prelude,
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

impl<'a> Visit<'a> {
    pub(super) fn new(ground: &'a Ground, client: &Client, prelude: Prelude) -> Self {
        let now = ground.worker().now();
        let (began, received, sent) = match &prelude.exchange {
            Some(exchange) => (exchange.began, exchange.received, exchange.sent),
            None => (now, 0, 0),
        };
        Self {
            ground,
            began,
            client: client.peer,
            tls: client.stream.cipher(),
            prelude,
            target: None,
            reason: Some(Reason::ShuttingDown),
            received: Meter::after(received, &ground.counters.bytes_in, now),
            sent: Meter::after(sent, &ground.counters.bytes_out, now),
        }
    }

    /// Notes that a target has it now.
    pub(super) fn is_tunnel_to(&mut self, target: SocketAddr) {
        self.target = Some(target);
        self.ground.counters.tunnels_begun.add(1);
    }

    /// Notes how it ended.
    pub(super) fn end(&mut self, result: Result<(), Reason>) {
        self.reason = result.err();
        if let Some(reason) = self.reason {
            let Ground { state, listener, .. } = self.ground;
            state.counters.own_answer(reason);
            let rule = self.ground.rule_name();
            tracing::debug!(reason = reason.code(), client = %self.client, %listener, rule, "connection ended");
        }
    }

    /// Notes that no target could be reached.
    pub(super) fn fail(&mut self, Failure { reason, detail }: &Failure) {
        self.reason = Some(*reason);
        self.ground.state.counters.own_answer(*reason);
        let (client, upstream) = (self.client, self.ground.upstream_name());
        tracing::warn!(reason = reason.code(), %detail, %client, upstream, "connection not passed on");
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        if self.target.is_some() {
            self.ground.counters.tunnel_ended(self.reason);
        }
        let Some(log) = &self.ground.access else { return };
        let Prelude { name, exchange } = &self.prelude;
        let request =
            exchange.as_ref().map(|exchange| Note::line(exchange.note.as_deref(), exchange.status).1);
        log.write(&AccessRecord {
            time: SystemTime::now(),
            listener: &self.ground.listener,
            rule: self.ground.rule_name().unwrap_or("none"),
            client: self.client,
            host: name,
            request,
            bytes_in: self.received.bytes(),
            bytes_out: self.sent.bytes(),
            duration: self.ground.worker().now().saturating_duration_since(self.began),
            upstream: self.ground.upstream_name(),
            target_address: self.target,
            tls: self.tls,
            reason: self.reason,
        });
    }
}
