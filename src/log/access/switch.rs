//! The places where lines of the access log go, behind one flag.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::access_log::AccessLog;
use super::record::AccessRecord;
use super::tail::Tail;

/// The places where lines go: the access log, if there is one, and readers of `smolgate tail`.
#[derive(Clone, Default)]
pub struct AccessLines {
    log: Option<AccessLog>,
    tail: Arc<Tail>,
}

impl AccessLines {
    /// Whether a line would go anywhere.
    pub fn are_wanted(&self) -> bool {
        self.log.is_some() || self.tail.has_readers()
    }

    /// Formats the line and queues it. Never waits.
    pub fn write(&self, record: &AccessRecord<'_>) {
        if let Some(log) = &self.log {
            log.write(record);
        }
        if self.tail.has_readers() {
            self.tail.write(record);
        }
    }
}

/// The lines of a generation. Without a log and without a reader, an exchange loads the flag and does no more.
#[derive(Default)]
pub struct AccessSwitch {
    is_on: AtomicBool,
    lines: AccessLines,
}

impl AccessSwitch {
    /// The lines of a log and of readers.
    pub fn new(log: Option<AccessLog>, tail: &Arc<Tail>) -> Self {
        let lines = AccessLines { log, tail: tail.clone() };
        Self { is_on: AtomicBool::new(lines.are_wanted()), lines }
    }

    /// The places where lines go. `None` if no line is wanted.
    #[inline]
    pub fn wanted(&self) -> Option<&AccessLines> {
        self.is_on.load(Relaxed).then_some(&self.lines)
    }

    /// The places where lines go, whether or not any is wanted now.
    pub fn lines(&self) -> &AccessLines {
        &self.lines
    }

    /// The access log.
    pub fn log(&self) -> Option<&AccessLog> {
        self.lines.log.as_ref()
    }

    /// Says whether there are readers.
    pub fn readers_changed(&self, are_there: bool) {
        self.is_on.store(self.lines.log.is_some() || are_there, Relaxed);
    }
}
