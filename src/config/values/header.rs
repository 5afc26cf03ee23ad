//! Header fields of `respond`, and the target of `redirect`.

use std::sync::Arc;

use super::target;
use crate::config::keys::ValueError;
use crate::config::plan::Location;
use crate::http::{Name, Placeholder, Template, has_dot_segments, idn, is_token};

/// The name of a field that a rule may set. A field that frames the message or belongs to the connection (RFC
/// 9110, 7.6.1; RFC 9112, 6) is refused, because the gate writes it itself. With two of them, two recipients would
/// read two messages.
pub(crate) fn field_name(text: &str) -> Result<Arc<str>, ValueError> {
    if text.len() > 128 || !is_token(text.as_bytes()) {
        return Err(ValueError::hint(
            "is not the name of a header field",
            "write up to 128 letters, digits and `-`, such as X-Name",
        ));
    }
    let name = Name::classify(text.as_bytes());
    if name.is_hop_by_hop() || matches!(name, Name::ContentLength | Name::Date | Name::ProxyStatus) {
        return Err(ValueError::hint(
            "cannot be set: it belongs to the connection or to the framing of the message",
            "leave it out: the gate writes it",
        ));
    }
    Ok(text.into())
}

/// The name of a field of requests that a rule may set.
pub(crate) fn set_in_requests(text: &str) -> Result<Arc<str>, ValueError> {
    if text.eq_ignore_ascii_case("host") { Ok(text.into()) } else { added_to_requests(text) }
}

/// The name of a field of requests that a rule may add.
pub(crate) fn added_to_requests(text: &str) -> Result<Arc<str>, ValueError> {
    let own = match Name::classify(text.as_bytes()) {
        Name::Host => ValueError::hint("can only be set", "write it below `set`"),
        Name::XForwardedFor
        | Name::XForwardedProto
        | Name::XForwardedHost
        | Name::XForwardedPrefix
        | Name::XRealIp
        | Name::Forwarded
        | Name::Via => ValueError::hint(
            "cannot be changed: the gate writes it",
            "`trusted_proxies` says whose values it keeps",
        ),
        Name::MaxForwards | Name::Expect => ValueError::new("cannot be changed: the gate acts on it"),
        Name::Lookalike => ValueError::new("looks like a field that the gate writes, so it is never sent"),
        _ => return field_name(text),
    };
    Err(own)
}

/// The name of a field in which the gate tells the target something by itself, such as the name of the user.
pub(crate) fn told_in_requests(text: &str) -> Result<Arc<str>, ValueError> {
    match Name::classify(text.as_bytes()) {
        Name::Host => Err(ValueError::hint(
            "cannot tell it: this field is the host of the request",
            "choose a field of its own, such as X-User",
        )),
        _ => added_to_requests(text),
    }
}

/// The name of a field of responses that a rule may add.
pub(crate) fn added_to_responses(text: &str) -> Result<Arc<str>, ValueError> {
    match Name::classify(text.as_bytes()) {
        Name::Via => Err(ValueError::hint("cannot be changed: the gate writes it", "leave it out")),
        Name::Host => Err(ValueError::hint(
            "means nothing in a response",
            "`headers.request` changes it for the target",
        )),
        _ => field_name(text),
    }
}

/// A name of fields of requests that a rule may take out, or with `*` at the end the beginning of names.
pub(crate) fn removed_from_requests(text: &str) -> Result<Arc<str>, ValueError> {
    removed(text, added_to_requests)
}

/// As [`removed_from_requests`], of responses.
pub(crate) fn removed_from_responses(text: &str) -> Result<Arc<str>, ValueError> {
    removed(text, added_to_responses)
}

fn removed(text: &str, name: fn(&str) -> Result<Arc<str>, ValueError>) -> Result<Arc<str>, ValueError> {
    match text.strip_suffix('*') {
        Some("") => {
            Err(ValueError::hint("would take out every field", "name a beginning, such as \"X-Internal-*\""))
        }
        Some(start) if is_token(start.as_bytes()) && !start.contains('*') => Ok(text.into()),
        _ if text.contains('*') => Err(ValueError::hint(
            "has a `*` in a place where it means nothing",
            "a `*` at the end takes every end",
        )),
        _ => name(text),
    }
}

