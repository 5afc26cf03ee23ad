//! The access log as a person reads it in a terminal.
//!
//! ```text
//! 12:34:56  200  GET       4.3kB    1.2ms  192.0.2.7        a.test/users/7  -> users
//! 12:34:57  502  POST       126B    0.4ms  192.0.2.7        a.test/pay  @ann  -> users  connect_refused
//! ```
//!
//! Short values come first, so that columns stay aligned. The time is in UTC.

use std::io::{self, Write};
use std::time::Duration;

use super::record::{AccessRecord, escape, escape_word};
use crate::log::clock::Utc;
use crate::reason::Reason;

/// The colour of a line's status and reason (ECMA-48, SGR).
fn colour(status: u16) -> &'static str {
    match status {
        ..300 => "\x1b[32m",
        300..400 => "\x1b[36m",
        400..500 => "\x1b[33m",
        500.. => "\x1b[31m",
    }
}

const END: &str = "\x1b[0m";

/// Appends the line of a record. A connection has `-` for status and method.
pub(super) fn write_line(record: &AccessRecord<'_>, colours: bool, line: &mut Vec<u8>) -> io::Result<()> {
    let status = record.request.map(|request| request.status);
    // A response that broke off has its own status, and failed all the same.
    let colour = colour(record.reason.map(Reason::status).or(status).unwrap_or(200));
    let (colour, end) = if colours { (colour, END) } else { ("", "") };
    write!(line, "{}  {colour}", Utc::from(record.time).time())?;
    match status {
        Some(status) => write!(line, "{status:>3}{end}  ")?,
        None => write!(line, "  -{end}  ")?,
    }
    let start = line.len();
    escape(record.request.map_or(b"-", |request| request.method), line);
    pad(line, start, METHOD_WIDTH);
    let (bytes, duration) = (show_bytes(record.bytes_out), show_duration(record.duration));
    // A v4 address fits. A v6 address is mostly longer, and rare where people read logs.
    write!(line, "  {bytes:>7}  {duration:>7}  {:15}  ", record.client.to_string())?;
    // Most gates have one listener for each, so this tells the listener too.
    line.extend_from_slice(if record.tls.is_some() && !record.host.is_empty() { b"https://" } else { b"" });
    escape(record.host, line);
    if let Some(request) = record.request {
        // A target that begins with a scheme has the host in it.
        let has_host = !request.target.starts_with(b"/");
        line.extend_from_slice(if has_host && !record.host.is_empty() { b" " } else { b"" });
        escape(request.target, line);
    }
    if let Some(user) = record.request.map(|request| request.user).filter(|user| !user.is_empty()) {
        line.extend_from_slice(b"  @");
        escape_word(user, line);
    }
    if let Some(upstream) = record.upstream {
        line.extend_from_slice(b"  -> ");
        escape(upstream.as_bytes(), line);
    }
    if let Some(reason) = record.reason {
        write!(line, "  {colour}{}{end}", reason.code())?;
    }
    line.push(b'\n');
    Ok(())
}

/// `OPTIONS` is the longest common method.
const METHOD_WIDTH: usize = 7;

fn pad(line: &mut Vec<u8>, start: usize, width: usize) {
    let missing = (start + width).saturating_sub(line.len());
    line.resize(line.len() + missing, b' ');
}

/// A size with three digits or more: `999B`, `4.3kB`, `120MB`.
fn show_bytes(bytes: u64) -> String {
    let units = [("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)];
    let bytes_f = bytes as f64;
    match units.iter().rev().find(|(_, size)| bytes_f >= *size) {
        None => format!("{bytes}B"),
        Some((unit, size)) => format!("{}{unit}", short(bytes_f / size)),
    }
}

/// A duration with two digits or more: `0.4ms`, `120ms`, `1.5s`, `3.2h`.
fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..1.0 => format!("{}ms", short(seconds * 1e3)),
        ..60.0 => format!("{}s", short(seconds)),
        ..3600.0 => format!("{}min", short(seconds / 60.0)),
        _ => format!("{}h", short(seconds / 3600.0)),
    }
}

/// One digit behind the point, where there is only one before it.
fn short(number: f64) -> String {
    if number < 9.95 { format!("{number:.1}") } else { format!("{number:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (bytes, shown) in [
            (0, "0B"),
            (999, "999B"),
            (1_000, "1.0kB"),
            (4_321, "4.3kB"),
            (120_400_000, "120MB"),
            (u64::MAX, "18446744TB"),
        ] {
            assert_eq!(show_bytes(bytes), shown);
        }
        for (microseconds, shown) in [
            (0, "0.0ms"),
            (432, "0.4ms"),
            (120_000, "120ms"),
            (1_500_000, "1.5s"),
            (59_000_000, "59s"),
            (90_000_000, "1.5min"),
            (11_520_000_000, "3.2h"),
        ] {
            assert_eq!(show_duration(Duration::from_micros(microseconds)), shown);
        }
    }
}
