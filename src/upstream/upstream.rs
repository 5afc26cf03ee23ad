//! An upstream on one worker: from a request to an endpoint, and to a connection.

use std::cell::{Cell, OnceCell, RefCell};
use std::hash::BuildHasher;
use std::num::NonZero;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::FixedState;

use super::balance::{self, Balancer, Tried};
use super::budget::RetryBudget;
use super::endpoint_set::{EndpointSet, KnownEndpoint};
use super::endpoint_state::EndpointState;
use super::endpoints::{Endpoints, Share};
use super::limits::{OpenRequest, RequestCount, SharedCount};
use super::pool::{Destination, Pool, Pools, Protocol, TargetConnection};
use super::table::Entry;
use crate::config::plan::{Balance, HashKey, HttpVersions};
use crate::metrics::{UpstreamCounters, WorkerCounters};
use crate::mux::SERVES_HTTP2;

/// The interval at which the ages of names are looked at, while requests come.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// An upstream on one worker.
pub struct Upstream {
    /// Counts of connections that were opened, reused or failed.
    pub counters: Arc<UpstreamCounters>,
    pub(super) set: Arc<EndpointSet>,
    /// A newer generation, once a request that waited has gone on to it.
    pub(super) newer: OnceCell<Box<Upstream>>,
    pub(super) worker_counters: WorkerCounters,
    /// The balance is a plain round robin, and endpoints have no limits.
    is_plain: bool,
    is_sticky: bool,
    has_names: bool,
    /// By the index of the target.
    destinations: Box<[Rc<Destination>]>,
    endpoints: RefCell<Rc<Endpoints>>,
    /// When the ages of the names are looked at next.
    look_at: Cell<Instant>,
    pub(super) balancer: Balancer,
    pub(super) budget: RetryBudget,
    pub(super) pools: Pools,
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
    /// Whether only connections of HTTP/1.1 are taken and opened.
    pub only_http1: bool,
}

impl Upstream {
    /// Makes an upstream of a generation on a worker.
    pub(super) fn new(pools: &Pools, Entry { connector, set }: &Entry, counters: &WorkerCounters) -> Self {
        let settings = &set.plan.settings;
        // Connections that are counted are not shared with another upstream.
        let owner = settings.max_connections.map(|_| set.plan.name.clone());
        let destinations = set.plan.targets.iter().zip(&set.names).map(|(target, name)| {
            let versions = target.versions(settings.http2 && SERVES_HTTP2);
            let connector = connector.as_ref().filter(|_| target.scheme.is_encrypted());
            let connector = connector.map(|connector| connector.offering(versions));
            let times = (settings.idle_timeout, settings.connect_timeout);
            // Only connections of HTTP/2 have these times.
            let times = if versions == HttpVersions::Http1 { Default::default() } else { times };
            Rc::new(Destination::new(
                target.clone(),
                connector,
                name.clone(),
                owner.clone(),
                settings.tcp_keepalive,
                Protocol { versions, times },
            ))
        });
        let upstream_counters = counters.upstream(&set.plan.name);
        upstream_counters.waits.is_used(set.limits.is_some());
        upstream_counters.holds.is_used(!settings.hold.is_zero());
        let upstream = Self {
            set: set.clone(),
            newer: OnceCell::new(),
            worker_counters: counters.clone(),
            is_plain: set.plan.policy.balance == Balance::RoundRobin && set.limits.is_none(),
            is_sticky: set.plan.policy.sticky.is_some(),
            has_names: set.names.iter().any(Option::is_some),
            destinations: destinations.collect(),
            endpoints: RefCell::new(Rc::new(Endpoints::new(0, Vec::new(), Vec::new()))),
            look_at: Cell::new(Instant::now()),
            balancer: Balancer::new(pools.number),
            budget: RetryBudget::new(upstream_counters.opened.get() + upstream_counters.reused.get()),
            counters: upstream_counters,
            pools: pools.clone(),
        };
        upstream.update();
        upstream
    }

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

    /// Whether browsers get a page while no endpoint works.
    pub fn shows_starting(&self) -> bool {
        self.set.plan.policy.starting
    }

    /// The time for which an idle connection is kept.
    pub fn idle_timeout(&self) -> Duration {
        self.set.plan.settings.idle_timeout
    }

    /// The name of the sticky cookie, if there is one.
    pub fn sticky(&self) -> Option<&Arc<str>> {
        self.is_sticky.then_some(&self.set.plan.policy.sticky.as_ref()?.cookie)
    }

    /// Chooses the endpoint for a new request. `hash` is that of the request's key, if the balance has one, and `cookie`
    /// the value of its sticky cookie. `None` if no endpoint may be used or has room, or if other requests wait.
    #[inline]
    pub fn choose(&self, now: Instant, hash: Option<NonZero<u64>>, cookie: Option<&[u8]>) -> Option<Choice> {
        if !self.is_plain && self.set.has_waiting() {
            return None;
        }
        self.choose_now(now, hash, cookie, None)
    }

