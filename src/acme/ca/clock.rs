//! The clock of a CA, which tells whether that of this machine is right.

use std::sync::PoisonError;
use std::time::{Duration, Instant, SystemTime};

use super::ca::{Ca, Session};
use crate::acme::failure::Failure;
use crate::net::Answer;

/// Seconds that a clock may be wrong without a word.
const CLOCK_ERROR_MAX: i64 = 5 * 60;

/// The time that the CA told, and the clocks of this machine then.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    /// Seconds by which this machine is ahead.
    ahead: i64,
    wall: SystemTime,
    steady: Instant,
}

impl Clock {
    /// Whether the clock of this machine was set since.
    fn was_set(&self) -> bool {
        let passed = self.wall.elapsed().map_err(|_| ());
        let steady = self.steady.elapsed();
        passed.map_or(true, |passed| passed.abs_diff(steady).as_secs() > CLOCK_ERROR_MAX.unsigned_abs() / 5)
    }
}

impl Ca {
    /// Seconds by which the clock of this machine is ahead of that of the CA. 0 if that is little, or if the CA does not
    /// tell the time.
    pub(in crate::acme) async fn clock_error(&self, session: &Session) -> Result<i64, Failure> {
        if self.ahead().is_none() {
            let nonce = self.new_nonce(&session.directory).await?;
            self.nonces.lock().unwrap_or_else(PoisonError::into_inner).insert(nonce);
        }
        Ok(self.ahead().filter(|ahead| ahead.abs() > CLOCK_ERROR_MAX).unwrap_or_default())
    }

    /// Seconds by which this machine is ahead, if the CA has told the time since the clock was set.
    pub(in crate::acme) fn ahead(&self) -> Option<i64> {
        let clock = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.filter(|clock| !clock.was_set()).map(|clock| clock.ahead)
    }

    pub(super) fn note_clock(&self, answer: &Answer) {
        let Some(told) = answer.field("date").and_then(|date| httpdate::parse_http_date(date).ok()) else {
            return;
        };
        let wall = SystemTime::now();
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        let ahead = wall.duration_since(told).map_or_else(|behind| -seconds(behind.duration()), seconds);
        let clock = Clock { ahead, wall, steady: Instant::now() };
        *self.clock.lock().unwrap_or_else(PoisonError::into_inner) = Some(clock);
    }
}
