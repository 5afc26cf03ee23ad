//! A text with placeholders.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::placeholder::{Placeholder, Scope};
use super::values::{Escape, TemplateValues};

/// A text with placeholders, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    /// The text as written.
    text: Arc<str>,
    parts: Arc<[Part]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Literal(Box<str>),
    Value(Placeholder),
}

/// A placeholder that does not exist, or one too many: the place of it in the text, with its braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError {
    /// The bytes of the text.
    pub place: Range<usize>,
    /// There are more than 64 placeholders.
    pub is_too_many: bool,
}

/// Placeholders of a template at most, so that the text for a request is bounded.
const PLACEHOLDERS_MAX: usize = 64;

impl Template {
    /// Takes a text apart.
    ///
    /// # Errors
    /// When a placeholder does not exist in this place.
    pub fn new(text: &str, scope: &Scope<'_>) -> Result<Template, TemplateError> {
        let (mut parts, mut literal, mut count) = (Vec::new(), String::new(), 0);
        let mut at = 0;
        while let Some(brace) = text[at..].find('{') {
            literal.push_str(&text[at..at + brace]);
            at += brace;
            let (name, doubled) = match (braced(&text[at..], "{{", "}}"), braced(&text[at..], "{", "}")) {
                (Some(name), _) => (name, true),
                (None, Some(name)) => (name, false),
                (None, None) => {
                    literal.push('{');
                    at += 1;
                    continue;
                }
            };
            let end = at + name.len() + if doubled { 4 } else { 2 };
            if doubled {
                literal.extend(["{", name, "}"]);
            } else {
                count += 1;
                let is_too_many = count > PLACEHOLDERS_MAX;
                let found = scope.find(name).filter(|_| !is_too_many);
                let value = found.ok_or(TemplateError { place: at..end, is_too_many })?;
                parts.extend(take_literal(&mut literal));
                parts.push(Part::Value(value));
            }
            at = end;
        }
        literal.push_str(&text[at..]);
        parts.extend(take_literal(&mut literal));
        Ok(Template { text: text.into(), parts: parts.into() })
    }

    /// A text in which every brace stands for itself.
    pub fn literal(text: &str) -> Template {
        let (mut written, mut at) = (String::with_capacity(text.len()), 0);
        while let Some(brace) = text[at..].find('{') {
            let start = at + brace;
            written.push_str(&text[at..start]);
            let name = braced(&text[start..], "{", "}");
            at = start + name.map_or(1, |name| name.len() + 2);
            match name {
                Some(name) => written.extend(["{{", name, "}}"]),
                None => written.push('{'),
            }
        }
        written.push_str(&text[at..]);
        let parts = take_literal(&mut text.to_owned());
        Template { text: written.into(), parts: parts.into_iter().collect() }
    }

