//! Paths: the segments that climb, and the bytes that rules compare (RFC 3986, sections 5.2.4, 6.2.2).

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr3};

use super::class::is_unreserved;

/// Whether a path has a segment `.` or `..` in the eyes of *anyone* who may read it later.
///
/// A server behind us may decode escapes before it splits, take a backslash for a slash (`%2f`,
/// `%5c`, `\`), or cut parameters off a segment (`..;x`). So all of those count as separators here,
/// and only here: the bytes that are forwarded stay as they are. One level of escapes is looked
/// through; `%252e` is a segment named `%2e` to everybody who decodes once.
pub fn has_dot_segments(path: &[u8]) -> bool {
    if memchr2(b'.', b'%', path).is_none() {
        return false;
    }
    // Dots since the last separator; `None` once anything else came.
    let mut dots = Some(0);
    let mut at = 0;
    while at < path.len() {
        let (byte, width) = match escape(&path[at..]) {
            Some(byte) => (byte, 3),
            None => (path[at], 1),
        };
        at += width;
        dots = match (byte, dots) {
            (b'/' | b'\\' | b';', Some(1 | 2)) => return true,
            (b'/' | b'\\', _) => Some(0),
            (b'.', Some(dots)) => Some(dots + 1),
            _ => None,
        };
    }
    matches!(dots, Some(1 | 2))
}

/// The bytes of a path that rules are compared with: escapes of unreserved bytes decoded (RFC 3986,
/// section 6.2.2.2), all else as written. Allocates only where there is something to decode.
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

/// A path as it looks to a program that takes it as loosely as any does: every escape of an ASCII byte decoded
/// (the digits of others in capitals), a backslash for a slash, slashes in a row for one, and a segment cut
/// where `;`, `?`, `#` or NUL stands in it. `None` where there is nothing to take loosely, and all programs
/// read the same path. A path of ASCII stays one.
///
/// A program that does only a part of this may end up with other segments, but not under a prefix of plain
/// segments under which this path is not: it has split, joined and cut no more than is done here.
pub fn loose_path(path: &[u8]) -> Option<Vec<u8>> {
    let doubtful = memchr3(b'%', b'\\', b';', path).is_some() || path.windows(2).any(|pair| pair == b"//");
    if !doubtful {
        return None;
    }
    let mut loose = Vec::with_capacity(path.len());
    let (mut at, mut cut) = (0, false);
    while at < path.len() {
        let (byte, width) = match escape(&path[at..]) {
            Some(byte) => (byte, 3),
            None => (path[at], 1),
        };
        let written = &path[at..at + width];
        at += width;
        match byte {
            b'/' | b'\\' => {
                cut = false;
                if loose.last() != Some(&b'/') {
                    loose.push(b'/');
                }
            }
            b';' | b'?' | b'#' | 0 => cut = true,
            _ if cut => {}
            _ if byte.is_ascii() => loose.push(byte),
            _ => loose.extend(written.iter().map(u8::to_ascii_uppercase)),
        }
    }
    Some(loose)
}

/// Where the next escape of an unreserved byte stands, and that byte.
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
fn escape(bytes: &[u8]) -> Option<u8> {
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
    fn dot_segments_are_seen_in_every_disguise() {
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
        ] {
            assert!(has_dot_segments(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn dots_inside_a_segment_are_fine() {
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
            "*",
        ] {
            assert!(!has_dot_segments(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_loose_reading_folds_all_that_a_server_may_fold() {
        for path in [
            "//x/y",
            "///x//y",
            "/%2fx/y",
            "/%2Fx/y",
            "/x%2fy",
            "/x\\y",
            "/x%5Cy",
            "/x;a/y",
            "/x%3ba=1/y;",
            "/;/x/y",
            "/\\x\\/y",
            "/x/y%00.png",
            "/x/y%3fz",
            "/x%23/y",
            "/%78/%79",
            "/x;%2fy",
            "/x;\\y",
            "/%2f/;b//x/y",
        ] {
            assert_eq!(loose_path(path.as_bytes()).as_deref(), Some(&b"/x/y"[..]), "{path}");
        }
        for (path, loose) in [
            ("/%252fx", "/%2fx"),
            ("/a%40", "/a@"),
            ("/%e4%2F", "/%E4/"),
            ("/%", "/%"),
            ("//", "/"),
            ("/a//", "/a/"),
        ] {
            assert_eq!(loose_path(path.as_bytes()).as_deref(), Some(loose.as_bytes()), "{path}");
        }
        for path in ["", "/", "*", "/a/b/", "/a.b/c~d@e+f=g&h", "/a:b,c"] {
            assert_eq!(loose_path(path.as_bytes()), None, "{path}");
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
