//! Counts of requests by key: the generic cell rate algorithm in one bounded table that all workers share.
//!
//! For each key there is one number, the theoretical arrival time: the time at which all requests so far would have
//! come at the allowed rate. A request is refused if that time is further ahead than the burst allows.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Keys in a cache line.
const SLOTS: usize = 4;

/// One cache line: the hash of each key, and its theoretical arrival time in nanoseconds of the table. Both are 0 in a
/// free slot.
#[derive(Default)]
#[repr(align(64))]
struct Line([(AtomicU64, AtomicU64); SLOTS]);

/// The numbers of a limit in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Rate {
    /// The time from one request to the next.
    interval: u64,
    /// How far the arrival time may be ahead of the clock.
    tolerance: u64,
}

/// Why a request may come, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) enum Taken {
    /// It may. So many more may come at once, and the next one after this time, which is zero if there are any.
    Left(u64, Duration),
    /// It may not, for so long.
    Wait(Duration),
}

impl Rate {
    /// `requests` in `per`, of which `burst` may come at once.
    pub(in crate::policy) fn new(requests: u32, per: Duration, burst: u32) -> Self {
        let per = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX);
        let interval = (per / u64::from(requests.max(1))).max(1);
        Self { interval, tolerance: interval.saturating_mul(u64::from(burst.max(1)) - 1) }
    }

    /// The next arrival time, and how far it may still be ahead then. The error is how long to wait.
    fn next(self, arrival: u64, now: u64) -> Result<(u64, u64), u64> {
        let base = arrival.max(now);
        match self.tolerance.checked_sub(base - now) {
            None => Err(base - now - self.tolerance),
            Some(left) => Ok((base.saturating_add(self.interval), left)),
        }
    }

    /// A request that may come, with the result of [`next`](Self::next).
    fn taken(self, left: u64) -> Taken {
        Taken::Left(left / self.interval, Duration::from_nanos(self.interval.saturating_sub(left)))
    }
}

/// The table of a limit. It holds so many keys and no more: of a full line, the key that is the least in debt is
/// forgotten. A key whose time has passed is forgotten without an error.
///
/// All numbers are relaxed, since each of them stands alone. Two workers that insert one key at once make two slots of
/// it for a moment, which lets one burst too many through.
pub struct LimitTable {
    /// Allocated with the first request.
    lines: OnceLock<Box<[Line]>>,
    /// A power of two.
    count: usize,
    /// Its keys are random, since clients choose the keys of the table.
    hasher: RandomState,
    began: Instant,
}

impl LimitTable {
    /// A table for at least `keys` keys.
    pub fn new(keys: usize) -> Self {
        let count = keys.div_ceil(SLOTS).next_power_of_two();
        Self { lines: OnceLock::new(), count, hasher: RandomState::new(), began: Instant::now() }
    }

    /// The hash of a key.
    pub(in crate::policy) fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }

    /// Counts a request with the key of this hash at `now`.
    pub(in crate::policy) fn take(&self, rate: Rate, hash: u64, now: Instant) -> Taken {
        let now = u64::try_from(now.saturating_duration_since(self.began).as_nanos()).unwrap_or(u64::MAX);
        self.take_at(rate, hash, now)
    }

    fn take_at(&self, rate: Rate, hash: u64, now: u64) -> Taken {
        let lines = self.lines.get_or_init(|| (0..self.count).map(|_| Line::default()).collect());
        // The upper bits choose the line, and all of them tell keys apart.
        let line = &lines[(hash >> 32) as usize & (self.count - 1)];
        let hash = hash.max(1);
        let known = line.0.iter().find(|(key, _)| key.load(Relaxed) == hash);
        let arrival = known.map_or_else(|| line.insert(hash, now), |(_, arrival)| arrival);
        let mut before = arrival.load(Relaxed);
        loop {
            let (next, left) = match rate.next(before, now) {
                Ok(found) => found,
                Err(wait) => return Taken::Wait(Duration::from_nanos(wait)),
            };
            match arrival.compare_exchange_weak(before, next, Relaxed, Relaxed) {
                Ok(_) => return rate.taken(left),
                Err(other) => before = other,
            }
        }
    }
}

impl Line {
    /// The arrival time of a new key, in place of the key that is the least in debt.
    fn insert(&self, hash: u64, now: u64) -> &AtomicU64 {
        let [first, others @ ..] = &self.0;
        let least = |best, slot| if arrival(slot) < arrival(best) { slot } else { best };
        let slot = others.iter().fold(first, least);
        slot.1.store(now, Relaxed);
        slot.0.store(hash, Relaxed);
        &slot.1
    }
}

