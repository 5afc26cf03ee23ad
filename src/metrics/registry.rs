//! The counters of the process, and a worker's handle to its set.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use super::counter::Counter;
use super::orders::{NameState, OrderResult, StoreOperation};
use super::plugins::{AllPlugins, PLUGINS_MAX, PluginCounters};
use super::series::{
    CertificateExpiry, EndpointCounters, ListenerCounters, OTHER, SeriesKey, UpstreamCounters,
};
use super::worker_set::{WorkerSet, lock};
use crate::reason::Reason;

/// Series of `smolgate_requests_total` in the process. Further ones count under rule `other`, one series per
/// listener. Series of removed rules stay, because counters must not vanish.
pub const SERIES_MAX: usize = 10_000;

/// See [`Counters::note_upstream`].
type UpstreamsOfRules = BTreeMap<(Arc<str>, Arc<str>), Arc<str>>;

/// Counters of the whole process.
#[derive(Debug)]
pub struct Counters {
    workers: Mutex<Vec<Arc<WorkerSet>>>,
    /// The counts of ended workers.
    ended: Arc<WorkerSet>,
    /// The series that exist on any worker, because the limit is for the process.
    admitted: Mutex<HashSet<SeriesKey>>,
    pub(super) reloads_ok: AtomicU64,
    pub(super) reloads_failed: AtomicU64,
    pub(super) generation: AtomicU64,
    pub(super) rejected_services: AtomicU64,
    pub(super) last_reload_ok: AtomicBool,
    /// Milliseconds since 1970; 0 before the first success.
    pub(super) last_success: AtomicU64,
    /// By listener and rule.
    pub(super) upstreams_of_rules: Mutex<UpstreamsOfRules>,
    access_log_dropped: AtomicU64,
    log_dropped: AtomicU64,
    pub(super) certificates: Mutex<Vec<CertificateExpiry>>,
    pub(super) certificates_outdated: AtomicU64,
    /// Orders by the name of the authority, and by [`OrderResult`].
    pub(super) orders: Mutex<BTreeMap<String, [u64; OrderResult::ALL.len()]>>,
    /// The names for which certificates are ordered, by [`NameState`].
    pub(super) ordered_names: [AtomicU64; NameState::ALL.len()],
    /// The next attempt for each name that has one, in seconds since 1970.
    pub(super) next_attempts: Mutex<Vec<(Arc<str>, u64)>>,
    /// By [`StoreOperation`].
    pub(super) store_errors: [AtomicU64; StoreOperation::ALL.len()],
    pub(super) plugins: Mutex<AllPlugins>,
    /// Whether this gate orders.
    pub(super) orders_here: AtomicBool,
}

impl Counters {
    /// Creates counters at zero.
    #[allow(clippy::new_ret_no_self)]
    pub fn new() -> Arc<Counters> {
        Arc::new(Counters {
            workers: Mutex::default(),
            ended: Arc::new(WorkerSet::new()),
            admitted: Mutex::default(),
            reloads_ok: AtomicU64::new(0),
            reloads_failed: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            rejected_services: AtomicU64::new(0),
            last_reload_ok: AtomicBool::new(false),
            last_success: AtomicU64::new(0),
            upstreams_of_rules: Mutex::default(),
            access_log_dropped: AtomicU64::new(0),
            log_dropped: AtomicU64::new(0),
            certificates: Mutex::default(),
            certificates_outdated: AtomicU64::new(0),
            orders: Mutex::default(),
            ordered_names: Default::default(),
            next_attempts: Mutex::default(),
            store_errors: Default::default(),
            plugins: Mutex::default(),
            orders_here: AtomicBool::new(false),
        })
    }

    /// Registers the set of one worker. Each worker calls it once, on its own thread.
    pub fn worker(self: &Arc<Self>) -> WorkerCounters {
        let set = Arc::new(WorkerSet::new());
        let mut workers = lock(&self.workers);
        self.ended.take_over(&mut workers);
        workers.push(set.clone());
        drop(workers);
        WorkerCounters { set, counters: self.clone() }
    }

    /// Counts a reload by its result. The first load is no reload.
    pub fn reload(&self, ok: bool) {
        let count = if ok { &self.reloads_ok } else { &self.reloads_failed };
        count.fetch_add(1, Relaxed);
        self.last_reload_ok.store(ok, Relaxed);
        if ok {
            self.last_success.store(unix_millis(), Relaxed);
        }
    }

    /// Sets the number of the running generation, after the first load and each successful reload.
    pub fn set_generation(&self, n: u64) {
        self.generation.store(n, Relaxed);
        self.last_reload_ok.store(true, Relaxed);
        self.last_success.store(unix_millis(), Relaxed);
    }

    /// Sets the number of services that the running generation rejects.
    pub fn set_rejected_services(&self, n: u64) {
        self.rejected_services.store(n, Relaxed);
    }

