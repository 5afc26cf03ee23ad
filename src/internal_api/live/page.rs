//! The page for browsers: one file, with its script and its style in it.

use http_types::Request;

use super::Page;

/// The page. It shows texts of strangers, so its script never makes markup of them.
const TEXT: &str = include_str!("page.html");

/// Only the script and the style of the page, by their hashes. Nothing is loaded from elsewhere, nothing is sent there.
const POLICY: &str = "default-src 'none'; \
    script-src 'sha256-ZJAQghP0RGWKma99uLFOfHvQ/5md4txWV1GHvgqy+x8='; \
    style-src 'sha256-N/mr2jhJSfa49zb8n/ZfCuyU+pIvBr9SIXrOFxfwJ8g='; \
    connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page, if a browser asks: `Accept` names HTML. curl and scripts take anything, and get text.
pub(in crate::internal_api) fn page(request: &Request) -> Option<Page> {
    let accepts = |value: &str| value.to_ascii_lowercase().contains("text/html");
    let values = request.header("accept")?;
    values.iter().any(|value| accepts(value.as_str())).then_some(Page { text: TEXT, policy: POLICY })
}

#[cfg(test)]
mod tests {
    use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;

    use super::*;

    /// The largest page, in bytes.
    const BYTES_MAX: usize = 24 * 1024;

    fn between<'a>(start: &str, end: &str) -> &'a str {
        let (_, rest) = TEXT.split_once(start).unwrap_or_else(|| panic!("no {start}"));
        rest.split_once(end).unwrap_or_else(|| panic!("no {end}")).0
    }

    /// Base 64 (RFC 4648, section 4).
    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let digits = |group: &[u8]| {
            let bits =
                (0..3).fold(0, |bits, index| bits << 8 | u32::from(group.get(index).copied().unwrap_or(0)));
            let digit = |index: usize| char::from(DIGITS[(bits >> (18 - 6 * index)) as usize & 63]);
            (0..4).map(|index| if index > group.len() { '=' } else { digit(index) }).collect::<String>()
        };
        bytes.chunks(3).map(digits).collect()
    }

    fn hash(text: &str) -> String {
        let suite = TLS13_AES_128_GCM_SHA256.tls13().unwrap();
        format!("'sha256-{}'", base64(suite.common.hash_provider.hash(text.as_bytes()).as_ref()))
    }

    #[test]
    fn the_policy_has_the_hashes_of_script_and_style() {
        assert_eq!(base64(b"any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
        let (script, style) = (between("<script>", "</script>"), between("<style>", "</style>"));
        for (directive, hash) in [("script-src", hash(script)), ("style-src", hash(style))] {
            assert!(POLICY.contains(&format!("{directive} {hash};")), "{directive} {hash}");
        }
    }

    #[test]
    fn the_page_is_small_and_loads_nothing() {
        assert!(TEXT.len() < BYTES_MAX, "{} bytes", TEXT.len());
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            " style=\"",
            " onclick",
            "src=",
            "url(",
            "@import",
        ] {
            assert!(!TEXT.contains(forbidden), "{forbidden}");
        }
        // The name space of SVG, and an example of a URL, are no addresses that are asked.
        for (at, _) in TEXT.match_indices("http") {
            let rest = &TEXT[at..];
            let known = ["http://www.w3.org/2000/svg", "http://host/path", "https?:\\/\\/", "https: "];
            assert!(
                known.iter().any(|known| rest.starts_with(known)),
                "{}",
                rest.split('\n').next().unwrap()
            );
        }
    }
}
