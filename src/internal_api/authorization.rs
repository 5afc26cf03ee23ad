//! Authorization of requests to the internal API: the token, and pages of other sites in a browser. Sans-IO.
//!
//! A browser sends requests on behalf of any page that it shows. A foreign page can reach an API on this machine
//! in two ways. It asks across sites: the browser marks such a request (`Sec-Fetch-Site`, `Origin`, `Referer`),
//! unless the page has the marks left out. Or its own name is made to point here ("DNS rebinding"), so that the
//! browser takes both for one site. Only `Host` shows the second way: it is a foreign name with a domain. Tools such
//! as curl or Prometheus may use any name and need no marks. Fields that only browsers send identify a browser.

use std::hint::black_box;
use std::net::IpAddr;

use http_types::{Method, Request};

use crate::config::plan::Secret;

/// Whether the request carries the token (RFC 6750, section 2.1), in each field that could. The word that a view has in the
/// place of a token is none, since it is known.
pub(super) fn has_token(request: &Request, token: &Secret) -> bool {
    let is_token = |value: &str| {
        let given = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        given.is_some_and(|(_, given)| equal(given.trim().as_bytes(), token.0.as_bytes()))
    };
    !token.is_withheld() && all_values(request, "authorization", is_token) == Some(true)
}

/// Compares in a time that depends on the lengths alone: it reads every byte, even after a difference. The length
/// of a token need not be secret.
fn equal(given: &[u8], expected: &[u8]) -> bool {
    if given.len() != expected.len() {
        return false;
    }
    let differences = given.iter().zip(expected).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    black_box(differences) == 0
}

/// Whether a browser may have sent this for a page of another site.
///
/// Each mark of a browser must name this site. A GET of a browser needs at least one mark, because the browser
/// leaves `Sec-Fetch-Site` out if the address is neither HTTPS nor loopback, and a page can have `Referer` left
/// out. With another method the browser adds `Origin` (Fetch, section 3.2).
pub(super) fn may_be_cross_site(request: &Request) -> bool {
    let marks = marks(request);
    let is_unmarked = marks.iter().all(Option::is_none);
    marks.contains(&Some(false))
        || (is_unmarked && request.method() == Method::Get && is_of_a_browser(request))
}

/// Whether a browser says that it sends this for a page of another site. That is enough where nothing is changed: no
/// page can read the response to a request of another site.
pub(super) fn is_cross_site(request: &Request) -> bool {
    marks(request).contains(&Some(false))
}

/// Whether each mark of a browser names this site. `None` for a mark that is not there.
fn marks(request: &Request) -> [Option<bool>; 3] {
    let is_own = |from: &str| {
        let authority = from.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
        let is_host = |host: &str| authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host));
        all_values(request, "host", is_host) == Some(true)
    };
    [
        all_values(request, "sec-fetch-site", |site| matches!(site, "same-origin" | "none")),
        all_values(request, "origin", is_own),
        all_values(request, "referer", is_own),
    ]
}

/// Whether a browser asks under a name that any site may have.
pub(super) fn is_dns_rebinding(request: &Request) -> bool {
    is_of_a_browser(request) && all_values(request, "host", is_own_name) != Some(true)
}

/// Whether the request has a field as only browsers send it.
fn is_of_a_browser(request: &Request) -> bool {
    let mut fields = request.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    fields.any(|(name, value)| is_field_of_a_browser(name.as_str(), &value.as_str().to_ascii_lowercase()))
}

