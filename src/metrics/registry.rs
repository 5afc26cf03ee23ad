//! The counters of the process, and a worker's handle to its own.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use super::counter::Counter;
use super::series::{CertificateExpiry, ListenerCounters, OTHER, SeriesKey, UpstreamCounters};
use super::worker_set::{WorkerSet, lock};
use crate::reason::Reason;

/// Series of `smolgate_requests_total` of the process. What comes after counts under rule `other`,
/// one series a listener: names of rules that reloads took away stay, since counters must not vanish.
pub const SERIES_MAX: usize = 10_000;

/// Counters of the whole process.
#[derive(Debug)]
pub struct Counters {
    workers: Mutex<Vec<Arc<WorkerSet>>>,
    /// What those counted that have ended.
    ended: Arc<WorkerSet>,
    /// Which series exist on any worker, so that the bound is one of the process.
    admitted: Mutex<HashSet<SeriesKey>>,
    pub(super) reloads_ok: AtomicU64,
    pub(super) reloads_failed: AtomicU64,
    pub(super) generation: AtomicU64,
    pub(super) rejected_services: AtomicU64,
    pub(super) last_reload_ok: AtomicBool,
    /// Milliseconds since 1970; 0 before the first.
    pub(super) last_success: AtomicU64,
    access_log_dropped: AtomicU64,
    log_dropped: AtomicU64,
    pub(super) certificates: Mutex<Vec<CertificateExpiry>>,
    pub(super) certificates_outdated: AtomicU64,
}

impl Counters {
    /// Everything at zero.
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
            access_log_dropped: AtomicU64::new(0),
            log_dropped: AtomicU64::new(0),
            certificates: Mutex::default(),
            certificates_outdated: AtomicU64::new(0),
        })
    }

    /// Registers the set of one worker. Called once by each, on its own thread.
    pub fn worker(self: &Arc<Self>) -> WorkerCounters {
        let set = Arc::new(WorkerSet::new());
        let mut workers = lock(&self.workers);
        self.ended.take_over(&mut workers);
        workers.push(set.clone());
        drop(workers);
        WorkerCounters { set, counters: self.clone() }
    }

    /// Counts a reload and how it ended. The first load is none.
    pub fn reload(&self, ok: bool) {
        let count = if ok { &self.reloads_ok } else { &self.reloads_failed };
        count.fetch_add(1, Relaxed);
        self.last_reload_ok.store(ok, Relaxed);
        if ok {
            self.last_success.store(unix_millis(), Relaxed);
        }
    }

    /// Says which generation runs from now on: the first load, and every reload that succeeded.
    pub fn set_generation(&self, n: u64) {
        self.generation.store(n, Relaxed);
        self.last_reload_ok.store(true, Relaxed);
        self.last_success.store(unix_millis(), Relaxed);
    }

    /// Says how many services the generation that runs does not serve as they ask to be.
    pub fn set_rejected_services(&self, n: u64) {
        self.rejected_services.store(n, Relaxed);
    }

    /// Says which certificates are served from now on, and how many of them in place of what their files
    /// hold.
    pub fn set_certificates(&self, certificates: Vec<CertificateExpiry>, served_instead: usize) {
        self.certificates_outdated.store(served_instead as u64, Relaxed);
        *lock(&self.certificates) = certificates;
    }

    /// Access log lines that were dropped because the writer could not keep up, or failed.
    pub fn access_log_dropped(&self) -> &AtomicU64 {
        &self.access_log_dropped
    }

    /// The same for the lines of the log itself.
    pub fn log_dropped(&self) -> &AtomicU64 {
        &self.log_dropped
    }

    /// The sets of all workers, and one for those that have ended.
    pub(super) fn sets(&self) -> Vec<Arc<WorkerSet>> {
        let mut workers = lock(&self.workers);
        self.ended.take_over(&mut workers);
        std::iter::once(&self.ended).chain(&*workers).cloned().collect()
    }

    /// Whether this series exists or may still be made.
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

/// A worker's handle to its own set. Clones are for the same thread: see [`Counter::add`].
#[derive(Clone, Debug)]
pub struct WorkerCounters {
    set: Arc<WorkerSet>,
    counters: Arc<Counters>,
}

impl WorkerCounters {
    /// The counters of a listener; `protocol` is `http` or `tcp`. Takes a lock: for when a
    /// generation is installed.
    pub fn listener(&self, name: &Arc<str>, protocol: &'static str) -> Arc<ListenerCounters> {
        let make = || ListenerCounters { protocol, ..ListenerCounters::default() };
        self.set.listeners.get(name, |known| known.protocol == protocol, make)
    }

    /// The counters of an upstream. Takes a lock: for when a generation is installed.
    pub fn upstream(&self, name: &Arc<str>) -> Arc<UpstreamCounters> {
        self.set.upstreams.get(name, |_| true, UpstreamCounters::default)
    }

    /// Counts an answer, or a close, of our own.
    pub fn local_reply(&self, reason: Reason) {
        self.set.reasons[reason.index()].add(1);
    }

    /// The count of a series, made if there is room for it.
    pub(super) fn series(&self, key: SeriesKey) -> Arc<Counter> {
        let key = if self.counters.admit(&key) {
            key
        } else {
            SeriesKey { rule: Arc::from(OTHER), method: OTHER, code: 0, ..key }
        };
        lock(&self.set.series).entry(key).or_default().clone()
    }
}
