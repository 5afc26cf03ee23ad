//! The endpoints of an upstream, as the control plane knows them: every address of every target.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use arc_swap::ArcSwap;

use super::endpoint_state::{EndpointState, Standing};
use super::limits::Limits;
use super::names::{NameCache, NameObserver, ResolvedName};
use crate::config::plan::{Scheme, TargetAddress, TargetHost, Upstream};
use crate::metrics::EndpointFigures;
use crate::tls::Connector;

/// The endpoints of an upstream in one generation. The threads of the resolver change them when a name changes.
pub struct EndpointSet {
    /// The upstream as configured.
    pub plan: Upstream,
    /// One entry per target; `None` for addresses.
    pub(super) names: Vec<Option<Arc<ResolvedName>>>,
    list: ArcSwap<Vec<KnownEndpoint>>,
    /// The number of lists before this one. Workers compare it for every request.
    version: AtomicU64,
    /// Locked while the list changes, and while an endpoint may be ejected.
    changing: Mutex<()>,
    /// The turn of the strict round robin, of all workers.
    turn: AtomicUsize,
    /// The parts that all generations share.
    pub(super) generations: Arc<Generations>,
    /// The limits of the endpoints, if there are any. They outlive generations, as states do.
    pub(super) limits: Option<Arc<Limits>>,
}

/// The parts of an upstream that all of its generations share. A generation belongs to the one before by its name.
#[derive(Default)]
pub(super) struct Generations {
    /// The generation that new requests get. It holds this value, so this value must not hold it.
    newest: Mutex<(Option<Connector>, Weak<EndpointSet>)>,
    /// Requests that are held until an endpoint works, of all workers.
    held: AtomicUsize,
}

