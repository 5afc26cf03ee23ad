//! Pseudo fields (RFC 9113, section 8.3): each once, before all others, and only the known ones.

use crate::http::class;
use crate::http::is_token;

/// Bytes of a method. The HTTP/1.1 parser has the same limit.
const METHOD_BYTES_MAX: usize = 32;

/// A known pseudo field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pseudo {
    Method,
    Scheme,
    Path,
    Authority,
    /// RFC 8441, section 4.
    Protocol,
    Status,
}

impl Pseudo {
    const COUNT: usize = 6;

    /// The pseudo field of a request with this name.
    pub(super) fn of_request(name: &[u8]) -> Option<Pseudo> {
        match name {
            b":method" => Some(Pseudo::Method),
            b":scheme" => Some(Pseudo::Scheme),
            b":path" => Some(Pseudo::Path),
            b":authority" => Some(Pseudo::Authority),
            b":protocol" => Some(Pseudo::Protocol),
            _ => None,
        }
    }

    /// The pseudo field of a response with this name.
    pub(super) fn of_response(name: &[u8]) -> Option<Pseudo> {
        (name == b":status").then_some(Pseudo::Status)
    }

    /// Checks a value by itself.
    pub(super) fn check(self, value: &[u8]) -> Result<(), &'static str> {
        let (is_valid, fault) = match self {
            Pseudo::Method => {
                let fits = value.len() <= METHOD_BYTES_MAX;
                (fits && is_token(value), ":method is not a token of at most 32 bytes")
            }
            Pseudo::Scheme => {
                let is_known = [&b"http"[..], b"https"].iter().any(|known| value.eq_ignore_ascii_case(known));
                (is_known, ":scheme is neither http nor https")
            }
            Pseudo::Path => {
                let is_path = value.starts_with(b"/") || value == b"*";
                (is_path && all_of_target(value), ":path is not a path, or has a byte that must be encoded")
            }
            Pseudo::Authority => (is_authority(value), ":authority is not a host with a port"),
            Pseudo::Protocol => (is_token(value), ":protocol is not a token"),
            Pseudo::Status => {
                let digits = matches!(value, [b'1'..=b'9', rest @ ..] if rest.len() == 2);
                (digits && value.iter().all(u8::is_ascii_digit), ":status is not a number of three digits")
            }
        };
        is_valid.then_some(()).ok_or(fault)
    }
}

/// Whether all bytes may stand in a request target: no space, no control byte, no `#`.
fn all_of_target(value: &[u8]) -> bool {
    class::target_end(value, 0) == value.len()
}

/// Whether the bytes cannot end an authority or hold user information (RFC 9113, section 8.3.1). The HTTP/1.1
/// parser checks its grammar.
fn is_authority(value: &[u8]) -> bool {
    !value.is_empty()
        && all_of_target(value)
        && !value.iter().any(|byte| matches!(byte, b'@' | b'/' | b'?' | b'\\' | b',' | b'"' | b'<' | b'>'))
}

/// The pseudo fields of a head, until the first line can be written. Their values stand in a buffer.
#[derive(Debug, Default)]
pub(super) struct PseudoFields {
    /// Start and end of each value.
    places: [Option<(u32, u32)>; Pseudo::COUNT],
}

impl PseudoFields {
    /// Stores a value. `false`: there is one already.
    pub(super) fn put(&mut self, field: Pseudo, value: &[u8], bytes: &mut Vec<u8>) -> bool {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(value);
        self.places[field as usize].replace((start, bytes.len() as u32)).is_none()
    }

    pub(super) fn get<'b>(&self, field: Pseudo, bytes: &'b [u8]) -> Option<&'b [u8]> {
        self.places[field as usize].map(|(start, end)| &bytes[start as usize..end as usize])
    }
}
