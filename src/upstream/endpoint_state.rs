//! The facts that all workers know of one endpoint.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Health checks say that it does not work.
const DOWN: u8 = 1;
/// An order says that it gets no new requests.
const DRAINING: u8 = 2;
/// It failed too often, and gets no requests for a while.
const EJECTED: u8 = 4;
/// It came back a while ago, and its share grows.
const STARTING: u8 = 8;

/// The longest ejection.
const EJECTED_MAX: Duration = Duration::from_secs(5 * 60);

/// The start of the process, as far as endpoints are concerned.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The use that an endpoint is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Requests.
    Usable,
    /// Requests only if no other endpoint is usable: it failed too often.
    Ejected,
    /// Requests of clients that have its cookie.
    Draining,
    /// Nothing: a health check failed.
    Down,
}

impl Standing {
    /// The word for it in views and metrics.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Usable => "up",
            Standing::Ejected => "ejected",
            Standing::Draining => "draining",
            Standing::Down => "down",
        }
    }
}

/// The facts of one endpoint that all workers share. It has a cache line of its own, which nothing writes as long as
/// requests succeed. Every field stands alone, so accesses are relaxed, except those to the counts that have limits:
/// they are in one order with the requests that wait.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct EndpointState {
    /// The marks above. 0, the common value, means that the endpoint is usable.
    marks: AtomicU8,
    /// Failures in a row, of all workers.
    failures: AtomicU32,
    /// Ejections in a row.
    ejections: AtomicU32,
    /// The end of the ejection, in milliseconds from [`START`].
    ejected_until: AtomicU64,
    /// When it came back, in milliseconds from [`START`].
    up_since: AtomicU64,
    /// Health checks that passed, and that failed.
    checks: [AtomicU64; 2],
    /// All failures, and all ejections.
    totals: [AtomicU32; 2],
    /// Requests and tunnels at it now, if its upstream counts them.
    open: AtomicU32,
    /// Connections to it now, if their number has a limit.
    connections: AtomicU32,
    /// Why the last health check failed, for views.
    fault: Mutex<Option<Box<str>>>,
}

impl EndpointState {
    /// Why it gets no requests at `now`. `None` if it gets some.
    pub fn why(&self, now: Instant) -> Option<String> {
        match self.standing(now) {
            Standing::Usable => None,
            Standing::Draining => Some("drained by an order".to_owned()),
            Standing::Down => {
                let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
                Some(format!("health check: {}", fault.as_deref().unwrap_or("failed")))
            }
            Standing::Ejected => {
                let left = self.ejected_until.load(Relaxed).saturating_sub(millis(now)).div_ceil(1_000);
                Some(format!("failed too often, tried again in {left} s"))
            }
        }
    }

    /// Keeps the error of a health check for views.
    pub fn set_fault(&self, fault: Option<&str>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault.map(Into::into);
    }

    /// Whether it is usable without a look at the time.
    pub(super) fn is_fine(&self) -> bool {
        self.marks.load(Relaxed) == 0
    }

    /// Whether it has failed since its last success.
    pub(super) fn has_failed(&self) -> bool {
        self.failures.load(Relaxed) != 0
    }

    /// Its use at `now`.
    pub fn standing(&self, now: Instant) -> Standing {
        let marks = self.marks.load(Relaxed);
        if marks & DOWN != 0 {
            Standing::Down
        } else if marks & DRAINING != 0 {
            Standing::Draining
        } else if marks & EJECTED != 0 && millis(now) < self.ejected_until.load(Relaxed) {
            Standing::Ejected
        } else {
            Standing::Usable
        }
    }

    /// Records a success: it forgives all failures. Writes only if there were any.
    pub(super) fn succeeded(&self) {
        if self.has_failed() {
            self.failures.store(0, Relaxed);
            self.ejections.store(0, Relaxed);
            self.marks.fetch_and(!EJECTED, Relaxed);
        }
    }

    /// Records a failure. Returns the number of failures in a row.
    pub(super) fn failed(&self) -> u32 {
        self.totals[0].fetch_add(1, Relaxed);
        self.failures.fetch_add(1, Relaxed).saturating_add(1)
    }