fn arrival(slot: &(AtomicU64, AtomicU64)) -> u64 {
    slot.1.load(Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(requests: u32, per: u64, burst: u32) -> Rate {
        Rate::new(requests, Duration::from_secs(per), burst)
    }

    /// Times in tenths of a second, and for each the requests that are left or the tenths to wait.
    fn run(rate: Rate, times: &[(u64, Result<u64, u64>)]) {
        let table = LimitTable::new(64);
        for (at, (tenths, expected)) in times.iter().enumerate() {
            let taken = table.take_at(rate, 7, tenths * SECOND / 10);
            let found = match taken {
                Taken::Left(left, _) => Ok(left),
                Taken::Wait(wait) => Err(wait.as_millis() as u64 / 100),
            };
            assert_eq!(found, *expected, "request {at} at {tenths}");
            // The last request is told how long the next one waits, which is refused now and does not count.
            if let Taken::Left(0, next) = taken {
                assert_eq!(
                    table.take_at(rate, 7, tenths * SECOND / 10),
                    Taken::Wait(next),
                    "behind request {at}"
                );
            }
        }
    }

    #[test]
    fn a_list_of_instants() {
        // Two in a second, three at once.
        run(
            rate(2, 1, 3),
            &[
                (10, Ok(2)),
                (10, Ok(1)),
                (10, Ok(0)),
                (10, Err(5)),
                (12, Err(3)),
                (15, Ok(0)),
                (15, Err(5)),
                (20, Ok(0)),
                (100, Ok(2)),
            ],
        );
        // A burst of one: an even rate.
        run(rate(1, 1, 1), &[(0, Ok(0)), (0, Err(10)), (9, Err(1)), (10, Ok(0)), (15, Err(5)), (20, Ok(0))]);
        // Refused requests do not count.
        run(rate(1, 1, 2), &[(0, Ok(1)), (0, Ok(0)), (1, Err(9)), (2, Err(8)), (10, Ok(0)), (10, Err(10))]);
    }

    #[test]
    fn the_end_of_the_clock_is_no_overflow() {
        let (table, rate) = (LimitTable::new(64), Rate::new(1, Duration::MAX, u32::MAX));
        assert!(matches!(table.take_at(rate, 7, u64::MAX), Taken::Left(..)));
        assert!(matches!(table.take_at(rate, 7, u64::MAX - 1), Taken::Left(..) | Taken::Wait(_)));
        assert!(matches!(table.take_at(self::rate(1, 1, 1), 8, u64::MAX), Taken::Left(0, _)));
    }

    #[test]
    fn a_line_forgets_the_key_that_is_the_least_in_debt() {
        let (table, rate) = (LimitTable::new(4), rate(1, 1, 4));
        assert_eq!(table.count, 1);
        let spent = |hash, requests: u32| (0..requests).for_each(|_| _ = table.take_at(rate, hash, 0));
        [(1, 4), (2, 3), (3, 4), (4, 4)].into_iter().for_each(|(hash, requests)| spent(hash, requests));
        assert_eq!(table.take_at(rate, 5, 0), Taken::Left(3, Duration::ZERO), "a new key");
        assert_eq!(
            table.take_at(rate, 1, 0),
            Taken::Wait(Duration::from_secs(1)),
            "a key in debt is remembered"
        );
        // A key whose time is over makes room first.
        assert_eq!(table.take_at(rate, 6, 100 * SECOND), Taken::Left(3, Duration::ZERO));
    }

    #[test]
    fn two_threads_let_through_no_more_than_the_burst() {
        let (table, burst) = (LimitTable::new(64), 1_000);
        // So slow that nothing more is allowed during the test.
        let rate = Rate::new(1, Duration::from_secs(24 * 3_600), burst);
        table.take_at(rate, 7, 0);
        let passed: u64 = std::thread::scope(|scope| {
            let run =
                || (0..2_000).filter(|_| matches!(table.take_at(rate, 7, 0), Taken::Left(..))).count() as u64;
            let threads = [scope.spawn(run), scope.spawn(run)];
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed + 1, u64::from(burst));
    }

    #[test]
    fn many_keys_take_no_more_memory() {
        let (table, rate) = (LimitTable::new(1_024), rate(1, 1, 1));
        (0..1 << 16).for_each(|key: u64| _ = table.take(rate, table.hash(key), table.began));
        assert_eq!(table.lines.get().map(|lines| size_of_val(&**lines)), Some(1_024 * 16));
    }
}
