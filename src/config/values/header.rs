//! Header fields of `respond`, and the target of `redirect`.

use std::sync::Arc;

use super::target;
use crate::config::keys::ValueError;
use crate::config::plan::Location;
use crate::http::{Name, idn, is_token};

/// The name of a field that a rule may set. A field that frames the message or belongs to the connection (RFC
/// 9110, 7.6.1; RFC 9112, 6) is refused, because the gate writes it itself. With two of them, two recipients would
/// read two messages.
pub(crate) fn field_name(text: &str) -> Result<Arc<str>, ValueError> {
    if text.len() > 128 || !is_token(text.as_bytes()) {
        return Err(ValueError::new("is not the name of a header field"));
    }
    let name = Name::classify(text.as_bytes());
    if name.is_hop_by_hop() || matches!(name, Name::ContentLength | Name::Date | Name::ProxyStatus) {
        return Err(ValueError::new(
            "cannot be set: it belongs to the connection or to the framing of the message",
        ));
    }
    Ok(text.into())
}

/// The value of a field (RFC 9110, 5.5), without spaces around it.
pub(crate) fn field_value(text: &str) -> Result<Arc<str>, ValueError> {
    let text = text.trim_matches([' ', '\t']);
    if text.chars().any(|char| char.is_control() && char != '\t') {
        return Err(ValueError::new("holds a control character or a line end"));
    }
    if text.len() > 8_192 { Err(ValueError::new("is longer than 8192 bytes")) } else { Ok(text.into()) }
}

/// The target of a redirect, with placeholders. It must be a target whatever they stand for.
pub(crate) fn template(text: &str) -> Result<Location, ValueError> {
    let template = Location::new(text).ok_or(ValueError::hint(
        "has a brace that belongs to no placeholder",
        "the placeholders are {host}, {path}, {rest} and {query}",
    ))?;
    if !text.contains('{') {
        // The host may have another form.
        return Ok(Location::new(&location(text)?).unwrap_or(template));
    }
    if !text.is_ascii() {
        return Err(ValueError::hint(
            "has a placeholder beside a host in Unicode",
            "write the host in punycode (`xn--...`)",
        ));
    }
    // A text in the place of each placeholder. None of them fits in a place where it must not stand.
    let samples = [("{host}", "h"), ("{path}", "/p"), ("{rest}", "/r"), ("{query}", "q=1")];
    location(&samples.iter().fold(text.to_owned(), |text, (word, sample)| text.replace(word, sample)))?;
    Ok(template)
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
        for text in [
            "/new{rest}",
            "{path}",
            "https://{host}",
            "https://www.{host}:81/a{rest}?{query}",
            "/a?b={query}",
        ] {
            assert_eq!(template(text).map(|to| to.to_string()).as_deref(), Ok(text));
        }
        assert_eq!(template("https://ü").map(|to| to.to_string()).as_deref(), Ok("https://xn--tda"));
        for text in [
            "/new{rset}",
            "/{",
            "{host}/x",
            "{query}",
            "https://{query}",
            "https://a@{host}",
            "https://{path}",
            "//{host}",
            "ftp://{host}",
            "https://ü{rest}",
        ] {
            assert!(template(text).is_err(), "{text}");
        }
    }

    #[test]
    fn fields() {
        assert_eq!(field_name("X-Served-By").as_deref(), Ok("X-Served-By"));
        for text in ["", "a b", "a:", "Content-Length", "TRANSFER-ENCODING", "te", "Http2-Settings", "ü"] {
            assert!(field_name(text).is_err(), "{text}");
        }
        assert_eq!(field_value(" a\tb ").as_deref(), Ok("a\tb"));
        for text in ["a\r\nb", "a\0", "a\u{7f}"] {
            assert!(field_value(text).is_err(), "{text}");
        }
    }
}
