//! What a client says first, read without answering: which name and which protocols it asks for.
//!
//! Bytes in, facts out: "not yet" is `None`. Nothing is decrypted and nothing is decided here; the
//! bytes stay where they are and go on, unchanged, to whoever speaks TLS. A hello is one handshake
//! message (RFC 8446, section 4.1.2) that may be spread over any number of records and segments.
//!
//! ```text
//! record:  22 | 3 x | length | payload ...        (RFC 8446, section 5.1)
//! message: 1 | length (3) | version | random | session id | suites | compression | extensions
//! ```
//!
//! What is unknown is passed over: GREASE values, post-quantum key shares, the outer hello of ECH,
//! whose server name is the public one.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use crate::http::HostKey;

/// Bytes that are looked at, record headers counted. The largest hellos of today have some 2 KiB.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RECORD_HEADER: usize = 5;
/// RFC 8446, section 5.1: the largest payload of a record in the clear.
const RECORD_MAX: usize = 1 << 14;
const MESSAGE_HEADER: usize = 4;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const ECH: u16 = 0xfe0d;

/// How far a hello was looked at; kept between two looks, so that no record is walked twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct HelloScan {
    /// Where the next record starts.
    record: usize,
    /// Bytes of the message in the records before it.
    gathered: usize,
    /// Bytes of the whole message, once its header is there.
    message: Option<usize>,
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Hello<'a> {
    /// The server name, as rules compare hosts. `None` when there is none, or an address where only a
    /// name may stand (RFC 6066, section 3).
    pub server_name: Option<HostKey>,
    /// It carries an Encrypted Client Hello; `server_name` is the outer, public one.
    pub has_ech: bool,
    /// The message without its header; checked.
    body: Cow<'a, [u8]>,
}

impl Hello<'_> {
    /// The protocols that are offered (ALPN, RFC 7301), as the client prefers them.
    pub fn protocols(&self) -> impl Iterator<Item = &[u8]> {
        // Read once more: hardly anybody asks.
        let mut rest = Reader(read_message(&self.body).map_or(&[], |said| said.protocols));
        std::iter::from_fn(move || rest.vector(1))
    }
}

/// Why bytes are not the beginning of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloError {
    /// They do not begin like TLS at all.
    NotTls,
    /// They do, and then they are not a client hello.
    Malformed,
    /// More than [`HELLO_BYTES_MAX`].
    TooLong,
}

impl HelloError {
    /// One sentence for the log.
    pub fn explain(self) -> &'static str {
        match self {
            Self::NotTls => "what the client sent is not TLS",
            Self::Malformed => "what the client sent is not a valid client hello",
            Self::TooLong => "the client hello is longer than 16KiB",
        }
    }
}

/// Reads the hello at the beginning of `bytes`, which begin where they began at the last look.
/// `None`: it is not complete.
///
/// # Errors
/// As soon as it can be told that no hello will come of it.
pub fn parse_hello<'a>(bytes: &'a [u8], scan: &mut HelloScan) -> Result<Option<Hello<'a>>, HelloError> {
    while scan.message.is_none_or(|message| scan.gathered < message) {
        let Some(payload) = record(bytes, scan.record)? else {
            // It could only be completed by bytes that are not looked at.
            return if bytes.len() >= HELLO_BYTES_MAX { Err(HelloError::TooLong) } else { Ok(None) };
        };
        scan.gathered += payload.len();
        scan.record += RECORD_HEADER + payload.len();
        if scan.message.is_none() && scan.gathered >= MESSAGE_HEADER {
            let length = match record(bytes, 0)?.and_then(|first| first.get(..MESSAGE_HEADER)) {
                Some(header) => message_length(header),
                None => message_length(&gather(bytes, MESSAGE_HEADER)),
            };
            scan.message = Some(MESSAGE_HEADER + length?);
        }
    }
    let message = scan.message.unwrap_or_default();
    let body = match record(bytes, 0)? {
        Some(first) if first.len() >= message => Cow::Borrowed(&first[MESSAGE_HEADER..message]),
        _ => Cow::Owned(gather(bytes, message).split_off(MESSAGE_HEADER)),
    };
    let said = read_message(&body).ok_or(HelloError::Malformed)?;
    let server_name = match said.name {
        Some(name) => Some(HostKey::new(name).ok_or(HelloError::Malformed)?),
        None => None,
    };
    Ok(Some(Hello { server_name, has_ech: said.has_ech, body }))
}

