//! All pools of one worker. They outlive generations: a reload that keeps a target keeps them.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::choice::Upstream;
use super::directory::{Directory, Entry};
use super::pool::Pool;
use crate::config::plan::{Target, UpstreamId, UpstreamTls};
use crate::log::WorkerCounters;
use crate::worker::Worker;

/// How often idle connections are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What makes two pools the same: a connection of one would do for the other.
type Key = (Target, UpstreamTls);

/// The pools of one worker.
#[derive(Clone, Default)]
pub struct Book {
    pools: Rc<RefCell<HashMap<Key, Rc<Pool>>>>,
}

impl Book {
    /// An empty book whose idle connections are closed in time, as long as the book is held.
    pub fn new(worker: &Worker) -> Self {
        let book = Self::default();
        worker.spawn(sweep(worker.clone(), Rc::downgrade(&book.pools))).detach();
        book
    }

    /// An upstream of a generation, with the pools its targets have already.
    pub fn upstream(&self, directory: &Directory, id: UpstreamId, counters: &WorkerCounters) -> Upstream {
        let Entry { plan, connector, names } = directory.entry(id);
        let mut pools = self.pools.borrow_mut();
        let targets = plan.targets.iter().zip(names);
        let pools = targets.map(|(target, name)| {
            let key = (target.clone(), plan.tls.clone());
            let pool = pools.entry(key).or_insert_with(|| Rc::new(Pool::new(target.clone(), name.clone())));
            pool.set_connector(connector.as_ref());
            pool.clone()
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

async fn sweep(worker: Worker, pools: Weak<RefCell<HashMap<Key, Rc<Pool>>>>) {
    loop {
        worker.sleep(SWEEP_EVERY).await;
        let Some(pools) = pools.upgrade() else { return };
        // A pool that no generation uses goes with its last connection.
        pools.borrow_mut().retain(|_, pool| pool.sweep(worker.now()) || Rc::strong_count(pool) > 1);
    }
}
