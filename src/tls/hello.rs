//! The parser of a client hello, which reads the server name and the protocols and answers nothing.
//!
//! Bytes go in and facts come out; "not yet" is `None`. The parser decrypts nothing and decides nothing. The
//! bytes stay where they are and go on unchanged to the TLS server. A hello is one handshake message (RFC
//! 8446, section 4.1.2) that may be spread over any number of records and segments.
//!
//! ```text
//! record:  22 | 3 x | length | payload ...        (RFC 8446, section 5.1)
//! message: 1 | length (3) | version | random | session id | suites | compression | extensions
//! ```
//!
//! Unknown values are skipped: GREASE, post-quantum key shares, and the outer hello of ECH, whose server name
//! is the public one.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use crate::http::HostKey;
use crate::worker::TcpStream;

/// Bytes of the longest hello that is read, with record headers. The largest hellos of today have some 2 KiB.
pub const HELLO_BYTES_MAX: usize = 16 * 1024;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RECORD_HEADER: usize = 5;
/// The largest payload of a record in the clear (RFC 8446, section 5.1).
const RECORD_MAX: usize = 1 << 14;
const MESSAGE_HEADER: usize = 4;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// The progress in a hello. It is kept between two calls, so that no record is read twice.
#[derive(Clone, Copy, Debug, Default)]
pub struct HelloScan {
    /// The offset of the next record.
    record: usize,
    /// Bytes of the message in the records before that.
    gathered: usize,
    /// Bytes of the whole message, once its header has come.
    message: Option<usize>,
}

/// The content of a client hello.
#[derive(Clone, Debug)]
pub struct Hello<'a> {
    /// The server name, as rules compare hosts. `None` if there is none, or if it is an address, which is not
    /// allowed (RFC 6066, section 3).
    pub server_name: Option<HostKey>,
    /// The message without its header, which was checked.
    body: Cow<'a, [u8]>,
}

impl Hello<'_> {
    /// The offered protocols (ALPN, RFC 7301), in the client's order of preference.
    pub fn protocols(&self) -> impl Iterator<Item = &[u8]> {
        // Parse the message again, because protocols are rarely needed.
        let mut rest = Reader(read_message(&self.body).map_or(&[], |said| said.protocols));
        std::iter::from_fn(move || rest.vector(1))
    }
}

/// The reason why bytes are no client hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HelloError {
    /// The bytes do not begin like TLS.
    NotTls,
    /// The bytes begin like TLS, and then are no client hello.
    Malformed,
    /// The hello is longer than [`HELLO_BYTES_MAX`].
    TooLong,
}

impl HelloError {
    /// A description of the error for the log.
    pub fn explain(self) -> &'static str {
        match self {
            Self::NotTls => "the client did not send TLS",
            Self::Malformed => "the client did not send a valid client hello",
            Self::TooLong => "the client hello is longer than 16KiB",
        }
    }
}

/// Parses the hello at the start of `bytes`. The start must be the same in all calls with one `scan`. `None`
/// means that the hello is not complete.
///
/// # Errors
/// As soon as the bytes can no longer become a hello.
pub fn parse_hello<'a>(bytes: &'a [u8], scan: &mut HelloScan) -> Result<Option<Hello<'a>>, HelloError> {
    while scan.message.is_none_or(|message| scan.gathered < message) {
        let Some(payload) = record(bytes, scan.record)? else {
            // Only bytes beyond the limit could complete the hello.
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
    Ok(Some(Hello { server_name, body }))
}

/// The payload of the record that starts at `at`; `None` if it is not complete.
fn record(bytes: &[u8], at: usize) -> Result<Option<&[u8]>, HelloError> {
    let bytes = &bytes[at.min(bytes.len())..];
    // Check each byte that has come: a client without TLS may wait for the server to speak first.
    let wrong = if at == 0 { HelloError::NotTls } else { HelloError::Malformed };
    if bytes.first().is_some_and(|kind| *kind != HANDSHAKE) || bytes.get(1).is_some_and(|major| *major != 3) {
        return Err(wrong);
    }
    let Some([_, _, _, high, low]) = bytes.first_chunk::<RECORD_HEADER>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    // A handshake record is never empty (RFC 8446, section 5.1).
    if length == 0 || length > RECORD_MAX {
        return Err(wrong);
    }
    Ok(bytes.get(RECORD_HEADER..RECORD_HEADER + length))
}

/// Collects the first `count` bytes of the message from records that were checked.
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

/// The length of the message according to its header.
fn message_length(header: &[u8]) -> Result<usize, HelloError> {
    let &[kind, a, b, c] = header else { return Err(HelloError::Malformed) };
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    match kind {
        CLIENT_HELLO if length + MESSAGE_HEADER > HELLO_BYTES_MAX => Err(HelloError::TooLong),
        CLIENT_HELLO => Ok(length),
        _ => Err(HelloError::Malformed),
    }
}

/// The content of a message. It refers to the message, so it is small and cheap to pass on.
#[derive(Default)]
struct Said<'a> {
    /// The server name as sent; `None` if there is none or if it is an address.
    name: Option<&'a [u8]>,
    /// The list of protocols as sent: a length and a name each. Empty if there is none.
    protocols: &'a [u8],
}

/// Parses the body of the message; `None` if it is no client hello. Unknown extensions are skipped. A known
/// one that comes twice or is malformed is an error, because two readers of the bytes must not read two
/// names.
fn read_message(body: &[u8]) -> Option<Said<'_>> {
    let mut message = Reader(body);
    message.take(2 + 32)?;
    (message.vector(1)?.len() <= 32).then_some(())?;
    let suites = message.vector(2)?;
    (!suites.is_empty() && suites.len() % 2 == 0).then_some(())?;
    (!message.vector(1)?.is_empty()).then_some(())?;
    let mut said = Said::default();
    if message.0.is_empty() {
        // Extensions may be left out (RFC 5246, section 7.4.1.2).
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
            _ => {}
        }
    }
    Some(said)
}

/// Parses a list with one name of type 0 (RFC 6066, section 3). The inner `None` is an address.
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

/// Checks a list of protocols. Neither the list nor a name may be empty (RFC 7301, section 3.1).
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

    /// Takes bytes behind their length, which has `width` bytes, 1 or 2.
    fn vector(&mut self, width: usize) -> Option<&'a [u8]> {
        let count = self.take(width)?.iter().fold(0, |count, byte| count << 8 | usize::from(*byte));
        self.take(count)
    }
}

/// A fatal alert to a client before a session exists (RFC 8446, section 6.2).
#[derive(Clone, Copy)]
pub enum Alert {
    /// The client's bytes cannot be decoded.
    DecodeError,
    /// The name that the client asks for is not served here.
    UnrecognizedName,
}

/// Sends a fatal alert and shuts down the writing side. If the system does not take the alert at once, the
/// connection ends without it.
pub fn refuse(stream: &TcpStream, alert: Alert) {
    let code = match alert {
        Alert::DecodeError => 50,
        Alert::UnrecognizedName => 112,
    };
    stream.write_best_effort(&[21, 3, 3, 0, 2, 2, code]);
    // The connection may have closed already.
    let _ = stream.shutdown_write();
}

#[cfg(test)]
#[path = "hello_tests.rs"]
mod tests;
