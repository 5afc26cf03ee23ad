//! From a request to a connection on which to send it: an idle one, a new one, the next target.

use std::time::Duration;

use super::connection::Client;
use super::failure::Failure;
use super::request::{self, Request};
use super::site::Site;
use crate::config::plan::Proxy;
use crate::upstream::{ConnectError, Link, Pool, Upstream};
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

    /// A link, and the head to send on it. Nothing has been sent yet.
    ///
    /// # Errors
    /// When no target that may be tried can be connected to: what the last one failed with.
    pub(super) async fn link(
        &mut self,
        client: &Client,
        site: &Site,
        request: &Request,
        proxy: &Proxy,
    ) -> Result<(Link, Buffer), Failure> {
        let upstream = site.upstreams.get(proxy.upstream);
        loop {
            let pool = upstream.pool(self.first_target, self.tried);
            let error = match self.link_to(pool, upstream, site, request).await {
                Ok(link) => {
                    let head =
                        self.head.take().map_or_else(|| request::rewrite(client, site, request, pool), Ok)?;
                    return Ok((link, head));
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
        }
    }

    /// Says that the link died before a byte of response, so that the next one is new.
    pub(super) fn retry(&mut self) {
        self.fresh = true;
    }

    /// Gives a link back to the pool it came from. `time` is how long its target would keep it.
    pub(super) fn keep(&self, site: &Site, proxy: &Proxy, link: Link, time: Duration) {
        let upstream = site.upstreams.get(proxy.upstream);
        let until = site.worker().now() + time.min(upstream.idle_timeout);
        upstream.pool(self.first_target, self.tried).keep(link, until);
    }

    async fn link_to(
        &self,
        pool: &Pool,
        upstream: &Upstream,
        site: &Site,
        request: &Request,
    ) -> Result<Link, ConnectError> {
        // A request that cannot be sent twice is worth a system call that makes a dead link unlikely.
        let careful = !request.can_be_sent_again();
        let idle = if self.fresh { None } else { pool.reuse(site.worker().now(), careful) };
        if let Some(link) = idle {
            upstream.counters.reused.add(1);
            return Ok(link);
        }
        // Boxed, so that the handshakes of the few do not make the futures of all large.
        let link = Box::pin(pool.open(site.worker(), upstream.connect_timeout)).await?;
        upstream.counters.opened.add(1);
        Ok(link)
    }
}
