//! The search for a connection to send a request on: an idle one, a new one, one to another endpoint.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Level;

use super::collect::{Collected, collect};
use super::request_head::{keys_again, rebuild_request_head, request_head};
use crate::config::plan::{Proxy, Rule};
use crate::http::{Method, RequestHead};
use crate::log::repeats::{self, Admitted, Subject};
use crate::proxy::client::{Exchange, Media, Request, balance_key};
use crate::proxy::record::Failure;
use crate::reason::Reason;
use crate::upstream::{Choice, ConnectError, Hold, Next, TargetConnection, Upstream, Waits};
use crate::worker::{Buffer, Moment};

/// How often a request is sent again at most because its target did not process it.
const UNPROCESSED_MAX: u8 = 3;

/// The search for an endpoint that answers.
pub(in crate::proxy) struct Attempts<'a> {
    rule: &'a Rule,
    pub(super) proxy: &'a Proxy,
    /// The one that the rule leads to, or a newer generation of it.
    upstream: &'a Upstream,
    /// `None` if no endpoint may be used, or while none has room.
    choice: Option<Choice>,
    /// Take no idle connection, because one was just found to be closed.
    fresh: bool,
    /// The request was sent again already, after a new connection was closed.
    repeated: bool,
    /// How often it was sent again because it was not processed.
    unprocessed: u8,
    /// Use connections of HTTP/1.1 alone, because a target needs them for this request.
    only_http1: bool,
    /// The head for its endpoint, and what was sent of the body behind it, to be sent there again.
    written: Option<Buffer>,
    /// The head for the first endpoint.
    head: Option<Buffer>,
    /// The body, if the rule collects it.
    collected: Option<Box<Collected>>,
}

impl<'a> Attempts<'a> {
    /// Chooses the first endpoint and writes the head for it. Inlined, because its large result would be copied once more.
    #[inline(always)]
    pub(in crate::proxy) fn new(
        exchange: &Exchange<'a>,
        rule: &'a Rule,
        proxy: &'a Proxy,
        head: &RequestHead<'_>,
    ) -> Self {
        let upstream = exchange.snapshot.upstreams.get(proxy.upstream);
        let hash_of = |key| balance_key::of_request(key, head, exchange.client.peer);
        let hash = upstream.hash_key().and_then(hash_of);
        let cookie = upstream.sticky().and_then(|name| head.fields.cookie(name.as_bytes()));
        let choice = upstream.choose(exchange.snapshot.worker().now(), hash, cookie);
        let written = |choice: &Choice| request_head(exchange, rule, proxy, choice.origin(), head);
        let head = choice.as_ref().map(written);
        Self {
            rule,
            proxy,
            upstream,
            choice,
            fresh: false,
            repeated: false,
            unprocessed: 0,
            only_http1: false,
            written: None,
            head,
            collected: None,
        }
    }

    /// Collects a chunked body, if the rule says so. The head is written later, with its length.
    ///
    /// # Errors
    /// Those of [`collect`].
    pub(super) async fn collect_body(
        &mut self,
        exchange: &mut Exchange<'_>,
        most: u64,
    ) -> Result<(), Failure> {
        let most = self.proxy.limits.max_body.map_or(most, |limit| limit.min(most));
        self.collected = Some(collect(exchange, most, self.proxy.limits.body_timeout).await?);
        self.head = None;
        Ok(())
    }

    /// Takes an idle connection to the current endpoint.
    pub(super) fn take_idle(&mut self, exchange: &Exchange<'_>) -> Option<Box<TargetConnection>> {
        if self.fresh {
            return None;
        }
        // For a request that cannot be sent twice, a system call makes sure that the connection is probably open.
        let verify = !exchange.request.is_repeatable();
        let (choice, now) = (self.choice.as_mut()?, exchange.snapshot.worker().now());
        choice.only_http1 = self.only_http1;
        let idle = self.upstream.take_idle(choice, now, verify);
        idle.inspect(|_| self.upstream.counters.reused.add(1))
    }

