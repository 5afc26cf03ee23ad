//! The choice of the next target.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::pool::{Pool, Pools};
use super::table::{Entry, UpstreamTable};
use crate::config::plan::{Scheme, UpstreamId};
use crate::metrics::{UpstreamCounters, WorkerCounters};

impl Pools {
    /// Builds an upstream of a generation and reuses the pools that its targets already have.
    pub fn upstream(
        &self,
        upstream_table: &UpstreamTable,
        id: UpstreamId,
        counters: &WorkerCounters,
    ) -> Upstream {
        let Entry { plan, connector, names } = upstream_table.entry(id);
        let targets = plan.targets.iter().zip(names);
        let pools = targets.map(|(target, name)| {
            let connector = connector.clone().filter(|_| target.scheme == Scheme::Https);
            self.pool(target, connector, name)
        });
        Upstream {
            name: plan.name.clone(),
            tries: plan.settings.tries,
            connect_timeout: plan.settings.connect_timeout,
            idle_timeout: plan.settings.idle_timeout,
            counters: counters.upstream(&plan.name),
            pools: pools.collect(),
            next: Cell::new(0),
        }
    }
}

/// An upstream on one worker.
pub struct Upstream {
    /// The name: a metric label and a field of the access log.
    pub name: Arc<str>,
    /// The number of targets that one exchange tries while nothing was sent; at least 1.
    pub tries: usize,
    /// The time limit for opening a connection.
    pub connect_timeout: Duration,
    /// The time for which an idle connection is kept.
    pub idle_timeout: Duration,
    /// Counts of connections that were opened, reused or failed.
    pub counters: Arc<UpstreamCounters>,
    pub(super) pools: Vec<Rc<Pool>>,
    pub(super) next: Cell<usize>,
}

impl Upstream {
    /// The next target, round robin. Further tries of the same exchange take the targets after it.
    pub fn next_target(&self) -> usize {
        let turn = self.next.get();
        self.next.set((turn + 1) % self.pools.len());
        turn
    }

    /// The pool of the target for the given try of an exchange.
    pub fn pool(&self, first: usize, try_number: usize) -> &Rc<Pool> {
        &self.pools[(first + try_number) % self.pools.len()]
    }

    /// The number of targets.
    pub fn targets(&self) -> usize {
        self.pools.len()
    }

    /// The number of different targets that one exchange may try.
    pub fn tries(&self) -> usize {
        self.tries.min(self.pools.len())
    }
}