/// Checks the value of `Host`: it must be a host, whatever its placeholders stand for.
pub(crate) fn host_template(value: &Template, of_host: usize) -> Result<(), ValueError> {
    target::host_and_port(&value.sampled(|part| url_sample(part, of_host))).map(|_| ())
}

/// The value of a field (RFC 9110, 5.5), without spaces around it.
pub(crate) fn field_value(text: &str) -> Result<Arc<str>, ValueError> {
    let text = text.trim_matches([' ', '\t']);
    if text.chars().any(|char| char.is_control() && char != '\t') {
        return Err(ValueError::new("holds a control character or a line end"));
    }
    if text.len() > 8_192 { Err(ValueError::new("is longer than 8192 bytes")) } else { Ok(text.into()) }
}

/// The target of a redirect, with placeholders. It must be a target whatever they stand for. `of_host` is the number of
/// captures that a host has.
pub(crate) fn redirect_target(template: Template, of_host: usize) -> Result<Location, ValueError> {
    if let Some(text) = template.as_literal() {
        // The host may have another form.
        return Ok(Location::new(Template::literal(&location(text)?)));
    }
    if !template.to_string().is_ascii() {
        return Err(ValueError::hint(
            "has a placeholder beside a host in Unicode",
            "write the host in punycode (`xn--...`)",
        ));
    }
    location(&template.sampled(|part| url_sample(part, of_host)))?;
    Ok(Location::new(template))
}

/// A path with placeholders, in the place of the client's. It must be a path whatever they stand for.
pub(crate) fn rewrite_target(template: Template) -> Result<Location, ValueError> {
    let sample = template.sampled(|part| url_sample(part, 0));
    if !sample.starts_with('/') {
        return Err(ValueError::hint("does not start with `/`", "write a path, such as \"/new{rest}\""));
    }
    if sample.starts_with("//") {
        let hint = "{path}, {rest} and {uri} begin with a slash: leave yours out";
        return Err(ValueError::hint("begins with two slashes", hint));
    }
    if sample.contains('#') {
        return Err(ValueError::hint("has a `#`, which no request carries", "leave it out, or write `%23`"));
    }
    location(&sample)?;
    if has_dot_segments(sample.split('?').next().unwrap_or_default().as_bytes()) {
        return Err(ValueError::new("has a dot segment"));
    }
    Ok(Location::rewrite(template))
}

/// The text in the place of a placeholder while a URL is checked. It does not fit in a place where the value must not
/// stand.
fn url_sample(part: &Placeholder, of_host: usize) -> &'static str {
    match part {
        Placeholder::Host => "h",
        Placeholder::Capture(index) if *index < of_host => "h",
        Placeholder::Path => "/p",
        Placeholder::Rest => "/r",
        Placeholder::Query => "q=1",
        Placeholder::Uri => "/u?q=1",
        // Percent-encoded, so a host or a path alone it cannot be.
        Placeholder::EncodedUrl => "~u",
        // Any part of a path, and so no part of a host.
        _ => "~c",
    }
}

/// The target of a redirect: an absolute `http` or `https` URL, or a path. A host in Unicode becomes its form in
/// punycode.
pub(crate) fn location(text: &str) -> Result<Arc<str>, ValueError> {
    if let Some(text) = with_ascii_host(text) {
        return location(&text);
    }
    const PARTS: [&str; 6] = ["{uri}", "{host}", "{path}", "$request_uri", "$uri", "$host"];
    if PARTS.iter().any(|part| text.contains(part)) {
        return Err(ValueError::hint(
            "names parts of a request, and nothing fills them in",
            "path and query are kept behind a host alone, such as \"https://example.com\"",
        ));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
        return Err(ValueError::hint(
            "holds a character that no URL carries",
            "percent-encode it (a space is `%20`)",
        ));
    }
    if text.starts_with("//") {
        return Err(ValueError::hint("is neither a URL nor a path", "write the scheme too: \"https://...\""));
    }
    if text.starts_with('/') {
        return Ok(text.into());
    }
    let rest = ["http://", "https://"].iter().find_map(|scheme| target::strip_scheme(text, scheme));
    let rest = rest.ok_or(ValueError::hint(
        "is neither a URL nor a path",
        "write \"https://example.com\" or \"/new\"",
    ))?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    if authority.contains('@') {
        return Err(target::USERINFO);
    }
    target::host_and_port(authority)?;
    Ok(text.into())
}

