//! Single values.

use std::sync::Arc;
use std::time::Duration;

use crate::config::plan::{BitRate, HostPattern, LogLevel, PathExpression};
use crate::config::values::{ValueError, pattern};

/// The time of a limit that is none.
pub(super) const NEVER: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Units of durations in Go, and their nanoseconds.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("\u{b5}s", 1e3),
    ("\u{3bc}s", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3_600e9),
];

/// A duration as Go writes it, or a number of seconds. One below zero is no limit.
pub(super) fn time(text: &str) -> Result<Duration, ValueError> {
    const FORM: ValueError =
        ValueError::hint("is not a duration", "write \"300ms\", \"1m30s\", \"2h\" or a number of seconds");
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let nanoseconds = match seconds(digits) {
        Some(seconds) => seconds * 1e9,
        None => units(digits).ok_or(FORM)?,
    };
    match nanoseconds {
        _ if is_negative && nanoseconds > 0.0 => Ok(NEVER),
        _ if nanoseconds > NEVER.as_nanos() as f64 => {
            Err(ValueError::hint("is longer than a year", "write at most \"8760h\""))
        }
        _ => Ok(Duration::from_nanos(nanoseconds as u64)),
    }
}

/// A number of JSON.
fn seconds(text: &str) -> Option<f64> {
    let is_number = text.starts_with(|char: char| char.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    text.parse().ok().filter(|_| is_number)
}

fn units(text: &str) -> Option<f64> {
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let end = rest.find(|char: char| !(char.is_ascii_digit() || char == '.'))?;
        let number: f64 = rest[..end].parse().ok()?;
        let letters = &rest[end..];
        let length = letters.find(|char: char| char.is_ascii_digit() || char == '.').unwrap_or(letters.len());
        let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == &letters[..length])?;
        total += number * unit;
        rest = &letters[length..];
    }
    (!text.is_empty()).then_some(total)
}

/// A number of things.
pub(super) fn count(text: &str) -> Result<usize, ValueError> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_number && *number <= 1_000_000_000);
    number.ok_or(ValueError::new("is not a whole number between 0 and 1000000000"))
}

/// Millions of bits per second. `None` for 0, which is no limit.
pub(super) fn rate(text: &str) -> Result<Option<BitRate>, ValueError> {
    const FORM: ValueError =
        ValueError::hint("is not a speed", "write a number of millions of bits per second, such as 0.5");
    let rate: f64 = text.parse().map_err(|_| FORM)?;
    match rate * 1e6 {
        0.0 => Ok(None),
        bits if bits < 0.0 => Err(ValueError::hint("is a negative speed", "leave the key out for no limit")),
        bits if (8_000.0..=1e12).contains(&bits) => Ok(Some(BitRate(bits as u64))),
        _ => Err(ValueError::hint(
            "is not a speed between 0.008 and 1000000",
            "leave the key out for no limit",
        )),
    }
}

/// `debug`, `info`, `warn` or `error`, in any capitals.
pub(super) fn level(text: &str) -> Result<LogLevel, ValueError> {
    match text.to_ascii_lowercase().as_str() {
        "debug" => Ok(LogLevel::Debug),
        "" | "info" => Ok(LogLevel::Info),
        "warn" => Ok(LogLevel::Warn),
        "error" => Ok(LogLevel::Error),
        _ => Err(ValueError::hint("is not a log level", "write debug, info, warn or error")),
    }
}

/// A host with stars, of two labels or more.
pub(super) fn domain(text: &str) -> Result<HostPattern, ValueError> {
    if !text.contains('.') {
        let hint = "it needs two labels or more; without `domain`, a route takes every host";
        return Err(ValueError::hint("is not a domain", hint));
    }
    pattern::host(text)
}

/// The methods that a route may list.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE"];

/// A method, in any capitals.
pub(super) fn method(text: &str) -> Result<Arc<str>, ValueError> {
    let upper = text.to_ascii_uppercase();
    match upper.as_str() {
        "CONNECT" => Err(ValueError::hint(
            "asks for tunnels through the gate, which are not supported yet",
            "leave the method out",
        )),
        method if METHODS.contains(&method) => Ok(upper.into()),
        _ => Err(ValueError::hint(
            "is not a method",
            "write GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS or TRACE",
        )),
    }
}

/// A path, or with `/*` at its end everything below it.
#[derive(Clone, Debug)]
pub(super) struct PathPattern {
    /// As written.
    pub(super) text: String,
    /// Whether every path is taken.
    pub(super) takes_all: bool,
    /// The path in front of `/*`, without a slash at its end.
    pub(super) prefix: Option<Arc<str>>,
    pub(super) expression: PathExpression,
}

