//! The known parts of a head that is invalid or incomplete. They serve the log and the form of a local reply,
//! and decide nothing.

use memchr::memchr;

use super::request::{EMPTY_LINES_MAX, METHOD_BYTES_MAX};
use super::target::strip_scheme;
use crate::http::class;

/// A request head as far as it was read. Each part is as written, and empty if it is missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct PartialHead<'b> {
    /// The method, a token. If it is empty, nothing else is known of the request line.
    pub method: &'b [u8],
    /// The target, up to the next space or the end of the line.
    pub target: &'b [u8],
    /// The rest of the line, behind the target.
    pub version: &'b [u8],
    /// The bytes after the request line.
    fields: &'b [u8],
}

impl<'b> PartialHead<'b> {
    /// Splits `bytes`, the beginning of a head.
    pub fn of(mut bytes: &'b [u8]) -> Self {
        for _ in 0..EMPTY_LINES_MAX {
            bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
        }
        let (line, fields) = split_line(bytes);
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let mut part = || parts.next().unwrap_or_default();
        let (method, target, version) = (part(), part(), part());
        let is_method = (1..=METHOD_BYTES_MAX).contains(&method.len());
        let is_method = is_method && class::token_end(method, 0) == method.len();
        let line = if is_method { (method, target, version) } else { Default::default() };
        Self { method: line.0, target: line.1, version: line.2, fields }
    }

    /// The authority of an absolute target, else the first `Host` field.
    pub fn host(&self) -> &'b [u8] {
        let absolute = strip_scheme(self.target);
        let authority = absolute.and_then(|rest| rest.split(|byte| matches!(byte, b'/' | b'?')).next());
        authority.unwrap_or_else(|| self.field(b"host"))
    }

    /// The path of the target, without its query; empty for another form of target.
    pub fn path(&self) -> &'b [u8] {
        let target = self.target.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
        let path = match strip_scheme(target) {
            Some(rest) => memchr(b'/', rest).map_or(&b""[..], |start| &rest[start..]),
            None => target,
        };
        if path.starts_with(b"/") || path == b"*" { path } else { b"" }
    }

    /// The value of the first field with this name.
    pub fn field(&self, name: &[u8]) -> &'b [u8] {
        self.values(name).next().unwrap_or_default()
    }

    /// The list under this name, of all its lines (RFC 9110, section 5.3).
    pub fn list(&self, name: &[u8]) -> Vec<u8> {
        self.values(name).collect::<Vec<_>>().join(&b", "[..])
    }

    fn values<'n>(&self, name: &'n [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b, 'n> {
        let mut rest = self.fields;
        let lines = std::iter::from_fn(move || {
            let (line, next) = Some(rest).filter(|rest| !rest.is_empty()).map(split_line)?;
            rest = next;
            Some(line)
        });
        lines.filter_map(move |line| match line.split_at_checked(name.len())? {
            (found, [b':', value @ ..]) if found.eq_ignore_ascii_case(name) => Some(value.trim_ascii()),
            _ => None,
        })
    }
}

/// The first line without its end, and the bytes after it.
fn split_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (line, rest) = match memchr(b'\n', bytes) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &bytes[bytes.len()..]),
    };
    (line.strip_suffix(b"\r").unwrap_or(line), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(bytes: &[u8]) -> [&[u8]; 5] {
        let head = PartialHead::of(bytes);
        [head.method, head.target, head.version, head.host(), head.field(b"referer")]
    }

    #[test]
    fn a_head_is_known_as_far_as_it_was_read() {
        let head =
            b"\r\nGET /a?b HTTP/1.1\r\nX: y\r\nHOST:  a.test \r\nReferer: http://b.test/\r\nHost: c\r\n\r\n";
        let whole: [&[u8]; 5] = [b"GET", b"/a?b", b"HTTP/1.1", b"a.test", b"http://b.test/"];
        assert_eq!(told(head), whole);
        for cut in 0..head.len() {
            for (part, whole) in told(&head[..cut]).iter().zip(whole) {
                assert!(whole.starts_with(part), "{cut}: {}", String::from_utf8_lossy(part));
            }
        }
    }

    #[test]
    fn a_path_has_no_query() {
        for (target, path) in [
            ("/a/b?token=x", "/a/b"),
            ("/a#b?c", "/a"),
            ("/", "/"),
            ("*", "*"),
            ("http://u:p@a.test:1/b?c/d", "/b"),
            ("http://a.test", ""),
            ("http://a.test?b/c", ""),
            ("a.test:443", ""),
            ("?x", ""),
        ] {
            let head = format!("GET {target} HTTP/1.1\r\n\r\n");
            assert_eq!(PartialHead::of(head.as_bytes()).path(), path.as_bytes(), "{target}");
        }
    }

    #[test]
    fn nothing_is_known_of_bytes_that_are_no_head() {
        let nothing: [&[u8]; 5] = [b""; 5];
        let long = [b'A'; METHOD_BYTES_MAX + 1];
        for bytes in
            [&b""[..], b"\r\n", b"\x16\x03\x01\x02 / HTTP/1.1", b"G@T / HTTP/1.1\r\n", &long, b" / x"]
        {
            assert_eq!(told(bytes), nothing, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn invalid_parts_are_known_as_they_were_sent() {
        let told = told(b"GET http://a.test:1/\xe9 HTTP/3\nHost: b.test\n");
        assert_eq!(told, [&b"GET"[..], b"http://a.test:1/\xe9", b"HTTP/3", b"a.test:1", b""]);
        assert_eq!(PartialHead::of(b"GET /\r\nHost: a\r\n").version, b"");
    }
}
