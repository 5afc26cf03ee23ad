//! Bytes in one direction, and when the last of them moved.

use std::cell::Cell;

use crate::metrics::Counter;
use crate::worker::Moment;

/// The bytes of one direction of an exchange, for the log, the metrics, and timeouts.
pub(in crate::proxy) struct Meter<'a> {
    bytes: Cell<u64>,
    last: Cell<Moment>,
    /// When the transfer ended, complete or not; `None` while it goes on.
    ended: Cell<Option<Moment>>,
    total: &'a Counter,
}

impl<'a> Meter<'a> {
    pub(in crate::proxy) fn new(total: &'a Counter, now: Moment) -> Self {
        Self { bytes: Cell::new(0), last: Cell::new(now), ended: Cell::default(), total }
    }

    /// A meter that continues after another one. Its first `bytes` are in `total` already.
    pub(in crate::proxy) fn after(bytes: u64, total: &'a Counter, now: Moment) -> Self {
        Self { bytes: Cell::new(bytes), ..Self::new(total, now) }
    }

    /// Counts bytes that moved at `now`.
    pub(in crate::proxy) fn add(&self, bytes: usize, now: Moment) {
        self.bytes.set(self.bytes.get() + bytes as u64);
        self.last.set(now);
        self.total.add(bytes as u64);
    }

    pub(in crate::proxy) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    pub(in crate::proxy) fn last(&self) -> Moment {
        self.last.get()
    }

    pub(in crate::proxy) fn ended(&self) -> Option<Moment> {
        self.ended.get()
    }

    /// Records when the transfer ended; `None`: it has not ended yet.
    pub(in crate::proxy) fn set_ended(&self, ended: Option<Moment>) {
        self.ended.set(ended);
    }
}
