//! The access log: one line per exchange, and one per connection without exchanges.
//!
//! A worker formats the line and queues it; a thread writes it. If the queue is full, the line is dropped and
//! counted in `smolgate_access_log_dropped_total`. Of a request's fields only `Host`, `User-Agent` and
//! `Referer` are written: never a cookie, never `Authorization`.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::config::plan;
use crate::log::clock::Utc;
use crate::log::hidden;
use crate::log::queue::{Output, Queue};
use crate::metrics::Counters;
use crate::reason::Reason;

/// The most bytes of a value from a client; the rest is cut off.
pub const VALUE_BYTES_MAX: usize = 4_096;

/// The longest wait of [`AccessLog::flush_and_stop`] for a destination that is blocked.
pub const FLUSH_TIME_MAX: Duration = Duration::from_secs(1);

/// The content of a line: an exchange, or a whole connection that was passed through or dropped. Bytes that
/// are not UTF-8 are replaced.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// The time of the end.
    pub time: SystemTime,
    /// Name of the listener.
    pub listener: &'a str,
    /// Name of the rule; `none` if none matched or none was needed.
    pub rule: &'a str,
    /// The client: the peer, or the address that a trusted proxy sent.
    pub client: IpAddr,
    /// `Host`, as sent; for a connection, the server name from the client. Empty if none.
    pub host: &'a [u8],
    /// `None` for a connection.
    pub request: Option<AccessRequest<'a>>,
    /// Bytes read from the client for this.
    pub bytes_in: u64,
    /// Bytes written to the client for this.
    pub bytes_out: u64,
    /// For an exchange, the time from the first byte of the request to the last of the response. For a
    /// connection, the time from the choice of its destination to its end.
    pub duration: Duration,
    /// Name of the upstream, if one was chosen.
    pub upstream: Option<&'a str>,
    /// The target's address, if one was reached.
    pub target_address: Option<SocketAddr>,
    /// Version and cipher suite, if the client speaks TLS.
    pub tls: Option<(&'a str, &'a str)>,
    /// The reason why smolgate replied or closed by itself, if it did.
    pub reason: Option<Reason>,
}

/// The parts of a line that only an exchange has.
#[derive(Clone, Copy, Debug)]
pub struct AccessRequest<'a> {
    /// Method, as sent.
    pub method: &'a [u8],
    /// Request target, as sent.
    pub target: &'a [u8],
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: &'a str,
    /// Status of the response; 499 if the client left before there was one, 444 if it was dropped.
    pub status: u16,
    /// `User-Agent`, as sent; empty if none.
    pub user_agent: &'a [u8],
    /// `Referer`, as sent; empty if none.
    pub referer: &'a [u8],
}

/// The access log. Clones write to one queue.
#[derive(Clone)]
pub struct AccessLog {
    queue: Queue,
    format: plan::AccessLogFormat,
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
        let dropped = move |lines| {
            counters.access_log_dropped().fetch_add(lines, Relaxed);
        };
        let failed = |error: &io::Error| tracing::warn!(%error, "access log cannot be written");
        let queue = Queue::start("access-log", output, dropped, failed)?;
        Ok(AccessLog { queue, format: plan.format })
    }

    /// Formats the line and queues it. Never waits.
    pub fn write(&self, record: &AccessRecord<'_>) {
        let mut line = Vec::with_capacity(512);
        let written = match self.format {
            plan::AccessLogFormat::Json => json(record, &mut line),
            plan::AccessLogFormat::Combined => combined(record, &mut line),
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

fn json(record: &AccessRecord<'_>, line: &mut Vec<u8>) -> io::Result<()> {
    #[derive(Serialize)]
    struct Line<'a> {
        time: String,
        listener: &'a str,
        rule: &'a str,
        client: IpAddr,
        #[serde(skip_serializing_if = "Option::is_none")]
        method: Option<Cow<'a, str>>,
        host: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        target: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
        bytes_in: u64,
        bytes_out: u64,
        duration_ms: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        upstream: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        target_address: Option<SocketAddr>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tls_version: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        tls_cipher: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        user_agent: Option<Cow<'a, str>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        referer: Option<Cow<'a, str>>,
    }
    let request = record.request;
    let text = |bytes| String::from_utf8_lossy(clip(bytes));
    let value = Line {
        time: Utc::from(record.time).to_string(),
        listener: record.listener,
        rule: record.rule,
        client: record.client,
        method: request.map(|request| text(request.method)),
        host: text(record.host),
        target: request.map(|request| text(request.target)),
        version: request.map(|request| request.version),
        status: request.map(|request| request.status),
        bytes_in: record.bytes_in,
        bytes_out: record.bytes_out,
        // Microseconds are precise enough and keep the line short.
        duration_ms: record.duration.as_micros() as f64 / 1e3,
        upstream: record.upstream,
        target_address: record.target_address,
        tls_version: record.tls.map(|(version, _)| version),
        tls_cipher: record.tls.map(|(_, cipher)| cipher),
        reason: record.reason.map(Reason::code),
        user_agent: request.map(|request| text(request.user_agent)),
        referer: request.map(|request| text(request.referer)),
    };
    serde_json::to_writer(&mut *line, &value)?;
    line.push(b'\n');
    Ok(())
}

/// `client - - [time] "METHOD target VERSION" status bytes "referer" "user agent"`. For a connection, the
/// target is the server name, and the status is 200 if it ended well, as for streams in nginx.
fn combined(record: &AccessRecord<'_>, line: &mut Vec<u8>) -> io::Result<()> {
    let connection = || AccessRequest {
        method: b"-",
        target: or_dash(record.host),
        version: "-",
        status: record.reason.map_or(200, Reason::status),
        user_agent: b"",
        referer: b"",
    };
    let request = record.request.unwrap_or_else(connection);
    write!(line, "{} - - [{}] \"", record.client, Utc::from(record.time).combined())?;
    escape(request.method, line);
    line.push(b' ');
    escape(request.target, line);
    write!(line, " {}\" {} {} \"", request.version, request.status, record.bytes_out)?;
    escape(or_dash(request.referer), line);
    line.extend_from_slice(b"\" \"");
    escape(or_dash(request.user_agent), line);
    line.extend_from_slice(b"\"\n");
    Ok(())
}

fn or_dash(value: &[u8]) -> &[u8] {
    if value.is_empty() { b"-" } else { value }
}

fn clip(value: &[u8]) -> &[u8] {
    &value[..value.len().min(VALUE_BYTES_MAX)]
}

/// Writes printable ASCII unchanged and everything else, quotes and backslashes as `\xHH`. So a client can
/// neither end the field or the line, nor control a terminal that shows it.
fn escape(value: &[u8], line: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in clip(value) {
        match byte {
            b'"' | b'\\' | ..=0x1f | 0x7f.. => {
                line.extend_from_slice(&[
                    b'\\',
                    b'x',
                    HEX[usize::from(byte >> 4)],
                    HEX[usize::from(byte & 15)],
                ]);
            }
            _ => line.push(byte),
        }
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
