//! All pools of one worker. They outlive generations, so a reload that keeps a target keeps its pool.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use futures_lite::future;

use super::pool::{Destination, Key, Pool};
use crate::config::plan::TargetAddress;
use crate::mux::WorkerSpace;
use crate::upstream::limits::OpenConnection;
use crate::worker::Worker;

/// The interval at which old idle connections are closed.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The pools of one worker.
#[derive(Clone, Default)]
pub struct Pools {
    pools: Rc<RefCell<HashMap<Key, Rc<Pool>>>>,
    /// The number of the worker.
    pub(in crate::upstream) number: usize,
    space: Rc<WorkerSpace>,
}

impl Pools {
    /// Creates an empty map for the worker with that number. A task closes idle connections in time, as long as the map
    /// is held.
    pub fn new(worker: &Worker, number: usize) -> Self {
        let worker_pools = Self { number, ..Self::default() };
        worker.spawn(sweep(worker.clone(), Rc::downgrade(&worker_pools.pools))).detach();
        worker_pools
    }

    /// The memory that the worker's connections of HTTP/2 lend each other.
    pub fn space(&self) -> &Rc<WorkerSpace> {
        &self.space
    }

    /// The pool of an address of a target, created on first use.
    pub(in crate::upstream) fn pool(
        &self,
        destination: &Rc<Destination>,
        address: Option<TargetAddress>,
    ) -> Rc<Pool> {
        let pool = || Rc::new(Pool::new(destination.clone(), address.clone(), &self.space));
        self.pools.borrow_mut().entry(destination.key(address.clone())).or_insert_with(pool).clone()
    }
}

async fn sweep(worker: Worker, pools: Weak<RefCell<HashMap<Key, Rc<Pool>>>>) {
    let mut wanted = OpenConnection::wanted();
    loop {
        let time_over = async {
            worker.sleep(SWEEP_EVERY).await;
            false
        };
        let are_wanted = async {
            (&mut wanted).await;
            true
        };
        if future::or(time_over, are_wanted).await {
            wanted = OpenConnection::wanted();
        }
        let Some(pools) = pools.upgrade() else { return };
        // A pool that no generation uses is removed with its last connection.
        pools.borrow_mut().retain(|_, pool| pool.sweep(worker.now()) || Rc::strong_count(pool) > 1);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::config::plan::{self, Origin, Plan, Scheme, Target, TargetHost, UpstreamId, UpstreamTls};
    use crate::metrics::Counters;
    use crate::upstream::{NameCache, UpstreamTable};

    fn write_authority(file: &Path) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        std::fs::write(file, certificate.pem()).unwrap();
    }

    /// Builds the table of one upstream with a target of each scheme.
    fn load(ca: &Path) -> UpstreamTable {
        let target = |(port, scheme)| Target {
            scheme,
            host: TargetHost::Address([127, 0, 0, 1].into()),
            port,
            base_path: "".into(),
            weight: 1,
            backup: false,
        };
        let upstream = plan::Upstream {
            name: "one".into(),
            origin: Origin { file: "smolgate.yml".into(), line: 1, column: 1 },
            targets: [(80, Scheme::Http), (443, Scheme::Https)].map(target).into(),
            tls: UpstreamTls { ca: Some(ca.into()), ..UpstreamTls::default() },
            settings: plan::UpstreamSettings::default(),
            policy: plan::UpstreamPolicy::default(),
        };
        let plan = Plan { upstreams: vec![upstream], ..Plan::empty() };
        UpstreamTable::new(&plan, &NameCache::default(), None).unwrap()
    }

    #[test]
    fn pools_of_different_authorities_are_separate() {
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca.pem");
        write_authority(&ca);
        let (old, same) = (load(&ca), load(&ca));
        write_authority(&ca);
        let new = load(&ca);
        let (worker_pools, counters) = (Pools::default(), Counters::new().worker());
        let pools = |load: &UpstreamTable| worker_pools.upstream(load, UpstreamId(0), &counters).pools();
        // Use the new table first, because a worker creates the upstreams of a generation only when it needs
        // them.
        let (new, old, same) = (pools(&new), pools(&old), pools(&same));
        assert!(!Rc::ptr_eq(&new[1], &old[1]), "other authorities need another pool");
        assert!(Rc::ptr_eq(&old[1], &same[1]), "the same authorities, read twice");
        assert!(Rc::ptr_eq(&new[0], &old[0]), "plain connections have no authority");
    }
}
