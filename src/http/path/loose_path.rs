//! Paths as the loosest server reads them, and the readings between that one and the written path.
//!
//! Servers differ in how often they decode escapes, in the bytes that separate segments, and in the bytes
//! that end a segment or the path. A request may pass several such programs. [`LoosePath`] holds all that
//! they can make of one path.

use memchr::memchr3;

use super::path::{escape, is_cut, is_separator};
use crate::http::class::is_unreserved;

/// All readings of one path.
///
/// The loosest reading decodes escapes until none is left, overlong UTF-8 included. It takes `\` for `/` and
/// slashes in a row for one. It cuts a segment where `;`, `?`, `#` or NUL stands in it. It leaves out spaces,
/// other control bytes and segments `.`.
///
/// A stricter reading first differs from it at some byte. There the path ends, or a segment is empty or has a
/// byte that no plain segment has. So rules take the stricter reading as they take the loosest one, cut at the
/// end of that path or before that segment. Only the places for such cuts are kept.
///
/// If a path begins with two slashes, it also has readings without its first segment. A parser of URLs takes
/// that segment for a host (RFC 3986, section 4.2).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LoosePath {
    /// The loosest reading. It is ASCII, because other bytes stay escaped, with digits in capitals.
    bytes: Vec<u8>,
    /// Offsets of the slashes with which readings begin, ascending.
    starts: Vec<usize>,
    /// Offsets at which readings end, ascending. The last is the length of `bytes`.
    ends: Vec<usize>,
    /// Offset of the slash before the last segment.
    segment: usize,
    /// The least depth of a separator in the host so far. The first is for parsers that split at `/` alone,
    /// the second for those that split at `\` too. A parser that decodes less finds the end of the host
    /// later.
    host_ends_below: [u8; 2],
    wanders: bool,
}

impl LoosePath {
    /// Reads the path of a request or the prefix of a rule. `None` if all servers read the same path.
    ///
    /// Allocates nothing for a path without escapes, `\`, `;` and empty segments.
    pub fn read(path: &[u8]) -> Option<LoosePath> {
        let may_differ =
            memchr3(b'%', b'\\', b';', path).is_some() || path.windows(2).any(|pair| pair == b"//");
        if !may_differ {
            return None;
        }
        let (decoded, depths) = decode(path);
        let mut loose =
            LoosePath { bytes: Vec::with_capacity(path.len()), starts: vec![0], ..LoosePath::default() };
        let mut is_cut_off = false;
        for (byte, depth) in decoded.into_iter().zip(depths) {
            if is_doubtful(byte, depth, loose.bytes.last()) {
                loose.end_at(loose.segment);
            }
            if is_separator(byte) {
                // Another server takes no separator here, and leaves out what follows too.
                loose.wanders |= is_cut_off && (byte == b'\\' || depth > 0);
                is_cut_off = false;
                loose.end_segment();
                loose.end_host(byte, depth);
            } else if is_cut(byte) || is_blank(byte) {
                loose.end_at(loose.bytes.len());
                is_cut_off |= is_cut(byte);
            } else if !is_cut_off {
                loose.push(byte);
            }
        }
        loose.drop_dots();
        let differs = !loose.ends.is_empty();
        loose.end_at(loose.bytes.len());
        differs.then_some(loose)
    }

