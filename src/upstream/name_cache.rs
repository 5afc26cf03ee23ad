//! Names of targets: what they stand for, shared by all workers.
//!
//! Docker answers with a lifetime of ten minutes and gives an address to the next container long
//! before that. So the lifetime is not believed: an answer in use is asked for again every few seconds, in
//! the background, and at once when a connection could not be opened. Meanwhile, and when asking fails, the
//! last good answer serves. Nothing waits for a resolver but what has no address to go to.

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

/// How old an answer in use is when the next one is asked for, in the background.
const REFRESH_AFTER: Duration = Duration::from_secs(2);

/// How long an answer stands, good or bad, whoever would have another: a name that does not exist is asked for
/// once a second and not for every request.
const SETTLED: Duration = Duration::from_secs(1);

/// How old an answer may be before a new connection waits for the next one: nobody has used the name since, and
/// its address may be that of another container by now.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// How long such a connection waits before it goes to the old address all the same.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long addresses serve after the name was first said to have none: servers make mistakes, and mend them.
const GRACE: Duration = Duration::from_secs(3 * 60);

/// Addresses kept of one answer; a name with more of them is asked again soon enough.
const ADDRESSES_MAX: usize = 32;

/// Names that may be there without being in use, beside as many as are.
const SPARE: usize = 64;

/// The names in use, by host: one for the whole process, so that each is asked for once.
pub struct NameCache {
    names: Mutex<Entries>,
    resolvers: Arc<Resolvers>,
}

#[derive(Default)]
struct Entries {
    by_host: HashMap<Arc<str>, Weak<ResolvedName>>,
    /// How many may be there before those go that nobody holds: looking for them at each new name would
    /// take a second for 20,000 names.
    most: usize,
}

/// One name and its last good answer.
pub struct ResolvedName {
    host: Arc<str>,
    answer: ArcSwap<Addresses>,
    /// A question is on its way.
    querying: AtomicBool,
    query_done: Event,
    resolvers: Arc<Resolvers>,
}

/// What a name stood for.
#[derive(Debug, Default)]
pub struct Addresses {
    /// In the order in which to try them, each once.
    pub addresses: Vec<IpAddr>,
    /// When the last question was answered, well or not; `None` before the first.
    pub asked: Option<Instant>,
    /// Counts the answers that differed from the one before.
    pub version: u64,
    /// Since when the name is said to have no address.
    gone: Option<Instant>,
}

impl Default for NameCache {
    fn default() -> Self {
        Self::new(SystemResolver)
    }
}

impl NameCache {
    /// None yet; they will be asked of `resolver`.
    pub fn new(resolver: impl Resolver) -> Self {
        Self { names: Mutex::default(), resolvers: Resolvers::new(resolver) }
    }

    /// The entry of a name. Entries that nobody holds go when they may be the half of all.
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
        Self { host, answer, querying, query_done, resolvers }
    }

    /// The version of the last good answer, however old. Asks for a new one in the background when
    /// it is not young any more. Takes no lock and counts no reference: called for every exchange.
    pub fn version(self: &Arc<Self>, now: Instant) -> u64 {
        let answer = self.answer.load();
        if answer.is_older_than(REFRESH_AFTER, now) {
            self.start_query();
        }
        answer.version
    }

    /// The last good answer, however old.
    pub fn last(&self) -> Arc<Addresses> {
        self.answer.load_full()
    }

    /// What a new connection goes by: the last good answer, at once, while the next one is asked for. Waits
    /// where there is none, and for a moment where it is forgotten. Has no deadline of its own.
    pub async fn current(self: &Arc<Self>, worker: &Worker) -> Arc<Addresses> {
        let (now, answer) = (Instant::now(), self.last());
        self.version(now);
        match (answer.addresses.is_empty(), answer.is_older_than(FORGOTTEN, now)) {
            (true, _) => self.renewed().await,
            (false, false) => answer,
            (false, true) => {
                let renewed = async { Ok(self.renewed().await) };
                worker.timer().within(PATIENCE, renewed).await.unwrap_or(answer)
            }
        }
    }

    /// An answer that has just come: asks and waits, unless the last one has. For when the addresses did not
    /// work. Has no deadline of its own.
    pub async fn renewed(self: &Arc<Self>) -> Arc<Addresses> {
        let query_done = self.query_done.listen();
        if self.answer.load().is_older_than(SETTLED, Instant::now()) {
            self.start_query();
            query_done.await;
        }
        self.last()
    }

    /// Starts a question unless one is on its way.
    fn start_query(self: &Arc<Self>) {
        if self.querying.swap(true, Ordering::AcqRel) {
            return;
        }
        let name = self.clone();
        self.resolvers.start_query(self.host.clone(), move |found| name.store(found, Instant::now()));
    }

    /// Notes what came of a question. No addresses are no answer that may take the place of a good one.
    pub(super) fn store(&self, found: Result<Vec<IpAddr>, Unresolved>, now: Instant) {
        let found = found.and_then(|addresses| match addresses[..] {
            [] => {
                Err(Unresolved::NoAddress(io::Error::new(io::ErrorKind::NotFound, "the name has no address")))
            }
            _ => Ok(addresses),
        });
        let answer = self.answer.load().followed_by(found, now, &self.host);
        self.answer.store(Arc::new(answer));
        self.querying.store(false, Ordering::Release);
        self.query_done.notify(usize::MAX);
    }
}

impl Addresses {
    fn is_older_than(&self, age: Duration, now: Instant) -> bool {
        self.asked.is_none_or(|asked| now.saturating_duration_since(asked) > age)
    }

    /// What is known after the next question, about `host`.
    fn followed_by(&self, found: Result<Vec<IpAddr>, Unresolved>, now: Instant, host: &str) -> Self {
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
                tracing::warn!(name = host, error = %why.error(), kept = ?self.addresses, "name not resolved");
                self.addresses.clone()
            }
        };
        // Resolvers shuffle; the same addresses in another order are no news.
        if is_same_set(&addresses, &self.addresses) {
            return Self { addresses: self.addresses.clone(), asked: Some(now), version: self.version, gone };
        }
        tracing::debug!(name = host, ?addresses, "name stands for other addresses");
        Self { addresses, asked: Some(now), version: self.version + 1, gone }
    }
}

/// Both hold each address once.
fn is_same_set(one: &[IpAddr], other: &[IpAddr]) -> bool {
    one.len() == other.len() && one.iter().all(|address| other.contains(address))
}

/// Each address once, the families by turns: should one of them lead nowhere, the next address is of the
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
