//! Patterns of rules: hosts, path prefixes, methods.

use std::net::Ipv6Addr;
use std::sync::Arc;

use crate::config::keys::ValueError;
use crate::config::plan::{HostPattern, LabelGlob};
use crate::http::{idn, is_token};

/// A host as in `Host`, without a port: a name, an IPv4 address, or an IPv6 address in brackets; or `*.` and a
/// name, or another pattern with stars. The result is in lower case, without a dot at the end, with IPv6 in its shortest form.
pub(crate) fn host(text: &str) -> Result<HostPattern, ValueError> {
    const NO_PORT: ValueError =
        ValueError::hint("has a port in it", "leave it out: a host stands for every port");
    if matches!(text, "*" | "**") {
        return Err(ValueError::hint("is not a host", "leave `host` out: the rule then takes any host"));
    }
    if let Some(error) = no_host(text) {
        return Err(error);
    }
    if text.contains("://") || text.contains('/') {
        return Err(ValueError::hint(
            "is not a host but a URL",
            "write the host alone; a path has a key of its own",
        ));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (address, after) =
            rest.split_once(']').ok_or(ValueError::new("has a bracket that is not closed"))?;
        let address: Ipv6Addr = address.parse().map_err(|_| ValueError::new("is not an IPv6 address"))?;
        return if after.is_empty() {
            Ok(HostPattern::Exact(format!("[{address}]").into()))
        } else {
            Err(NO_PORT)
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(ValueError::hint("is an IPv6 address without brackets", "write it as [::1]"));
    }
    if text.contains(':') {
        return Err(NO_PORT);
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    match text.contains('*') {
        true => starred_host(text),
        false => Ok(HostPattern::Exact(host_name(text)?)),
    }
}

/// The error of texts that mean hosts elsewhere: in nginx, in Traefik, in lists of one string.
fn no_host(text: &str) -> Option<ValueError> {
    const EXPRESSION: &str = "write names: `*.example.com` takes exactly one label before the rest";
    let (problem, hint) = match text {
        "_" => ("is not a host", "leave `host` out: the rule then takes any host"),
        _ if text.starts_with('~') || text.contains(['^', '$', '\\', '|', '+']) => {
            ("is a regular expression, and a host is a name", EXPRESSION)
        }
        _ if text.contains(['(', '`']) => {
            ("is an expression, and a host is a name", "write the name alone: `host: example.com`")
        }
        _ if text.contains([' ', ',']) && !text.contains("://") => (
            "is more than one host",
            "write a list, `[a.example.com, b.example.com]`, or in a label commas between them",
        ),
        _ => return None,
    };
    Some(ValueError::hint(problem, hint))
}

const STAR: ValueError = ValueError::hint(
    "has a `*` in a place where it means nothing",
    "a `*` takes one label or a part of it, and a name stands behind the last one; `**` is the whole first or last \
     label, for one label or more",
);

const TOO_LONG: ValueError = ValueError::new("has a host that is too long (63 bytes a label, 253 in all)");

/// A host with stars: `**.` and a name, or labels and the name behind the last star, or labels and `.**`.
fn starred_host(text: &str) -> Result<HostPattern, ValueError> {
    if let Some(name) = text.strip_prefix("**.") {
        return Ok(HostPattern::Deep(host_name(name)?));
    }
    if text.len() > 253 {
        return Err(TOO_LONG);
    }
    let (labels, suffix) = match text.strip_suffix(".**") {
        Some(labels) => (labels, None),
        None => {
            let star = text.rfind('*').ok_or(STAR)?;
            let end = star + text[star..].find('.').ok_or(STAR)?;
            (&text[..end], Some(host_name(&text[end + 1..])?))
        }
    };
    let labels = labels.split('.').map(label_glob).collect::<Result<_, _>>()?;
    Ok(HostPattern::of_labels(labels, suffix))
}

/// A label, in which a star stands for other characters.
fn label_glob(label: &str) -> Result<LabelGlob, ValueError> {
    let Some((start, end)) = label.split_once('*') else {
        return Ok(LabelGlob { start: (*host_name(label)?).into(), end: None });
    };
    if end.contains('*') {
        return Err(STAR);
    }
    if !label.is_ascii() {
        return Err(ValueError::hint(
            "has a `*` in a label that is not ASCII",
            "clients send such a label in punycode, which has no parts",
        ));
    }
    // A letter in the place of the star, because the label must be one.
    host_name(&format!("{start}x{end}"))?;
    let [start, end] = [start, end].map(|part| part.to_ascii_lowercase().into());
    Ok(LabelGlob { start, end: Some(end) })
}

/// A DNS name or an IPv4 address, in lower case. A name in Unicode becomes its form in punycode, as in `Host`.
pub(crate) fn host_name(text: &str) -> Result<Arc<str>, ValueError> {
    if !text.is_ascii() {
        let name = idn::to_ascii(text).ok_or(ValueError::hint(
            "holds a character that has no sure form in a Host field",
            "write the name in punycode (`xn--...`)",
        ))?;
        return host_name(&name);
    }
    if text.contains('*') {
        return Err(STAR);
    }
    if text.is_empty() {
        return Err(ValueError::hint("has no host", "write for example \"example.com\""));
    }
    if text.len() > 253 || text.split('.').any(|label| label.len() > 63) {
        return Err(TOO_LONG);
    }
    if text.split('.').any(str::is_empty) {
        let hint = "between two dots there must be something; `*.` at the start stands for any one label";
        return Err(ValueError::hint("has a host with an empty label", hint));
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Err(ValueError::new("has a host with a character that does not belong there"));
    }
    Ok(text.to_ascii_lowercase().into())
}

/// A path prefix: whole segments, with no slash at the end except for `/`. Escapes of unreserved characters are
/// decoded, because the path of a request is compared that way (RFC 3986, 6.2.2.2).
pub(crate) fn path_prefix(text: &str) -> Result<Arc<str>, ValueError> {
    if text.ends_with("/*") || text.ends_with("/**") {
        return Err(ValueError::hint(
            "ends with a wildcard",
            "leave it out: a prefix takes everything below it",
        ));
    }
    path(text)
}

/// A path without query or fragment, normalized like a [`path_prefix`].
pub(crate) fn path(text: &str) -> Result<Arc<str>, ValueError> {
    if !text.starts_with('/') {
        return Err(ValueError::hint(
            "does not start with `/`",
            "write a path from the root, such as \"/users\"",
        ));
    }
    if text.contains(['?', '#']) {
        return Err(ValueError::new("is more than a path: it has a `?` or a `#`"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ValueError::hint(
            "holds a character that no path carries",
            "percent-encode it (a space is `%20`)",
        ));
    }
    let text = decode_unreserved(text)?;
    let trimmed = text.strip_suffix('/').unwrap_or(&text);
    for segment in trimmed.split('/').skip(1) {
        match segment {
            "" => return Err(ValueError::new("has an empty segment (`//`)")),
            "." | ".." => return Err(ValueError::new("has a dot segment, which no accepted request has")),
            _ => {}
        }
    }
    Ok(if trimmed.is_empty() { "/".into() } else { trimmed.into() })
}

pub(super) fn decode_unreserved(text: &str) -> Result<String, ValueError> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let escape =
            rest.get(at..at + 3).filter(|escape| escape[1..].bytes().all(|byte| byte.is_ascii_hexdigit()));
        let escape = escape.ok_or(ValueError::new("has a `%` without its two hexadecimal digits"))?;
        match u8::from_str_radix(&escape[1..], 16) {
            Ok(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(char::from(byte)),
            _ => out.push_str(escape),
        }
        rest = &rest[at + 3..];
    }
    out.push_str(rest);
    Ok(out)
}

/// A method in upper case. `CONNECT` is never forwarded, so no rule can ask for it.
pub(crate) fn method(text: &str) -> Result<Arc<str>, ValueError> {
    if !is_token(text.as_bytes()) {
        return Err(ValueError::hint("is not a method", "write for example [GET, POST]"));
    }
    match text.to_ascii_uppercase() {
        connect if connect == "CONNECT" => {
            Err(ValueError::new("is answered with 405 before any rule is tried"))
        }
        method => Ok(method.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (text, expected) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("*.Example.com", "*.example.com"),
            ("*.localhost", "*.localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[0:0::1]", "[::1]"),
            ("my_host", "my_host"),
            ("bücher.de", "xn--bcher-kva.de"),
            ("*.BÜCHER.de.", "*.xn--bcher-kva.de"),
            ("**.Example.com", "**.example.com"),
            ("CDN-*.example.com", "cdn-*.example.com"),
            ("*-cdn.bücher.de", "*-cdn.xn--bcher-kva.de"),
            ("*.*.Example.com", "*.*.example.com"),
            ("a.*.b", "a.*.b"),
            ("Bücher.x*y.*.b.c", "xn--bcher-kva.x*y.*.b.c"),
            ("CDN-*.**", "cdn-*.**"),
            ("*.**.", "*.**"),
            ("app.**", "app.**"),
            ("*.*.storage.**", "*.*.storage.**"),
        ] {
            assert_eq!(host(text).map(|host| host.to_string()).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "*",
            "*.",
            "a..b",
            "**",
            "**.*.b",
            "**.**",
            "**.a.**",
            "a.**.b",
            "a.*",
            "10.0.0.*",
            "a**.**",
            "a..**",
            ".**",
            "a.*..b",
            "a_*.b c.d",
            "***.b",
            "a*b*.c",
            "a*",
            "a**.b",
            "ü*.b",
            "a *.b",
            "a:80",
            "[::1]:80",
            "::1",
            "[::1",
            "bu\u{308}cher.de",
            "ﬁsch.de",
            "ü b",
            "ü:80",
            "a b",
            "http://a",
            "a/b",
            "a,b",
        ] {
            assert!(host(text).is_err(), "{text}");
        }
        assert!(host(&format!("{}*.b", "a".repeat(63))).is_err());
        assert!(host(&format!("{}b", "*.".repeat(126))).is_ok());
        assert!(host(&format!("{}b.c", "*.".repeat(126))).is_err());
        assert!(host(&"a".repeat(64)).is_err() && host(&"ü".repeat(64)).is_err());
    }

    #[test]
    fn paths() {
        for (text, expected) in [
            ("/", "/"),
            ("/users", "/users"),
            ("/users/", "/users"),
            ("/a/b", "/a/b"),
            ("/%75sers", "/users"),
            ("/a%2Fb%20", "/a%2Fb%20"),
            ("/.well-known", "/.well-known"),
        ] {
            assert_eq!(path_prefix(text).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "users",
            "/a//b",
            "//",
            "/./a",
            "/..",
            "/a/%2e%2E/b",
            "/%2e",
            "/a?b",
            "/a#b",
            "/a b",
            "/ü",
            "/a/*",
            "/%",
            "/%1",
            "/%zz",
            "/%ü",
        ] {
            assert!(path_prefix(text).is_err(), "{text}");
        }
    }

    #[test]
    fn methods() {
        assert_eq!(method("get").as_deref(), Ok("GET"));
        for text in ["", "GET POST", "connect", "GÄT"] {
            assert!(method(text).is_err(), "{text}");
        }
    }
}
