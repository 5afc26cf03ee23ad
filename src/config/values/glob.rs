//! Globs for paths, and patterns of values.

use std::sync::Arc;

use super::pattern::decode_unreserved;
use crate::config::keys::ValueError;
use crate::config::plan::{PathGlob, SegmentGlob, ValuePattern};
use crate::http::{Name, is_token};

/// A glob for the whole path of a request. `*` takes one segment or a part of one, `**` takes the rest.
pub(crate) fn path_glob(text: &str) -> Result<PathGlob, ValueError> {
    if text.starts_with("**") {
        return path_glob(&format!("/{text}"));
    }
    if !text.starts_with('/') {
        return Err(ValueError::hint(
            "does not start with `/`",
            "write a path from the root, such as \"/users/*\"",
        ));
    }
    if text.contains(['?', '#']) {
        return Err(ValueError::hint(
            "is more than a path: it has a `?` or a `#`",
            "`query` takes parameters of the query",
        ));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ValueError::hint(
            "holds a character that no path carries",
            "percent-encode it (a space is `%20`)",
        ));
    }
    let text = decode_unreserved(text)?;
    let plain = text.strip_suffix('/').unwrap_or(&text);
    let mut parts: Vec<&str> = plain.split('/').skip(1).collect();
    let rest = match parts.pop_if(|last| last.starts_with("**")).map(|last| &last[2..]) {
        Some(end) if end.contains('*') => return Err(STARS),
        end => end.map(|end| SegmentGlob::Star("".into(), end.into())),
    };
    let segments = parts.into_iter().map(segment).collect::<Result<Vec<_>, _>>()?;
    let shown = if plain.is_empty() { "/" } else { plain };
    Ok(PathGlob::new(shown.into(), segments, rest))
}

const STARS: ValueError = ValueError::hint(
    "has more than one `*` in a segment",
    "`*` takes one segment or a part of it, and `**` at the start of the last segment takes the rest",
);

fn segment(text: &str) -> Result<SegmentGlob, ValueError> {
    match text.split_once('*') {
        _ if text.is_empty() => Err(ValueError::new("has an empty segment (`//`)")),
        _ if matches!(text, "." | "..") => {
            Err(ValueError::new("has a dot segment, which no accepted request has"))
        }
        Some((_, end)) if end.contains('*') => Err(STARS),
        Some((start, end)) => Ok(SegmentGlob::Star(start.into(), end.into())),
        None => Ok(SegmentGlob::Literal(text.into())),
    }
}

/// A value, or with `*` at its end the beginning of one.
pub(crate) fn value(text: &str) -> Result<ValuePattern, ValueError> {
    let start = text.strip_suffix('*').unwrap_or(text);
    if start.contains('*') {
        return Err(ValueError::hint(
            "has a `*` in a place where it means nothing",
            "a `*` at the end takes every end; `*` alone takes every value",
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(ValueError::new("holds a control character or a line end"));
    }
    Ok(ValuePattern::new(text))
}

/// The name of a header field that a rule asks for.
pub(crate) fn header_name(text: &str) -> Result<Arc<str>, ValueError> {
    if !is_token(text.as_bytes()) {
        return Err(ValueError::new("is not the name of a header field"));
    }
    match Name::classify(text.as_bytes()) {
        Name::Host => Err(ValueError::hint("is the host of a request", "write `host`")),
        Name::Cookie => Err(ValueError::hint("is the list of all cookies", "write `cookie`")),
        _ => Ok(text.into()),
    }
}

/// The name of a cookie (RFC 6265, section 4.1.1).
pub(crate) fn cookie_name(text: &str) -> Result<Arc<str>, ValueError> {
    if is_token(text.as_bytes()) {
        Ok(text.into())
    } else {
        Err(ValueError::new("is not the name of a cookie"))
    }
}

/// The name of a parameter of the query, decoded.
pub(crate) fn parameter_name(text: &str) -> Result<Arc<str>, ValueError> {
    let is_name = !text.is_empty() && !text.contains(['&', '=', '#']) && !text.chars().any(char::is_control);
    if is_name { Ok(text.into()) } else { Err(ValueError::new("is not the name of a parameter")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_takes_whole_paths() {
        for (glob, takes, others) in [
            (
                "/favicon.ico",
                &["/favicon.ico", "/favicon.ico/"][..],
                &["/favicon.icon", "/favicon.ico//", "/"][..],
            ),
            ("/a/", &["/a/", "/a"], &["/a/b", "/a//", "*", ""]),
            ("/", &["/", "*", ""], &["/a", "//"]),
            (
                "/api/*/items",
                &["/api/7/items", "/api/7/items/"],
                &["/api//items", "/api/items", "/api/7/8/items", "/api/7/items/8"],
            ),
            ("/img/*.jpg", &["/img/a.jpg", "/img/.jpg"], &["/img/a/b.jpg", "/img/a.jpgx", "/img/a.JPG"]),
            ("/a*a", &["/aa", "/aba"], &["/a", "/ab"]),
            ("/hooks/**", &["/hooks", "/hooks/", "/hooks/a/b"], &["/hooksx", "/hook", "*"]),
            ("**.php", &["/a.php", "/x/y/a.php", "/.php/"], &["/a.phpx", "/a.php/b", "/", "*"]),
            ("/x/**.php", &["/x/a.php", "/x/y/a.php"], &["/a.php", "/x.php", "/x"]),
            ("/**", &["/", "/a/b", "//", "*", ""], &[]),
            ("/%61/*", &["/a/b"], &["/%61/b"]),
        ] {
            let parsed = path_glob(glob).unwrap();
            for (paths, expected) in [(takes, true), (others, false)] {
                for path in paths {
                    assert_eq!(parsed.matches(path.as_bytes()), expected, "{glob} {path}");
                    let prefix = PathGlob::below(&parsed.literal_prefix());
                    assert!(!expected || prefix.matches(path.as_bytes()), "{glob} {path} {prefix}");
                }
            }
        }
    }

    #[test]
    fn a_glob_has_a_literal_prefix() {
        for (glob, prefix) in
            [("/a/b", "/a/b"), ("/a/", "/a"), ("/a/b*/c", "/a"), ("**.php", "/"), ("/a/**", "/a"), ("/", "/")]
        {
            assert_eq!(path_glob(glob).unwrap().literal_prefix(), prefix, "{glob}");
        }
    }

    #[test]
    fn what_is_no_glob_is_refused() {
        for text in [
            "", "a", "*", "/a//b", "/a/**/b", "/a**", "/a/*b*", "/***", "/./*", "/a/..", "/a b", "/a?b",
            "/%4", "/ü",
        ] {
            assert!(path_glob(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_and_values() {
        assert!(value("Basic *").is_ok() && value("*").is_ok() && value("").is_ok());
        assert!(value("*/*").is_err() && value("a\n").is_err());
        assert!(header_name("X-A").is_ok() && header_name("host").is_err() && header_name("cookie").is_err());
        assert!(header_name("a b").is_err() && cookie_name("a=b").is_err() && cookie_name("").is_err());
        assert!(
            parameter_name("a b").is_ok() && parameter_name("a&b").is_err() && parameter_name("").is_err()
        );
    }
}
