//! Checks which request heads may reach the HTTP library. Sans-IO: bytes in, a verdict out.
//!
//! async-h1 reads a line of any length before it looks at its limit. http-types panics on a field value that is
//! not ASCII, which ends the process in a release build. So the whole head is collected and checked here, and the
//! library sees only heads that have passed. Bodies mean nothing to this API; a small body with `Content-Length`
//! is read and discarded.

use std::str::FromStr;

use http_types::Method;

use crate::http::is_token;

/// Bytes of a head, from the request line to the empty line.
pub(super) const HEAD_BYTES_MAX: usize = 8 * 1024 - 1;

/// Field lines of a head.
pub(super) const HEAD_FIELDS_MAX: usize = 100;

/// Bytes of a body.
pub(super) const BODY_BYTES_MAX: u64 = 64 * 1024;

/// A head that has passed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Its length in the bytes that were received.
    pub(super) length: usize,
    /// Its bytes, with `?` for each byte of a field value that is not ASCII.
    pub(super) bytes: Vec<u8>,
    /// The path as it was sent, without the query.
    pub(super) path: String,
    /// Bytes of the body that follows.
    pub(super) body: u64,
}

/// A response to a request that does not reach the table of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The status of the response.
    pub(super) status: u16,
    /// The text of the response.
    pub(super) why: &'static str,
}

const fn refuse<T>(status: u16, why: &'static str) -> Result<T, Refusal> {
    Err(Refusal { status, why })
}

/// Looks for a whole head at the start of `bytes`. Returns `None` if more bytes are needed.
pub(super) fn check(bytes: &[u8]) -> Result<Option<Head>, Refusal> {
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").map(|at| at + 4);
    let seen = &bytes[..end.unwrap_or(bytes.len())];
    if seen.len() > HEAD_BYTES_MAX {
        return refuse(431, "the head is larger than 8 KiB");
    }
    // Some bytes cannot begin a head, such as those of a TLS hello. Refuse them without waiting for an end.
    if seen.iter().any(|byte| matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127)) {
        return refuse(400, "this is not HTTP/1.1 without TLS");
    }
    let bare = seen.iter().enumerate().any(|(at, byte)| *byte == b'\n' && (at == 0 || seen[at - 1] != b'\r'));
    if bare {
        return refuse(400, "a line ends without a carriage return");
    }
    let Some(length) = end else {
        return Ok(None);
    };
    let mut lines = seen[..length - 4].split(|byte| *byte == b'\n').map(|line| line.trim_suffix_cr());
    let path = check_request_line(lines.next().unwrap_or_default())?;
    let body = check_fields(lines)?;
    let bytes = seen.iter().map(|byte| if byte.is_ascii() { *byte } else { b'?' }).collect();
    Ok(Some(Head { length, bytes, path, body }))
}

/// A line without its carriage return.
trait TrimSuffixCr {
    fn trim_suffix_cr(&self) -> &Self;
}

impl TrimSuffixCr for [u8] {
    fn trim_suffix_cr(&self) -> &[u8] {
        self.strip_suffix(b"\r").unwrap_or(self)
    }
}

/// Checks `method SP origin-form SP HTTP/1.1` (RFC 9112, section 3) and returns the path.
fn check_request_line(line: &[u8]) -> Result<String, Refusal> {
    let parts: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = parts[..] else {
        return refuse(400, "the request line has not three parts");
    };
    if version != b"HTTP/1.1" {
        return refuse(505, "only HTTP/1.1 is served here");
    }
    if !target.starts_with(b"/") || !target.iter().all(u8::is_ascii_graphic) {
        return refuse(400, "the request target is not an ASCII path");
    }
    // The library accepts any case, but methods are case-sensitive (RFC 9110, section 9.1).
    let known = std::str::from_utf8(method).is_ok_and(|name| Method::from_str(name).is_ok());
    if !known || method.iter().any(u8::is_ascii_lowercase) {
        return refuse(405, "only GET, HEAD and POST are served here");
    }
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    Ok(String::from_utf8_lossy(path).into_owned())
}

