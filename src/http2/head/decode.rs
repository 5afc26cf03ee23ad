//! Decoded fields become the HTTP/1.1 form of a head. All rules of RFC 9113, sections 8.2 and 8.3, are here.

use super::super::error::ConnectionError;
use super::super::hpack::Field;
use super::super::priority::Priority;
use super::super::websocket::WEBSOCKET;
use super::super::workspace::HeadSpace;
use super::pseudo::{Pseudo, PseudoFields};
use crate::http::{HeadLimits, Name, class, identifies_client, status_phrase};

/// Bytes that a field counts besides its name and its value (RFC 9113, section 6.5.2).
const FIELD_OVERHEAD: usize = 32;

/// A head that is this many times larger than its limit ends the connection. Up to there it is decoded to keep
/// the table in step, and its stream gets a response.
const ENDURED_TIMES: usize = 4;

/// Field lines of a trailer section, and its bytes with the overhead of each. HTTP/1.1 has the same numbers.
const TRAILER_LIMITS: (usize, usize) = (64, 8 * 1024);

/// The largest accepted length, as in HTTP/1.1.
const LENGTH_MAX: u64 = i64::MAX as u64;

/// The kind of head that a block should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadKind {
    Request {
        extended_connect: bool,
    },
    Response,
    Trailers,
    /// None: the block is decoded because the table must stay in step.
    Dropped,
}

/// The outcome of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) content_length: Option<u64>,
    /// The status of a response.
    pub(crate) status: u16,
    pub(crate) is_head_request: bool,
    /// Whether it is a CONNECT without `:protocol`, which is not served.
    pub(crate) is_plain_connect: bool,
    /// Whether it is an extended CONNECT (RFC 8441) for WebSocket, whose form is the handshake of RFC 6455 without a key.
    pub(crate) is_websocket: bool,
    /// Whether it is an extended CONNECT for another protocol, which is not served.
    pub(crate) is_unknown_protocol: bool,
    /// Whether it has too many fields or bytes. Then the form is incomplete.
    pub(crate) is_too_large: bool,
    /// Whether a field must not be compressed on any hop.
    pub(crate) never_indexed: bool,
    /// The `priority` field, if there is one (RFC 9218, section 5).
    pub(crate) priority: Option<Priority>,
}

/// Takes the fields of one head in their order.
#[derive(Debug)]
pub(crate) struct HeadDecoder<'w> {
    kind: HeadKind,
    fields_max: usize,
    bytes_max: usize,
    space: &'w mut HeadSpace,
    fields: usize,
    bytes: usize,
    pseudo: PseudoFields,
    /// Whether the first line is written. No pseudo field may follow it.
    has_line: bool,
    has_host: bool,
    has_te: bool,
    has_cookie: bool,
    /// The first rule that the head breaks.
    fault: Option<&'static str>,
    decoded: Decoded,
}