    /// Opens a connection to the current endpoint, or takes or opens one to another. Waits for one that has room, if the
    /// upstream has a queue, and for one that works, if it holds requests.
    ///
    /// # Errors
    /// When no endpoint that may be tried can be connected to: the error of the last one. When none has room in time.
    pub(super) async fn open(&mut self, exchange: &Exchange<'_>) -> Result<Box<TargetConnection>, Failure> {
        let worker = exchange.snapshot.worker();
        let (mut hold, mut waits): (Option<Hold>, Waits) = Default::default();
        loop {
            let failure = match self.try_to_open(exchange, &mut waits).await {
                Ok(target) => {
                    hold.into_iter().for_each(Hold::served);
                    return Ok(target);
                }
                // A request that was sent to an endpoint is only for that one.
                Err(failure) if failure.reason == Reason::TargetBusy || self.written.is_some() => {
                    return Err(failure);
                }
                Err(failure) => failure,
            };
            if self.shows_starting(exchange, failure.reason) {
                return Err(Failure { reason: Reason::TargetStarting, ..failure });
            }
            hold = hold.or_else(|| self.upstream.hold(worker.now()));
            let Some(held) = &mut hold else { return Err(failure) };
            if !held.wait(worker).await {
                return Err(Failure { reason: Reason::NoTarget, ..failure });
            }
            self.upstream = self.upstream.newest();
            let keys = keys_again(exchange, self.upstream, self.collected.as_deref())?;
            self.head = None;
            self.choice = self.upstream.choose(worker.now(), keys.hash, keys.cookie.as_deref());
        }
    }

    /// Whether the client gets a page that reloads itself: a browser that asks for one, from an upstream that wants that.
    fn shows_starting(&self, exchange: &Exchange<'_>, reason: Reason) -> bool {
        let Request { method, prefers, .. } = &exchange.request;
        let is_page = *prefers == Media::Html && matches!(method, Method::Get | Method::Head);
        let is_down = matches!(
            reason,
            Reason::NoTarget
                | Reason::NameNotFound
                | Reason::ConnectRefused
                | Reason::ConnectFailed
                | Reason::ConnectTimeout
        );
        is_page && is_down && self.upstream.shows_starting()
    }

    async fn try_to_open(
        &mut self,
        exchange: &Exchange<'_>,
        waits: &mut Waits,
    ) -> Result<Box<TargetConnection>, Failure> {
        let worker = exchange.snapshot.worker();
        loop {
            if self.choice.is_none() {
                self.wait_for_place(exchange, waits).await?;
            }
            if let Some(target) = self.take_idle(exchange) {
                return Ok(target);
            }
            let upstream = self.upstream;
            let Some(choice) = &mut self.choice else { return Err(Failure::new(Reason::Internal)) };
            choice.only_http1 = self.only_http1;
            let error = match upstream.open(worker, choice, &[], waits).await {
                Ok(target) => return Ok(target),
                Err(error) => error,
            };
            if self.written.is_some() {
                return Err(error.into());
            }
            self.head = None;
            if error.reason == Reason::TargetBusy {
                choice.release();
                self.wait_for_place(exchange, waits).await?;
                continue;
            }
            let next = upstream.choose_next(choice, worker.now(), false);
            if let Next::GiveUp = next {
                return Err(Failure::of_connects(error, upstream.tried_all(choice)));
            }
            log_retry(exchange, upstream.name(), &error);
            if let Next::Wait = next {
                self.wait_for_place(exchange, waits).await?;
            }
        }
    }

    /// Waits until an endpoint has room, in the newest generation of the upstream.
    async fn wait_for_place(&mut self, exchange: &Exchange<'_>, waits: &mut Waits) -> Result<(), Failure> {
        let (worker, collected) = (exchange.snapshot.worker(), self.collected.as_deref());
        let keys_of =
            |upstream: &Upstream| keys_again(exchange, upstream, collected).map_err(|failure| failure.reason);
        let waiting = self.upstream.wait_for_place(worker, waits, keys_of, self.choice.as_ref());
        let (upstream, choice) = waiting.await.map_err(Failure::new)?;
        (self.upstream, self.choice) = (upstream, Some(choice));
        self.head = None;
        Ok(())
    }

    /// Whether a request that was answered with `status` is to be tried at another endpoint. Nothing of the response was
    /// passed on.
    pub(super) fn may_retry(&self, request: &Request, status: u16, now: Instant) -> bool {
        let choice = self.choice.as_ref().filter(|_| status >= 400 && request.is_repeatable());
        choice.is_some_and(|choice| self.upstream.may_retry(choice, status, now))
    }

    /// Goes on to another endpoint.
    pub(super) fn retry(&mut self, exchange: &Exchange<'_>) {
        self.head = None;
        if let Some(choice) = &mut self.choice {
            self.upstream.choose_next(choice, exchange.snapshot.worker().now(), true);
        }
    }

