//! The search for a connection to send a request on: an idle one, a new one, one to the next target.

use std::sync::Arc;
use std::time::Duration;

use tracing::Level;

use super::collect::{Collected, collect};
use super::request_head::{rebuild_request_head, request_head};
use crate::config::plan::{Proxy, Rule};
use crate::http::RequestHead;
use crate::log::repeats::{self, Admitted, Subject};
use crate::proxy::client::Exchange;
use crate::proxy::record::Failure;
use crate::upstream::{ConnectError, Pool, TargetConnection, Upstream};
use crate::worker::Buffer;

/// The search for a target that answers.
pub(in crate::proxy) struct Attempts<'a> {
    rule: &'a Rule,
    pub(super) proxy: &'a Proxy,
    upstream: &'a Upstream,
    first_target: usize,
    /// Targets that were tried already.
    tried: usize,
    /// Take no idle connection, because one was just found to be closed.
    fresh: bool,
    /// The head for the first target.
    head: Option<Buffer>,
    /// The body, if the rule collects it.
    collected: Option<Box<Collected>>,
}

impl<'a> Attempts<'a> {
    /// Chooses the first target and writes the head for it.
    pub(in crate::proxy) fn new(
        exchange: &Exchange<'a>,
        rule: &'a Rule,
        proxy: &'a Proxy,
        head: &RequestHead<'_>,
    ) -> Self {
        let upstream = exchange.snapshot.upstreams.get(proxy.upstream);
        let first_target = upstream.next_target();
        let origin = upstream.pool(first_target, 0).origin();
        let head = request_head(exchange, rule, proxy, origin, head);
        Self {
            rule,
            proxy,
            upstream,
            first_target,
            tried: 0,
            fresh: false,
            head: Some(head),
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

    /// Takes an idle connection to the current target.
    pub(super) fn take_idle(&self, exchange: &Exchange<'_>) -> Option<Box<TargetConnection>> {
        if self.fresh {
            return None;
        }
        // For a request that cannot be sent twice, a system call makes sure that the connection is probably open.
        let verify = !exchange.request.is_repeatable();
        let idle = self.pool().take_idle(exchange.snapshot.worker().now(), verify);
        idle.inspect(|_| self.upstream.counters.reused.add(1))
    }

    /// Opens a connection to the current target, or takes or opens one to a target after it.
    ///
    /// # Errors
    /// When no target that may be tried can be connected to: the error of the last one.
    pub(super) async fn open(&mut self, exchange: &Exchange<'_>) -> Result<Box<TargetConnection>, Failure> {
        let Upstream { name, counters, connect_timeout, .. } = self.upstream;
        loop {
            let error = match self.pool().open(exchange.snapshot.worker(), *connect_timeout, &[]).await {
                Ok(target) => {
                    counters.opened.add(1);
                    return Ok(target);
                }
                Err(error) => error,
            };
            counters.failed.add(1);
            self.tried += 1;
            self.head = None;
            if self.tried >= self.upstream.tries() {
                let all = self.tried > 1 && self.tried == self.upstream.targets();
                return Err(Failure::of_connects(error, all));
            }
            log_retry(exchange, name, &error);
            if let Some(target) = self.take_idle(exchange) {
                return Ok(target);
            }
        }
    }

    /// The head to send on the connection that was found, with a collected body behind it.
    ///
    /// # Errors
    /// Those of [`rebuild_request_head`].
    pub(super) fn head(&mut self, exchange: &Exchange<'_>) -> Result<Buffer, Failure> {
        match self.head.take() {
            Some(head) => Ok(head),
            None => {
                let origin = self.pool().origin();
                rebuild_request_head(exchange, self.rule, self.proxy, origin, self.collected.as_deref_mut())
            }
        }
    }

    /// Uses no idle connections from now on, because the last one was closed without a response.
    pub(super) fn use_new_connection(&mut self) {
        self.fresh = true;
    }

    /// Puts a connection back into its pool. `time` is how long its target would keep it.
    pub(super) fn give_back(&self, exchange: &Exchange<'_>, target: Box<TargetConnection>, time: Duration) {
        let until = exchange.snapshot.worker().now() + time.min(self.upstream.idle_timeout);
        self.pool().put_back(target, until);
    }

    /// The pool of the current target.
    fn pool(&self) -> &'a Pool {
        self.upstream.pool(self.first_target, self.tried)
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