/// Whether only browsers send this field, in small letters. The fetch of Node and Deno sends `Sec-Fetch-Mode: cors` and
/// `Accept-Language: *`, and Java's client asks for `text/html`: those are scripts.
fn is_field_of_a_browser(name: &str, value: &str) -> bool {
    /// In `Accept`, if a page loads an image, a style sheet or media, or if a person opens a page.
    const MEDIA: [&str; 7] =
        ["image/*", "image/avif", "image/webp", "text/css", "audio/*", "video/*", "application/xhtml+xml"];
    match name {
        "origin"
        | "referer"
        | "cookie"
        | "dnt"
        | "priority"
        | "purpose"
        | "save-data"
        | "x-moz"
        | "upgrade-insecure-requests" => true,
        "user-agent" => value.starts_with("mozilla/"),
        "accept" => MEDIA.iter().any(|media| value.contains(media)),
        "accept-language" => value != "*",
        "sec-fetch-mode" => value != "cors",
        // No page can set or remove a field of such a name (Fetch, section 2.2.2).
        _ => name.starts_with("sec-"),
    }
}

/// Whether a stranger cannot register the name: an address, `localhost` and names below it, or a name without a
/// dot, such as that of a container.
fn is_own_name(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let lower = name.to_ascii_lowercase();
    name.parse::<IpAddr>().is_ok() || lower.ends_with(".localhost") || !lower.contains('.')
}