    /// Sets the certificates that are served, and how many of them are served in place of unusable files.
    pub fn set_certificates(&self, certificates: Vec<CertificateExpiry>, served_instead: usize) {
        self.certificates_outdated.store(served_instead as u64, Relaxed);
        *lock(&self.certificates) = certificates;
    }

    /// Sets the authorities that orders go to, so that each has its series. Earlier ones stay, because counters must not
    /// vanish.
    pub fn set_authorities(&self, names: impl Iterator<Item = String>) {
        let mut orders = lock(&self.orders);
        for name in names {
            orders.entry(name).or_default();
        }
    }

    /// Counts an order for a certificate at an authority by its result.
    pub fn order(&self, ca: &str, result: OrderResult) {
        lock(&self.orders).entry(ca.to_owned()).or_default()[result as usize] += 1;
    }

    /// Sets the names for which certificates are ordered: each with its state and its next attempt, in seconds since 1970.
    pub fn set_ordered_names<'n>(&self, names: impl Iterator<Item = (&'n Arc<str>, NameState, Option<u64>)>) {
        let (mut counts, mut next_attempts) = ([0; NameState::ALL.len()], Vec::new());
        for (name, state, next) in names {
            counts[state as usize] += 1;
            next_attempts.extend(next.map(|next| (name.clone(), next)));
        }
        for (name, count) in self.ordered_names.iter().zip(counts) {
            name.store(count, Relaxed);
        }
        *lock(&self.next_attempts) = next_attempts;
    }

    /// Counts an error of the place in which certificates are kept.
    pub fn store_error(&self, operation: StoreOperation) {
        self.store_errors[operation as usize].fetch_add(1, Relaxed);
    }

    /// Sets whether this gate has the right to order.
    pub fn set_orders_here(&self, is_held: bool) {
        self.orders_here.store(is_held, Relaxed);
    }

    /// The counters of a plugin.
    pub fn plugin(&self, name: &Arc<str>) -> Arc<PluginCounters> {
        let mut plugins = lock(&self.plugins);
        let is_new = !plugins.contains_key(name);
        let name = if is_new && plugins.len() >= PLUGINS_MAX { Arc::from(OTHER) } else { name.clone() };
        plugins.entry(name).or_default().clone()
    }

    /// The counter of access log lines that were dropped because the writer was too slow or failed.
    pub fn access_log_dropped(&self) -> &AtomicU64 {
        &self.access_log_dropped
    }

    /// The counter of dropped lines of the event log.
    pub fn log_dropped(&self) -> &AtomicU64 {
        &self.log_dropped
    }

    /// The sets of all workers, and one for ended workers.
    pub(super) fn sets(&self) -> Vec<Arc<WorkerSet>> {
        let mut workers = lock(&self.workers);
        self.ended.take_over(&mut workers);
        std::iter::once(&self.ended).chain(&*workers).cloned().collect()
    }

    /// Whether this series exists or may be created.
    fn admit(&self, key: &SeriesKey) -> bool {
        let mut admitted = lock(&self.admitted);
        if admitted.contains(key) {
            return true;
        }
        admitted.len() < SERIES_MAX && admitted.insert(key.clone())
    }
}

/// Milliseconds since 1970.
fn unix_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// A worker's handle to its own set. Clones must stay on its thread, as [`Counter::add`] says.
#[derive(Clone, Debug)]
pub struct WorkerCounters {
    set: Arc<WorkerSet>,
    counters: Arc<Counters>,
}

impl WorkerCounters {
    /// The counters of a listener; `protocol` is `http` or `tcp`. Takes a lock, so call it only to install a
    /// generation.
    pub fn listener(&self, name: &Arc<str>, protocol: &'static str) -> Arc<ListenerCounters> {
        let make = || ListenerCounters { protocol, ..ListenerCounters::default() };
        self.set.listeners.get(name, |known| known.protocol == protocol, make)
    }

    /// The counters of an upstream. Takes a lock, so call it only to install a generation.
    pub fn upstream(&self, name: &Arc<str>) -> Arc<UpstreamCounters> {
        self.set.upstreams.get(name, |_| true, UpstreamCounters::default)
    }

    /// The counters of an endpoint. Takes a lock, so call it only when endpoints change.
    pub fn endpoint(&self, upstream: &str, target: &str) -> Arc<EndpointCounters> {
        self.set.endpoints.get(&EndpointCounters::key(upstream, target), |_| true, EndpointCounters::default)
    }

    /// Counts a local reply, or a close by smolgate itself.
    pub fn local_reply(&self, reason: Reason) {
        self.set.reasons[reason.index()].add(1);
    }

    /// The counter of a series, created if the limit allows.
    pub(super) fn series(&self, key: SeriesKey) -> Arc<Counter> {
        let key = if self.counters.admit(&key) {
            key
        } else {
            SeriesKey { rule: Arc::from(OTHER), method: OTHER, code: 0, ..key }
        };
        lock(&self.set.series).entry(key).or_default().clone()
    }
}