    /// Chooses an endpoint, even if other requests wait. `failed` is the choice that has failed before, if there was one.
    #[inline(always)]
    pub(super) fn choose_now(
        &self,
        now: Instant,
        hash: Option<NonZero<u64>>,
        cookie: Option<&[u8]>,
        failed: Option<&Choice>,
    ) -> Option<Choice> {
        let endpoints = self.endpoints(now);
        let (tried, failed) =
            failed.map_or_else(Default::default, |failed| (failed.tried_of(&endpoints), failed.failed));
        loop {
            let held =
                cookie.and_then(|cookie| endpoints.held_by(cookie, now)).filter(|index| !tried.has(*index));
            let next =
                held.or_else(|| if self.is_plain { self.balancer.next_fine(&endpoints) } else { None });
            let held = held.and_then(|index| NonZero::new(index as u32 + 1));
            let index = next.or_else(|| self.balancer.pick(&self.set, &endpoints, tried, hash, now))?;
            // If another worker was faster, look again.
            if let Some(counted) = OpenRequest::new(&endpoints.shares[index].count) {
                return Some(Choice {
                    endpoints,
                    index,
                    tried,
                    hash,
                    failed,
                    held,
                    counted: Some(counted),
                    only_http1: false,
                });
            }
        }
    }

    /// Whether an endpoint may be used, whether it has room or not. Those of the choice that has failed are left out.
    pub(super) fn is_any_usable(&self, now: Instant, failed: Option<&Choice>) -> bool {
        let endpoints = self.endpoints(now);
        let tried = failed.map_or_else(Tried::default, |failed| failed.tried_of(&endpoints));
        balance::is_any_usable(&endpoints, |index| !tried.has(index), now)
    }

    /// The idle connections, of all workers, that could make room for a request. Endpoints of the choice that has failed are
    /// left out.
    pub(super) fn idle_connections(&self, now: Instant, failed: Option<&Choice>) -> usize {
        let endpoints = self.endpoints(now);
        let tried = failed.map_or_else(Tried::default, |failed| failed.tried_of(&endpoints));
        let is_meant =
            |index: usize| !tried.has(index) && balance::is_any_usable(&endpoints, |one| one == index, now);
        let idle = |index: usize| match &self.set.limits {
            Some(limits) if is_meant(index) => limits.idle(&endpoints.shares[index].state),
            _ => 0,
        };
        (0..endpoints.shares.len()).map(idle).sum()
    }

    /// The sticky cookie that the client has to be given, if it has not got it: `Set-Cookie` without an end.
    pub fn new_cookie<'c>(&self, choice: &'c Choice) -> Option<&'c [u8]> {
        if !self.is_sticky {
            return None;
        }
        let is_held = choice.held.is_some_and(|held| held.get() as usize == choice.index + 1);
        let cookie = choice.endpoints.cookies.get(choice.index)?;
        (!is_held).then_some(&*cookie.line)
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
        // A request that is sent again has given its place back.
        if choice.counted.is_none() && !choice.move_to(choice.index) {
            return None;
        }
        let mut connection = choice.pool().take_idle(now, verify, choice.only_http1)?;
        connection.counted = choice.counted.take();
        Some(connection)
    }

    /// Puts a connection back into the pool of its endpoint; it may be reused until `until`.
    #[inline(always)]
    pub fn put_back(&self, choice: &Choice, connection: Box<TargetConnection>, until: Instant) {
        choice.pool().put_back(connection, until, self.set.plan.settings.max_idle);
    }

    /// Records that the chosen endpoint has answered with this status.
    #[inline(always)]
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
                    shared: self
                        .set
                        .counts_requests()
                        .then(|| SharedCount { state: known.state.clone(), limits: self.set.limits.clone() }),
                }),
                target: known.target,
                weight: u32::from(target.weight),
                is_backup: target.backup,
                account: Cell::new(0),
                id: FixedState::default().hash_one((target.to_string(), &known.address)),
            };
            (share, self.pools.pool(&self.destinations[known.target], known.address.clone()))
        };
        let sticky = self.set.plan.policy.sticky.as_ref();
        let cookies =
            sticky.map(|sticky| list.iter().map(|known| self.set.cookie(sticky, known, &list)).collect());
        let new = Endpoints::new(version, list.iter().map(endpoint).collect(), cookies.unwrap_or_default());
        let new = Rc::new(new);
        let old = self.endpoints.replace(new.clone());
        let has_left = |pool: &&Rc<Pool>| !new.pools.iter().any(|new| Rc::ptr_eq(new, pool));
        old.pools.iter().filter(has_left).for_each(|pool| pool.set_current(false));
        new.pools.iter().for_each(|pool| pool.set_current(true));
        new
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

    /// Whether the endpoint may speak HTTP/1.1 beside HTTP/2.
    pub fn may_speak_http1(&self) -> bool {
        self.pool().destination.may_speak_http1()
    }

    /// Gives the place at the endpoint back, to wait for another one.
    pub fn release(&mut self) {
        self.counted = None;
    }

    /// The endpoints that were tried, if these are still the endpoints.
    fn tried_of(&self, endpoints: &Rc<Endpoints>) -> Tried {
        if Rc::ptr_eq(&self.endpoints, endpoints) { self.tried } else { Tried::default() }
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
