//! The target of a redirect, or a rewritten one: a URL or a path, with placeholders for parts of the request.

use std::fmt;

use crate::http::{Escape, Placeholder, Template, TemplateValues};

/// The target of a redirect, or a path in the place of the client's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    template: Template,
    /// The path of the request follows.
    adds_path: bool,
    /// The query of the request follows, if there is one.
    adds_query: bool,
    /// The result is a path.
    is_path: bool,
}

impl Location {
    /// The target that a template writes.
    ///
    /// The path of the request follows a scheme and an authority alone. Its query follows a target with the path or
    /// the rest of it, or with a capture, unless the target has a query or a fragment of its own.
    pub fn new(template: Template) -> Location {
        let text = template.to_string();
        let adds_path = is_origin(&template.sampled(|part| match part {
            Placeholder::Host | Placeholder::Capture(_) => "h",
            _ => "/",
        }));
        let is_of_path = |part: &Placeholder| {
            matches!(part, Placeholder::Path | Placeholder::Rest | Placeholder::Capture(_))
        };
        let keeps_query = adds_path || template.placeholders().any(is_of_path);
        let has_query =
            text.contains(['?', '#']) || template.placeholders().any(|part| *part == Placeholder::Uri);
        let adds_query = keeps_query && !has_query;
        let is_path = text.starts_with(['/', '{']);
        Location { template, adds_path, adds_query, is_path }
    }

    /// The path that a template writes, in the place of the client's. The query of the request follows, unless the path
    /// has one of its own.
    pub fn rewrite(template: Template) -> Location {
        let has_query = template.to_string().contains('?')
            || template.placeholders().any(|part| *part == Placeholder::Uri);
        Location { template, adds_path: false, adds_query: !has_query, is_path: true }
    }

    /// Whether the host of the request is a part of the result.
    pub fn needs_host(&self) -> bool {
        self.template.placeholders().any(|part| *part == Placeholder::Host)
    }

    /// Writes the target for a request piece by piece.
    ///
    /// A result that is a path has one slash at its start, because `//evil.test` and `/\evil.test` would be other hosts,
    /// and the client chooses the text of placeholders.
    pub fn write(&self, request: &TemplateValues<'_>, mut out: impl FnMut(&[u8])) {
        let mut is_at_start = self.is_path;
        if is_at_start {
            out(b"/");
        }
        let mut put = |bytes: &[u8]| {
            let slashes = bytes.iter().take_while(|byte| is_at_start && matches!(byte, b'/' | b'\\')).count();
            is_at_start &= slashes == bytes.len();
            out(&bytes[slashes..]);
        };
        self.template.write(request, Escape::No, &mut put);
        if self.adds_path {
            put(if request.path.starts_with(b"/") { request.path } else { b"/" });
        }
        if let Some(query) = request.query.filter(|_| self.adds_query) {
            put(b"?");
            put(query);
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.template.fmt(f)
    }
}

/// Whether a URL is a scheme and an authority alone. Then a redirect keeps the path of the request.
fn is_origin(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?', '#']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{CaptureNames, Captures, Fields, Scope, TemplateUse};

    fn written(target: &str, path: &str, rest: &str, query: Option<&str>) -> String {
        let captures = CaptureNames { of_host: 0, names: vec![None] };
        let scope = Scope { used: TemplateUse::Url, captures: &captures };
        let location = Location::new(Template::new(target, &scope).unwrap());
        let mut taken = Captures::NONE;
        taken.push(rest.as_bytes());
        let parts = TemplateValues {
            method: b"GET",
            host: b"h.test",
            authority: b"h.test:8080",
            path: path.as_bytes(),
            rest: rest.as_bytes(),
            query: query.map(str::as_bytes),
            fields: Fields::default(),
            scheme: "http",
            client: [127, 0, 0, 1].into(),
            rule: "",
            time: format_args!(""),
            request_id: b"",
            traceparent: b"",
            user: b"",
            claims: &[],
            captures: taken,
        };
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
            ("https://a.test{uri}", "https://a.test/old/x?q=1"),
            ("https://a.test{path}", "https://a.test/old/x?q=1"),
            ("/users{1}", "/users/x?q=1"),
            (
                "https://a.test/in?to={url}",
                "https://a.test/in?to=http%3A%2F%2Fh.test%3A8080%2Fold%2Fx%3Fq%3D1",
            ),
        ] {
            assert_eq!(written(target, "/old/x", "/x", Some("q=1")), expected, "{target}");
        }
        assert_eq!(written("/new{rest}", "/old", "", None), "/new");
        assert_eq!(written("{rest}", "/old", "", Some("")), "/?");
        assert_eq!(written("https://a.test", "*", "*", None), "https://a.test/");
        assert_eq!(written("https://a.test", "", "", Some("x")), "https://a.test/?x");
    }

    #[test]
    fn a_path_never_becomes_another_host() {
        for path in ["//evil.test", "/\\evil.test", "/\\/evil.test", "////evil.test"] {
            for target in ["{path}", "/{path}", "{rest}{rest}", "/{rest}", "//{path}", "{1}", "/{1}", "{uri}"]
            {
                let location = written(target, path, path, None);
                assert!(location.starts_with("/evil.test"), "{target} {location}");
            }
        }
    }
}