    /// The loosest reading as a whole, of ASCII.
    pub fn loosest(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there are readings that [`readings`](Self::readings) does not say, so that the path may lead to any
    /// other. One has a segment `..`. Or a segment is cut before a separator that not all servers take for one:
    /// in `/a;%2fb/c`, `b` is a segment to some and left out by others.
    pub fn wanders(&self) -> bool {
        self.wanders
    }

    /// The readings that differ for rules whose prefixes have at most `longest` bytes. An empty one is `/`.
    ///
    /// Their number grows with `longest`, and with the depth of the escapes in a host before the path. It does
    /// not grow with the length of the path.
    pub fn readings(&self, longest: usize) -> impl Iterator<Item = &[u8]> {
        self.starts.iter().flat_map(move |&start| {
            // One end behind the longest prefix stands for all later ends.
            let within = self.ends.partition_point(|end| *end <= start.saturating_add(longest));
            let ends = self.ends.iter().take(within + 1);
            ends.filter(move |end| **end >= start).map(move |end| &self.bytes[start..*end])
        })
    }

    /// Lets a reading end at `offset`.
    fn end_at(&mut self, offset: usize) {
        if self.ends.last().is_none_or(|last| *last < offset) {
            self.ends.push(offset);
        }
    }

    fn end_segment(&mut self) {
        self.drop_dots();
        if self.bytes == b"/" {
            self.host_ends_below = [u8::MAX; 2];
        }
        if self.bytes.last() != Some(&b'/') {
            self.segment = self.bytes.len();
            self.bytes.push(b'/');
        }
    }

    /// Lets a reading start at the last segment if the host ends before it for a parser that found no end yet.
    fn end_host(&mut self, separator: u8, depth: u8) {
        let takers = &mut self.host_ends_below[usize::from(separator == b'\\')..];
        if self.segment > 0 && takers.iter().any(|least| depth < *least) {
            takers.iter_mut().for_each(|least| *least = depth.min(*least));
            self.starts.push(self.segment);
        }
    }

    /// Takes out the last segment if it is a dot segment.
    fn drop_dots(&mut self) {
        let last = &self.bytes[self.segment..];
        if last == b"/." || last == b"/.." {
            self.wanders |= last == b"/..";
            self.bytes.truncate(self.segment + 1);
            while self.ends.pop_if(|end| *end > self.segment).is_some() {}
            self.end_at(self.segment);
        }
    }

    fn push(&mut self, byte: u8) {
        if byte.is_ascii() {
            self.bytes.push(byte);
        } else {
            let digit = |half: u8| b"0123456789ABCDEF"[usize::from(half)];
            self.bytes.extend([b'%', digit(byte >> 4), digit(byte & 0xf)]);
        }
    }
}

/// Space and control bytes, NUL aside.
fn is_blank(byte: u8) -> bool {
    byte <= b' ' || byte == 0x7f
}

/// Whether servers differ in what they take a byte for. `last` is the byte before it in the loosest reading.
fn is_doubtful(byte: u8, depth: u8, last: Option<&u8>) -> bool {
    match byte {
        b'/' => depth > 0 || last == Some(&b'/'),
        b'\\' => true,
        _ if is_cut(byte) || is_blank(byte) => true,
        // RFC 3986, section 6.2.2.2: an escape of an unreserved byte is that byte.
        _ => depth > u8::from(is_unreserved(byte)),
    }
}

/// Decodes escapes until none is left, and looks at each byte a bounded number of times. The second list
/// holds the depth of each byte: how often a program must decode the path to get it. A byte that is written
/// as it is has depth 0.
fn decode(path: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut bytes, mut depths) = (Vec::with_capacity(path.len()), Vec::with_capacity(path.len()));
    for &byte in path {
        bytes.push(byte);
        depths.push(0);
        while let Some((length, byte)) = last_sequence(&bytes) {
            let start = bytes.len() - length;
            let depth = depths[start..].iter().fold(0, |most: u8, depth| most.max(*depth));
            bytes.splice(start.., [byte]);
            depths.splice(start.., [depth.saturating_add(1)]);
        }
    }
    (bytes, depths)
}

