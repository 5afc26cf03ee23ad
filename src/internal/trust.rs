//! Who may ask: the token, and pages in a browser that should not. Sans-IO.
//!
//! A browser sends requests on behalf of any page it shows. Two ways lead from a foreign page to an
//! API on this machine: it asks across sites, which the browser marks (`Sec-Fetch-Site`, `Origin`),
//! or its own name is made to point here ("DNS rebinding"), so that for the browser it is the same
//! site. The second shows in `Host` alone: a foreign name with a domain. Tools such as curl or
//! Prometheus may use any name; a browser is told by fields that only browsers send.

use std::hint::black_box;
use std::net::IpAddr;

use http_types::Request;

use crate::config::plan::Secret;

/// Whether the request carries the token (RFC 6750, section 2.1).
pub(super) fn has_token(request: &Request, token: &Secret) -> bool {
    let Some(value) = field(request, "authorization") else {
        return false;
    };
    let Some((scheme, given)) = value.split_once(' ') else {
        return false;
    };
    scheme.eq_ignore_ascii_case("bearer") && equal(given.trim().as_bytes(), token.0.as_bytes())
}

/// Compares in a time that depends on the lengths alone: every byte is looked at, whether the ones
/// before it were equal or not. The length of a token is no secret worth keeping.
fn equal(given: &[u8], expected: &[u8]) -> bool {
    if given.len() != expected.len() {
        return false;
    }
    let differences = given.iter().zip(expected).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    black_box(differences) == 0
}

/// Whether a browser sent this for a page of another site. What is not from a browser never is.
pub(super) fn is_cross_site(request: &Request) -> bool {
    if field(request, "sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return true;
    }
    let host = field(request, "host").unwrap_or_default();
    // Old browsers, and those asked over plain HTTP, have no `Sec-Fetch-Site`.
    ["origin", "referer"].into_iter().filter_map(|name| field(request, name)).any(|from| {
        let authority = from.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
        !authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    })
}

/// Whether a browser asks under a name that may be anyone's.
pub(super) fn is_rebound(request: &Request) -> bool {
    const BROWSER: [&str; 6] =
        ["origin", "referer", "accept-language", "sec-fetch-site", "sec-fetch-mode", "sec-ch-ua"];
    let browser = BROWSER.iter().any(|name| field(request, name).is_some())
        || field(request, "user-agent").is_some_and(|agent| agent.starts_with("Mozilla/"));
    browser && !is_own_name(field(request, "host").unwrap_or_default())
}

/// An address, `localhost` and what is under it, or a name without a dot, such as a container's:
/// none of these can be registered by a stranger.
fn is_own_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let lower = name.to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok() || lower.ends_with(".localhost") || !lower.contains('.')
}

/// The value of a field; the last one, if there are several.
fn field<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.header(name).map(|values| values.last().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_types::{Method, Url};
    use std::sync::Arc;

    fn request(fields: &[(&str, &str)]) -> Request {
        let mut request = Request::new(Method::Get, Url::parse("http://x/reload").unwrap());
        for (name, value) in fields {
            request.insert_header(*name, *value);
        }
        request
    }

    #[test]
    fn the_token_and_nothing_else() {
        let token = Secret(Arc::from("s3cret"));
        let allowed = |value| has_token(&request(&[("authorization", value)]), &token);
        assert!(allowed("Bearer s3cret") && allowed("bearer  s3cret"));
        for wrong in
            ["Bearer s3cre", "Bearer s3cret1", "Bearer S3cret", "Basic s3cret", "s3cret", "Bearer", "Bearer "]
        {
            assert!(!allowed(wrong), "{wrong}");
        }
        assert!(!has_token(&request(&[]), &token));
    }

    #[test]
    fn cross_site() {
        let host = ("host", "localhost:42007");
        for (expected, fields) in [
            (false, vec![host]),
            (false, vec![host, ("sec-fetch-site", "none")]),
            (false, vec![host, ("sec-fetch-site", "same-origin")]),
            (true, vec![host, ("sec-fetch-site", "same-site")]),
            (true, vec![host, ("sec-fetch-site", "cross-site")]),
            (false, vec![host, ("origin", "http://localhost:42007")]),
            (false, vec![host, ("origin", "http://LOCALHOST:42007")]),
            (true, vec![host, ("origin", "http://localhost:3000")]),
            (true, vec![host, ("origin", "https://example.com")]),
            (true, vec![host, ("origin", "null")]),
            (true, vec![host, ("referer", "https://example.com/http://localhost:42007")]),
            (false, vec![host, ("referer", "http://localhost:42007/")]),
        ] {
            assert_eq!(is_cross_site(&request(&fields)), expected, "{fields:?}");
        }
    }

    #[test]
    fn rebound_names() {
        let mozilla = ("user-agent", "Mozilla/5.0");
        for own in [
            "127.0.0.1:42007",
            "[::1]:42007",
            "[::1]",
            "10.0.0.7",
            "localhost",
            "a.localhost:1",
            "smolgate:42007",
        ] {
            assert!(!is_rebound(&request(&[("host", own), mozilla])), "{own}");
        }
        for foreign in
            ["evil.example:42007", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:1"]
        {
            for browser in [mozilla, ("accept-language", "en"), ("origin", "http://evil.example")] {
                assert!(is_rebound(&request(&[("host", foreign), browser])), "{foreign} {browser:?}");
            }
            assert!(!is_rebound(&request(&[("host", foreign), ("user-agent", "curl/8")])), "{foreign}");
        }
    }
}
