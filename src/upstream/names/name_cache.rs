//! Names of targets and their addresses, shared by all workers.
//!
//! Docker's DNS server gives answers a lifetime of ten minutes, and assigns an address to another container
//! much earlier. So the lifetime is ignored. An answer in use is renewed in the background every few seconds,
//! and at once if a connection could not be opened. Until the new answer comes, and if there is none, the
//! last good answer is used. A connection waits only if the name has no address or was unused for long.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use event_listener::Event;

use super::resolver::{Resolver, Resolvers, SystemResolver, Unresolved};
use crate::worker::Worker;

/// A party that is told when the addresses of a name change.
pub(in crate::upstream) trait NameObserver: Send + Sync {
    /// The addresses have changed. Called on a thread of the resolver.
    fn name_changed(&self);
}

/// The age at which an answer in use is renewed in the background.
const REFRESH_AFTER: Duration = Duration::from_secs(2);

/// The time for which an answer, good or bad, is not renewed. A name that does not exist is queried once a
/// second, not for every request.
const SETTLED: Duration = Duration::from_secs(1);

/// The age at which a new connection waits for a new answer. The name was not used since then, and its
/// address may belong to another container by now.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// The time for which such a connection waits before it uses the old address.
const RENEWAL_WAIT_MAX: Duration = Duration::from_secs(1);

/// The time for which addresses are kept after the first denial. Servers make mistakes and correct them.
const GRACE: Duration = Duration::from_secs(3 * 60);

/// Addresses kept of one answer. If a name has more, the next query may bring the others.
const ADDRESSES_MAX: usize = 32;

/// Unused names that may be kept, beside as many as are in use.
const SPARE: usize = 64;

/// The names in use, by host. The whole process shares them, so each name is queried once.
pub struct NameCache {
    names: Mutex<Entries>,
    resolvers: Arc<Resolvers>,
}

#[derive(Default)]
struct Entries {
    by_host: HashMap<Arc<str>, Weak<ResolvedName>>,
    /// The number of entries at which unused ones are removed. To look for them at each new name would take a
    /// second for 20,000 names.
    most: usize,
}

/// One name and its last good answer.
pub struct ResolvedName {
    host: Arc<str>,
    answer: ArcSwap<Addresses>,
    /// A query is running.
    querying: AtomicBool,
    query_done: Event,
    observers: Mutex<Observers>,
    resolvers: Arc<Resolvers>,
}

#[derive(Default)]
struct Observers {
    all: Vec<Weak<dyn NameObserver>>,
    /// The number at which those that are gone are removed.
    most: usize,
}

/// The answer for a name.
#[derive(Debug, Default)]
pub struct Addresses {
    /// Addresses in the order in which to try them, each once.
    pub addresses: Vec<IpAddr>,
    /// The time when the last query ended, with or without success; `None` before the first.
    pub asked: Option<Instant>,
    /// The number of answers that differed from the one before.
    pub version: u64,
    /// The last query got no answer.
    silent: bool,
    /// The time since which the resolver says that the name has no address.
    gone: Option<Instant>,
}

impl Default for NameCache {
    fn default() -> Self {
        Self::new(SystemResolver)
    }
}

impl NameCache {
    /// Creates an empty cache that queries `resolver`.
    pub fn new(resolver: impl Resolver) -> Self {
        Self { names: Mutex::default(), resolvers: Resolvers::new(resolver) }
    }

    /// The entry of a name. Removes unused entries when they may be half of all.
    pub fn get(&self, host: &Arc<str>) -> Arc<ResolvedName> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let Entries { by_host, most } = &mut *names;
        if let Some(name) = by_host.get(host).and_then(Weak::upgrade) {
            return name;
        }
        if by_host.len() >= *most {
            by_host.retain(|_, name| name.strong_count() > 0);
            *most = 2 * by_host.len() + SPARE;
        }
        let name = Arc::new(ResolvedName::new(host.clone(), self.resolvers.clone()));
        by_host.insert(host.clone(), Arc::downgrade(&name));
        name
    }
}

impl ResolvedName {
    fn new(host: Arc<str>, resolvers: Arc<Resolvers>) -> Self {
        let (answer, querying, query_done) = (ArcSwap::default(), AtomicBool::new(false), Event::new());
        Self { host, answer, querying, query_done, observers: Mutex::default(), resolvers }
    }

    /// Tells `observer` of every change from now on, as long as it exists.
    pub(in crate::upstream) fn observe(&self, observer: Weak<dyn NameObserver>) {
        let mut observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        let Observers { all, most } = &mut *observers;
        if all.len() >= *most {
            all.retain(|observer| observer.strong_count() > 0);
            *most = 2 * all.len() + 1;
        }
        all.push(observer);
    }

    /// The version of the last good answer, of any age. Starts a query in the background if it is older than
    /// [`REFRESH_AFTER`]. Takes no lock and counts no reference, because every exchange calls it.
    pub fn version(self: &Arc<Self>, now: Instant) -> u64 {
        let answer = self.answer.load();
        if answer.is_older_than(REFRESH_AFTER, now) {
            self.start_query();
        }
        answer.version
    }

    /// The last good answer, of any age.
    pub fn last(&self) -> Arc<Addresses> {
        self.answer.load_full()
    }

