//! The check of what plugins say. It is as strict as that of a client's bytes.

use super::protocol::messages::{RequestAnswer, ResponseChange, Texts};
use super::protocol::value::MessageError;
use crate::http::{has_dot_segments, is_token};

/// Bytes of the body of a response.
const BODY_MAX: usize = 64 * 1024;

/// Bytes of all fields of one answer.
const FIELDS_BYTES_MAX: usize = 16 * 1024;

/// Fields of one answer.
const FIELDS_MAX: usize = 100;

/// Bytes of a path.
const PATH_MAX: usize = 8 * 1024;

/// Fields that say where a message ends or belong to a connection. The gate alone writes them.
const FRAMING: [&[u8]; 11] = [
    b"connection",
    b"content-length",
    b"expect",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"via",
    b"date",
];

/// Fields of requests that describe the client, which the gate writes, and the host, which does not change.
const OF_THE_GATE: [&[u8]; 6] =
    [b"host", b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip"];

/// A answer that was checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// The request goes on.
    Pass(Pass),
    /// The connection is closed.
    Drop,
    /// The rule's fallback acts.
    Fallback,
    /// The client gets this response.
    Reply {
        /// The status.
        status: u16,
        /// Field lines.
        lines: Vec<u8>,
        /// The body.
        body: Vec<u8>,
    },
}

/// The changes of a request that goes on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pass {
    /// Fields for the target.
    pub headers: Texts,
    /// The path, encoded. Empty if it stays.
    pub path: Vec<u8>,
    /// The query is removed.
    pub clean_query: bool,
    /// Bits a second to the client. 0 if there is no limit.
    pub download: u64,
    /// Bits a second from the client.
    pub upload: u64,
}

impl Decision {
    /// Checks a answer.
    ///
    /// # Errors
    /// HTTP does not allow a part of it.
    pub fn of(answer: RequestAnswer) -> Result<Self, MessageError> {
        let RequestAnswer { ok, drop, fallback, status, body, headers, speed, clean_query, path } = answer;
        check_fields(&headers, "h")?;
        if ok {
            let headers = headers.into_iter().filter(|(name, _)| !is_one_of(name, &OF_THE_GATE)).collect();
            let path = if path.is_empty() { path } else { encoded_path(&path)? };
            let speed = speed.unwrap_or_default();
            let (download, upload) = (bits(speed.download, "dl")?, bits(speed.upload, "ul")?);
            return Ok(Self::Pass(Pass { headers, path, clean_query, download, upload }));
        }
        if drop {
            return Ok(Self::Drop);
        }
        if fallback {
            return Ok(Self::Fallback);
        }
        let status = match status {
            0 => 403,
            // 204 and 304 have no body, so one would be the beginning of the next response.
            204 | 304 if !body.is_empty() => return Err(MessageError::Forbidden("b")),
            200..=599 => status as u16,
            _ => return Err(MessageError::Forbidden("s")),
        };
        if body.len() > BODY_MAX {
            return Err(MessageError::Forbidden("b"));
        }
        let has_type = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"content-type"));
        let mut lines = Vec::new();
        write_lines(&headers, &mut lines);
        if !has_type && !body.is_empty() {
            lines.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\n");
        }
        lines.extend_from_slice(b"X-Content-Type-Options: nosniff\r\n");
        Ok(Self::Reply { status, lines, body })
    }
}

/// Checks the changes of a response with this status.
///
/// # Errors
/// HTTP does not allow a part of them.
pub(super) fn check_change(change: &ResponseChange, before: u16) -> Result<(), MessageError> {
    let ResponseChange { status, headers, remove } = change;
    // The framing of a body depends on these.
    let has_no_body = |status: i64| matches!(status, 204 | 304);
    let is_allowed = matches!(status, 0 | 200..=599)
        && (*status == 0 || has_no_body(*status) == has_no_body(before.into()));
    if !is_allowed {
        return Err(MessageError::Forbidden("s"));
    }
    check_fields(headers, "h")?;
    let is_bad = |name: &Vec<u8>| !is_token(name) || is_one_of(name, &FRAMING);
    if remove.len() > FIELDS_MAX || remove.iter().any(is_bad) {
        return Err(MessageError::Forbidden("rm"));
    }
    Ok(())
}