impl<'w> HeadDecoder<'w> {
    pub(crate) fn new(kind: HeadKind, limits: &HeadLimits, space: &'w mut HeadSpace) -> HeadDecoder<'w> {
        space.clear();
        let (fields_max, bytes_max) = match kind {
            HeadKind::Trailers => TRAILER_LIMITS,
            _ => (limits.fields, limits.bytes),
        };
        HeadDecoder {
            kind,
            fields_max,
            bytes_max,
            space,
            fields: 0,
            bytes: 0,
            pseudo: PseudoFields::default(),
            has_line: kind == HeadKind::Trailers,
            has_host: false,
            has_te: false,
            has_cookie: false,
            fault: None,
            decoded: Decoded::default(),
        }
    }

    /// Takes a field. A fault of the message is kept for [`HeadDecoder::finish`].
    ///
    /// # Errors
    /// The head is so large that decoding it is an attack.
    pub(crate) fn field(&mut self, field: &Field<'_>) -> Result<(), ConnectionError> {
        self.bytes += field.name.len() + field.value.len() + FIELD_OVERHEAD;
        if self.bytes > self.bytes_max.saturating_mul(ENDURED_TIMES) {
            return Err(ConnectionError::flood("a head is four times as large as allowed"));
        }
        // The authority becomes a field line; the other pseudo fields do not.
        let is_line = !field.name.starts_with(b":") || field.name == b":authority";
        self.fields += usize::from(is_line);
        self.decoded.never_indexed |= field.never_indexed;
        self.decoded.is_too_large |= self.bytes > self.bytes_max || self.fields > self.fields_max;
        if self.kind != HeadKind::Dropped && self.fault.is_none() && !self.decoded.is_too_large {
            self.fault = self.take(field).err();
        }
        Ok(())
    }

    /// Completes the form.
    ///
    /// # Errors
    /// The rule that the head breaks (RFC 9113, section 8.1.1: the message is malformed).
    pub(crate) fn finish(mut self) -> Result<Decoded, &'static str> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if self.kind == HeadKind::Dropped || self.decoded.is_too_large {
            return Ok(self.decoded);
        }
        if !self.has_line {
            self.write_line()?;
        }
        if self.kind != HeadKind::Trailers {
            let HeadSpace { head, cookies, .. } = &mut *self.space;
            if self.has_cookie {
                write_field(head, b"cookie", cookies);
            }
            head.extend_from_slice(b"\r\n");
        }
        Ok(self.decoded)
    }

    fn take(&mut self, field: &Field<'_>) -> Result<(), &'static str> {
        let Field { name, value, known, .. } = *field;
        if name.starts_with(b":") {
            return self.take_pseudo(name, value);
        }
        if !self.has_line {
            self.write_line()?;
        }
        check_name(name)?;
        check_value(value)?;
        match self.kind {
            HeadKind::Trailers => self.take_trailer(name, value, known),
            HeadKind::Request { .. } => self.take_request_field(name, value, known),
            HeadKind::Response | HeadKind::Dropped => self.take_common(name, value, known),
        }
    }

    fn take_pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let field = match self.kind {
            HeadKind::Trailers => return Err("a pseudo field in trailers"),
            HeadKind::Request { .. } => Pseudo::of_request(name),
            HeadKind::Response | HeadKind::Dropped => Pseudo::of_response(name),
        };
        let field = field.ok_or("a pseudo field that is not defined here")?;
        if self.has_line {
            return Err("a pseudo field behind another field");
        }
        field.check(value)?;
        if !self.pseudo.put(field, value, &mut self.space.pseudo) {
            return Err("a pseudo field comes twice");
        }
        Ok(())
    }

    fn take_request_field(&mut self, name: &[u8], value: &[u8], known: Name) -> Result<(), &'static str> {
        match known {
            Name::Te if value != b"trailers" || self.has_te => return Err("te is not trailers"),
            Name::Te => self.has_te = true,
            Name::Host => return self.take_host(value),
            Name::Cookie => {
                // Crumbs become one line (RFC 9113, section 8.2.3).
                let crumbs = &mut self.space.cookies;
                if std::mem::replace(&mut self.has_cookie, true) {
                    crumbs.extend_from_slice(b"; ");
                }
                crumbs.extend_from_slice(value);
                return Ok(());
            }
            Name::ContentLength if self.is_connect() => return Err("content-length in a CONNECT request"),
            // They have no meaning in an extended CONNECT (RFC 8441, section 5), and the form gets a key of ours.
            Name::SecWebSocketKey | Name::SecWebSocketAccept if self.decoded.is_websocket => return Ok(()),
            Name::Other if name == b"priority" => self.decoded.priority = Some(Priority::parse(value)),
            _ => return self.take_common(name, value, known),
        }
        write_field(&mut self.space.head, name, value);
        Ok(())
    }

    /// Takes `host`. It must be the authority, if there is one (RFC 9113, section 8.3.1), and then the line is
    /// written already.
    fn take_host(&mut self, value: &[u8]) -> Result<(), &'static str> {
        if std::mem::replace(&mut self.has_host, true) {
            return Err("there are two host fields");
        }
        match self.pseudo.get(Pseudo::Authority, &self.space.pseudo) {
            Some(authority) if authority != value => Err("host is not :authority"),
            Some(_) => Ok(()),
            None => {
                Pseudo::Authority.check(value).map_err(|_| "host is not a host with a port")?;
                write_field(&mut self.space.head, b"host", value);
                Ok(())
            }
        }
    }

    fn take_common(&mut self, name: &[u8], value: &[u8], known: Name) -> Result<(), &'static str> {
        refuse_connection_specific(known)?;
        if known == Name::ContentLength {
            let length = content_length(value)?;
            if self.decoded.content_length.replace(length).is_some() {
                return Err("there are two content-length fields");
            }
        }
        write_field(&mut self.space.head, name, value);
        Ok(())
    }

    /// Takes a trailer. Those that frame, route, authenticate or identify are left out, as in HTTP/1.1.
    fn take_trailer(&mut self, name: &[u8], value: &[u8], known: Name) -> Result<(), &'static str> {
        refuse_connection_specific(known)?;
        if known == Name::Other && !identifies_client(name) {
            write_field(&mut self.space.head, name, value);
        }
        Ok(())
    }

    fn is_connect(&self) -> bool {
        self.pseudo.get(Pseudo::Method, &self.space.pseudo) == Some(b"CONNECT")
    }

    /// Writes the first line when all pseudo fields are known.
    fn write_line(&mut self) -> Result<(), &'static str> {
        self.has_line = true;
        match self.kind {
            HeadKind::Request { extended_connect } => self.write_request_line(extended_connect),
            HeadKind::Response => self.write_status_line(),
            HeadKind::Trailers | HeadKind::Dropped => Ok(()),
        }
    }

    fn write_request_line(&mut self, extended_connect: bool) -> Result<(), &'static str> {
        let HeadSpace { head, pseudo: bytes, .. } = &mut *self.space;
        let get = |field| self.pseudo.get(field, bytes);
        let method = get(Pseudo::Method).ok_or("there is no :method")?;
        let (authority, protocol) = (get(Pseudo::Authority), get(Pseudo::Protocol));
        let (scheme, path) = (get(Pseudo::Scheme), get(Pseudo::Path));
        if method == b"CONNECT" && protocol.is_none() {
            if scheme.is_some() || path.is_some() || authority.is_none() {
                return Err("CONNECT has an :authority alone");
            }
            self.decoded.is_plain_connect = true;
        }
        let path = if self.decoded.is_plain_connect { authority } else { scheme.and(path) };
        let path = path.ok_or("there is no :scheme or no :path")?;
        if path == b"*" && method != b"OPTIONS" {
            return Err("only OPTIONS can ask for *");
        }
        // An extended CONNECT is what an HTTP/1.1 client sends as an upgrade (RFC 8441, section 5).
        let method = match protocol {
            None => method,
            Some(_) if !extended_connect => return Err(":protocol was not announced"),
            Some(_) if method != b"CONNECT" => return Err(":protocol without CONNECT"),
            Some(_) if authority.is_none() => return Err("CONNECT without :authority"),
            Some(protocol) => {
                self.decoded.is_websocket = protocol.eq_ignore_ascii_case(WEBSOCKET);
                self.decoded.is_unknown_protocol = !self.decoded.is_websocket;
                b"GET"
            }
        };
        for part in [method, b" ", path, b" HTTP/1.1\r\n"] {
            head.extend_from_slice(part);
        }
        if let Some(authority) = authority {
            write_field(head, b"host", authority);
        }
        if self.decoded.is_websocket {
            write_field(head, b"upgrade", WEBSOCKET);
            write_field(head, b"connection", b"upgrade");
        }
        self.decoded.is_head_request = method == b"HEAD";
        Ok(())
    }

    fn write_status_line(&mut self) -> Result<(), &'static str> {
        let HeadSpace { head, pseudo: bytes, .. } = &mut *self.space;
        let digits = self.pseudo.get(Pseudo::Status, bytes).ok_or("there is no :status")?;
        let status = digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0'));
        if status == 101 {
            // RFC 9113, section 8.6: there is no upgrade in HTTP/2.
            return Err(":status is 101");
        }
        for part in [b"HTTP/1.1 ", digits, b" ", status_phrase(status).as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
        self.decoded.status = status;
        Ok(())
    }
}

