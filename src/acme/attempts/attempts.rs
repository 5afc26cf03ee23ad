//! The record of the attempts for one name: what keeps a gate, however often it restarts, below the limits of a CA.
//!
//! A record is written before each order, with the earliest time of the next one in it. So an attempt that ends in a
//! crash counts as a failure. All functions are pure: the time is an argument, in seconds since 1970.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::acme::dns::Published;
use crate::acme::failure::{Failure, FaultOf};
use crate::acme::protocol::ari::Window;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The waits after the first, second and third failure for a name, and after each later one.
const BACK_OFF: [u64; 4] = [MINUTE, 10 * MINUTE, 100 * MINUTE, DAY];
/// The wait after the first failure that is a fault of the CA. It doubles up to the second value.
const CA_BACK_OFF: [u64; 2] = [10, 15 * MINUTE];
/// The longest wait while an expiring certificate is renewed.
const EXPIRING_WAIT_MAX: u64 = 6 * HOUR;
/// The longest wait that is believed: that of a limit of seven days.
const WAIT_MAX: u64 = 8 * DAY;

/// Certificates for one name in [`BUDGET_TIME`]. Let's Encrypt gives 5 in 7 days.
const CERTIFICATES_MAX: usize = 4;
const BUDGET_TIME: u64 = 7 * DAY;

/// Orders for one name in an hour, also if an operator asks. Let's Encrypt allows 5 failed proofs.
const TRIES_MAX: usize = 4;

/// Failures of a CA in a row after which the next one is asked.
const CA_FAILURES_MAX: u32 = 2;

/// Ends of attempts that are kept, to be read by a person.
const HISTORY_MAX: usize = 10;

/// Orders of one account in [`ORDERS_TIME`]. Let's Encrypt takes 300 in 3 hours.
const ORDERS_MAX: usize = 150;
const ORDERS_TIME: u64 = 3 * HOUR;

/// The attempts for one name.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub(in crate::acme) struct Record {
    /// Whether an attempt has begun and not ended.
    under_way: bool,
    /// Failures since the last certificate, an attempt under way included.
    pub(in crate::acme) failures: u32,
    /// Failures in a row that were faults of the CA.
    pub(in crate::acme) ca_failures: u32,
    /// The earliest time of the next order.
    pub(in crate::acme) not_before: u64,
    /// The order that is under way. It is taken up again.
    pub(in crate::acme) order: Option<String>,
    /// The record of DNS that answers a challenge, or did. It is removed when the attempt ends.
    pub(in crate::acme) published: Option<Published>,
    /// Whether the order that is under way is one at the test system of the CA.
    rehearses: bool,
    /// Whether the test system has issued a certificate, or cannot, since the last failure of the name.
    is_rehearsed: bool,
    /// The window in which the CA wants a renewal.
    pub(in crate::acme) window: Option<Window>,
    /// The certificate that was revoked.
    pub(in crate::acme) revoked: Option<String>,
    /// When orders were made, in the last hour.
    tried: Vec<u64>,
    /// When certificates were issued, in the last seven days.
    pub(in crate::acme) issued: Vec<u64>,
    /// The reason of the last failure.
    pub(in crate::acme) reason: Option<String>,
    /// Whether the last failure is one that another CA may not have.
    is_turned_away: bool,
    /// Whether a look at the name found a reason why the CA would refuse it.
    #[serde(skip)]
    pub(in crate::acme) is_doubted: bool,
    /// Whether the record could not be read: another one is in the store, which this one may not replace.
    #[serde(skip)]
    pub(in crate::acme) is_unread: bool,
    /// The last attempts, oldest first.
    pub(in crate::acme) history: Vec<Attempt>,
}

/// An attempt that is over.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Attempt {
    /// Its end, in seconds since 1970.
    pub at: u64,
    /// The CA.
    pub ca: String,
    /// Whether it was one at the test system of the CA.
    #[serde(default)]
    pub staging: bool,
    /// The reason of the failure. `None`: the certificate was issued.
    pub reason: Option<String>,
}

impl Record {
    /// Reads a record. One that is broken counts as an attempt that has just failed.
    pub(in crate::acme) fn read(bytes: Option<&[u8]>, now: u64) -> Self {
        let Some(bytes) = bytes else { return Self::default() };
        let mut record: Self = serde_json::from_slice(bytes)
            .unwrap_or_else(|_| Self::unknown(now, "the record of attempts was broken".to_owned()));
        // The clock may have been set back.
        record.not_before = record.not_before.min(now + WAIT_MAX);
        if let Some(window) = &mut record.window {
            window.look = window.look.min(now + DAY);
        }
        record
    }