    /// The answer for a new connection: the last good one, at once, while a query renews it in the
    /// background. Waits if there is none, or if it is older than [`FORGOTTEN`]. Has no deadline of its own.
    pub async fn current(self: &Arc<Self>, worker: &Worker) -> Arc<Addresses> {
        let (now, answer) = (Instant::now(), self.last());
        self.version(now);
        match (answer.addresses.is_empty(), answer.is_older_than(FORGOTTEN, now)) {
            (true, _) => self.renewed().await,
            (false, false) => answer,
            (false, true) => {
                let renewed = async { Ok(self.renewed().await) };
                worker.timer().within(RENEWAL_WAIT_MAX, renewed).await.unwrap_or(answer)
            }
        }
    }

    /// A new answer, for a connection that the addresses failed. Queries and waits unless the last answer is
    /// younger than [`SETTLED`]. Has no deadline of its own.
    pub async fn renewed(self: &Arc<Self>) -> Arc<Addresses> {
        let query_done = self.query_done.listen();
        if self.answer.load().is_older_than(SETTLED, Instant::now()) {
            self.start_query();
            query_done.await;
        }
        self.last()
    }

    /// Starts a query unless one is running.
    fn start_query(self: &Arc<Self>) {
        if self.querying.swap(true, Ordering::AcqRel) {
            return;
        }
        let (name, is_silent) = (self.clone(), self.answer.load().silent);
        self.resolvers
            .start_query(self.host.clone(), is_silent, move |found| name.store(found, Instant::now()));
    }

    /// Stores the result of a query. An empty list counts as an error and cannot replace a good answer.
    pub(in crate::upstream) fn store(&self, found: Result<Vec<IpAddr>, Unresolved>, now: Instant) {
        let found = found.and_then(|addresses| match addresses[..] {
            [] => {
                Err(Unresolved::NoAddress(io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
            }
            _ => Ok(addresses),
        });
        let before = self.answer.load();
        let answer = before.followed_by(found, now, &self.host);
        let has_changed = answer.version != before.version;
        self.answer.store(Arc::new(answer));
        if has_changed {
            // Before the end of the query is told, so that a connection that waits for it finds the new endpoints.
            let observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner).all.clone();
            observers.iter().filter_map(Weak::upgrade).for_each(|observer| observer.name_changed());
        }
        self.querying.store(false, Ordering::Release);
        self.query_done.notify(usize::MAX);
    }
}

impl Addresses {
    fn is_older_than(&self, age: Duration, now: Instant) -> bool {
        self.asked.is_none_or(|asked| now.saturating_duration_since(asked) > age)
    }

    /// The answer after the next query for `host`.
    fn followed_by(&self, found: Result<Vec<IpAddr>, Unresolved>, now: Instant, host: &str) -> Self {
        let silent = matches!(found, Err(Unresolved::Temporary(_)));
        let gone = match &found {
            Ok(_) => None,
            Err(Unresolved::NoAddress(_)) => self.gone.or(Some(now)),
            Err(Unresolved::Temporary(_)) => self.gone,
        };
        let addresses = match found {
            Ok(found) => in_turn(found),
            Err(Unresolved::NoAddress(error))
                if gone.is_some_and(|since| now.saturating_duration_since(since) >= GRACE) =>
            {
                tracing::warn!(name = host, %error, dropped = ?self.addresses, "name not resolved");
                Vec::new()
            }
            Err(why) => {
                let kept = (!self.addresses.is_empty()).then(|| tracing::field::debug(&self.addresses));
                tracing::warn!(name = host, error = %why.error(), kept, "name not resolved");
                self.addresses.clone()
            }
        };
        // Resolvers shuffle. Equal addresses in another order are no new version.
        if is_same_set(&addresses, &self.addresses) {
            return Self {
                addresses: self.addresses.clone(),
                asked: Some(now),
                version: self.version,
                silent,
                gone,
            };
        }
        tracing::debug!(name = host, ?addresses, "name has other addresses");
        Self { addresses, asked: Some(now), version: self.version + 1, silent, gone }
    }
}

/// Whether two lists have equal addresses. Each list has an address only once.
fn is_same_set(one: &[IpAddr], other: &[IpAddr]) -> bool {
    one.len() == other.len() && one.iter().all(|address| other.contains(address))
}

/// Removes duplicates and alternates the families. If one family does not work, the next address is of the
/// other one (RFC 8305, section 4).
fn in_turn(found: Vec<IpAddr>) -> Vec<IpAddr> {
    let mut once: Vec<IpAddr> = Vec::new();
    for address in found {
        if !once.contains(&address) && once.len() < ADDRESSES_MAX {
            once.push(address);
        }
    }
    let Some(first) = once.first().map(IpAddr::is_ipv4) else { return once };
    let (one, other): (Vec<_>, Vec<_>) = once.into_iter().partition(|address| address.is_ipv4() == first);
    let mut other = other.into_iter();
    let mut all: Vec<IpAddr> =
        one.into_iter().flat_map(|address| [Some(address), other.next()]).flatten().collect();
    all.extend(other);
    all
}

#[cfg(test)]
#[path = "name_cache_tests.rs"]
mod tests;