/// Whether all values of a field are as they should be. `None` if there is no such field.
fn all_values(request: &Request, name: &str, is_fine: impl Fn(&str) -> bool) -> Option<bool> {
    request.header(name).map(|values| values.iter().all(|value| is_fine(value.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_types::{Method, Url};
    use std::sync::Arc;

    fn request(fields: &[(&str, &str)]) -> Request {
        let mut request = Request::new(Method::Get, Url::parse("http://x/reload").unwrap());
        for (name, value) in fields {
            request.append_header(*name, *value);
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
        let [right, wrong] = [("authorization", "Bearer s3cret"), ("authorization", "Bearer guess")];
        assert!(has_token(&request(&[right, right]), &token));
        assert!(
            !has_token(&request(&[right, wrong]), &token) && !has_token(&request(&[wrong, right]), &token)
        );
    }

    #[test]
    fn cross_site() {
        let host = ("host", "localhost:42007");
        for (expected, mut fields) in [
            (false, vec![host]),
            (false, vec![host, ("sec-fetch-site", "none")]),
            (false, vec![host, ("sec-fetch-site", "same-origin")]),
            (true, vec![host, ("sec-fetch-site", "same-site")]),
            (true, vec![host, ("sec-fetch-site", "cross-site")]),
            (true, vec![host, ("sec-fetch-site", "same-origin"), ("referer", "http://evil.example/")]),
            (false, vec![host, ("origin", "http://localhost:42007")]),
            (false, vec![host, ("origin", "http://LOCALHOST:42007")]),
            (true, vec![host, ("origin", "http://localhost:3000")]),
            (true, vec![host, ("origin", "https://example.com")]),
            (true, vec![host, ("origin", "null")]),
            (true, vec![host, ("referer", "https://example.com/http://localhost:42007")]),
            (false, vec![host, ("referer", "http://localhost:42007/")]),
            (true, vec![host, ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-origin")]),
            (true, vec![host, ("sec-fetch-site", "same-origin, cross-site")]),
            (true, vec![host, ("origin", "http://evil.example"), ("origin", "http://localhost:42007")]),
            (true, vec![host, ("referer", "http://evil.example/"), ("referer", "http://localhost:42007/")]),
            (true, vec![("host", "evil.example"), host, ("origin", "http://localhost:42007")]),
        ] {
            fields.reverse();
            assert_eq!(may_be_cross_site(&request(&fields)), expected, "{fields:?}");
            fields.reverse();
            assert_eq!(may_be_cross_site(&request(&fields)), expected, "{fields:?}");
        }
    }

    /// The fields that each sends by itself to a plain address that is not loopback, where a page had
    /// `Referer` left out.
    #[test]
    fn a_get_of_a_browser_needs_a_mark_of_its_own() {
        const CHROME: &str =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36";
        const PAGE: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        const JAVA: &str = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2";
        let browsers: [&[(&str, &str)]; 20] = [
            &[
                ("user-agent", CHROME),
                ("accept", "image/avif,image/webp,*/*;q=0.8"),
                ("accept-language", "en"),
            ],
            &[("user-agent", CHROME), ("accept", "*/*")],
            &[("user-agent", "Opera/9.80"), ("accept", "*/*"), ("accept-language", "de,en;q=0.9")],
            &[("user-agent", "Lynx/2.9"), ("accept-language", "en")],
            &[("user-agent", "hidden"), ("accept", PAGE)],
            &[("user-agent", "hidden"), ("accept", "image/webp,image/*;q=0.8,*/*;q=0.5")],
            &[("user-agent", "hidden"), ("accept", "text/css,*/*;q=0.1")],
            &[("user-agent", "hidden"), ("accept", "video/webm,video/*;q=0.9")],
            &[("user-agent", "hidden"), ("upgrade-insecure-requests", "1")],
            &[("user-agent", "hidden"), ("accept", "image/avif,image/webp,image/png")],
            &[("user-agent", "hidden"), ("accept", "*/*"), ("accept", "Image/WebP")],
            &[("user-agent", "MOZILLA/5.0"), ("user-agent", "curl/8.5.0")],
            &[("accept-language", "en"), ("accept-language", "*")],
            &[("sec-fetch-dest", "image")],
            &[("sec-fetch-mode", "no-cors")],
            &[("sec-fetch-mode", "cors"), ("sec-fetch-user", "?1")],
            &[("sec-fetch-storage-access", "none")],
            &[("sec-ch-ua-platform", "\"Linux\"")],
            &[("sec-gpc", "1")],
            &[
                ("cookie", "a=b"),
                ("priority", "u=4"),
                ("dnt", "1"),
                ("save-data", "on"),
                ("purpose", "prefetch"),
            ],
        ];
        let scripts: [&[(&str, &str)]; 7] = [
            &[],
            &[("user-agent", "curl/8.5.0"), ("accept", "*/*")],
            &[("user-agent", "Wget/1.21"), ("accept", "*/*"), ("accept-encoding", "identity")],
            &[
                ("user-agent", "python-requests/2.32"),
                ("accept", "*/*"),
                ("accept-encoding", "gzip, deflate"),
            ],
            &[
                ("user-agent", "node"),
                ("accept-language", "*"),
                ("sec-fetch-mode", "cors"),
                ("accept", "*/*"),
            ],
            &[("user-agent", "Java/17.0.2"), ("accept", JAVA)],
            &[("user-agent", "Prometheus/2.53"), ("accept", "text/plain;version=0.0.4;q=0.5,*/*;q=0.1")],
        ];
        let host = ("host", "10.0.0.7:42007");
        for (fields, refused) in
            browsers.into_iter().map(|fields| (fields, true)).chain(scripts.map(|fields| (fields, false)))
        {
            let mut get = request(&[&[host], fields].concat());
            assert_eq!(may_be_cross_site(&get), refused, "{fields:?}");
            get.set_method(Method::Post);
            assert!(!may_be_cross_site(&get), "{fields:?}");
        }
        for own in [("referer", "http://10.0.0.7:42007/"), ("sec-fetch-site", "none")] {
            for fields in browsers {
                assert!(!may_be_cross_site(&request(&[&[host, own], fields].concat())), "{own:?} {fields:?}");
            }
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
            assert!(!is_dns_rebinding(&request(&[("host", own), mozilla])), "{own}");
        }
        for foreign in
            ["evil.example:42007", "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:1"]
        {
            for browser in [mozilla, ("accept-language", "en"), ("origin", "http://evil.example")] {
                assert!(is_dns_rebinding(&request(&[("host", foreign), browser])), "{foreign} {browser:?}");
            }
            assert!(!is_dns_rebinding(&request(&[("host", foreign), ("user-agent", "curl/8")])), "{foreign}");
            let twice = [("host", foreign), ("host", "localhost"), ("sec-fetch-dest", "image")];
            assert!(is_dns_rebinding(&request(&twice)), "{foreign}");
        }
    }
}
