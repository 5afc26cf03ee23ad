//! The access log: its format and its destination.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::record::AccessRecord;
use super::{combined, human, json};
use crate::config::plan;
use crate::log::colours::no_colour;
use crate::log::hidden;
use crate::log::queue::{Output, Queue};
use crate::metrics::Counters;

/// The longest wait of [`AccessLog::flush_and_stop`] for a destination that is blocked.
pub const FLUSH_TIME_MAX: Duration = Duration::from_secs(1);

/// The access log. Clones write to one queue.
#[derive(Clone)]
pub struct AccessLog {
    pub(super) queue: Queue,
    format: plan::AccessLogFormat,
    /// Whether lines for people have colours.
    colours: bool,
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").field("format", &self.format).finish_non_exhaustive()
    }
}

impl AccessLog {
    /// Opens the file, if there is one, and starts the writer thread. Lost lines are counted in `counters`.
    ///
    /// # Errors
    /// If the file cannot be opened for appending.
    pub fn start(plan: &plan::AccessLog, counters: Arc<Counters>) -> io::Result<AccessLog> {
        let output = match &plan.to {
            plan::AccessLogTo::Stdout => Output::stdout()?,
            plan::AccessLogTo::File(path) => Output::file(path)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?,
        };
        let colours = output.is_terminal() && !no_colour();
        let dropped = move |lines| {
            counters.access_log_dropped().fetch_add(lines, Relaxed);
        };
        let failed = |error: &io::Error| tracing::warn!(%error, "access log cannot be written");
        let queue = Queue::start("access-log", output, dropped, failed)?;
        Ok(AccessLog { queue, format: plan.format, colours })
    }

    /// Formats the line and queues it. Never waits.
    pub fn write(&self, record: &AccessRecord<'_>) {
        let mut line = Vec::with_capacity(512);
        let written = match self.format {
            plan::AccessLogFormat::Json => json::write_line(record, &mut line),
            plan::AccessLogFormat::Combined => combined::write_line(record, &mut line),
            plan::AccessLogFormat::Human => human::write_line(record, self.colours, &mut line),
        };
        written.expect("invariant: a Vec takes every write");
        self.queue.push(hidden::escape(line));
    }

    /// Reopens the file by its name, after it was moved away. Until then lines go to the old file. Does
    /// nothing for standard output.
    pub fn reopen(&self) {
        self.queue.reopen();
    }

    /// Writes the queued lines, for at most [`FLUSH_TIME_MAX`], and ends the thread. Later lines of other
    /// clones are dropped and counted.
    pub fn flush_and_stop(self) {
        self.queue.flush(FLUSH_TIME_MAX);
        self.queue.stop();
    }
}
