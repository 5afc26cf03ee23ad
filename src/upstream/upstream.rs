//! An upstream on one worker: from a request to an endpoint, and to a connection.

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;

use super::balance::{Balancer, Tried};
use super::budget::RetryBudget;
use super::endpoint_set::{EndpointSet, KnownEndpoint};
use super::endpoint_state::EndpointState;
use super::endpoints::{Endpoints, Share};
use super::open_request::{OpenRequest, RequestCount};
use super::pool::{Destination, Pool, Pools, TargetConnection};
use super::table::{Entry, UpstreamTable};
use crate::config::plan::{Balance, HashKey, Scheme, UpstreamId};
use crate::metrics::{UpstreamCounters, WorkerCounters};

/// The interval at which the ages of names are looked at, while requests come.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Pools {
    /// Builds an upstream of a generation and reuses the pools that its endpoints already have.
    pub fn upstream(
        &self,
        upstream_table: &UpstreamTable,
        id: UpstreamId,
        counters: &WorkerCounters,
    ) -> Upstream {
        let Entry { connector, set } = upstream_table.entry(id);
        let destinations = set.plan.targets.iter().zip(&set.names).map(|(target, name)| {
            let connector = connector.clone().filter(|_| target.scheme == Scheme::Https);
            Rc::new(Destination::new(target.clone(), connector, name.clone()))
        });
        let upstream_counters = counters.upstream(&set.plan.name);
        let upstream = Upstream {
            set: set.clone(),
            worker_counters: counters.clone(),
            is_plain: set.plan.policy.balance == Balance::RoundRobin,
            is_sticky: set.plan.policy.sticky.is_some(),
            has_names: set.names.iter().any(Option::is_some),
            destinations: destinations.collect(),
            endpoints: RefCell::new(Rc::new(Endpoints::new(0, Vec::new(), Vec::new()))),
            look_at: Cell::new(Instant::now()),
            balancer: Balancer::new(self.number),
            budget: RetryBudget::new(upstream_counters.opened.get() + upstream_counters.reused.get()),
            counters: upstream_counters,
            pools: self.clone(),
        };
        upstream.update();
        upstream
    }
}

/// An upstream on one worker.
pub struct Upstream {
    /// Counts of connections that were opened, reused or failed.
    pub counters: Arc<UpstreamCounters>,
    pub(super) set: Arc<EndpointSet>,
    worker_counters: WorkerCounters,
    /// The balance is a plain round robin.
    is_plain: bool,
    is_sticky: bool,
    has_names: bool,
    /// By the index of the target.
    destinations: Box<[Rc<Destination>]>,
    endpoints: RefCell<Rc<Endpoints>>,
    /// When the ages of the names are looked at next.
    look_at: Cell<Instant>,
    pub(super) balancer: Balancer,
    budget: RetryBudget,
    pools: Pools,
}

/// The hash of a key by which requests are balanced.
pub fn hash_key(key: &[u8]) -> NonZero<u64> {
    NonZero::new(FixedState::default().hash_one(key)).unwrap_or(NonZero::<u64>::MIN)
}

/// The endpoint for a request, and those that it tried before.
pub struct Choice {
    pub(super) endpoints: Rc<Endpoints>,
    pub(super) index: usize,
    pub(super) tried: Tried,
    /// The hash of the request's key, if the upstream has one.
    pub(super) hash: Option<NonZero<u64>>,
    /// The number of endpoints that were chosen and failed.
    pub(super) failed: u32,
    /// One more than the index of the endpoint that the client's cookie names.
    pub(super) held: Option<NonZero<u32>>,
    pub(super) counted: Option<OpenRequest>,
}

impl Upstream {
    /// The name: a metric label and a field of the access log.
    pub fn name(&self) -> &Arc<str> {
        &self.set.plan.name
    }

    /// The part of a request by which it is hashed, if there is one.
    pub fn hash_key(&self) -> Option<&HashKey> {
        if self.is_plain {
            return None;
        }
        match &self.set.plan.policy.balance {
            Balance::Hash { key, .. } => Some(key),
            _ => None,
        }
    }

    /// The time for which an idle connection is kept.
    pub fn idle_timeout(&self) -> Duration {
        self.set.plan.settings.idle_timeout
    }

    /// The name of the sticky cookie, if there is one.
    pub fn sticky(&self) -> Option<&Arc<str>> {
        if self.is_sticky { self.set.plan.policy.sticky.as_ref() } else { None }
    }

    /// Chooses the endpoint for a new request. `hash` is that of the request's key, if the balance has one, and `cookie`
    /// the value of its sticky cookie. `None` if no endpoint may be used.
    pub fn choose(&self, now: Instant, hash: Option<NonZero<u64>>, cookie: Option<&[u8]>) -> Option<Choice> {
        let endpoints = self.endpoints(now);
        let held = cookie.and_then(|cookie| endpoints.held_by(cookie, now));
        let next = held.or_else(|| self.balancer.next_fine(&endpoints).filter(|_| self.is_plain));
        let held = held.and_then(|index| NonZero::new(index as u32 + 1));
        let tried = Tried::default();
        let index = next.or_else(|| self.balancer.pick(&self.set, &endpoints, tried, hash, now))?;
        let counted = self.count(&endpoints, index);
        Some(Choice { endpoints, index, tried, hash, failed: 0, held, counted })
    }

