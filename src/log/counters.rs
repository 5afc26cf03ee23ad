//! Counters: written by one worker each, summed when somebody reads.
//!
//! A worker has its own set, so counting is a plain load and store in a cache line no other thread
//! writes to: no lock, no locked instruction. `/metrics` walks the sets of all workers and adds up.
//! A reader may see an exchange counted in one place and not yet in another; a counter never goes
//! back. Names and series are found under a lock, but only when a generation is installed or a
//! series is met for the first time.
//!
//! The number of series is bounded whatever peers send: see [`SERIES_MAX`] and [`RULE_SERIES_MAX`].

#[path = "ended.rs"]
mod ended;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::reason::Reason;

/// Series of `smolgate_requests_total` of one rule that one worker keeps; what comes after counts
/// under method and code `other`. An upstream may answer any of 900 codes to nine methods.
pub const RULE_SERIES_MAX: usize = 64;

/// Series of `smolgate_requests_total` of the process. What comes after counts under rule `other`,
/// one series a listener: names of rules that reloads took away stay, since counters must not vanish.
pub const SERIES_MAX: usize = 10_000;

/// Names of listeners, and of upstreams, one worker keeps over all reloads; further ones are `other`.
pub const NAMES_MAX: usize = 1_024;

/// The label of all that has no series of its own.
pub const OTHER: &str = "other";

/// A number that one thread adds to and any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the thread that owns this count may call it: two writers would lose additions.
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    /// The value now, or a moment ago.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

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

/// What stands behind these locks is whole after every statement, so a panic elsewhere spoils nothing.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What tells one series of `smolgate_requests_total` from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SeriesKey {
    pub(super) listener: Arc<str>,
    pub(super) rule: Arc<str>,
    pub(super) method: &'static str,
    /// 0 is `other`.
    pub(super) code: u16,
}

/// The counters of one worker, as the process sees them.
#[derive(Debug)]
pub(super) struct WorkerSet {
    pub(super) listeners: Names<ListenerCounters>,
    pub(super) upstreams: Names<UpstreamCounters>,
    pub(super) series: Mutex<HashMap<SeriesKey, Arc<Counter>>>,
    pub(super) reasons: Box<[Counter]>,
}

impl WorkerSet {
    fn new() -> WorkerSet {
        WorkerSet {
            listeners: Names::default(),
            upstreams: Names::default(),
            series: Mutex::default(),
            reasons: Reason::ALL.iter().map(|_| Counter::default()).collect(),
        }
    }
}

/// A bounded table of named counters.
#[derive(Debug)]
pub(super) struct Names<T>(Mutex<Vec<(Arc<str>, Arc<T>)>>);

impl<T> Default for Names<T> {
    fn default() -> Self {
        Names(Mutex::default())
    }
}

impl<T> Names<T> {
    fn get(&self, name: &Arc<str>, fits: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> Arc<T> {
        let mut names = lock(&self.0);
        let find = |names: &Vec<(Arc<str>, Arc<T>)>, name: &str| {
            names
                .iter()
                .find(|(known, value)| **known == *name && fits(value))
                .map(|(_, value)| value.clone())
        };
        if let Some(found) = find(&names, name) {
            return found;
        }
        let name = if names.len() < NAMES_MAX { name.clone() } else { Arc::from(OTHER) };
        find(&names, &name).unwrap_or_else(|| {
            let made = Arc::new(make());
            names.push((name, made.clone()));
            made
        })
    }

    pub(super) fn all(&self) -> Vec<(Arc<str>, Arc<T>)> {
        lock(&self.0).clone()
    }
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

    /// A handle that counts exchanges of one rule. Makes no series before the first exchange.
    pub fn rule(&self, listener: &Arc<str>, rule: &Arc<str>) -> RuleCounters {
        RuleCounters {
            worker: self.clone(),
            listener: listener.clone(),
            rule: rule.clone(),
            met: RefCell::default(),
            rest: RefCell::default(),
        }
    }

    /// Counts an answer, or a close, of our own.
    pub fn local_reply(&self, reason: Reason) {
        self.set.reasons[reason.index()].add(1);
    }

    /// The count of a series, made if there is room for it.
    fn series(&self, key: SeriesKey) -> Arc<Counter> {
        let key = if self.counters.admit(&key) {
            key
        } else {
            SeriesKey { rule: Arc::from(OTHER), method: OTHER, code: 0, ..key }
        };
        lock(&self.set.series).entry(key).or_default().clone()
    }
}

/// Counters of a listener. Bytes are those from and to clients.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    /// Connections accepted.
    pub opened: Counter,
    /// Connections that ended; never more than were opened.
    pub closed: Counter,
    /// Bytes read from clients.
    pub bytes_in: Counter,
    /// Bytes written to clients.
    pub bytes_out: Counter,
    /// Exchanges that ended, and connections that were dropped before a request was read: what the rules'
    /// series add up to.
    pub requests: Counter,
    /// How long exchanges took, from the first byte of the head to the last of the answer.
    pub duration: Histogram,
    /// `accept` calls that failed.
    pub accept_errors: Counter,
    /// TLS handshakes, in the order of [`Handshake::ALL`].
    pub handshakes: [Counter; Handshake::ALL.len()],
    /// Tunnels: connections that became ones, and those passed on from the start.
    pub tunnels_begun: Counter,
    /// Those that ended, in the order of [`TUNNEL_ENDS`].
    pub(super) tunnels_ended: [Counter; TUNNEL_ENDS.len()],
    /// Not 0 once the listener ends TLS.
    pub ends_tls: Counter,
    /// `http` or `tcp`: a TCP listener has no exchanges to show.
    pub(super) protocol: &'static str,
}

