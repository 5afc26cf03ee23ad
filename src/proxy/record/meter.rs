//! Bytes one way, and when the last of them moved.

use std::cell::Cell;
use std::time::Instant;

use crate::metrics::Counter;

/// What passes one way during an exchange: for the log, the metrics, and whoever waits for progress.
pub(in crate::proxy) struct Meter<'a> {
    bytes: Cell<u64>,
    last: Cell<Instant>,
    /// When all of it had passed, or as much as was to be had.
    ended: Cell<Option<Instant>>,
    total: &'a Counter,
}

impl<'a> Meter<'a> {
    pub(in crate::proxy) fn new(total: &'a Counter, now: Instant) -> Self {
        Self { bytes: Cell::new(0), last: Cell::new(now), ended: Cell::default(), total }
    }

    /// One that goes on where another ended; what that one saw is in `total` already.
    pub(in crate::proxy) fn after(bytes: u64, total: &'a Counter, now: Instant) -> Self {
        Self { bytes: Cell::new(bytes), ..Self::new(total, now) }
    }

    pub(in crate::proxy) fn add(&self, bytes: usize, now: Instant) {
        self.bytes.set(self.bytes.get() + bytes as u64);
        self.last.set(now);
        self.total.add(bytes as u64);
    }

    pub(in crate::proxy) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    pub(in crate::proxy) fn last(&self) -> Instant {
        self.last.get()
    }

    pub(in crate::proxy) fn ended(&self) -> Option<Instant> {
        self.ended.get()
    }

    /// Notes when all of it had passed; `None`: it has not yet.
    pub(in crate::proxy) fn set_ended(&self, ended: Option<Instant>) {
        self.ended.set(ended);
    }
}
