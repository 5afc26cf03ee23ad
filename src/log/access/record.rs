//! The content of a line, and the forms of its values.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use crate::config::plan::TargetAddress;
use crate::reason::Reason;

/// The most bytes of a value from a client; the rest is cut off.
pub(super) const VALUE_BYTES_MAX: usize = 4_096;

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
    pub target_address: Option<&'a TargetAddress>,
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
    /// The identity of the request; empty if its rule gives none.
    pub request_id: &'a [u8],
    /// The context of its trace, well-formed; empty if it has none.
    pub traceparent: &'a [u8],
    /// The name of the user; empty if none is known.
    pub user: &'a [u8],
}

/// The value, or `-` in its place.
pub(super) fn or_dash(value: &[u8]) -> &[u8] {
    if value.is_empty() { b"-" } else { value }
}

/// The value, cut to [`VALUE_BYTES_MAX`].
pub(super) fn clip(value: &[u8]) -> &[u8] {
    &value[..value.len().min(VALUE_BYTES_MAX)]
}

/// As [`escape`], for a value between two spaces.
pub(super) fn escape_word(value: &[u8], line: &mut Vec<u8>) {
    for (index, word) in value.split(|byte| *byte == b' ').enumerate() {
        line.extend_from_slice(if index > 0 { b"\\x20" } else { b"" });
        escape(word, line);
    }
}

/// Writes printable ASCII unchanged and everything else, quotes and backslashes as `\xHH`. So a client can
/// neither end the field or the line, nor control a terminal that shows it.
pub(super) fn escape(value: &[u8], line: &mut Vec<u8>) {
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