/// The payload of the record that starts at `at`; `None` when not all of it is there.
fn record(bytes: &[u8], at: usize) -> Result<Option<&[u8]>, HelloError> {
    let bytes = &bytes[at.min(bytes.len())..];
    // Whatever is known must be right already: who does not speak TLS may wait for us to speak first.
    let wrong = if at == 0 { HelloError::NotTls } else { HelloError::Malformed };
    if bytes.first().is_some_and(|kind| *kind != HANDSHAKE) || bytes.get(1).is_some_and(|major| *major != 3) {
        return Err(wrong);
    }
    let Some([_, _, _, high, low]) = bytes.first_chunk::<RECORD_HEADER>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    // RFC 8446, section 5.1: a handshake record is never empty.
    if length == 0 || length > RECORD_MAX {
        return Err(wrong);
    }
    Ok(bytes.get(RECORD_HEADER..RECORD_HEADER + length))
}

/// The first `count` bytes of the message, out of records that were checked.
fn gather(bytes: &[u8], count: usize) -> Vec<u8> {
    let mut message = Vec::with_capacity(count);
    let mut at = 0;
    while message.len() < count
        && let Ok(Some(payload)) = record(bytes, at)
    {
        message.extend_from_slice(&payload[..payload.len().min(count - message.len())]);
        at += RECORD_HEADER + payload.len();
    }
    message
}

/// What the header of the message says of its length.
fn message_length(header: &[u8]) -> Result<usize, HelloError> {
    let &[kind, a, b, c] = header else { return Err(HelloError::Malformed) };
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    match kind {
        CLIENT_HELLO if length + MESSAGE_HEADER > HELLO_BYTES_MAX => Err(HelloError::TooLong),
        CLIENT_HELLO => Ok(length),
        _ => Err(HelloError::Malformed),
    }
}

/// What a message says, where it says it: small, since it is handed on more than once.
#[derive(Default)]
struct Said<'a> {
    /// The server name as sent; `None` for an address too.
    name: Option<&'a [u8]>,
    has_ech: bool,
    /// The list of protocols as sent: a length and a name each. Empty when there is none.
    protocols: &'a [u8],
}

/// The body of the message; `None` when it is not a client hello. Extensions that are not ours to
/// know are passed over; one of ours that comes twice, or is not well formed, is an error: two readers
/// of the same bytes must not read two names.
fn read_message(body: &[u8]) -> Option<Said<'_>> {
    let mut message = Reader(body);
    message.take(2 + 32)?;
    (message.vector(1)?.len() <= 32).then_some(())?;
    let suites = message.vector(2)?;
    (!suites.is_empty() && suites.len() % 2 == 0).then_some(())?;
    (!message.vector(1)?.is_empty()).then_some(())?;
    let mut said = Said::default();
    if message.0.is_empty() {
        // RFC 5246, section 7.4.1.2: extensions may be left out.
        return Some(said);
    }
    let mut extensions = Reader(message.vector(2)?);
    message.0.is_empty().then_some(())?;
    let (mut named, mut protocols) = (false, false);
    while !extensions.0.is_empty() {
        let (kind, value) = (extensions.number()?, extensions.vector(2)?);
        match kind {
            SERVER_NAME => {
                (!std::mem::replace(&mut named, true)).then_some(())?;
                said.name = server_name(value)?;
            }
            ALPN => {
                (!std::mem::replace(&mut protocols, true)).then_some(())?;
                said.protocols = protocol_list(value)?;
            }
            ECH => said.has_ech = true,
            _ => {}
        }
    }
    Some(said)
}

/// RFC 6066, section 3: a list with one name of type 0 in it. `None` inside: an address.
fn server_name(value: &[u8]) -> Option<Option<&[u8]>> {
    let mut value = Reader(value);
    let mut list = Reader(value.vector(2)?);
    let kind = list.take(1)?;
    let name = list.vector(2)?;
    (value.0.is_empty() && list.0.is_empty() && kind == [0]).then_some(())?;
    let is_address = std::str::from_utf8(name)
        .is_ok_and(|name| name.contains(':') || name.trim_end_matches('.').parse::<Ipv4Addr>().is_ok());
    Some((!is_address).then_some(name))
}

/// RFC 7301, section 3.1: a list, not empty, of names, none empty.
fn protocol_list(value: &[u8]) -> Option<&[u8]> {
    let mut value = Reader(value);
    let list = value.vector(2)?;
    let mut names = Reader(list);
    while !names.0.is_empty() {
        (!names.vector(1)?.is_empty()).then_some(())?;
    }
    (value.0.is_empty() && !list.is_empty()).then_some(list)
}

/// Bytes that were not read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Bytes behind their number, which takes `width` bytes, 1 or 2.
    fn vector(&mut self, width: usize) -> Option<&'a [u8]> {
        let count = self.take(width)?.iter().fold(0, |count, byte| count << 8 | usize::from(*byte));
        self.take(count)
    }
}

#[cfg(test)]
#[path = "hello_tests.rs"]
mod tests;
