//! The facts about framing and the connection in the fields of one head, gathered while they are read (RFC
//! 9110, section 7.6.1; RFC 9112, sections 6 and 9).

use std::time::Duration;

use crate::http::{Authority, Name, Refusal, Version, escaped, list_items};
use crate::reason::Reason;

/// Options in all `Connection` fields of one head. Each is compared with every field, and real heads have one
/// or two.
pub const CONNECTION_OPTIONS_MAX: usize = 32;

/// The largest accepted length: that of a signed 64-bit number, in which other programs count.
const LENGTH_MAX: u64 = i64::MAX as u64;

/// Transfer codings that exist, but are not needed between a client and a proxy.
const KNOWN_CODINGS: &[&str] =
    &["gzip", "x-gzip", "deflate", "compress", "x-compress", "identity", "br", "zstd"];

/// The facts of the fields that were read so far.
#[derive(Debug, Default)]
pub(super) struct HeadFacts<'b> {
    /// Whether the head is a response. `Host` has no meaning there, so it is a field like any other.
    of_response: bool,
    /// The value of the only `Host` field of a request.
    pub(super) host: Option<Authority<'b>>,
    pub(super) content_length: Option<u64>,
    /// Whether `Content-Length` has no leading zeros, as in messages that smolgate writes.
    pub(super) is_length_plain: bool,
    /// The value of the only `Transfer-Encoding` field. It is `chunked` after `check_framing`.
    transfer_encoding: Option<&'b [u8]>,
    pub(super) connection: Connection,
    /// Whether there is an `Upgrade` field.
    pub(super) upgrade: bool,
    pub(super) expect_continue: bool,
    pub(super) te_trailers: bool,
    pub(super) keep_alive_timeout: Option<Duration>,
}

/// The options of all `Connection` fields.
#[derive(Debug, Default)]
pub(super) struct Connection {
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) upgrade: bool,
    /// Whether there is an option that may be the name of a field.
    pub(super) names_fields: bool,
    count: usize,
}

impl<'b> HeadFacts<'b> {
    pub(super) fn of_response() -> HeadFacts<'b> {
        HeadFacts { of_response: true, ..HeadFacts::default() }
    }

    /// Takes one field into account. A field that would leave the end of the message in doubt is refused.
    pub(super) fn observe(&mut self, name: Name, value: &'b [u8]) -> Result<(), Refusal> {
        match name {
            Name::Host if !self.of_response => self.observe_host(value)?,
            Name::ContentLength => {
                let length = content_length(value)?;
                if self.content_length.replace(length).is_some() {
                    return Err(framing("there are two Content-Length fields"));
                }
                self.is_length_plain = value.len() == 1 || !value.starts_with(b"0");
            }
            Name::TransferEncoding => {
                let earlier = self.transfer_encoding.replace(value);
                if earlier.is_some() {
                    return Err(framing("there are two Transfer-Encoding fields"));
                }
            }
            Name::Connection => self.connection.observe(value)?,
            Name::Upgrade => self.upgrade = true,
            Name::Expect => self.expect_continue |= value.eq_ignore_ascii_case(b"100-continue"),
            Name::Te => {
                self.te_trailers |= list_items(value).any(|item| item.eq_ignore_ascii_case(b"trailers"));
            }
            Name::KeepAlive => self.keep_alive_timeout = keep_alive_timeout(value),
            _ => {}
        }
        Ok(())
    }

    fn observe_host(&mut self, value: &'b [u8]) -> Result<(), Refusal> {
        if self.host.is_some() {
            return Err(Refusal::new(Reason::RequestHost, "there are two Host fields"));
        }
        let authority = Authority::parse(value).map_err(|fault| {
            let detail = format!("the Host field ({}): {}", escaped(value), fault);
            Refusal::new(Reason::RequestHost, detail)
        })?;
        self.host = Some(authority);
        Ok(())
    }

    /// Whether the body is chunked. The result is valid after `check_framing`.
    pub(super) fn is_chunked(&self) -> bool {
        self.transfer_encoding.is_some()
    }

    /// Whether there are both lengths in one message.
    pub(super) fn has_both_lengths(&self) -> bool {
        self.content_length.is_some() && self.transfer_encoding.is_some()
    }

    /// Whether `Connection` and `Upgrade` name another protocol.
    pub(super) fn upgrades(&self) -> bool {
        self.connection.upgrade && self.upgrade
    }

    /// Checks the framing when all fields are known. Both lengths in one message, and a transfer coding
    /// before HTTP/1.1, are signs of smuggling (RFC 9112, section 6.1). They are checked before the coding
    /// itself, so that an unknown coding gets its own reason only without them. Whether both lengths are harmless in
    /// a response depends on its request: see [`ResponseHead::framing`](crate::http::ResponseHead::framing).
    pub(super) fn check_framing(&self, version: Version) -> Result<(), Refusal> {
        let Some(codings) = self.transfer_encoding else { return Ok(()) };
        if self.content_length.is_some() && !self.of_response {
            return Err(framing("there are both Content-Length and Transfer-Encoding"));
        }
        if version == Version::Http10 {
            return Err(framing("HTTP/1.0 has no Transfer-Encoding"));
        }
        only_chunked(codings)
    }

    /// Whether the connection may carry another message after this one (RFC 9112, section 9.3).
    pub(super) fn keep_alive(&self, version: Version) -> bool {
        match version {
            Version::Http11 | Version::Http2 => !self.connection.close,
            Version::Http10 => self.connection.keep_alive && !self.connection.close,
        }
    }
}

