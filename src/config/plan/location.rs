//! The target of a redirect: a URL or a path, with placeholders for parts of the request.

use std::fmt;
use std::sync::Arc;

/// The target of a redirect, taken apart when the configuration is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The target as written.
    text: Arc<str>,
    parts: Arc<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Host,
    Path,
    Rest,
    Query,
    /// A question mark and the query, if there is one. It has no placeholder.
    QueryWithMark,
}

/// Every placeholder.
const PLACEHOLDERS: [(&str, Part); 4] =
    [("{host}", Part::Host), ("{path}", Part::Path), ("{rest}", Part::Rest), ("{query}", Part::Query)];

/// The parts of a request that placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub struct LocationParts<'a> {
    /// The host as rules compare it.
    pub host: &'a [u8],
    /// The path as it was received.
    pub path: &'a [u8],
    /// The path behind the prefix of the rule.
    pub rest: &'a [u8],
    /// The query without its question mark.
    pub query: Option<&'a [u8]>,
}

impl Location {
    /// Takes a target apart. `None`: it has a brace that belongs to no placeholder.
    ///
    /// The path of the request follows a scheme and an authority alone. Its query follows a target with the path or
    /// the rest of it, unless the target has a query or a fragment of its own.
    pub fn new(text: &str) -> Option<Location> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (literal, behind) = rest.split_at(at);
            let (word, part) = PLACEHOLDERS.into_iter().find(|(word, _)| behind.starts_with(word))?;
            parts.extend([Part::Literal(literal.into()), part]);
            rest = &behind[word.len()..];
        }
        parts.push(Part::Literal(rest.into()));
        if is_origin(text) {
            parts.push(Part::Path);
        }
        if !text.contains(['?', '#']) && (parts.contains(&Part::Path) || parts.contains(&Part::Rest)) {
            parts.push(Part::QueryWithMark);
        }
        Some(Location { text: text.into(), parts: parts.into() })
    }

    /// Whether the host of the request is a part of the result.
    pub fn needs_host(&self) -> bool {
        self.parts.contains(&Part::Host)
    }

    /// Writes the target for a request piece by piece.
    ///
    /// A result that is a path has one slash at its start, because `//evil.test` and `/\evil.test` would be other hosts,
    /// and the client chooses the text of placeholders.
    pub fn write(&self, request: &LocationParts<'_>, mut out: impl FnMut(&[u8])) {
        let LocationParts { host, path, rest, query } = *request;
        let path = if path.starts_with(b"/") { path } else { b"/" };
        let mut is_at_start = self.text.starts_with(['/', '{']);
        if is_at_start {
            out(b"/");
        }
        let mut put = |bytes: &[u8]| {
            let slashes = bytes.iter().take_while(|byte| is_at_start && matches!(byte, b'/' | b'\\')).count();
            is_at_start &= slashes == bytes.len();
            out(&bytes[slashes..]);
        };
        for part in self.parts.iter() {
            match part {
                Part::Literal(text) => put(text.as_bytes()),
                Part::Host => put(host),
                Part::Path => put(path),
                Part::Rest => put(rest),
                Part::Query => put(query.unwrap_or_default()),
                Part::QueryWithMark => {
                    if let Some(query) = query {
                        put(b"?");
                        put(query);
                    }
                }
            }
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a URL is a scheme and an authority alone. Then a redirect keeps the path of the request.
fn is_origin(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?', '#']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(target: &str, path: &str, rest: &str, query: Option<&str>) -> String {
        let location = Location::new(target).unwrap();
        let query = query.map(str::as_bytes);
        let parts = LocationParts { host: b"h.test", path: path.as_bytes(), rest: rest.as_bytes(), query };
        let mut out = Vec::new();
        location.write(&parts, |bytes| out.extend_from_slice(bytes));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn placeholders_stand_for_parts_of_the_request() {
        for (target, expected) in [
            ("https://a.test", "https://a.test/old/x?q=1"),
            ("https://www.{host}:81", "https://www.h.test:81/old/x?q=1"),
            ("https://a.test/", "https://a.test/"),
            ("/login", "/login"),
            ("/new{rest}", "/new/x?q=1"),
            ("{rest}", "/x?q=1"),
            ("/new{rest}?a=b", "/new/x?a=b"),
            ("/new{rest}#top", "/new/x#top"),
            ("/new?{query}", "/new?q=1"),
            ("https://{host}/all{path}", "https://h.test/all/old/x?q=1"),
        ] {
            assert_eq!(written(target, "/old/x", "/x", Some("q=1")), expected, "{target}");
        }
        assert_eq!(written("/new{rest}", "/old", "", None), "/new");
        assert_eq!(written("{rest}", "/old", "", Some("")), "/?");
        assert_eq!(written("https://a.test", "*", "*", None), "https://a.test/");
        assert_eq!(written("https://a.test", "", "", Some("x")), "https://a.test/?x");
        for target in ["/{", "/}", "/{uri}", "/{1}", "/{{rest}}"] {
            assert_eq!(Location::new(target), None, "{target}");
        }
    }

    #[test]
    fn a_path_never_becomes_another_host() {
        for path in ["//evil.test", "/\\evil.test", "/\\/evil.test", "////evil.test"] {
            for target in ["{path}", "/{path}", "{rest}{rest}", "/{rest}", "//{path}"] {
                let location = written(target, path, path, None);
                assert!(location.starts_with("/evil.test"), "{target} {location}");
            }
        }
    }
}
