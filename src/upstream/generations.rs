//! The way from an old generation of an upstream to the newest.

use super::pool::Pools;
use super::table::{Entry, UpstreamTable};
use super::upstream::Upstream;
use crate::config::plan::UpstreamId;
use crate::metrics::WorkerCounters;

impl Pools {
    /// Builds an upstream of a generation and reuses the pools that its endpoints already have.
    pub fn upstream(
        &self,
        upstream_table: &UpstreamTable,
        id: UpstreamId,
        counters: &WorkerCounters,
    ) -> Upstream {
        Upstream::new(self, upstream_table.entry(id), counters)
    }
}

impl Upstream {
    /// The newest generation of this upstream, for a request that waits. An upstream whose name has left the configuration
    /// has no newer one. A reload tells the generation before the workers have it, and workers that end get no more, so a
    /// request makes the upstream for itself.
    pub fn newest(&self) -> &Upstream {
        let mut own = self;
        while let Some((connector, set)) = own.set.newer() {
            let make =
                || Box::new(Upstream::new(&own.pools, &Entry { connector, set }, &own.worker_counters));
            own = own.newer.get_or_init(make);
        }
        own
    }
}