    /// Ejects it for `time`, and for as much more with each ejection in a row. After that, the next failure ejects it
    /// again. `failures` is the number that ejects it.
    pub(super) fn eject(&self, now: Instant, time: Duration, failures: u32) -> Duration {
        self.totals[1].fetch_add(1, Relaxed);
        let times = self.ejections.fetch_add(1, Relaxed).saturating_add(1);
        let time = time.saturating_mul(times).min(EJECTED_MAX.max(time));
        self.ejected_until.store(millis(now) + time.as_millis() as u64, Relaxed);
        // At least one, by which a success knows that there is something to forgive.
        self.failures.store(failures.saturating_sub(1).max(1), Relaxed);
        self.marks.fetch_or(EJECTED, Relaxed);
        time
    }

    /// Ends an ejection whose policy is gone.
    pub(super) fn end_ejection(&self) {
        self.marks.fetch_and(!EJECTED, Relaxed);
    }

    /// Whether a health check says that it does not work.
    pub fn is_down(&self) -> bool {
        self.marks.load(Relaxed) & DOWN != 0
    }

    /// Records the result of a health check. If it passed, failures of requests are forgiven.
    pub fn was_checked(&self, passed: bool) {
        self.checks[usize::from(!passed)].fetch_add(1, Relaxed);
        if passed {
            self.succeeded();
        }
    }

    /// Says whether it gets new requests, by an order.
    pub fn set_draining(&self, is_draining: bool) {
        if is_draining {
            self.marks.fetch_or(DRAINING, Relaxed);
        } else {
            self.marks.fetch_and(!DRAINING, Relaxed);
        }
    }

    /// All failures, and all ejections.
    pub fn totals(&self) -> [u32; 2] {
        [self.totals[0].load(Relaxed), self.totals[1].load(Relaxed)]
    }

    /// Health checks that passed, and that failed.
    pub fn checks(&self) -> [u64; 2] {
        [self.checks[0].load(Relaxed), self.checks[1].load(Relaxed)]
    }

    /// Says whether it works. If it comes back, its share grows for `slow_start`.
    pub fn set_down(&self, is_down: bool, now: Instant, slow_start: Duration) {
        if is_down {
            self.marks.fetch_or(DOWN, Relaxed);
            return;
        }
        self.up_since.store(millis(now), Relaxed);
        if !slow_start.is_zero() {
            self.marks.fetch_or(STARTING, Relaxed);
        }
        self.marks.fetch_and(!DOWN, Relaxed);
    }

    /// Whether its share still grows.
    pub(super) fn is_starting(&self) -> bool {
        self.marks.load(Relaxed) & STARTING != 0
    }

    /// The part of its weight that it has, in per cent: from 10 to 100 within `slow_start`.
    pub(super) fn share(&self, now: Instant, slow_start: Duration) -> u32 {
        if !self.is_starting() {
            return 100;
        }
        let (since, window) =
            (millis(now).saturating_sub(self.up_since.load(Relaxed)), slow_start.as_millis() as u64);
        if since >= window {
            self.marks.fetch_and(!STARTING, Relaxed);
            return 100;
        }
        (since * 100 / window).clamp(10, 100) as u32
    }

    pub(super) fn begin_request(&self) {
        self.open.fetch_add(1, SeqCst);
    }

    /// Counts a request, unless there are `most`.
    pub(super) fn begin_request_below(&self, most: u32) -> bool {
        count_below(&self.open, most)
    }

    pub(super) fn end_request(&self) {
        self.open.fetch_sub(1, SeqCst);
    }

    /// Requests and tunnels at it now, if its upstream counts them.
    pub fn open(&self) -> u32 {
        self.open.load(SeqCst)
    }

    /// Counts a connection, unless there are `most`.
    pub(super) fn begin_connection_below(&self, most: u32) -> bool {
        count_below(&self.connections, most)
    }

    pub(super) fn end_connection(&self) {
        self.connections.fetch_sub(1, SeqCst);
    }

    /// Connections to it now, if their number has a limit.
    pub(super) fn connections(&self) -> u32 {
        self.connections.load(SeqCst)
    }
}

/// Adds one, unless the count is `most`.
fn count_below(count: &AtomicU32, most: u32) -> bool {
    count.fetch_update(SeqCst, SeqCst, |now| (now < most).then_some(now + 1)).is_ok()
}

/// Milliseconds from [`START`].
fn millis(now: Instant) -> u64 {
    now.saturating_duration_since(*START).as_millis() as u64
}