/// How a TLS handshake with a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handshake {
    /// The connection is encrypted.
    Ok,
    /// A rule passed the connection on: whoever ends TLS is somebody else.
    Passed,
    /// A rule dropped the connection, without an answer.
    Dropped,
    /// No certificate has the name that the client asked for.
    UnknownName,
    /// What the client sent first was no client hello.
    NotTls,
    /// It took too long.
    TimedOut,
    /// The client left.
    Gone,
    /// Anything else, such as no version in common, or a certificate that is not trusted.
    Failed,
}

impl Handshake {
    /// Every way, in the order of the counters.
    pub const ALL: [Handshake; 8] = [
        Handshake::Ok,
        Handshake::Passed,
        Handshake::Dropped,
        Handshake::UnknownName,
        Handshake::NotTls,
        Handshake::TimedOut,
        Handshake::Gone,
        Handshake::Failed,
    ];

    /// The label `result`.
    pub fn label(self) -> &'static str {
        match self {
            Handshake::Ok => "ok",
            Handshake::Passed => "passed",
            Handshake::Dropped => "dropped",
            Handshake::UnknownName => "unrecognized_name",
            Handshake::NotTls => "not_tls",
            Handshake::TimedOut => "timeout",
            Handshake::Gone => "client_gone",
            Handshake::Failed => "failed",
        }
    }
}

/// How tunnels end: both sides have finished, or it is for one of these reasons. There are no others.
pub const TUNNEL_ENDS: [Option<Reason>; 5] = [
    None,
    Some(Reason::ClientGone),
    Some(Reason::UpstreamReset),
    Some(Reason::TunnelIdle),
    Some(Reason::ShuttingDown),
];

impl ListenerCounters {
    /// Counts a tunnel that ended, for one of [`TUNNEL_ENDS`]. Same rule as [`Counter::add`]: one thread.
    pub fn tunnel_ended(&self, reason: Option<Reason>) {
        let end = TUNNEL_ENDS.iter().position(|end| *end == reason);
        debug_assert!(end.is_some(), "{reason:?} ends no tunnel");
        if let Some(end) = end {
            self.tunnels_ended[end].add(1);
        }
    }

    /// Counts a handshake. Same rule as [`Counter::add`]: one thread.
    pub fn handshake(&self, ended: Handshake) {
        self.handshakes[ended as usize].add(1);
    }
}

/// A certificate that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateExpiry {
    /// The listener that shows it.
    pub listener: Arc<str>,
    /// Its first name.
    pub name: String,
    /// Seconds since 1970.
    pub expires: i64,
}

/// Counters of an upstream.
#[derive(Debug, Default)]
pub struct UpstreamCounters {
    /// Connections opened.
    pub opened: Counter,
    /// Exchanges that found an idle connection.
    pub reused: Counter,
    /// Connections that could not be opened.
    pub failed: Counter,
}

/// How long things took, in buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    /// One a bound, and one for what is above the last.
    buckets: [Counter; Histogram::BOUNDS.len() + 1],
    nanos: Counter,
}

impl Histogram {
    /// Upper bounds of the buckets, in nanoseconds, the bound included.
    pub(super) const BOUNDS: [u64; 15] = {
        const MS: u64 = 1_000_000;
        [
            MS,
            5 * MS / 2,
            5 * MS,
            10 * MS,
            25 * MS,
            50 * MS,
            100 * MS,
            250 * MS,
            500 * MS,
            1_000 * MS,
            2_500 * MS,
            5_000 * MS,
            10_000 * MS,
            30_000 * MS,
            60_000 * MS,
        ]
    };

    /// Counts one duration. Same rule as [`Counter::add`]: one thread.
    pub fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = Histogram::BOUNDS.iter().take_while(|bound| **bound < nanos).count();
        self.buckets[bucket].add(1);
        self.nanos.add(nanos);
    }
}

/// A sum of histograms.
#[derive(Clone, Debug, Default)]
pub(super) struct HistogramSum {
    pub(super) buckets: [u64; Histogram::BOUNDS.len() + 1],
    pub(super) nanos: u64,
}

impl HistogramSum {
    pub(super) fn add(&mut self, histogram: &Histogram) {
        for (sum, bucket) in self.buckets.iter_mut().zip(&histogram.buckets) {
            *sum += bucket.get();
        }
        self.nanos = self.nanos.wrapping_add(histogram.nanos.get());
    }

    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// Counts the exchanges of one rule on one worker.
#[derive(Debug)]
pub struct RuleCounters {
    worker: WorkerCounters,
    listener: Arc<str>,
    rule: Arc<str>,
    /// At most [`RULE_SERIES_MAX`]; a handful in practice, so a scan beats a hash.
    met: RefCell<Vec<(&'static str, u16, Arc<Counter>)>>,
    /// Where everything beyond them counts.
    rest: RefCell<Option<Arc<Counter>>>,
}

impl RuleCounters {
    /// Counts an exchange; `method` is a method's label.
    pub fn exchange(&self, method: &'static str, status: u16) {
        let mut met = self.met.borrow_mut();
        if let Some((.., count)) = met.iter().find(|(known, code, _)| *code == status && *known == method) {
            count.add(1);
        } else if met.len() < RULE_SERIES_MAX {
            let count = self.series(method, status);
            count.add(1);
            met.push((method, status, count));
        } else {
            self.rest.borrow_mut().get_or_insert_with(|| self.series(OTHER, 0)).add(1);
        }
    }

    fn series(&self, method: &'static str, code: u16) -> Arc<Counter> {
        let (listener, rule) = (self.listener.clone(), self.rule.clone());
        self.worker.series(SeriesKey { listener, rule, method, code })
    }
}
