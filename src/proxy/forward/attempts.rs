//! From a request to a connection on which to send it: an idle one, a new one, the next target.

use std::time::Duration;

use super::request_head::rebuild_head;
use crate::config::plan::Proxy;
use crate::generation::ListenerSnapshot;
use crate::proxy::client::{Client, Request};
use crate::proxy::record::Failure;
use crate::upstream::TargetConnection;
use crate::worker::Buffer;

/// How far the search for a target that answers has got.
pub(in crate::proxy) struct Attempts {
    first_target: usize,
    /// Targets that were tried already.
    tried: usize,
    /// No idle connection any more: one of them has just turned out to be dead.
    fresh: bool,
    /// The head for the target that is tried next.
    head: Option<Buffer>,
}

impl Attempts {
    pub(in crate::proxy) fn new(first_target: usize, head: Buffer) -> Self {
        Self { first_target, tried: 0, fresh: false, head: Some(head) }
    }

    /// An idle link to the target whose turn it is.
    pub(super) fn take_idle(
        &self,
        snapshot: &ListenerSnapshot,
        request: &Request,
        proxy: &Proxy,
    ) -> Option<Box<TargetConnection>> {
        let upstream = snapshot.upstreams.get(proxy.upstream);
        // A request that cannot be sent twice is worth a system call that makes a dead link unlikely.
        let verify = !request.is_repeatable();
        let pool = upstream.pool(self.first_target, self.tried);
        let idle = if self.fresh { None } else { pool.take_idle(snapshot.worker().now(), verify) };
        idle.inspect(|_| upstream.counters.reused.add(1))
    }

    /// A new link to the target whose turn it is, or a link to the next one that has or gives any.
    ///
    /// # Errors
    /// When no target that may be tried can be connected to: what the last one failed with.
    pub(super) async fn open(
        &mut self,
        snapshot: &ListenerSnapshot,
        request: &Request,
        proxy: &Proxy,
    ) -> Result<Box<TargetConnection>, Failure> {
        let upstream = snapshot.upstreams.get(proxy.upstream);
        loop {
            let pool = upstream.pool(self.first_target, self.tried);
            let error = match pool.open(snapshot.worker(), upstream.connect_timeout).await {
                Ok(target) => {
                    upstream.counters.opened.add(1);
                    return Ok(target);
                }
                Err(error) => error,
            };
            upstream.counters.failed.add(1);
            self.tried += 1;
            self.head = None;
            if self.tried >= upstream.tries() {
                return Err(Failure::of_connects(error, self.tried > 1 && self.tried == upstream.targets()));
            }
            tracing::info!(upstream = %upstream.name, %error, reason = error.reason.code(), "trying the next target");
            if let Some(target) = self.take_idle(snapshot, request, proxy) {
                return Ok(target);
            }
        }
    }

    /// The head to send on the link that was found.
    ///
    /// # Errors
    /// When it has to be written again, and cannot be.
    pub(super) fn head(
        &mut self,
        client: &Client,
        snapshot: &ListenerSnapshot,
        request: &Request,
        proxy: &Proxy,
    ) -> Result<Buffer, Failure> {
        let pool = || snapshot.upstreams.get(proxy.upstream).pool(self.first_target, self.tried);
        self.head.take().map_or_else(|| rebuild_head(client, snapshot, request, pool()), Ok)
    }

    /// Says that the link died before a byte of response, so that the next one is new.
    pub(super) fn use_new_connection(&mut self) {
        self.fresh = true;
    }

    /// Gives a link back to the pool it came from. `time` is how long its target would keep it.
    pub(super) fn give_back(
        &self,
        snapshot: &ListenerSnapshot,
        proxy: &Proxy,
        target: Box<TargetConnection>,
        time: Duration,
    ) {
        let upstream = snapshot.upstreams.get(proxy.upstream);
        let until = snapshot.worker().now() + time.min(upstream.idle_timeout);
        upstream.pool(self.first_target, self.tried).put_back(target, until);
    }
}
