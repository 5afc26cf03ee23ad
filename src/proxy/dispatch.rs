//! From a request to a connection on which to send it: an idle one, a new one, the next target.

use std::time::Duration;

use super::connection::Client;
use super::failure::Failure;
use super::request::{self, Request};
use super::site::Site;
use crate::config::plan::Proxy;
use crate::upstream::Link;
use crate::worker::Buffer;

/// How far the search for a target that answers has got.
pub(super) struct Dispatch {
    first_target: usize,
    /// Targets that were tried already.
    tried: usize,
    /// No idle connection any more: one of them has just turned out to be dead.
    fresh: bool,
    /// The head for the target that is tried next.
    head: Option<Buffer>,
}

impl Dispatch {
    pub(super) fn new(first_target: usize, head: Buffer) -> Self {
        Self { first_target, tried: 0, fresh: false, head: Some(head) }
    }

    /// An idle link to the target whose turn it is.
    pub(super) fn reuse(&self, site: &Site, request: &Request, proxy: &Proxy) -> Option<Box<Link>> {
        let upstream = site.upstreams.get(proxy.upstream);
        // A request that cannot be sent twice is worth a system call that makes a dead link unlikely.
        let careful = !request.can_be_sent_again();
        let pool = upstream.pool(self.first_target, self.tried);
        let idle = if self.fresh { None } else { pool.reuse(site.worker().now(), careful) };
        idle.inspect(|_| upstream.counters.reused.add(1))
    }

    /// A new link to the target whose turn it is, or a link to the next one that has or gives any.
    ///
    /// # Errors
    /// When no target that may be tried can be connected to: what the last one failed with.
    pub(super) async fn open(
        &mut self,
        site: &Site,
        request: &Request,
        proxy: &Proxy,
    ) -> Result<Box<Link>, Failure> {
        let upstream = site.upstreams.get(proxy.upstream);
        loop {
            let pool = upstream.pool(self.first_target, self.tried);
            let error = match pool.open(site.worker(), upstream.connect_timeout).await {
                Ok(link) => {
                    upstream.counters.opened.add(1);
                    return Ok(link);
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
            if let Some(link) = self.reuse(site, request, proxy) {
                return Ok(link);
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
        site: &Site,
        request: &Request,
        proxy: &Proxy,
    ) -> Result<Buffer, Failure> {
        let pool = || site.upstreams.get(proxy.upstream).pool(self.first_target, self.tried);
        self.head.take().map_or_else(|| request::rewrite(client, site, request, pool()), Ok)
    }

    /// Says that the link died before a byte of response, so that the next one is new.
    pub(super) fn retry(&mut self) {
        self.fresh = true;
    }

    /// Gives a link back to the pool it came from. `time` is how long its target would keep it.
    pub(super) fn keep(&self, site: &Site, proxy: &Proxy, link: Box<Link>, time: Duration) {
        let upstream = site.upstreams.get(proxy.upstream);
        let until = site.worker().now() + time.min(upstream.idle_timeout);
        upstream.pool(self.first_target, self.tried).keep(link, until);
    }
}
