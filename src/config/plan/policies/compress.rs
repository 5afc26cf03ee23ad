//! Compression of responses.

use std::fmt;
use std::sync::Arc;

use crate::config::keys::scalar::show_size;
use crate::config::keys::yaml::list;

/// Which responses are compressed on their way to the client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Compress {
    /// 1 is the fastest and 9 makes the shortest bodies.
    pub level: u32,
    /// Bytes of the shortest body that is compressed, if its length is known.
    pub min: u64,
    /// The media types of bodies, in lower case: `a/b`, `a/*` or `*/*+c`.
    pub types: Vec<Arc<str>>,
    /// Whether responses that set cookies are compressed too.
    pub cookies: bool,
}

/// Media types of text, by default.
const TYPES: [&str; 9] = [
    "text/*",
    "*/*+json",
    "*/*+xml",
    "application/json",
    "application/javascript",
    "application/xml",
    "application/wasm",
    "font/ttf",
    "font/otf",
];

/// A stream of events. Only its own name takes it, because each event is short and waits for nothing.
const EVENTS: &str = "text/event-stream";

impl Default for Compress {
    fn default() -> Self {
        Self { level: 3, min: 1_024, types: TYPES.map(Arc::from).to_vec(), cookies: false }
    }
}

impl Compress {
    /// Whether bodies of this media type are compressed. It may have parameters.
    pub fn takes(&self, media_type: &[u8]) -> bool {
        let essence = media_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        self.types.iter().any(|pattern| takes(pattern, essence))
    }
}

fn takes(pattern: &str, essence: &[u8]) -> bool {
    let is_events = essence.eq_ignore_ascii_case(EVENTS.as_bytes());
    let same = |text: &str, part: Option<&[u8]>| {
        part.is_some_and(|part| part.eq_ignore_ascii_case(text.as_bytes())) && !is_events
    };
    if let Some(end) = pattern.strip_prefix("*/*") {
        return same(end, essence.len().checked_sub(end.len()).map(|at| &essence[at..]));
    }
    match pattern.strip_suffix('*') {
        Some(start) => same(start, essence.get(..start.len())),
        None => essence.eq_ignore_ascii_case(pattern.as_bytes()),
    }
}

impl fmt::Display for Compress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compress { level, min, types, cookies } = self;
        let (min, types) = (show_size(*min), list(types.iter()));
        write!(f, "{{ level: {level}, min: {min}, types: {types}, cookies: {cookies} }}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_taken_and_what_is_compressed_already_is_not() {
        let compress = Compress::default();
        for (media_type, is_taken) in [
            ("text/html; charset=utf-8", true),
            ("TEXT/CSS", true),
            ("application/json", true),
            ("application/problem+json;a=b", true),
            ("image/svg+xml", true),
            ("application/wasm", true),
            ("text/event-stream", false),
            ("text/event-stream; charset=utf-8", false),
            ("image/png", false),
            ("application/octet-stream", false),
            ("application/jsonp", false),
            ("textual/html", false),
            ("", false),
        ] {
            assert_eq!(compress.takes(media_type.as_bytes()), is_taken, "{media_type}");
        }
        let events = Compress { types: vec![EVENTS.into()], ..compress };
        assert!(events.takes(b"Text/Event-Stream") && !events.takes(b"text/html"));
    }
}