impl Generations {
    /// Counts a request that is held, unless `most` are held already.
    pub(super) fn begin_hold(&self, most: usize) -> bool {
        let one_more = |held| (held < most).then_some(held + 1);
        self.held.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    pub(super) fn end_hold(&self) {
        self.held.fetch_sub(1, Relaxed);
    }

    fn newest(&self) -> MutexGuard<'_, (Option<Connector>, Weak<EndpointSet>)> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One address of a target.
#[derive(Clone)]
pub struct KnownEndpoint {
    /// Index of the target.
    pub target: usize,
    /// `None` for a name that has no address yet.
    pub address: Option<TargetAddress>,
    /// The facts that all workers share.
    pub state: Arc<EndpointState>,
}

impl EndpointSet {
    /// The endpoints of an upstream. Names are not resolved. States of endpoints that `before` has too are kept.
    pub(super) fn new(plan: &Upstream, names: &NameCache, before: Option<&EndpointSet>) -> Arc<Self> {
        let name = |host: &TargetHost| match host {
            TargetHost::Name(host) => Some(names.get(host)),
            TargetHost::Address(_) | TargetHost::Unix(_) => None,
        };
        let names: Vec<_> = plan.targets.iter().map(|target| name(&target.host)).collect();
        let set = Arc::new(Self {
            plan: plan.clone(),
            names,
            list: ArcSwap::default(),
            version: AtomicU64::new(0),
            changing: Mutex::default(),
            turn: AtomicUsize::new(0),
            generations: before.map(|before| before.generations.clone()).unwrap_or_default(),
            limits: plan.settings.have_limits().then(|| {
                let limits = before.and_then(|before| before.limits.clone());
                limits.unwrap_or_else(|| Arc::new(Limits::new()))
            }),
        });
        let observer: Weak<EndpointSet> = Arc::downgrade(&set);
        set.names.iter().flatten().for_each(|name| name.observe(observer.clone()));
        let known = |own: &KnownEndpoint| {
            let before = before?;
            let scheme = plan.targets[own.target].scheme;
            before
                .list()
                .iter()
                .find(|old| before.is_like(old, own.address.as_ref(), scheme))
                .map(|old| old.state.clone())
        };
        set.update(known);
        set
    }

    /// The endpoints of now.
    pub fn list(&self) -> Arc<Vec<KnownEndpoint>> {
        self.list.load_full()
    }

    /// The number of lists before the current one. Load it before the list: then a change is never missed.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Acquire)
    }

    /// Renews names that are old, in the background.
    pub fn look_at_names(&self, now: Instant) {
        for name in self.names.iter().flatten() {
            let _ = name.version(now);
        }
    }

    /// Whether a response with this status counts as a failure.
    pub(super) fn ejects_by(&self, status: u16) -> bool {
        self.plan.policy.eject.as_ref().is_some_and(|eject| eject.statuses.contains(&status))
    }

    /// Makes this generation the one that new requests get, and those that wait. `connector` is for `https://` targets.
    pub(super) fn publish(self: &Arc<Self>, connector: Option<&Connector>) {
        *self.generations.newest() = (connector.cloned(), Arc::downgrade(self));
    }

    /// The generation that new requests get, if this is an older one, with the connector of its `https://` targets.
    pub(super) fn newer(&self) -> Option<(Option<Connector>, Arc<Self>)> {
        let newest = self.generations.newest();
        let set = newest.1.upgrade().filter(|set| !std::ptr::eq(&**set, self))?;
        Some((newest.0.clone(), set))
    }

    /// Whether requests wait for a place.
    pub(super) fn has_waiting(&self) -> bool {
        self.limits.as_ref().is_some_and(|limits| limits.have_waiting())
    }

    /// Whether the requests of all workers are counted together.
    pub(super) fn counts_requests(&self) -> bool {
        self.limits.is_some() || self.plan.policy.counts_requests()
    }

    /// Lets requests that wait look at the endpoints again, of which one may have become usable.
    pub fn wake_waiting(&self) {
        if let Some(limits) = &self.limits {
            limits.wake();
        }
    }

    /// Takes the next turn of the strict round robin.
    pub(super) fn take_turn(&self) -> usize {
        self.turn.fetch_add(1, Relaxed)
    }

    /// Records a failure of an endpoint, and ejects it after too many in a row. Never more than half of the endpoints
    /// are ejected, unless a backup is usable in their place, and never the last usable one.
    pub(super) fn failed(&self, state: &EndpointState, now: Instant) {
        let failures = state.failed();
        let Some(eject) = self.plan.policy.eject.as_ref().filter(|eject| failures >= eject.failures) else {
            return;
        };
        let _changing = self.lock();
        let list = self.list.load();
        let count = |standing| list.iter().filter(|other| other.state.standing(now) == standing).count();
        let is_usable = state.standing(now) == Standing::Usable;
        let (usable, ejected) = (count(Standing::Usable), count(Standing::Ejected));
        let Some(own) = list.iter().find(|other| std::ptr::eq(&*other.state, state)) else { return };
        let is_backup = |known: &KnownEndpoint| self.plan.targets[known.target].backup;
        let is_stand_in = |other: &KnownEndpoint| {
            is_backup(other) && other.state.standing(now) == Standing::Usable && !other.state.has_failed()
        };
        let has_stand_in = !is_backup(own) && list.iter().any(is_stand_in);
        if is_usable && usable > 1 && (has_stand_in || 2 * (ejected + 1) <= list.len()) {
            let time = state.eject(now, eject.time, eject.failures);
            let (upstream, target) = (&*self.plan.name, own.name(&self.plan));
            tracing::warn!(upstream, target, ?time, "target ejected: it failed too often");
        }
    }

    /// Makes the list anew. `known` finds states of endpoints that are not in the list so far.
    fn update(&self, known: impl Fn(&KnownEndpoint) -> Option<Arc<EndpointState>>) {
        let changing = self.lock();
        let before = self.list();
        let mut list = Vec::with_capacity(self.plan.targets.len());
        for (index, (target, name)) in self.plan.targets.iter().zip(&self.names).enumerate() {
            let with_port = |address: &IpAddr| Some(SocketAddr::new(*address, target.port).into());
            let mut addresses: Vec<Option<TargetAddress>> = match (&target.host, name) {
                (TargetHost::Address(address), _) => vec![with_port(address)],
                (TargetHost::Unix(path), _) => vec![Some(TargetAddress::Unix(path.clone()))],
                (TargetHost::Name(_), name) => name
                    .iter()
                    .flat_map(|name| name.last().addresses.clone())
                    .map(|one| with_port(&one))
                    .collect(),
            };
            if addresses.is_empty() {
                addresses.push(None);
            }
            for address in addresses {
                let mut endpoint = KnownEndpoint { target: index, address, state: Arc::default() };
                let address = endpoint.address.as_ref();
                let is_same = |other: &KnownEndpoint| self.is_like(other, address, target.scheme);
                // Two targets with one address are one endpoint, or it would have its limits and its figures twice.
                if address.is_some() && list.iter().any(is_same) {
                    continue;
                }
                let old = before.iter().find(|old| self.is_like(old, address, target.scheme));
                if let Some(state) = old.map(|old| old.state.clone()).or_else(|| known(&endpoint)) {
                    endpoint.state = state;
                }
                list.push(endpoint);
            }
        }
        self.list.store(Arc::new(list));
        self.version.fetch_add(1, Release);
        drop(changing);
        self.wake_waiting();
    }

    /// Whether `own`, an endpoint of this set, has this address and scheme.
    fn is_like(&self, own: &KnownEndpoint, address: Option<&TargetAddress>, scheme: Scheme) -> bool {
        own.address.as_ref() == address && self.plan.targets[own.target].scheme == scheme
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NameObserver for EndpointSet {
    fn name_changed(&self) {
        self.update(|_| None);
    }
}

impl EndpointSet {
    /// The figures of its endpoints. `requests` tells the requests that the endpoint with this name got, and those that
    /// have ended.
    pub fn figures(&self, requests: impl Fn(&str, &str) -> (u64, u64)) -> Vec<EndpointFigures> {
        let now = Instant::now();
        let figures = |known: &KnownEndpoint| {
            let target = known.name(&self.plan);
            let (begun, ended) = requests(&self.plan.name, &target);
            let ([failures, ejections], [checks_passed, checks_failed]) =
                (known.state.totals(), known.state.checks());
            let (weight, backup) =
                (self.plan.targets[known.target].weight, self.plan.targets[known.target].backup);
            EndpointFigures {
                upstream: self.plan.name.clone(),
                target: target.into(),
                state: known.state.standing(now).word(),
                weight,
                backup,
                open: begun.saturating_sub(ended),
                requests: begun,
                failures: failures.into(),
                ejections: ejections.into(),
                checks_passed,
                checks_failed,
                why: known.state.why(now),
            }
        };
        self.list().iter().map(figures).collect()
    }

    /// Drains endpoints, or makes them ready again: those of `target`, which is an address with or without its port, or a
    /// target as written; without it all. Returns their names.
    pub fn drain(&self, target: Option<&str>, is_draining: bool) -> Vec<String> {
        let list = self.list();
        let is_meant = |known: &&KnownEndpoint| {
            let own = &self.plan.targets[known.target];
            target.is_none_or(|target| {
                let is_ip = |address: &TargetAddress| match address {
                    TargetAddress::Ip(address) => address.ip().to_string() == target,
                    TargetAddress::Unix(_) => false,
                };
                known.address.as_ref().is_some_and(is_ip)
                    || [known.name(&self.plan), own.to_string(), own.location(), own.host.to_string()]
                        .iter()
                        .any(|name| name == target)
            })
        };
        let meant: Vec<&KnownEndpoint> = list.iter().filter(is_meant).collect();
        meant.iter().for_each(|known| known.state.set_draining(is_draining));
        self.wake_waiting();
        meant.iter().map(|known| known.name(&self.plan)).collect()
    }
}

impl KnownEndpoint {
    /// The name of the endpoint in logs, metrics and orders: its address, or its target without one.
    pub fn name(&self, plan: &Upstream) -> String {
        match &self.address {
            Some(address) => address.to_string(),
            None => plan.targets[self.target].authority(),
        }
    }
}
