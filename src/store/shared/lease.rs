//! The lease: the right of one gate to order, which it renews, and which ends by itself.
//!
//! The holder writes the record every third of the lease. Another gate notes the version that it sees, and the time by
//! its own clock. If the version stays for four thirds of the lease, the holder is gone, and the gate takes its place.
//! The holder acts for two thirds of the lease after the start of its last good write.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::sealed::Sealed;
use super::values::{Changed, Expect, Version};

/// The record as it is written.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Record {
    /// The name of the holder.
    holder: String,
    /// Holders until now.
    term: u64,
    /// Writes of this holder. So no two records are equal.
    count: u64,
    /// Whether the holder has given the lease back.
    is_over: bool,
}

/// The right to order.
pub(super) struct Lease {
    key: String,
    /// The name of this gate. No other has it.
    own: String,
    time: Duration,
    /// Locked during a step, which asks the server.
    turn: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Clone, Debug)]
enum State {
    /// Another gate holds the lease, or none that is known.
    Follows(Option<Seen>),
    /// This gate holds it.
    Holds {
        record: Record,
        version: Version,
        /// The start of the last good write.
        since: Instant,
    },
}

/// The record of another gate.
#[derive(Clone, Debug)]
struct Seen {
    holder: String,
    version: Version,
    /// The time at which this version was first seen.
    since: Instant,
}

impl Lease {
    pub(super) fn new(key: String, own: String, time: Duration) -> Self {
        Self { key, own, time, turn: Mutex::new(()), state: Mutex::new(State::Follows(None)) }
    }

    /// The time of the lease.
    pub(super) fn time(&self) -> Duration {
        self.time
    }

    /// Takes the lease if it is free, or renews it. Returns whether this gate holds it now.
    ///
    /// # Errors
    /// The server does not answer. Then the lease is held for as long as it would be without the call.
    pub(super) fn step(&self, store: &Sealed, clock: impl Fn() -> Instant) -> io::Result<bool> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self.state().clone();
        if let State::Holds { record, version, .. } = state {
            let next = Record { count: record.count + 1, ..record };
            if self.write(store, next, Expect::At(&version), &clock)? {
                return Ok(true);
            }
        }
        let read = store.get(&self.key).inspect_err(|_| self.forget());
        let Some((bytes, version)) = read? else {
            return self.write(store, self.first(0), Expect::Absent, &clock);
        };
        let Ok(record) = serde_json::from_slice::<Record>(&bytes) else {
            return self.write(store, self.first(0), Expect::At(&version), &clock);
        };
        if record.holder == self.own && !record.is_over {
            // A write of this gate whose answer was lost.
            return self.write(
                store,
                Record { count: record.count + 1, ..record },
                Expect::At(&version),
                &clock,
            );
        }
        let since = match &*self.state() {
            State::Follows(Some(seen)) if seen.version == version => seen.since,
            _ => clock(),
        };
        if record.is_over || clock().saturating_duration_since(since) >= self.time + self.time / 3 {
            return self.write(store, self.first(record.term), Expect::At(&version), &clock);
        }
        *self.state() = State::Follows(Some(Seen { holder: record.holder, version, since }));
        Ok(false)
    }

    /// Whether this gate may act at `now`.
    pub(super) fn is_held(&self, now: Instant) -> bool {
        match &*self.state() {
            State::Holds { since, .. } => now.saturating_duration_since(*since) < self.time * 2 / 3,
            State::Follows(_) => false,
        }
    }

    /// Whether another gate may hold the lease. Without an answer of the server, it is not known to.
    pub(super) fn is_lost(&self) -> bool {
        matches!(&*self.state(), State::Follows(_))
    }

    /// The name of the gate that holds the lease, if it is another one.
    pub(super) fn holder(&self) -> Option<String> {
        match &*self.state() {
            State::Follows(seen) => seen.as_ref().map(|seen| seen.holder.clone()),
            State::Holds { .. } => None,
        }
    }

    /// Gives the lease back, so that another gate need not wait.
    pub(super) fn give_back(&self, store: &Sealed) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let state = std::mem::replace(&mut *self.state(), State::Follows(None));
        let State::Holds { record, version, .. } = state else { return Ok(()) };
        let over = Record { is_over: true, count: record.count + 1, ..record };
        // If the record has changed, another gate holds the lease.
        let _ = store.put(&self.key, &bytes(&over)?, Expect::At(&version))?;
        Ok(())
    }

    /// Forgets the record of another gate: as long as it is not seen, it may have changed.
    fn forget(&self) {
        let mut state = self.state();
        if let State::Follows(seen) = &mut *state {
            *seen = None;
        }
    }

    /// The first record of this gate as a holder, after `term` others.
    fn first(&self, term: u64) -> Record {
        Record { holder: self.own.clone(), term: term + 1, count: 1, is_over: false }
    }

    /// Writes a record. Returns whether this gate holds the lease by that.
    fn write(
        &self,
        store: &Sealed,
        record: Record,
        found: Expect<'_>,
        clock: impl Fn() -> Instant,
    ) -> io::Result<bool> {
        let since = clock();
        match store.put(&self.key, &bytes(&record)?, found)? {
            Ok(version) => {
                *self.state() = State::Holds { record, version, since };
                Ok(true)
            }
            Err(Changed) => {
                *self.state() = State::Follows(None);
                Ok(false)
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bytes(record: &Record) -> io::Result<Vec<u8>> {
    serde_json::to_vec(record).map_err(io::Error::other)
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;