    /// The record of a name whose attempts are not known: one that has just failed.
    pub(in crate::acme) fn unknown(now: u64, reason: String) -> Self {
        Self { failures: 1, not_before: now + BACK_OFF[0], reason: Some(reason), ..Self::default() }
    }

    /// As [`Record::unknown`], because the store cannot be read.
    pub(in crate::acme) fn unread(now: u64, reason: String) -> Self {
        Self { is_unread: true, ..Self::unknown(now, reason) }
    }

    /// The bytes to write.
    pub(in crate::acme) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// The earliest time for an attempt: now, or later. With `forced`, an operator asks for it, and only the budgets
    /// count. An order that is under way costs none.
    pub(in crate::acme) fn earliest(&self, now: u64, forced: bool) -> u64 {
        let back_off = if forced || self.was_cut_off() { now } else { self.not_before };
        let free = |times: &[u64], most: usize, span| {
            let mut times = times.to_vec();
            keep(&mut times, now, span);
            match times.len().checked_sub(most) {
                Some(over) if self.order.is_none() => times[over] + span,
                _ => now,
            }
        };
        let certificates = free(&self.issued, CERTIFICATES_MAX, BUDGET_TIME);
        let tries = free(&self.tried, TRIES_MAX, HOUR);
        back_off.max(certificates).max(tries).max(now)
    }

    /// Whether the gate has ended in the middle of an order. Taking it up again costs no order.
    fn was_cut_off(&self) -> bool {
        self.under_way && self.order.is_some()
    }

    /// Whether the next CA is to be asked while this one has to be waited for.
    pub(in crate::acme) fn is_out(&self) -> bool {
        self.ca_failures >= CA_FAILURES_MAX || self.is_turned_away
    }

    /// Whether an attempt that was cut off is to go on.
    pub(in crate::acme) fn goes_on(&self) -> bool {
        self.was_cut_off()
    }

    /// Whether the next order is a new one at the CA itself.
    pub(in crate::acme) fn is_new_and_real(&self, has_test: bool, forced: bool) -> bool {
        self.order.is_none() && !self.clone().choose_rehearsal(has_test, forced)
    }

    /// Forgets an order that is under way, because another CA has issued.
    pub(in crate::acme) fn give_up_order(&mut self) -> bool {
        self.under_way = false;
        self.order.take().is_some()
    }

    /// Adds an attempt to those that a person may read.
    pub(in crate::acme) fn note(&mut self, attempt: Attempt) {
        self.history.push(attempt);
        let over = self.history.len().saturating_sub(HISTORY_MAX);
        self.history.drain(..over);
    }

    /// The window in which the CA wants this certificate to be renewed.
    pub(in crate::acme) fn window_of(&self, id: &str) -> Option<&Window> {
        self.window.as_ref().filter(|window| window.id == id)
    }

    /// Whether the next order is one at the test system of the CA: after a failure, until that has worked. An order that
    /// is under way goes on where it is. `has_test`: there is a test system.
    pub(in crate::acme) fn choose_rehearsal(&mut self, has_test: bool, forced: bool) -> bool {
        if self.order.is_none() {
            let is_doubtful = self.failures > 0 || self.is_doubted;
            self.rehearses = is_doubtful && !self.is_rehearsed && !forced;
        } else if self.rehearses && !has_test {
            self.order = None;
        }
        self.rehearses &= has_test;
        self.rehearses
    }

    /// The order at the test system is over. The next one is real: at once if `worked`, else after the wait.
    pub(in crate::acme) fn rehearsed(&mut self, now: u64, worked: bool) {
        self.failures = self.failures.saturating_sub(1);
        self.not_before = if worked { now } else { self.not_before };
        (self.under_way, self.order, self.rehearses, self.is_rehearsed) = (false, None, false, true);
    }

    /// Whether the order may name the certificate that it replaces. A CA may have stumbled over that before.
    pub(in crate::acme) fn may_replace(&self) -> bool {
        self.failures <= 1 && self.ca_failures == 0
    }

    /// An order is about to be made or taken up again. Write the record before it is.
    pub(in crate::acme) fn begin(&mut self, now: u64, jitter: f64) {
        self.failures = self.failures.saturating_add(u32::from(!self.was_cut_off()));
        keep(&mut self.issued, now, BUDGET_TIME);
        keep(&mut self.tried, now, HOUR);
        // The limits of a test system are far away.
        self.tried.extend((self.order.is_none() && !self.rehearses).then_some(now));
        (self.under_way, self.is_turned_away) = (true, false);
        self.not_before = now + spread(back_off(self.failures), jitter);
    }