/// The URL with its host in punycode, if the host has another form.
fn with_ascii_host(text: &str) -> Option<String> {
    let start = text.find("://")? + "://".len();
    let rest = &text[start..];
    let host = &rest[..rest.find(['/', '?', '#', ':', '@']).unwrap_or(rest.len())];
    let ascii = idn::to_ascii(host).filter(|_| !host.is_ascii())?;
    Some(format!("{}{ascii}{}", &text[..start], &rest[host.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{CaptureNames, Scope, TemplateUse};

    #[test]
    fn locations() {
        assert_eq!(location("https://bücher.de:81/a?b").as_deref(), Ok("https://xn--bcher-kva.de:81/a?b"));
        for text in
            ["/", "/new?a=b#c", "https://example.com", "http://[::1]:8021/x?y", "HTTPS://example.com/%20"]
        {
            assert_eq!(location(text).as_deref(), Ok(text));
        }
        for text in [
            "",
            "new",
            "//example.com",
            "ftp://a",
            "https://",
            "https:///a",
            "https://u:p@a",
            "https://a b",
            "/a\r\nSet-Cookie: x",
            "https://a:99999",
            "https://ﬁ",
            "https://ü/ü",
            "/\\evil",
        ] {
            assert!(location(text).is_err(), "{text}");
        }
    }

    #[test]
    fn templates() {
        let captures = CaptureNames { of_host: 1, names: vec![None, Some("id".into())] };
        let scope = Scope { used: TemplateUse::Url, captures: &captures };
        let template = |text: &str| redirect_target(Template::new(text, &scope).unwrap(), captures.of_host);
        for text in [
            "/new{rest}",
            "{path}",
            "https://{host}",
            "https://www.{host}:81/a{rest}?{query}",
            "/a?b={query}",
            "https://{1}.new.test{uri}",
            "/users/{id}",
        ] {
            assert_eq!(template(text).map(|to| to.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(template("https://ü").map(|to| to.to_string()).as_deref(), Ok("https://xn--tda"));
        for text in [
            "/new{",
            "/new{{host}}",
            "{host}/x",
            "{query}",
            "https://{query}",
            "https://a@{host}",
            "https://{path}",
            "https://{id}.new.test",
            "//{host}",
            "ftp://{host}",
            "https://ü{rest}",
        ] {
            assert!(template(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rewrites() {
        let captures = CaptureNames { of_host: 0, names: vec![None] };
        let scope = Scope { used: TemplateUse::Url, captures: &captures };
        let rewrite = |text: &str| rewrite_target(Template::new(text, &scope).unwrap());
        for text in ["/new{rest}", "/users/{1}?a={query}", "{path}", "/hosts/{host}", "/"] {
            assert!(rewrite(text).is_ok(), "{text}");
        }
        for text in ["", "new", "{1}", "//new", "/a/../b", "/a#b", "/a b", "https://a.test/", "/{"] {
            assert!(rewrite(text).is_err(), "{text}");
        }
    }

    #[test]
    fn fields() {
        assert_eq!(field_name("X-Served-By").as_deref(), Ok("X-Served-By"));
        assert!(set_in_requests("host").is_ok() && added_to_requests("Host").is_err());
        assert!(told_in_requests("X-User").is_ok());
        for text in ["Host", "X-Forwarded-For", "Connection", "Remote_Addr:"] {
            assert!(told_in_requests(text).is_err(), "{text}");
        }
        for text in ["X-Forwarded-For", "via", "X_Real_IP", "Expect", "Connection"] {
            assert!(added_to_requests(text).is_err() && removed_from_requests(text).is_err(), "{text}");
        }
        assert!(added_to_responses("Via").is_err() && added_to_responses("Server").is_ok());
        assert_eq!(removed_from_responses("X-Internal-*").as_deref(), Ok("X-Internal-*"));
        for text in ["*", "X-*-A", "**", "Content-Length", "a b*"] {
            assert!(removed_from_responses(text).is_err(), "{text}");
        }
        for text in ["", "a b", "a:", "Content-Length", "TRANSFER-ENCODING", "te", "Http2-Settings", "ü"] {
            assert!(field_name(text).is_err(), "{text}");
        }
        assert_eq!(field_value(" a\tb ").as_deref(), Ok("a\tb"));
        for text in ["a\r\nb", "a\0", "a\u{7f}"] {
            assert!(field_value(text).is_err(), "{text}");
        }
    }
}