/// Finds an escape or overlong UTF-8 at the end: its length, and the byte that it stands for.
fn last_sequence(bytes: &[u8]) -> Option<(usize, u8)> {
    let (length, high, low) = match *bytes {
        // RFC 3629, section 3: more bytes than needed are not valid, and yet some programs decode them.
        [.., 0xf0, 0x80, high @ 0x80..=0x81, low @ 0x80..=0xbf] => (4, high, low),
        [.., 0xe0, high @ 0x80..=0x81, low @ 0x80..=0xbf] => (3, high, low),
        [.., high @ 0xc0..=0xc1, low @ 0x80..=0xbf] => (2, high, low),
        _ => {
            let (_, tail) = bytes.split_last_chunk::<3>()?;
            return escape(tail).map(|byte| (3, byte));
        }
    };
    Some((length, (high & 1) << 6 | low & 0x3f))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loosest(path: &str) -> Option<String> {
        let loose = LoosePath::read(path.as_bytes())?;
        Some(String::from_utf8(loose.loosest().to_vec()).expect("invariant: a loose path is ASCII"))
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
            "/x;%2fy",
            "/x;\\y",
            "/%2f/;b//x/y",
            "/%252fx/y",
            "/%25252fx/y",
            "/%%32fx/y",
            "/x%25%32%66y",
            "/%2578/y",
            "/x%c0%afy",
            "/x%C1%9Cy",
            "/x%e0%80%afy",
            "/x%f0%80%80%afy",
            "/%c1%b8/y",
            "/x%25c0%25afy",
            "/x%c0%a52fy",
            "/x/y%20",
            "/x%09/y%0d%0a",
            "/x/%252e/y",
            "/x/%c0%ae/y",
            "/x/.%20/y",
        ] {
            assert_eq!(loosest(path).as_deref(), Some("/x/y"), "{path}");
        }
        for (path, loose) in [
            ("/a%40", "/a@"),
            ("/%e4%2F", "/%E4/"),
            ("/%c3%a9%25", "/%C3%A9%"),
            ("/%c0/", "/%C0/"),
            ("//", "/"),
            ("/a//", "/a/"),
        ] {
            assert_eq!(loosest(path).as_deref(), Some(loose), "{path}");
        }
        for path in ["", "/", "*", "/a/b/", "/a.b/c~d@e+f=g&h", "/a:b,c", "/%", "/%zz", "/%78/%79", "/%61%2e"]
        {
            assert_eq!(loosest(path), None, "{path}");
        }
    }

    #[test]
    fn a_reading_may_end_where_another_goes_on() {
        let cases: [(&str, &[&str]); 11] = [
            ("//x/y", &["", "/x/y", "/y"]),
            ("/x%2fy", &["", "/x/y"]),
            ("/x//y", &["/x", "/x/y"]),
            ("/x;a/y", &["", "/x", "/x/y"]),
            ("/x/a%20b/y", &["/x", "/x/a", "/x/ab/y"]),
            ("/x/y%2fz%40", &["/x", "/x/y", "/x/y/z@"]),
            ("/x%252f./y", &["", "/x", "/x/y"]),
            ("//x%2fy\\z/a", &["", "/x", "/x/y/z/a", "", "/y/z/a", "/z/a", "/a"]),
            ("//x\\y%2fz/a", &["", "/x", "/x/y/z/a", "", "/y/z/a", "/z/a", "/a"]),
            ("/\\x/y", &["", "/x/y", "/y"]),
            ("/%41/%25", &["/A", "/A/%"]),
        ];
        for (path, wanted) in cases {
            let loose = LoosePath::read(path.as_bytes()).unwrap();
            let readings: Vec<&str> =
                loose.readings(usize::MAX).map(|reading| std::str::from_utf8(reading).unwrap()).collect();
            assert_eq!(readings, wanted, "{path}");
            assert!(!loose.wanders(), "{path}");
        }
    }

    #[test]
    fn a_path_whose_readings_are_not_all_known_wanders() {
        for path in [
            "/x/%252e%252e/y",
            "/x/.%252e",
            "/%c0%ae./y",
            "/x/..%20/y",
            "/x/.%09./y",
            "/x%252f..%252fy",
            "/x;%2fy/z",
            "/x;a\\y",
            "/;%252fx/y",
            "/x%23%2f",
        ] {
            assert!(LoosePath::read(path.as_bytes()).unwrap().wanders(), "{path}");
        }
        for path in ["/x/%252e/y", "/%252e%252e%252e", "/x%252e%252e/y;", "/x;%252e%252e/y", "/x;a/y%2f"] {
            assert!(!LoosePath::read(path.as_bytes()).unwrap().wanders(), "{path}");
        }
    }

    #[test]
    fn the_number_of_readings_does_not_grow_with_the_path() {
        for part in ["/", "/a;", "/a%2f", "%20", "/%252e", "/%252e%252e", "%25", "/a\\", "/%c0%af"] {
            let path = format!("//{}", part.repeat(2_000));
            let loose = LoosePath::read(path.as_bytes()).unwrap();
            let readings = loose.readings(20).count();
            assert!(readings < 100, "{part}: {readings}");
        }
    }
}