    /// Records how long the endpoint took from the end of the request to the head of its response.
    pub(super) fn responded(&self, began: Option<Moment>, now: Moment) {
        let time = began.map_or(Duration::ZERO, |began| now - began);
        self.upstream.counters.response.observe(time);
    }

    /// The head to send on the connection that was found, with a collected body behind it.
    ///
    /// # Errors
    /// Those of [`rebuild_request_head`].
    pub(super) fn head(&mut self, exchange: &Exchange<'_>) -> Result<Buffer, Failure> {
        if let Some(written) = self.written.take() {
            return Ok(written);
        }
        match (self.head.take(), &self.choice) {
            (Some(head), _) => Ok(head),
            (None, Some(choice)) => {
                let collected = self.collected.as_deref_mut();
                rebuild_request_head(exchange, self.rule, self.proxy, choice.origin(), collected)
            }
            (None, None) => Err(Failure::new(Reason::Internal)),
        }
    }

    /// Uses no idle connections from now on, because the last connection was closed without a response. Returns whether
    /// the request may be sent again. If the connection was new, its target may be stopping: then it is sent once more if
    /// the upstream holds requests, to another endpoint if there is one.
    pub(super) fn repeat(&mut self, exchange: &Exchange<'_>, was_reused: bool) -> bool {
        self.fresh = true;
        if was_reused {
            return true;
        }
        let Some(choice) = self.choice.as_mut().filter(|_| self.upstream.holds() && !self.repeated) else {
            return false;
        };
        self.repeated = true;
        self.upstream.choose_next(choice, exchange.snapshot.worker().now(), true);
        true
    }

    /// Returns whether a request that the target did not process may be sent again. A target may refuse each of its streams.
    /// If it takes the request over HTTP/1.1 alone, it must speak that too.
    pub(super) fn send_again(&mut self, failure: &Failure) -> bool {
        if failure.needs_http1() {
            let may_speak = self.choice.as_ref().is_some_and(Choice::may_speak_http1);
            return may_speak && !std::mem::replace(&mut self.only_http1, true);
        }
        self.unprocessed += 1;
        self.unprocessed <= UNPROCESSED_MAX
    }

    /// Takes back what was written of a request with a body, to send it again. Returns whether it was kept.
    pub(super) fn take_back(&mut self, target: &TargetConnection) -> bool {
        self.written = target.stream.take_back();
        self.written.is_some()
    }

    /// The sticky cookie that the client has to be given.
    pub(super) fn new_cookie(&self) -> Option<&[u8]> {
        self.upstream.new_cookie(self.choice.as_ref()?)
    }

    /// Records that the endpoint has answered with `status`.
    #[inline(always)]
    pub(super) fn answered(&self, exchange: &Exchange<'_>, status: u16) {
        let Some(choice) = &self.choice else { return };
        self.upstream.answered(choice, status, exchange.snapshot.worker().now());
    }

    /// Records that the endpoint has not answered, unless the client or an old connection is the reason.
    pub(super) fn failed(&self, exchange: &Exchange<'_>, target: &TargetConnection, failure: &Failure) {
        let Some(choice) = &self.choice else { return };
        let is_late = failure.reason == Reason::UpstreamTimeout;
        if is_late || failure.is_closed_without_response() && !target.reused {
            self.upstream.failed(choice, exchange.snapshot.worker().now());
        }
    }

    /// Puts a connection back into its pool. `time` is how long its target would keep it.
    #[inline(always)]
    pub(super) fn give_back(&self, exchange: &Exchange<'_>, target: Box<TargetConnection>, time: Duration) {
        let Some(choice) = &self.choice else { return };
        let until = exchange.snapshot.worker().now() + time.min(self.upstream.idle_timeout());
        self.upstream.put_back(choice, target, until);
    }
}

/// Logs that a target could not be connected to, and that another one is tried.
fn log_retry(exchange: &Exchange<'_>, upstream: &Arc<str>, error: &ConnectError) {
    let (message, listener) = ("trying the next target", &exchange.snapshot.listener().name);
    let subject = Subject {
        level: Level::INFO,
        message,
        reason: error.reason,
        listener: listener.clone(),
        upstream: Some(upstream.clone()),
    };
    if let Some(Admitted(repeated)) = repeats::admit(subject) {
        tracing::info!(reason = error.reason.code(), detail = %error, %listener, %upstream, repeated, "{message}");
    }
}
