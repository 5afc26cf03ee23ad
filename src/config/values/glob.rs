//! Globs for paths, and patterns of values.

use std::sync::Arc;

use super::pattern::decode_unreserved;
use crate::config::keys::ValueError;
use crate::config::plan::{PathGlob, SegmentGlob, ShareKey, ValuePattern, WHOLE_SHARE};
use crate::http::{CAPTURES_MAX, Name, is_token};

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
        Some(end) if end.contains(['*', '{', '}']) => return Err(STARS),
        end => end.map(|end| SegmentGlob::Star("".into(), end.into())),
    };
    let mut names = Vec::new();
    let segments = parts.into_iter().map(|part| segment(part, &mut names)).collect::<Result<Vec<_>, _>>()?;
    names.extend(rest.is_some().then_some(None));
    // A star of the host may be one more.
    if names.len() >= CAPTURES_MAX {
        return Err(ValueError::new("has more than 15 segments with a `*`"));
    }
    let shown = if plain.is_empty() { "/" } else { plain };
    Ok(PathGlob::new(shown.into(), segments, rest, names))
}

const STARS: ValueError = ValueError::hint(
    "has more than one `*` in a segment",
    "`*` takes one segment or a part of it, and `**` at the start of the last segment takes the rest",
);

const BRACES: ValueError = ValueError::hint(
    "has a brace that is no name",
    "`{id}` takes one segment or a part of it, as `*` does, and names it",
);

/// One segment. `names` gets the name of its star, if it has one.
fn segment(text: &str, names: &mut Vec<Option<Arc<str>>>) -> Result<SegmentGlob, ValueError> {
    let named = || {
        let (start, rest) = text.split_once('{')?;
        let (name, end) = rest.split_once('}')?;
        Some((start, name, end))
    };
    match (text.split_once('*'), named()) {
        _ if text.is_empty() => Err(ValueError::new("has an empty segment (`//`)")),
        _ if matches!(text, "." | "..") => {
            Err(ValueError::new("has a dot segment, which no accepted request has"))
        }
        (Some((start, end)), None) if !text.contains(['{', '}']) && !end.contains('*') => {
            names.push(None);
            Ok(SegmentGlob::Star(start.into(), end.into()))
        }
        (None, Some((start, name, end))) if is_capture_name(name) && !end.contains(['{', '}']) => {
            if names.iter().flatten().any(|before| **before == *name) {
                return Err(ValueError::hint(
                    "has two parts of one name",
                    "give each part a name of its own",
                ));
            }
            names.push(Some(name.into()));
            Ok(SegmentGlob::Star(start.into(), end.into()))
        }
        (Some(_), _) => Err(STARS),
        (None, _) if text.contains(['{', '}']) => Err(BRACES),
        (None, _) => Ok(SegmentGlob::Literal(text.into())),
    }
}

/// Whether a text can name a part of a path: it begins with a letter, so that it is no number.
fn is_capture_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A part of all clients: `5%`, `0.5%`.
pub(crate) fn share(text: &str) -> Result<u32, ValueError> {
    part_of(text, ValueError::hint("is no client at all", "leave the rule out"))
}

/// A part of all requests, in hundredths of a per cent.
pub(crate) fn share_of_requests(text: &str) -> Result<u32, ValueError> {
    part_of(text, ValueError::hint("is no request at all", "leave `mirror` out, or write `mirror: false`"))
}

fn part_of(text: &str, none: ValueError) -> Result<u32, ValueError> {
    const FORM: ValueError = ValueError::hint("is not a share", "write for example \"5%\" or \"0.5%\"");
    let number = text.strip_suffix('%').map(str::trim_end).ok_or(FORM)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 2 || whole.len() > 9 {
        return Err(FORM);
    }
    let [whole, part] = [whole, &format!("{part:0<2}")].map(|digits| digits.parse().unwrap_or(u32::MAX));
    match whole.saturating_mul(100).saturating_add(part) {
        0 => Err(none),
        parts @ 1..=WHOLE_SHARE => Ok(parts),
        _ => Err(ValueError::hint("is more than 100%", "100% is all of them")),
    }
}

/// The key by which clients are told apart: `client`, `cookie.NAME`, `header.NAME`.
pub(crate) fn share_key(text: &str) -> Result<ShareKey, ValueError> {
    match text.split_once('.') {
        None if text == "client" => Ok(ShareKey::Client),
        Some(("cookie", name)) => cookie_name(name).map(ShareKey::Cookie),
        Some(("header", name)) => header_name(name).map(ShareKey::Header),
        _ => Err(ValueError::hint("is not a key of clients", "write client, cookie.NAME or header.NAME")),
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
            ("/users/{id}.json", &["/users/7.json"], &["/users/7", "/users/7/8.json"]),
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
    fn a_glob_tells_what_its_stars_take() {
        for (glob, path, taken) in [
            ("/api/*/items", "/api/7/items/", &["7"][..]),
            ("/img/{name}.*", "", &[]),
            ("/img/{name}.jpg", "/img/a.jpg", &["a"]),
            ("/a*a/{b}", "/aba/c", &["b", "c"]),
            ("/hooks/**", "/hooks", &[""]),
            ("/hooks/**", "/hooks/", &[""]),
            ("/hooks/**", "/hooks/a/b/", &["a/b/"]),
            ("/**", "/a", &["a"]),
            ("/**", "*", &[""]),
            ("**.php", "/x/y/a.php", &["x/y/a"]),
            ("/{user}/**.php", "/u/.php/", &["u", ""]),
        ] {
            let Ok(glob) = path_glob(glob) else {
                assert!(path.is_empty(), "{glob}");
                continue;
            };
            let mut found = Vec::new();
            assert!(glob.matches_with(path.as_bytes(), |part| found.push(String::from_utf8_lossy(part))));
            assert_eq!(found, taken, "{glob} {path}");
            assert_eq!(glob.names().len(), taken.len(), "{glob}");
        }
        let names = path_glob("/a/{user}/*/{id}").unwrap();
        assert_eq!(names.names(), [Some("user".into()), None, Some("id".into())]);
    }

    #[test]
    fn shares_of_clients() {
        for (text, parts) in [("5%", 500), ("5 %", 500), ("0.5%", 50), ("12.25%", 1_225), ("100%", 10_000)] {
            assert_eq!(share(text), Ok(parts), "{text}");
        }
        for text in
            ["", "%", "5", "0%", "0.00%", "101%", "-1%", "5.%", ".5%", "0.005%", "1e1%", "99999999999%"]
        {
            assert!(share(text).is_err(), "{text}");
        }
        assert_eq!(share_key("cookie.uid"), Ok(ShareKey::Cookie("uid".into())));
        for text in ["", "user", "cookie", "cookie.", "header.Host", "client.x"] {
            assert!(share_key(text).is_err(), "{text}");
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
            "/%4", "/ü", "/{", "/{}", "/{1}", "/{a}{b}", "/{a}*", "/a}", "/{a}/{a}", "/**{a}", "/{a-b}",
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
