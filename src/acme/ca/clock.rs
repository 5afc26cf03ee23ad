//! The clock of a CA, which tells whether that of this machine is right.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::net::Answer;

/// Seconds that a clock may be wrong without a word.
const ERROR_MAX: i64 = 5 * 60;

/// The clock of a CA.
#[derive(Default)]
pub(super) struct Clock(Mutex<Option<Reading>>);

/// The time that the CA told, and the clocks of this machine then.
#[derive(Clone, Copy)]
struct Reading {
    /// Seconds by which this machine is ahead.
    ahead: i64,
    wall: SystemTime,
    steady: Instant,
}

impl Clock {
    /// Notes the time in a response of the CA, if there is one.
    pub(super) fn note(&self, answer: &Answer) {
        let Some(told) = answer.field("date").and_then(|date| httpdate::parse_http_date(date).ok()) else {
            return;
        };
        let wall = SystemTime::now();
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let ahead = wall.duration_since(told).map_or_else(|behind| -seconds(behind.duration()), seconds);
        let reading = Reading { ahead, wall, steady: Instant::now() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reading);
    }

    /// Seconds by which this machine is ahead, if the CA has told the time since the clock was set.
    pub(super) fn ahead(&self) -> Option<i64> {
        let reading = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.filter(|reading| !reading.was_set()).map(|reading| reading.ahead)
    }

    /// [`Clock::ahead`], or 0 if that is little or unknown.
    pub(super) fn error(&self) -> i64 {
        self.ahead().filter(|ahead| ahead.abs() > ERROR_MAX).unwrap_or_default()
    }
}

impl Reading {
    /// Whether the clock of this machine was set since.
    fn was_set(&self) -> bool {
        let passed = self.wall.elapsed().map_err(|_| ());
        let steady = self.steady.elapsed();
        passed.map_or(true, |passed| passed.abs_diff(steady).as_secs() > ERROR_MAX.unsigned_abs() / 5)
    }
}