    /// The certificate was issued.
    pub(in crate::acme) fn succeed(&mut self, now: u64) {
        let Self { mut issued, tried, history, .. } = std::mem::take(self);
        issued.push(now);
        *self = Self { issued, tried, history, ..Self::default() };
    }

    /// The attempt has failed. `expiring`: the certificate of the name has little time left.
    pub(in crate::acme) fn fail(&mut self, now: u64, failure: &Failure, expiring: bool, jitter: f64) {
        self.under_way = false;
        self.is_turned_away = failure.is_of_this_ca;
        let wait = match failure.of {
            FaultOf::Name => {
                (self.order, self.ca_failures) = (None, 0);
                (self.rehearses, self.is_rehearsed) = (false, false);
                back_off(self.failures)
            }
            // The order stays, and is taken up again.
            FaultOf::Ca | FaultOf::Gate | FaultOf::Turn => {
                self.ca_failures = self.ca_failures.saturating_add(1);
                self.failures = self.failures.saturating_sub(1);
                ca_back_off(self.ca_failures)
            }
        };
        let most = if expiring { EXPIRING_WAIT_MAX } else { WAIT_MAX };
        let asked = failure.retry_after.map_or(0, |time: Duration| time.as_secs());
        // The wait that a CA asks for is kept in any case.
        self.not_before = now + spread(wait, jitter).min(most).max(asked.min(WAIT_MAX));
        self.reason = Some(failure.reason.clone());
    }
}

/// When the last orders of an account began.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(in crate::acme) struct Orders(Vec<u64>);

impl Orders {
    /// Reads the times. A broken list counts as an empty one: each name still has its own record.
    pub(in crate::acme) fn read(bytes: Option<&[u8]>) -> Self {
        bytes.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }

    /// Counts an order, by the clock of the CA. If there were too many, it returns the earliest time of the next.
    pub(in crate::acme) fn take(&mut self, now: u64) -> Result<Vec<u8>, u64> {
        keep(&mut self.0, now, ORDERS_TIME);
        if self.0.len() >= ORDERS_MAX {
            return Err(self.0[0] + ORDERS_TIME);
        }
        self.0.push(now);
        Ok(serde_json::to_vec(&self.0).unwrap_or_default())
    }
}

/// Keeps the times that count, those of the last `span`. A time to come counts as now: the clock was set back, and the CA
/// has not forgotten.
fn keep(times: &mut Vec<u64>, now: u64, span: u64) {
    times.iter_mut().for_each(|at| *at = (*at).min(now));
    times.retain(|at| at + span > now);
}

/// The time to renew a certificate: with a third of its life left, and with a half if it lives less than ten days. Up
/// to a twentieth of its life earlier, by `jitter`, which is from 0 to 1.
pub(in crate::acme) fn renewal(not_before: i64, not_after: i64, jitter: f64) -> u64 {
    let life = (not_after - not_before).max(0);
    let used = if life < 10 * DAY.cast_signed() { life / 2 } else { life / 3 * 2 };
    let early = (life as f64 / 20.0 * jitter) as i64;
    u64::try_from(not_before + used - early).unwrap_or_default()
}

/// The latest time of a renewal, whatever the CA wants: with a tenth of the life left.
pub(in crate::acme) fn latest_renewal(not_before: i64, not_after: i64) -> u64 {
    u64::try_from(not_after - (not_after - not_before).max(0) / 10).unwrap_or_default()
}

/// Whether less than a quarter of a certificate's life is left.
pub(in crate::acme) fn is_expiring(not_before: i64, not_after: i64, now: u64) -> bool {
    not_after - now.cast_signed() < (not_after - not_before) / 4
}

/// The wait after this many failures.
fn back_off(failures: u32) -> u64 {
    let index = (failures.max(1) - 1) as usize;
    BACK_OFF[index.min(BACK_OFF.len() - 1)]
}

/// The wait after this many failures of the CA in a row.
pub(in crate::acme) fn ca_back_off(failures: u32) -> u64 {
    CA_BACK_OFF[0].saturating_mul(1 << failures.max(1).saturating_sub(1).min(16)).min(CA_BACK_OFF[1])
}

/// A wait that is up to a fifth longer, so that gates that started together do not go on together. `jitter` is from 0
/// to 1.
fn spread(wait: u64, jitter: f64) -> u64 {
    wait + (wait as f64 / 5.0 * jitter) as u64
}

#[cfg(test)]
#[path = "attempts_tests.rs"]
mod tests;