/// One pattern of `path`.
pub(super) fn path(text: &str) -> Result<PathPattern, ValueError> {
    if !text.starts_with('/') {
        return Err(ValueError::hint(
            "does not start with `/`",
            "write a path from the root, such as \"/api/*\"",
        ));
    }
    if text.find('*').is_some_and(|star| star + 1 < text.len()) {
        return Err(ValueError::hint(
            "has a `*` that is not at its end",
            "a `*` stands behind the last slash: \"/api/*\"",
        ));
    }
    let below = text.strip_suffix('*').filter(|start| start.ends_with('/'));
    let mut written = String::from("^");
    for char in below.unwrap_or(text).chars() {
        if char.is_ascii_punctuation() && !matches!(char, '/' | '_' | '<' | '>') {
            written.push('\\');
        }
        written.push(char);
    }
    written.push_str(if below.is_some() { "" } else { "$" });
    let expression =
        PathExpression::new(&written).map_err(|_| ValueError::new("is longer than a path can be here"))?;
    let prefix = below.map(|start| Arc::from(start.strip_suffix('/').unwrap_or(start)));
    Ok(PathPattern { text: text.to_owned(), takes_all: below == Some("/"), prefix, expression })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go_or_seconds() {
        for (text, milliseconds) in [
            ("300ms", 300),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
            ("1.5s", 1_500),
            ("1h0.5m", 3_630_000),
            ("0", 0),
            ("0s", 0),
            ("10", 10_000),
            ("1.5", 1_500),
            ("1e1", 10_000),
            ("250us", 0),
        ] {
            let time = time(text).map(|time| time.as_millis());
            assert_eq!(time, Ok(milliseconds), "{text}");
        }
        for text in ["-1", "-1s", "-0.5"] {
            assert_eq!(time(text), Ok(NEVER), "{text}");
        }
        for text in ["", "s", "5x", "1m30", "1 s", "1..5s", "9000h", "NaN", "Infinity", "1d", "--1"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_whole_or_everything_below() {
        for (pattern, path, expected) in [
            ("/api/*", "/api/users", true),
            ("/api/*", "/api/users/123", true),
            ("/api/*", "/api/", true),
            ("/api/*", "/api", false),
            ("/api/*", "/other", false),
            ("/styles.css", "/styles.css", true),
            ("/styles.css", "/stylesXcss", false),
            ("/styles.css", "/styles.css/", false),
            ("/*", "/", true),
            ("/*", "/x", true),
            ("/a*", "/a*", true),
            ("/a*", "/ab", false),
            ("/a b(c)+", "/a b(c)+", true),
        ] {
            assert_eq!(
                super::path(pattern).unwrap().expression.matches(path.as_bytes()),
                expected,
                "{pattern} {path}"
            );
        }
        for text in ["api", "", "*", "/a/*/b", "/**", "/*a"] {
            assert!(path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn speeds_are_millions_of_bits() {
        assert_eq!(rate("100"), Ok(Some(BitRate(100_000_000))));
        assert_eq!(rate("0.5"), Ok(Some(BitRate(500_000))));
        assert_eq!(rate("0"), Ok(None));
        for text in ["-10", "0.001", "fast", "NaN", "inf"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    /// Each of these takes the names before the bar, and none behind it.
    #[test]
    fn domains_match_label_by_label() {
        for (pattern, names) in [
            ("example.com", "example.com | other.com sub.example.com"),
            ("*.myapp.dev", "sub.myapp.dev | myapp.dev deep.sub.myapp.dev other.click"),
            (
                "test.*.myapp.dev",
                "test.staging.myapp.dev test.prod.myapp.dev | test.myapp.dev test.a.b.myapp.dev other.staging.myapp.dev",
            ),
            ("*.test.myapp.dev", "api.test.myapp.dev web.test.myapp.dev | test.myapp.dev a.b.test.myapp.dev"),
            ("*.*.myapp.dev", "a.b.myapp.dev x.y.myapp.dev | a.myapp.dev a.b.c.myapp.dev myapp.dev"),
            (
                "*.storage.**",
                "files.storage.example.com cdn.storage.myapp.dev test.storage.a.b.c.dev | storage.example.com files.cdn.example.com files.storage",
            ),
            ("catchall.**", "catchall.example.com catchall.a.b.c.d | catchall other.example.com"),
            (
                "*.*.storage.**",
                "a.b.storage.example.com x.y.storage.a.b.c | a.storage.example.com a.b.cdn.example.com",
            ),
            (
                "cdn-*.example.com",
                "cdn-us.example.com cdn-eu.example.com cdn-asia-pacific.example.com cdn-.example.com | cdn.example.com web-us.example.com cdn-us.other.com",
            ),
            (
                "*-prod.example.com",
                "api-prod.example.com web-prod.example.com | prod.example.com api-staging.example.com",
            ),
            (
                "cdn-*.**",
                "cdn-us.example.com cdn-eu.myapp.dev cdn-us.a.b.c.d | cdn.example.com web-us.example.com cdn-us",
            ),
            (
                "app-*-v2.example.com",
                "app-api-v2.example.com app-web-v2.example.com app--v2.example.com | app-v2.example.com app-api-v3.example.com",
            ),
        ] {
            let (yes, no) = names.split_once('|').unwrap();
            let pattern = domain(pattern).unwrap();
            for (names, expected) in [(yes, true), (no, false)] {
                for name in names.split_whitespace() {
                    assert_eq!(pattern.matches(name.as_bytes()), expected, "{pattern} {name}");
                }
            }
        }
        for text in ["localhost", "**", "*", "a..b", "a.**.b", "a*b*.com", "", "*.**.com"] {
            assert!(domain(text).is_err(), "{text}");
        }
    }
}