fn write_field(head: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    head.reserve(name.len() + value.len() + 4);
    head.extend_from_slice(name);
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// Accepts a token without capitals (RFC 9113, section 8.2.1). It has no colon, no space and no control byte.
fn check_name(name: &[u8]) -> Result<(), &'static str> {
    let is_token = !name.is_empty() && class::token_end(name, 0) == name.len();
    if is_token && !name.iter().any(u8::is_ascii_uppercase) {
        return Ok(());
    }
    Err("a field name is not a token in lower case")
}

/// Accepts a value without control bytes and without white space around it (RFC 9113, section 8.2.1).
fn check_value(value: &[u8]) -> Result<(), &'static str> {
    if class::value_end(value, 0) != value.len() {
        return Err("a control byte in a field value");
    }
    if matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t']) {
        return Err("white space around a field value");
    }
    Ok(())
}

/// Refuses fields of an HTTP/1.1 connection (RFC 9113, section 8.2.2).
fn refuse_connection_specific(known: Name) -> Result<(), &'static str> {
    match known {
        Name::Connection
        | Name::KeepAlive
        | Name::ProxyConnection
        | Name::TransferEncoding
        | Name::Upgrade
        | Name::Te
        | Name::Http2Settings => Err("a field of an HTTP/1.1 connection"),
        _ => Ok(()),
    }
}

fn content_length(value: &[u8]) -> Result<u64, &'static str> {
    let digit = |number: u64, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit).filter(|number| *number <= LENGTH_MAX)
    };
    let number = value.iter().try_fold(0, digit).filter(|_| !value.is_empty());
    number.ok_or("content-length is not a number up to 2^63-1")
}
