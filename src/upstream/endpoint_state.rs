//! The facts that all workers know of one endpoint.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};
use std::time::{Duration, Instant};

/// Health checks say that it does not work.
const DOWN: u8 = 1;
/// An order says that it gets no new requests.
const DRAINING: u8 = 2;
/// It failed too often, and gets no requests for a while.
const EJECTED: u8 = 4;

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

/// The facts of one endpoint that all workers share. It has a cache line of its own, which nothing writes as long as
/// requests succeed. Every field stands alone, so all accesses are relaxed.
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
    /// Requests and tunnels at it now, if its upstream counts them.
    open: AtomicU32,
}

impl EndpointState {
    /// Whether it is usable without a look at the time.
    pub(super) fn is_fine(&self) -> bool {
        self.marks.load(Relaxed) == 0
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
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
            self.ejections.store(0, Relaxed);
            self.marks.fetch_and(!EJECTED, Relaxed);
        }
    }

    /// Records a failure. Returns the number of failures in a row.
    pub(super) fn failed(&self) -> u32 {
        self.failures.fetch_add(1, Relaxed).saturating_add(1)
    }

    /// Ejects it for `time`, and for as much more with each ejection in a row. After that, the next failure ejects it
    /// again. `failures` is the number that ejects it.
    pub(super) fn eject(&self, now: Instant, time: Duration, failures: u32) -> Duration {
        let times = self.ejections.fetch_add(1, Relaxed).saturating_add(1);
        let time = time.saturating_mul(times).min(EJECTED_MAX.max(time));
        self.ejected_until.store(millis(now) + time.as_millis() as u64, Relaxed);
        self.failures.store(failures.saturating_sub(1), Relaxed);
        self.marks.fetch_or(EJECTED, Relaxed);
        time
    }

    /// Requests and tunnels at it now.
    pub fn open(&self) -> u32 {
        self.open.load(Relaxed)
    }
}

/// Milliseconds from [`START`].
fn millis(now: Instant) -> u64 {
    now.saturating_duration_since(*START).as_millis() as u64
}

/// A request or tunnel that is counted at its endpoint until this value is dropped.
pub(super) struct OpenRequest(Arc<EndpointState>);

impl OpenRequest {
    pub(super) fn new(state: &Arc<EndpointState>) -> Self {
        state.open.fetch_add(1, Relaxed);
        Self(state.clone())
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}