/// Checks every field line and returns the length of the body.
fn check_fields<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Result<u64, Refusal> {
    let (mut count, mut hosts, mut length) = (0, 0, None);
    for line in lines {
        count += 1;
        if count > HEAD_FIELDS_MAX {
            return refuse(431, "the head has more than 100 fields");
        }
        let Some(colon) = memchr::memchr(b':', line) else {
            return refuse(400, "a field line has no colon");
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // A folded line begins with white space, so it has no token for a name either.
        if !is_token(name) || value.contains(&b'\r') {
            return refuse(400, "a field line is malformed");
        }
        match name.to_ascii_lowercase().as_slice() {
            b"host" => {
                hosts += 1;
                if value.is_empty() || !value.iter().all(|byte| is_authority(*byte)) {
                    return refuse(400, "Host is not valid");
                }
            }
            b"content-length" => {
                let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
                if !digits || length.is_some() {
                    return refuse(400, "Content-Length is not one number");
                }
                let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
                length = Some(number.filter(|number| *number <= BODY_BYTES_MAX));
            }
            b"transfer-encoding" => return refuse(411, "send a Content-Length, or no body at all"),
            // The library would start threads of its own to send `100 Continue`.
            b"expect" => return refuse(417, "send the body, or none, without asking"),
            _ => {}
        }
    }
    match (hosts, length) {
        (1, None) => Ok(0),
        (1, Some(Some(length))) => Ok(length),
        (1, Some(None)) => refuse(413, "the body is larger than 64 KiB"),
        _ => refuse(400, "Host must stand there once"),
    }
}

/// Bytes of names, addresses and ports. None of them can end the authority of a URL.
fn is_authority(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn status(bytes: &[u8]) -> u16 {
        check(bytes).unwrap_err().status
    }

    #[test]
    fn a_head_has_its_length_path_and_body() {
        let bytes = b"POST /reload HTTP/1.1\r\nHost: localhost:42007\r\ncontent-length:  3 \r\n\r\nabc";
        let head = check(bytes).unwrap().unwrap();
        assert_eq!((head.length, head.body), (bytes.len() - 3, 3));
        assert_eq!((head.bytes.as_slice(), head.path.as_str()), (&bytes[..head.length], "/reload"));
        for cut in 0..head.length {
            assert_eq!(check(&bytes[..cut]), Ok(None), "{cut}");
        }
    }

    #[test]
    fn bytes_that_are_not_ascii_never_reach_the_library() {
        let bytes = "GET / HTTP/1.1\r\nHost: a\r\nCookie: nom=é\r\n\r\n".as_bytes();
        let head = check(bytes).unwrap().unwrap();
        assert!(head.bytes.is_ascii() && head.bytes.ends_with(b"nom=??\r\n\r\n"));
        assert_eq!(status("GET /é HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes()), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: é\r\n\r\n".as_bytes()), 400);
    }

    #[test]
    fn refusals() {
        for (expected, head) in [
            (400, "GET /\r\n\r\n"),
            (400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
            (400, "GET / HTTP/1.1\nHost: a\n\n"),
            (400, "GET / HTTP/1.1\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a/reload?\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: b@a\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nname : value\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n"),
            (400, "GET / HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"),
            (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
            (405, "BREW / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (405, "get / HTTP/1.1\r\nHost: a\r\n\r\n"),
            (411, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
            (413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n"),
            (413, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
            (417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n"),
            (505, "GET / HTTP/1.0\r\nHost: a\r\n\r\n"),
            (505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        ] {
            assert_eq!(status(head.as_bytes()), expected, "{head:?}");
        }
    }

    #[test]
    fn hopeless_bytes_are_refused_before_their_end() {
        assert_eq!(status(b"\x16\x03\x01\x02"), 400);
        assert_eq!(status(&[b'a'; HEAD_BYTES_MAX + 1]), 431);
        assert_eq!(check(&[b'a'; HEAD_BYTES_MAX]), Ok(None));
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a: b\r\n".repeat(HEAD_FIELDS_MAX));
        assert_eq!(status(many.as_bytes()), 431);
    }

    /// Gives a head that has passed to the library, which must accept it, or at least not panic.
    fn library(head: &Head) -> Result<(), ()> {
        let io = futures_lite::io::Cursor::new(head.bytes.clone());
        smol::block_on(async_h1::server::decode(io)).map(|_| ()).map_err(|_| ())
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_library_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some(head)) = check(&bytes) {
                let _ = library(&head);
            }
        }

        #[test]
        fn no_odd_head_makes_the_library_panic(
            target in "/[ -~é]{0,20}",
            host in "[a-z0-9.:_\\-\\[\\]%@/é]{0,12}",
            name in "[A-Za-z\\-]{1,12}",
            value in "[ -~\té\u{7f}]{0,30}",
        ) {
            let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{name}: {value}\r\n\r\n");
            if let Ok(Some(head)) = check(head.as_bytes()) {
                let _ = library(&head);
            }
        }

        #[test]
        fn plain_heads_pass(path in "/[a-z]{0,12}", name in "X-[A-Za-z]{1,12}", value in "[ -~é]{0,30}") {
            let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{name}: {value}\r\n\r\n");
            let head = check(head.as_bytes()).unwrap().unwrap();
            prop_assert!(library(&head).is_ok());
        }
    }
}
