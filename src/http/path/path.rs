//! Paths: dot segments, and the bytes that rules compare (RFC 3986, sections 5.2.4, 6.2.2).

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::http::class::is_unreserved;

/// Whether a path has a segment `.` or `..` for *any* program that may read it later.
///
/// A server behind smolgate may decode escapes before it splits, or take a backslash for a slash (`%2f`,
/// `%5c`, `\`). It may also cut a segment off (`..;x`, `..%23x`). So all of these end a segment, but only in
/// this check: the forwarded bytes stay as they are. The check decodes one level of escapes; `%252e` is a
/// segment named `%2e` to a program that decodes once. [`LoosePath`](super::LoosePath) decodes all levels.
pub fn has_dot_segments(path: &[u8]) -> bool {
    if memchr2(b'.', b'%', path).is_none() {
        return false;
    }
    // The number of dots since the last separator; `None` after any other byte.
    let mut dots = Some(0);
    let mut at = 0;
    while at < path.len() {
        let (byte, width) = match escape(&path[at..]) {
            Some(byte) => (byte, 3),
            None => (path[at], 1),
        };
        at += width;
        dots = match (byte, dots) {
            (byte, Some(1 | 2)) if is_separator(byte) || is_cut(byte) => return true,
            (byte, _) if is_separator(byte) => Some(0),
            (b'.', Some(dots)) => Some(dots + 1),
            _ => None,
        };
    }
    matches!(dots, Some(1 | 2))
}

/// Whether a server may take the byte for the end of a segment and the start of another.
pub(super) fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\')
}

/// Whether a server may take the byte for the end of a segment or of the path, and ignore what follows.
pub(super) fn is_cut(byte: u8) -> bool {
    matches!(byte, b';' | b'?' | b'#' | 0)
}

/// The bytes of a path that rules are compared with: escapes of unreserved bytes decoded (RFC 3986, section
/// 6.2.2.2), all others as written. Allocates only if there is something to decode.
pub fn match_path(path: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = next_unreserved(path, 0) else {
        return Cow::Borrowed(path);
    };
    let mut decoded = Vec::with_capacity(path.len());
    let mut copied = 0;
    let mut next = Some(first);
    while let Some((at, byte)) = next {
        decoded.extend_from_slice(&path[copied..at]);
        decoded.push(byte);
        copied = at + 3;
        next = next_unreserved(path, copied);
    }
    decoded.extend_from_slice(&path[copied..]);
    Cow::Owned(decoded)
}

/// The path without the `prefix` by which a rule took it. The prefix counts as in [`match_path`]: an escape of an
/// unreserved byte is one byte of it.
pub fn behind_prefix<'a>(path: &'a [u8], prefix: &str) -> &'a [u8] {
    let mut rest = path;
    for _ in prefix.bytes() {
        let width = if escape(rest).is_some_and(is_unreserved) { 3 } else { 1 };
        rest = rest.get(width..).unwrap_or_default();
    }
    rest
}

/// Finds the next escape of an unreserved byte: its index, and that byte.
fn next_unreserved(path: &[u8], mut from: usize) -> Option<(usize, u8)> {
    loop {
        let at = from + memchr(b'%', &path[from..])?;
        match escape(&path[at..]) {
            Some(byte) if is_unreserved(byte) => return Some((at, byte)),
            _ => from = at + 1,
        }
    }
}

/// The byte that `%XX` at the start stands for.
pub fn escape(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else {
        return None;
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(*high)? << 4 | digit(*low)?) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_that_was_written_with_escapes_is_taken_off_whole() {
        assert_eq!(behind_prefix(b"/users/7?a", "/users"), b"/7?a");
        assert_eq!(behind_prefix(b"/%75sers/7", "/users"), b"/7");
        assert_eq!(behind_prefix(b"/%75%73%65%72%73", "/users"), b"");
        assert_eq!(
            behind_prefix(b"/a%2Fb/c", "/a%2Fb"),
            b"/c",
            "a reserved escape is three bytes to the rules too"
        );
        assert_eq!(behind_prefix(b"/u", "/users"), b"");
    }

    #[test]
    fn dot_segments_are_found_in_every_spelling() {
        for path in [
            "/..",
            "/.",
            "/../",
            "/./",
            "/a/../b",
            "/a/./b",
            "/a/..",
            "/%2e%2e/a",
            "/%2E.",
            "/.%2e/x",
            "/%2e",
            "/a/%2e/b",
            "/a%2f..%2fb",
            "/a/..%2f",
            "/..%5cb",
            "/..\\b",
            "/a\\..\\b",
            "/a%5C%2e%2e",
            "/..;/b",
            "/.;x=1/b",
            "/..%3bx",
            "..",
            ".",
            "/a/..;",
            "/x/..%23/a",
            "/x/..%3f/a",
            "/x/..%00/a",
            "/.%00/a",
            "/%2e%00/a",
            "/a/.%3Fb",
        ] {
            assert!(has_dot_segments(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn dots_inside_a_segment_are_no_dot_segments() {
        for path in [
            "",
            "/",
            "/a",
            "/...",
            "/a..",
            "/..a",
            "/.well-known/x",
            "/a.b/c..d",
            "/%252e%252e/",
            "/%2e%2e%2e",
            "/a;..",
            "/%zz/a",
            "/%2",
            "/%",
            "/a/b.html",
            "/a/%2eb",
            "/a;../b",
            "/a%23..%3f",
            "/...%00",
            "*",
        ] {
            assert!(!has_dot_segments(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn only_escapes_of_unreserved_bytes_are_decoded() {
        for (path, decoded) in [
            ("/%61bc", "/abc"),
            ("/%7Euser/%41%2d%5f%2E", "/~user/A-_."),
            ("/a%2fb%61", "/a%2fba"),
            ("/%2561%61", "/%2561a"),
            ("/%%61", "/%a"),
            ("/%6", "/%6"),
        ] {
            assert_eq!(match_path(path.as_bytes()), decoded.as_bytes(), "{path}");
        }
        for path in ["/", "/plain/path", "/%2f%zz%", "/%e4"] {
            assert!(
                matches!(match_path(path.as_bytes()), Cow::Borrowed(same) if same == path.as_bytes()),
                "{path}"
            );
        }
    }
}
