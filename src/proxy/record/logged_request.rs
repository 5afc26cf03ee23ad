//! A request as a line of the log names it.

use std::borrow::Cow;

use crate::http1::PartialHead;

/// The most bytes of a host or a path in a line; the rest is cut off.
const VALUE_BYTES_MAX: usize = 256;

/// A request as a line of the log names it. A query may hold secrets, so it is left out, and so is a user before the
/// host. Parts that are not known are `None`.
pub(super) struct LoggedRequest<'a> {
    pub(super) method: Option<Cow<'a, str>>,
    pub(super) host: Option<Cow<'a, str>>,
    pub(super) path: Option<Cow<'a, str>>,
}

impl<'a> LoggedRequest<'a> {
    /// The request that begins with these bytes.
    pub(super) fn of(head: &'a [u8]) -> Self {
        let head = PartialHead::of(head);
        let host = head.host().rsplit(|byte| *byte == b'@').next().unwrap_or_default();
        Self { method: shown(head.method), host: shown(host), path: shown(head.path()) }
    }
}

/// A value from a client, cut to [`VALUE_BYTES_MAX`]. The log escapes it.
pub(super) fn shown(value: &[u8]) -> Option<Cow<'_, str>> {
    match value.get(..VALUE_BYTES_MAX) {
        _ if value.is_empty() => None,
        Some(start) if start.len() < value.len() => Some(String::from_utf8_lossy(start) + "..."),
        _ => Some(String::from_utf8_lossy(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(head: &[u8]) -> [Option<String>; 3] {
        let LoggedRequest { method, host, path } = LoggedRequest::of(head);
        [method, host, path].map(|part| part.map(Cow::into_owned))
    }

    #[test]
    fn a_request_is_named_without_its_secrets() {
        let some = |text: &str| Some(text.to_owned());
        let head = b"POST /pay?card=1 HTTP/1.1\r\nHost: a.test:80\r\nCookie: secret\r\n\r\n";
        assert_eq!(named(head), [some("POST"), some("a.test:80"), some("/pay")]);
        let head = b"GET http://user:secret@a.test/x?y HTTP/1.1\r\nHost: b.test\r\n\r\n";
        assert_eq!(named(head), [some("GET"), some("a.test"), some("/x")]);
        assert_eq!(named(b"GET /\xff\x1b HTTP/1.1\r\n"), [some("GET"), None, some("/\u{fffd}\x1b")]);
        assert_eq!(named(b"\x16\x03\x01"), [None, None, None]);
    }

    #[test]
    fn long_values_are_cut() {
        let path = |length: usize| shown(&vec![b'a'; length]).unwrap().len();
        assert_eq!(
            (path(VALUE_BYTES_MAX), path(10 * VALUE_BYTES_MAX)),
            (VALUE_BYTES_MAX, VALUE_BYTES_MAX + 3)
        );
    }
}