    /// Chooses an endpoint that was not tried, after the one before has failed. Returns whether there is one. A try costs
    /// budget, unless the request was not sent so far and the endpoint has not failed since its last success.
    pub fn choose_next(&self, choice: &mut Choice, now: Instant, was_sent: bool) -> bool {
        choice.failed += 1;
        choice.tried.add(choice.index);
        if choice.failed as usize >= self.set.plan.settings.tries {
            return false;
        }
        let Choice { endpoints, tried, hash, .. } = &*choice;
        let Some(index) = self.balancer.pick(&self.set, endpoints, *tried, *hash, now) else { return false };
        let is_free = !was_sent && !endpoints.shares[index].state.has_failed();
        if !is_free && !self.budget.spend(self.counters.opened.get() + self.counters.reused.get()) {
            return false;
        }
        choice.index = index;
        choice.counted = self.count(&choice.endpoints, index);
        true
    }

    /// Name and value of the sticky cookie that the client has to be given, if it has not got it.
    pub fn new_cookie<'c>(&'c self, choice: &'c Choice) -> Option<(&'c str, &'c [u8])> {
        let name = self.sticky()?;
        let is_held = choice.held.is_some_and(|held| held.get() as usize == choice.index + 1);
        let value = choice.endpoints.cookies.get(choice.index)?;
        (!is_held).then_some((&**name, &value[..]))
    }

    /// Whether every endpoint of several targets was tried.
    pub fn tried_all(&self, choice: &Choice) -> bool {
        self.set.plan.targets.len() > 1
            && (0..choice.endpoints.shares.len()).all(|index| choice.tried.has(index))
    }

    /// Takes an idle connection of the chosen endpoint.
    pub fn take_idle(
        &self,
        choice: &mut Choice,
        now: Instant,
        verify: bool,
    ) -> Option<Box<TargetConnection>> {
        let mut connection = choice.pool().take_idle(now, verify)?;
        connection.counted = choice.counted.take();
        Some(connection)
    }

    /// Puts a connection back into the pool of its endpoint; it may be reused until `until`.
    pub fn put_back(&self, choice: &Choice, connection: Box<TargetConnection>, until: Instant) {
        choice.pool().put_back(connection, until);
    }

    /// Records that the chosen endpoint has answered with this status.
    pub fn answered(&self, choice: &Choice, status: u16, now: Instant) {
        if status >= 400 && self.set.ejects_by(status) {
            self.failed(choice, now)
        } else {
            choice.state().succeeded()
        }
    }

    /// Records that the chosen endpoint has accepted a connection.
    pub fn accepted(&self, choice: &Choice) {
        choice.state().succeeded();
    }

    /// Records that the chosen endpoint has failed.
    pub fn failed(&self, choice: &Choice, now: Instant) {
        self.set.failed(choice.state(), now);
    }

    /// The endpoints of now. Names that are in use are renewed in time.
    pub(super) fn endpoints(&self, now: Instant) -> Rc<Endpoints> {
        if self.has_names && now >= self.look_at.get() {
            self.look_at.set(now + LOOK_EVERY);
            self.set.look_at_names(now);
        }
        let endpoints = self.endpoints.borrow();
        if endpoints.version == self.set.version() {
            return endpoints.clone();
        }
        drop(endpoints);
        self.update()
    }

    /// Makes the list of endpoints anew. Closes idle connections to those that have left.
    fn update(&self) -> Rc<Endpoints> {
        let version = self.set.version();
        let list = self.set.list();
        let endpoint = |known: &KnownEndpoint| {
            let target = &self.set.plan.targets[known.target];
            let share = Share {
                state: known.state.clone(),
                count: Rc::new(RequestCount {
                    counters: self.worker_counters.endpoint(self.name(), &known.name(&self.set.plan)),
                    shared: self.set.plan.policy.counts_requests().then(|| known.state.clone()),
                }),
                target: known.target,
                weight: u32::from(target.weight),
                is_backup: target.backup,
                account: Cell::new(0),
                id: FixedState::default().hash_one((target.to_string(), known.address)),
            };
            (share, self.pools.pool(&self.destinations[known.target], known.address))
        };
        let cookies = self.sticky().map(|_| list.iter().map(|known| self.set.cookie(known, &list)).collect());
        let new = Endpoints::new(version, list.iter().map(endpoint).collect(), cookies.unwrap_or_default());
        let new = Rc::new(new);
        let old = self.endpoints.replace(new.clone());
        let has_left = |pool: &&Rc<Pool>| !new.pools.iter().any(|new| Rc::ptr_eq(new, pool));
        old.pools.iter().filter(has_left).for_each(|pool| pool.set_current(false));
        new.pools.iter().for_each(|pool| pool.set_current(true));
        new
    }

    pub(super) fn count(&self, endpoints: &Endpoints, index: usize) -> Option<OpenRequest> {
        Some(OpenRequest::new(&endpoints.shares[index].count))
    }
}

impl Choice {
    /// The hash of the request's key.
    pub fn hash(&self) -> Option<NonZero<u64>> {
        self.hash
    }

    /// The value of `Host` for the target, and the prefix of the path.
    pub fn origin(&self) -> (&str, &str) {
        self.pool().destination.origin()
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.endpoints.pools[self.index]
    }

    fn state(&self) -> &EndpointState {
        &self.endpoints.shares[self.index].state
    }
}

#[cfg(test)]
impl Upstream {
    pub(super) fn pools(&self) -> Vec<Rc<Pool>> {
        self.endpoints.borrow().pools.to_vec()
    }

    pub(super) fn set(&self) -> &EndpointSet {
        &self.set
    }

    pub(super) fn list(&self) -> Arc<Vec<KnownEndpoint>> {
        self.set.list()
    }
}

#[cfg(test)]
impl Choice {
    pub(super) fn index(&self) -> usize {
        self.index
    }
}
