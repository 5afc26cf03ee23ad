//! Globs for whole paths: `/api/*/items`, `/hooks/**`, `/**.php`.

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
    /// the form of `rest`. A star alone stands for no segment, too.
    pub fn new(text: Arc<str>, segments: Vec<SegmentGlob>, rest: Option<SegmentGlob>) -> PathGlob {
        PathGlob { text, segments: segments.into(), rest }
    }

    /// The glob for a path prefix and everything below it.
    pub fn below(prefix: &str) -> PathGlob {
        let segments = prefix.split('/').skip(1).filter(|segment| !segment.is_empty());
        let segments = segments.map(|segment| SegmentGlob::Literal(segment.into())).collect();
        let text = format!("{}/**", prefix.trim_end_matches('/'));
        PathGlob::new(text.into(), segments, Some(SegmentGlob::Star("".into(), "".into())))
    }

    /// Whether the glob matches a path, which is decoded for matching. A slash at its end does not count, because many
    /// servers ignore it.
    pub fn matches(&self, path: &[u8]) -> bool {
        let path = path.strip_suffix(b"/").unwrap_or(path);
        // The segments that are left, without the slash before them. `None` behind the last one.
        let mut left = path.strip_prefix(b"/");
        for glob in &self.segments {
            let Some(segments) = left else { return false };
            let end = memchr::memchr(b'/', segments);
            if !glob.matches(&segments[..end.unwrap_or(segments.len())]) {
                return false;
            }
            left = end.map(|end| &segments[end + 1..]);
        }
        match (&self.rest, left) {
            (None, left) => left.is_none(),
            (Some(rest), _) if rest.is_any() => true,
            (Some(rest), left) => left.is_some_and(|left| {
                rest.matches(&left[memchr::memrchr(b'/', left).map_or(0, |slash| slash + 1)..])
            }),
        }
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

    fn matches(&self, segment: &[u8]) -> bool {
        match self {
            SegmentGlob::Literal(text) => text.as_bytes() == segment,
            SegmentGlob::Star(start, end) => {
                !segment.is_empty() && matches_star(segment, start.as_bytes(), end.as_bytes())
            }
        }
    }
}

/// Whether a text begins and ends so, and the two do not overlap.
pub(in crate::config::plan) fn matches_star(text: &[u8], start: &[u8], end: &[u8]) -> bool {
    text.strip_prefix(start).is_some_and(|rest| rest.ends_with(end))
}
