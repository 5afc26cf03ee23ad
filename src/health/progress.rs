//! The results of the checks of one endpoint, and the time of the next one. Pure.

use std::time::{Duration, Instant};

use crate::config::plan::Health;

/// The longest time to the next check while an endpoint is changing.
const CHANGING_INTERVAL: Duration = Duration::from_secs(1);

/// The results of the checks of one endpoint.
pub(super) struct Progress {
    /// When the next check begins.
    pub(super) due: Instant,
    pub(super) is_running: bool,
    /// The check. Another one begins anew.
    pub(super) health: Health,
    /// Results that differ from the current health, in a row. `None` before the first check.
    against: Option<u32>,
}

impl Progress {
    /// An endpoint that was not checked yet: it is checked at once.
    pub(super) fn new(health: &Health, now: Instant) -> Self {
        Self { due: now, is_running: false, health: health.clone(), against: None }
    }

    /// Takes a result. `is_up` is the current health. Returns whether the health changes. `jitter` is between 0 and 1.
    pub(super) fn take(&mut self, passed: bool, is_up: bool, now: Instant, jitter: f64) -> bool {
        let health = &self.health;
        self.is_running = false;
        // The first check alone decides about an endpoint of which nothing is known.
        let needed = match self.against {
            None => 1,
            Some(_) if is_up => health.fall,
            Some(_) => health.rise,
        };
        let against = if passed == is_up { 0 } else { self.against.unwrap_or(0) + 1 };
        let changes = against >= needed;
        self.against = Some(if changes { 0 } else { against });
        let is_changing = against > 0 && !changes;
        let interval = if is_changing { health.interval.min(CHANGING_INTERVAL) } else { health.interval };
        // Up to a tenth more or less, so that the checks of many endpoints do not meet.
        self.due = now + interval.mul_f64(0.9 + 0.2 * jitter);
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The health after each result, from `is_up` on.
    fn after(mut is_up: bool, results: &[bool]) -> Vec<bool> {
        let (health, now) = (Health::default(), Instant::now());
        let mut progress = Progress::new(&health, now);
        let mut take = |passed: &bool| {
            is_up ^= progress.take(*passed, is_up, now, 0.5);
            is_up
        };
        results.iter().map(&mut take).collect()
    }

    #[test]
    fn it_takes_three_failures_in_a_row_to_fall_and_two_passes_to_rise() {
        let (y, n) = (true, false);
        assert_eq!(after(true, &[y, n, n, y, n, n, n, y, n, y, y]), [y, y, y, y, y, y, n, n, n, n, y]);
    }

    #[test]
    fn the_first_check_decides_alone() {
        assert_eq!(after(true, &[false]), [false]);
        assert_eq!(after(false, &[true]), [true]);
    }

    #[test]
    fn a_changing_endpoint_is_checked_more_often() {
        let now = Instant::now();
        let mut progress = Progress::new(&Health::default(), now);
        let mut next = |passed| {
            progress.take(passed, true, now, 0.5);
            progress.due - now
        };
        assert_eq!([next(true), next(false), next(true)].map(|wait| wait.as_secs()), [5, 1, 5]);
    }
}
