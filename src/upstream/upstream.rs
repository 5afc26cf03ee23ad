//! Which target is next.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::pool::{Pool, Pools};
use super::table::{Entry, UpstreamTable};
use crate::config::plan::{Scheme, UpstreamId};
use crate::metrics::{UpstreamCounters, WorkerCounters};

impl Pools {
    /// An upstream of a generation, with the pools its targets have already.
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
            tries: plan.tries,
            connect_timeout: plan.connect_timeout,
            idle_timeout: plan.idle_timeout,
            counters: counters.upstream(&plan.name),
            pools: pools.collect(),
            next: Cell::new(0),
        }
    }
}

/// An upstream on one worker.
pub struct Upstream {
    /// Its name: a metric label and a field of the access log.
    pub name: Arc<str>,
    /// How many targets are tried for one exchange while nothing was sent; 1 at least.
    pub tries: usize,
    /// How long a connection may take to open.
    pub connect_timeout: Duration,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// Connections opened, used again, failed.
    pub counters: Arc<UpstreamCounters>,
    pub(super) pools: Vec<Rc<Pool>>,
    pub(super) next: Cell<usize>,
}

impl Upstream {
    /// The next target in turn; further tries of the same exchange take the ones after it.
    pub fn next_target(&self) -> usize {
        let turn = self.next.get();
        self.next.set((turn + 1) % self.pools.len());
        turn
    }

    /// The pool of the target that the given try of an exchange uses.
    pub fn pool(&self, first: usize, try_number: usize) -> &Rc<Pool> {
        &self.pools[(first + try_number) % self.pools.len()]
    }

    /// How many targets there are.
    pub fn targets(&self) -> usize {
        self.pools.len()
    }

    /// How many different targets one exchange may try.
    pub fn tries(&self) -> usize {
        self.tries.min(self.pools.len())
    }
}
