//! Globs for whole paths: `/api/*/items`, `/users/{id}`, `/hooks/**`, `/**.php`.

use std::fmt;
use std::sync::Arc;

/// A glob for a whole path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PathGlob {
    /// The glob as written, with unreserved characters decoded.
    text: Arc<str>,
    segments: Box<[SegmentGlob]>,
    /// The rest of the path after `segments`; `None` if nothing may follow.
    rest: Option<SegmentGlob>,
    /// For each star the name of what it takes, if it has one.
    names: Box<[Option<Arc<str>>]>,
}

/// A glob for one segment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SegmentGlob {
    /// This text.
    Literal(Box<str>),
    /// A start, any bytes, and an end. The segment is not empty.
    Star(Box<str>, Box<str>),
}

impl PathGlob {
    /// The glob of these segments. With `rest`, any number of segments may follow, and the last segment of those has
    /// the form of `rest`. A star alone stands for no segment, too. There are `names` for the stars in their order.
    pub fn new(
        text: Arc<str>,
        segments: Vec<SegmentGlob>,
        rest: Option<SegmentGlob>,
        names: Vec<Option<Arc<str>>>,
    ) -> PathGlob {
        PathGlob { text, segments: segments.into(), rest, names: names.into() }
    }

    /// The glob for a path prefix and everything below it.
    pub fn below(prefix: &str) -> PathGlob {
        let segments = prefix.split('/').skip(1).filter(|segment| !segment.is_empty());
        let segments = segments.map(|segment| SegmentGlob::Literal(segment.into())).collect();
        let text = format!("{}/**", prefix.trim_end_matches('/'));
        PathGlob::new(text.into(), segments, Some(SegmentGlob::Star("".into(), "".into())), vec![None])
    }

    /// Whether the glob matches a path, which is decoded for matching. A slash at its end does not count, because many
    /// servers ignore it.
    pub fn matches(&self, path: &[u8]) -> bool {
        self.matches_with(path, |_| {})
    }

    /// As [`matches`](Self::matches). Tells what each star takes, which means nothing unless the glob matches. `**` at
    /// the end takes a slash at the end, too.
    pub fn matches_with<'p>(&self, path: &'p [u8], mut take: impl FnMut(&'p [u8])) -> bool {
        let plain = path.strip_suffix(b"/").unwrap_or(path);
        // The segments that are left, without the slash before them. `None` behind the last one.
        let mut left = plain.strip_prefix(b"/");
        for glob in &self.segments {
            let Some(segments) = left else { return false };
            let end = memchr::memchr(b'/', segments);
            if !glob.matches_with(&segments[..end.unwrap_or(segments.len())], &mut take) {
                return false;
            }
            left = end.map(|end| &segments[end + 1..]);
        }
        match (&self.rest, left) {
            (None, left) => left.is_none(),
            (Some(rest), left) if rest.is_any() => {
                let slash = path.len() - plain.len();
                take(&path[path.len() - left.map_or(0, |left| left.len() + slash)..]);
                true
            }
            (Some(_), None) => false,
            (Some(rest), Some(left)) => {
                let last = memchr::memrchr(b'/', left).map_or(0, |slash| slash + 1);
                rest.matches_with(&left[last..], |star| take(&left[..last + star.len()]))
            }
        }
    }

    /// The name of what each star takes, if it has one.
    pub fn names(&self) -> &[Option<Arc<str>>] {
        &self.names
    }

    /// The path prefix that every path of the glob has, in the form of a rule's `path_prefix`.
    pub fn literal_prefix(&self) -> String {
        let literal = self.segments.iter().map_while(|segment| match segment {
            SegmentGlob::Literal(text) => Some(&**text),
            SegmentGlob::Star(..) => None,
        });
        format!("/{}", literal.collect::<Vec<_>>().join("/"))
    }
}

impl fmt::Display for PathGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl SegmentGlob {
    fn is_any(&self) -> bool {
        matches!(self, SegmentGlob::Star(start, end) if start.is_empty() && end.is_empty())
    }

    fn matches_with<'p>(&self, segment: &'p [u8], take: impl FnOnce(&'p [u8])) -> bool {
        match self {
            SegmentGlob::Literal(text) => text.as_bytes() == segment,
            SegmentGlob::Star(start, end) => {
                let star = star_of(segment, start.as_bytes(), end.as_bytes());
                star.filter(|_| !segment.is_empty()).map(take).is_some()
            }
        }
    }
}

/// The part of a text between this start and this end, which do not overlap. `None` if it does not begin and end so.
pub(in crate::config::plan) fn star_of<'t>(text: &'t [u8], start: &[u8], end: &[u8]) -> Option<&'t [u8]> {
    text.strip_prefix(start)?.strip_suffix(end)
}