/// Writes fields as lines.
pub fn write_lines(fields: &Texts, out: &mut Vec<u8>) {
    for (name, value) in fields {
        for part in [name, &b": "[..], value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
}

fn is_one_of(name: &[u8], names: &[&[u8]]) -> bool {
    names.iter().any(|one| name.eq_ignore_ascii_case(one))
}

fn check_fields(fields: &Texts, key: &'static str) -> Result<(), MessageError> {
    // RFC 9110, section 5.5: no control byte but the tab.
    let is_control = |byte: &u8| *byte < b' ' && *byte != b'\t' || *byte == 0x7f;
    let is_bad = |(name, value): &(Vec<u8>, Vec<u8>)| {
        !is_token(name)
            || is_one_of(name, &FRAMING)
            || value.iter().any(is_control)
            || [value.first(), value.last()].into_iter().flatten().any(u8::is_ascii_whitespace)
    };
    let bytes: usize = fields.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    if fields.len() > FIELDS_MAX || bytes > FIELDS_BYTES_MAX || fields.iter().any(is_bad) {
        return Err(MessageError::Forbidden(key));
    }
    Ok(())
}

/// Bits a second of a number of megabits.
fn bits(megabits: f64, key: &'static str) -> Result<u64, MessageError> {
    // Not a number is in no range.
    if !(0.0..=1e6).contains(&megabits) {
        return Err(MessageError::Forbidden(key));
    }
    // Less than one byte a second would stop the exchange for good.
    Ok(if megabits == 0.0 { 0 } else { ((megabits * 1e6) as u64).max(8_000) })
}

/// The path, which a plugin has decoded, as it goes on.
fn encoded_path(path: &[u8]) -> Result<Vec<u8>, MessageError> {
    let bad = MessageError::Forbidden("rp");
    if !path.starts_with(b"/") || path.starts_with(b"//") || path.len() > PATH_MAX || has_dot_segments(path) {
        return Err(bad);
    }
    if path.iter().any(|byte| *byte < b' ' || *byte == 0x7f || *byte == b'\\') {
        return Err(bad);
    }
    let mut out = Vec::with_capacity(path.len());
    for byte in path {
        // RFC 3986, section 3.3: pchar and the slash.
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(byte) {
            out.push(*byte);
        } else {
            out.extend(format!("%{byte:02X}").into_bytes());
        }
    }
    if out.len() > PATH_MAX { Err(bad) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(name: &str, value: &str) -> Texts {
        vec![(name.into(), value.into())]
    }

    #[test]
    fn fields_that_frame_a_message_or_break_a_line_are_refused() {
        for (name, value) in [
            ("Content-Length", "5"),
            ("transfer-encoding", "chunked"),
            ("Connection", "close"),
            ("X A", "b"),
            ("", "b"),
            ("X-A\r\nX-B", "c"),
            ("X-A", "b\r\nX-B: c"),
            ("X-A", "b\0"),
            ("X-A", " b"),
        ] {
            let headers = texts(name, value);
            for ok in [true, false] {
                let answer = RequestAnswer { ok, headers: headers.clone(), ..RequestAnswer::default() };
                assert_eq!(Decision::of(answer), Err(MessageError::Forbidden("h")), "{name}: {value}");
            }
            let change = ResponseChange { headers, ..ResponseChange::default() };
            assert!(check_change(&change, 200).is_err(), "{name}: {value}");
        }
        let many = RequestAnswer {
            headers: vec![texts("X-A", "b")[0].clone(); FIELDS_MAX + 1],
            ..RequestAnswer::default()
        };
        assert!(Decision::of(many).is_err());
        let long = RequestAnswer {
            headers: texts("X-A", &"b".repeat(FIELDS_BYTES_MAX)),
            ..RequestAnswer::default()
        };
        assert!(Decision::of(long).is_err());
    }

    #[test]
    fn fields_of_the_gate_are_left_out() {
        let headers =
            [texts("Host", "evil"), texts("X-Forwarded-For", "1.2.3.4"), texts("X-User", "ann")].concat();
        let decision = Decision::of(RequestAnswer { ok: true, headers, ..RequestAnswer::default() });
        let wanted = Pass { headers: texts("X-User", "ann"), ..Pass::default() };
        assert_eq!(decision, Ok(Decision::Pass(wanted)));
    }

    #[test]
    fn a_refusal_is_a_whole_response() {
        let reply = |status, body: &str| {
            Decision::of(RequestAnswer { status, body: body.into(), ..RequestAnswer::default() })
        };
        let Ok(Decision::Reply { status: 403, lines, .. }) = reply(0, "no") else { panic!() };
        assert!(lines.starts_with(b"Content-Type: text/plain"));
        for status in [1, 100, 101, 199, 600, -1, i64::MAX] {
            assert_eq!(reply(status, ""), Err(MessageError::Forbidden("s")), "{status}");
        }
        assert_eq!(reply(204, "x"), Err(MessageError::Forbidden("b")));
        assert_eq!(reply(200, &"x".repeat(BODY_MAX + 1)), Err(MessageError::Forbidden("b")));
    }

    #[test]
    fn a_path_is_encoded_and_leads_nowhere_else() {
        assert_eq!(encoded_path("/a b/ü%2e?#".as_bytes()), Ok(b"/a%20b/%C3%BC%252e%3F%23".to_vec()));
        for path in ["", "a", "//host/x", "/../x", "/a/./b", "/a\r\nb", "/a\\..\\b"] {
            assert_eq!(encoded_path(path.as_bytes()), Err(MessageError::Forbidden("rp")), "{path}");
        }
    }

    #[test]
    fn a_status_that_changes_the_framing_is_refused() {
        let change = |status| ResponseChange { status, ..ResponseChange::default() };
        for (before, status, is_allowed) in [
            (200, 0, true),
            (200, 404, true),
            (304, 0, true),
            (200, 204, false),
            (200, 304, false),
            (304, 200, false),
            (200, 101, false),
            (200, 99, false),
        ] {
            assert_eq!(check_change(&change(status), before).is_ok(), is_allowed, "{before} to {status}");
        }
        let remove = ResponseChange { remove: vec![b"Content-Length".to_vec()], ..ResponseChange::default() };
        assert!(check_change(&remove, 200).is_err());
    }

    #[test]
    fn a_speed_is_a_number_of_bits() {
        assert_eq!((bits(10.0, "dl"), bits(0.0, "dl")), (Ok(10_000_000), Ok(0)));
        for megabits in [-1.0, f64::NAN, f64::INFINITY, 1e9] {
            assert!(bits(megabits, "dl").is_err());
        }
    }
}
