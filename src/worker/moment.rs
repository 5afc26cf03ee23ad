//! Points in time of one worker, as cheap as a number.

use std::ops::Sub;
use std::time::{Duration, Instant};

/// A point in time of a worker: nanoseconds since the worker started. It is half of an [`Instant`], and a difference of
/// two is one subtraction. 64 bits are 584 years.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Moment(u64);

impl Moment {
    /// The start of a worker.
    pub(super) const START: Self = Self(0);

    /// The moment of `now` for a worker that started at `started`.
    pub(super) fn of(now: Instant, started: Instant) -> Self {
        Self(now.saturating_duration_since(started).as_nanos() as u64)
    }

    /// Whole milliseconds since the start of the worker.
    pub(super) fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

/// The time between two moments; zero if the other one is later.
impl Sub for Moment {
    type Output = Duration;

    #[inline(always)]
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}
