//! What an exchange came to, and the one place where that is counted and written down.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use tracing::field::display;

use super::access::Note;
use super::connection::Client;
use super::failure::Failure;
use super::ground::Ground;
use super::site::Site;
use super::transfer::Meter;
use crate::http::Method;
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

/// How far an exchange has come.
#[derive(PartialEq, Eq)]
enum Stage {
    /// No byte of a request is there: nothing to be counted.
    Awaited,
    /// It goes on.
    Begun,
    /// It is counted and written down, or a [`Visit`] does that.
    Told,
}

/// What one exchange came to. Counted, and written into the access log, once: with `finish`, or when dropped in
/// the middle, as an exchange that outlives `shutdown_timeout` is.
pub(super) struct Record<'a> {
    pub(super) site: &'a Site,
    began: Instant,
    stage: Stage,
    client: IpAddr,
    /// Version and cipher suite, where there is a log that wants to know.
    tls: Option<(&'static str, &'static str)>,
    method: Method,
    /// Index of the rule that matched.
    pub(super) rule: Option<usize>,
    /// What the access log wants to know of the request.
    note: Option<Box<Note>>,
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
    pub(super) fn new(site: &'a Site, client: &Client) -> Self {
        let now = site.worker().now();
        let log = site.generation.access.as_ref();
        Self {
            site,
            began: now,
            stage: Stage::Awaited,
            client: client.peer,
            tls: log.and_then(|_| client.stream.cipher()),
            method: Method::Other,
            rule: None,
            note: None,
            heard: Cell::new(false),
            status: None,
            reason: None,
            target: None,
            received: Meter::new(&site.counters.bytes_in, now),
            sent: Meter::new(&site.counters.bytes_out, now),
        }
    }

    /// Notes that there is something of a request: from here on this is an exchange, however it ends.
    pub(super) fn begin(&mut self) {
        self.stage = Stage::Begun;
    }

    /// Notes which request it is.
    pub(super) fn learn(&mut self, method: Method, rule: Option<usize>, note: Option<Box<Note>>) {
        self.begin();
        (self.method, self.rule, self.note) = (method, rule, note);
    }

    /// Notes what can be told of a head that is refused.
    pub(super) fn learn_part(&mut self, head: &[u8]) {
        self.begin();
        self.received.add(head.len(), self.site.worker().now());
        self.note = self.site.generation.access.is_some().then(|| Box::new(Note::of_part(head)));
    }

    /// Notes a failure: counted by its reason, and logged at WARN when it was not the client's doing.
    pub(super) fn fail(&mut self, failure: &Failure) {
        self.begin();
        let Failure { reason, detail } = failure;
        self.reason = Some(*reason);
        self.site.state.counters.own_answer(*reason);
        let (code, peer, target) = (reason.code(), self.client, self.target.map(display));
        let (rule, upstream) = (self.rule_name(), self.upstream_name());
        if reason.is_of_the_client() {
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
        let duration = self.site.worker().now().saturating_duration_since(self.began);
        count(self.site, self.rule, self.method.label(), status);
        self.site.counters.duration.observe(duration);
        if let Some(log) = &self.site.generation.access {
            let (host, request) = Note::line(self.note.as_deref(), status);
            log.write(&AccessRecord {
                time: SystemTime::now(),
                listener: &self.site.listener().name,
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
    pub(super) fn hand_over(&mut self, status: u16) -> Prelude {
        count(self.site, self.rule, self.method.label(), status);
        let (began, received, sent) = (self.began, self.received.bytes(), self.sent.bytes());
        let Prelude { name, .. } = self.withdraw();
        Prelude { name, exchange: Some(Exchange { note: self.note.take(), status, began, received, sent }) }
    }

    /// Says that it was no exchange: it had no answer of ours, and the access log has it as a connection.
    pub(super) fn withdraw(&mut self) -> Prelude {
        self.stage = Stage::Told;
        let name = self.note.as_deref().map(|note| note.host.clone()).unwrap_or_default();
        Prelude { name, exchange: None }
    }

    fn rule_name(&self) -> Option<&'a str> {
        Some(&self.site.rule(self.rule?)?.name)
    }

    fn upstream_name(&self) -> Option<&'a str> {
        let upstream = self.site.rule(self.rule?)?.action.upstream()?;
        Some(self.site.upstream_name(upstream))
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        if self.stage == Stage::Begun {
            // `sent_away` counts the reason, once for the connection.
            self.reason.get_or_insert(Reason::ShuttingDown);
            self.finish();
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
        let (code, client, upstream) = (reason.code(), self.client, self.ground.upstream_name());
        if reason.is_of_the_client() {
            tracing::debug!(reason = code, %detail, %client, upstream, "connection not passed on");
        } else {
            tracing::warn!(reason = code, %detail, %client, upstream, "connection not passed on");
        }
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