    /// The whole text, if it has no placeholder.
    pub fn as_literal(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The placeholders in their order.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Value(value) => Some(value),
        })
    }

    /// The text with a sample in the place of each placeholder.
    pub fn sampled<'s>(&self, sample: impl Fn(&Placeholder) -> &'s str) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Literal(text) => &**text,
            Part::Value(value) => sample(value),
        });
        parts.collect()
    }

    /// Writes the text for a request piece by piece. Values are escaped, the text itself is not.
    pub fn write(&self, values: &TemplateValues<'_>, escape: Escape, out: &mut impl FnMut(&[u8])) {
        for part in self.parts.iter() {
            match part {
                Part::Literal(text) => out(text.as_bytes()),
                Part::Value(value) => values.write(value, escape, out),
            }
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The literal, if it is not empty.
fn take_literal(literal: &mut String) -> Option<Part> {
    (!literal.is_empty()).then(|| Part::Literal(std::mem::take(literal).into()))
}

/// The name between braces with which a text begins: letters, digits and `_`, and maybe a dot and further characters
/// of a name.
fn braced<'t>(text: &'t str, open: &str, close: &str) -> Option<&'t str> {
    let inside = text.strip_prefix(open)?;
    let end = inside.find(|char: char| !(char.is_ascii_alphanumeric() || "_.-".contains(char)))?;
    let (name, rest) = inside.split_at(end);
    let first = name.split('.').next().unwrap_or_default();
    let is_name = !first.is_empty() && !first.contains('-') && rest.starts_with(close);
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::super::placeholder::{CaptureNames, TemplateUse};
    use super::super::values::{Captures, Claim};
    use super::*;
    use crate::http::Fields;

    fn captures() -> CaptureNames {
        CaptureNames { of_host: 1, names: vec![None, Some("id".into())] }
    }

    fn template(text: &str) -> Result<Template, TemplateError> {
        Template::new(text, &Scope { used: TemplateUse::Text, captures: &captures() })
    }

    fn written(text: &str, escape: Escape) -> String {
        let mut captures = Captures::NONE;
        captures.push(b"www");
        captures.push(b"<7>");
        let values = TemplateValues {
            method: b"GET",
            host: b"h.test",
            authority: b"h.test:81",
            path: b"/a'b/c",
            rest: b"/c",
            query: Some(b"x=\"1\"&y"),
            fields: Fields::default(),
            scheme: "https",
            client: "2001:db8::1".parse().unwrap(),
            rule: "r",
            time: format_args!("2026-03-01T12:00:00.250Z"),
            request_id: b"abc",
            traceparent: b"",
            user: b"ann",
            claims: &[Claim { name: "a.b".into(), value: (*b"c").into() }],
            captures,
        };
        let mut out = Vec::new();
        template(text).unwrap().write(&values, escape, &mut |bytes| out.extend_from_slice(bytes));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn placeholders_stand_for_parts_of_the_request() {
        for (text, expected) in [
            ("", ""),
            ("{method} {scheme}://{host}{path}?{query}", "GET https://h.test/a'b/c?x=\"1\"&y"),
            ("{uri} {rest}", "/a'b/c?x=\"1\"&y /c"),
            ("{url}", "https://h.test:81/a'b/c?x=\"1\"&y"),
            ("{client} {rule} {request_id} {time}", "2001:db8::1 r abc 2026-03-01T12:00:00.250Z"),
            ("{user} {claim.a.b} {claim.none}", "ann c "),
            ("{1}.{2}.{id}", "www.<7>.<7>"),
            ("{header.X-A}{cookie.b}", ""),
        ] {
            assert_eq!(written(text, Escape::No), expected, "{text}");
        }
    }

    #[test]
    fn other_braces_stand_for_themselves() {
        for (text, expected) in [
            ("{{host}}", "{host}"),
            ("{{{host}}}", "{{host}}"),
            ("{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}"),
            ("a{color:red} {} { host } {host", "a{color:red} {} { host } {host"),
            ("{-} {.} {ü}", "{-} {.} {ü}"),
            ("}}{{", "}}{{"),
        ] {
            assert_eq!(written(text, Escape::No), expected, "{text}");
        }
    }

    #[test]
    fn a_literal_is_written_as_it_is_read_again() {
        for text in ["", "a", "{host}", "{{host}}", "{{{a}", "{", "}", "{nothing} {\"a\":1}"] {
            let literal = Template::literal(text);
            assert_eq!(literal.as_literal(), Some(text));
            assert_eq!(template(&literal.to_string()).unwrap().as_literal(), Some(text), "{text}");
        }
    }

    #[test]
    fn values_cannot_end_the_text_around_them() {
        assert_eq!(written("{id}{query}", Escape::Html), "&lt;7&gt;x=&#34;1&#34;&amp;y");
        let json = written("{\"id\":\"{id}{query}{path}\"}", Escape::Json);
        assert_eq!(json, "{\"id\":\"\\u003c7\\u003ex=\\u00221\\u0022\\u0026y/a\\u0027b/c\"}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["id"], "<7>x=\"1\"&y/a'b/c");
        for (media, escape) in [
            (None, Escape::Html),
            (Some("text/html; charset=utf-8"), Escape::Html),
            (Some("image/svg+xml"), Escape::Html),
            (Some("Application/Problem+JSON"), Escape::Json),
            (Some("text/javascript"), Escape::Json),
            (Some("text/plain; a=html"), Escape::No),
        ] {
            assert_eq!(Escape::of_type(media.map(str::as_bytes)), escape, "{media:?}");
        }
    }

    #[test]
    fn an_unknown_placeholder_is_an_error_at_its_place() {
        for (text, place) in [
            ("/new{rset}/x", 4..10),
            ("{host}{3}", 6..9),
            ("{0}", 0..3),
            ("{header.}", 0..9),
            ("{claims.a}", 0..10),
            ("{Host}", 0..6),
        ] {
            assert_eq!(template(text), Err(TemplateError { place, is_too_many: false }), "{text}");
        }
        let many = template(&"{host}".repeat(65)).unwrap_err();
        assert!(many.is_too_many && many.place == (384..390));
        let none = CaptureNames::default();
        let scope = Scope { used: TemplateUse::Url, captures: &none };
        for text in ["{header.a}", "{client}", "{1}", "{status}", "{user}", "{claim.a}"] {
            assert!(Template::new(text, &scope).is_err(), "{text}");
        }
        assert_eq!(scope.listed(), ["{host}", "{path}", "{rest}", "{query}", "{uri}", "{url}"]);
        for (name, places) in [
            ("client", Some("bodies and `headers`")),
            ("header.a", Some("bodies and `headers`")),
            ("target", Some("`headers.response`")),
            ("nothing", None),
        ] {
            assert_eq!(scope.places_of(name), places, "{name}");
        }
        assert!(template("{target}").is_err());
    }

    #[test]
    fn json_is_utf8_whatever_the_bytes_are() {
        let write = |value: &[u8]| {
            let mut out = b"\"".to_vec();
            Escape::Json.write(value, &mut |bytes| out.extend_from_slice(bytes));
            out.push(b'"');
            serde_json::from_slice::<String>(&out).unwrap()
        };
        assert_eq!(write("zo\u{eb} \u{1f600}\u{7f}".as_bytes()), "zo\u{eb} \u{1f600}\u{7f}");
        assert_eq!(write(b"zo\xeb \xe2\x82\""), "zo\u{eb} \u{e2}\u{82}\"");
    }
}