/// Whether an option is `lower` in any case. Most options are in lower case, so that is compared first.
fn is(option: &[u8], lower: &[u8]) -> bool {
    option == lower || option.eq_ignore_ascii_case(lower)
}

impl Connection {
    fn observe(&mut self, value: &[u8]) -> Result<(), Refusal> {
        for option in list_items(value) {
            self.count += 1;
            if self.count > CONNECTION_OPTIONS_MAX {
                let detail = format!("Connection has more than {CONNECTION_OPTIONS_MAX} options");
                return Err(Refusal::new(Reason::RequestMalformed, detail));
            }
            if is(option, b"keep-alive") {
                self.keep_alive = true;
            } else if is(option, b"close") {
                self.close = true;
            } else if is(option, b"upgrade") {
                self.upgrade = true;
            } else {
                self.names_fields = true;
            }
        }
        Ok(())
    }
}

/// Parses `1*DIGIT` and nothing else (RFC 9110, section 8.6).
fn content_length(value: &[u8]) -> Result<u64, Refusal> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if !digits {
        return Err(framing(format!("Content-Length ({}) is not a number", escaped(value))));
    }
    let number = value.iter().try_fold(0u64, |number, digit| {
        number.checked_mul(10)?.checked_add(u64::from(digit - b'0')).filter(|&number| number <= LENGTH_MAX)
    });
    number.ok_or_else(|| framing(format!("Content-Length ({}) is over 2^63-1", escaped(value))))
}

/// Accepts exactly `chunked`, in any case (RFC 9112, section 6.1).
fn only_chunked(value: &[u8]) -> Result<(), Refusal> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    Err(unknown_coding(value))
}

/// The refusal of another coding than `chunked`. A list of codings that exist, with `chunked` last or absent,
/// gets 501. Any other value may be an attempt to be read in two ways.
#[cold]
fn unknown_coding(value: &[u8]) -> Refusal {
    let mut codings: Vec<&[u8]> = value.split(|&byte| byte == b',').map(crate::http::class::trim).collect();
    if codings.last().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked")) {
        codings.pop();
    }
    let known =
        |coding: &&[u8]| KNOWN_CODINGS.iter().any(|known| coding.eq_ignore_ascii_case(known.as_bytes()));
    if !codings.is_empty() && codings.iter().all(known) {
        let detail = format!("the transfer coding {} is not served, only chunked is", escaped(value));
        return Refusal::new(Reason::CodingUnknown, detail);
    }
    framing(format!("Transfer-Encoding ({}) is not exactly chunked", escaped(value)))
}

/// The value of `timeout=n` in a `Keep-Alive` field, in seconds.
fn keep_alive_timeout(value: &[u8]) -> Option<Duration> {
    list_items(value).find_map(|item| {
        let (name, seconds) = item.split_at_checked(b"timeout=".len())?;
        if !name.eq_ignore_ascii_case(b"timeout=") {
            return None;
        }
        let seconds: u32 = std::str::from_utf8(seconds).ok()?.parse().ok()?;
        Some(Duration::from_secs(u64::from(seconds)))
    })
}

#[cold]
fn framing(detail: impl Into<String>) -> Refusal {
    Refusal::new(Reason::RequestFraming, detail)
}
