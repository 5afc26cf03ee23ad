//! The URL of a server elsewhere.

use std::fmt;

/// An absolute `https` URL, or `http`, which is for this machine alone in most places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    is_tls: bool,
    /// A name or an address; an IPv6 address without its brackets.
    host: String,
    port: u16,
    /// Path and query.
    target: String,
}

impl Url {
    /// Parses a URL.
    ///
    /// # Errors
    /// Half a sentence about the URL.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Self::parse_any(text)?;
        let is_here = matches!(&*url.host, "localhost" | "127.0.0.1" | "::1");
        match url.is_tls || is_here {
            true => Ok(url),
            false => Err("begins with http://, which is for this machine alone: write https://"),
        }
    }

    /// Parses a URL that may be `http` to any host.
    ///
    /// # Errors
    /// Half a sentence about the URL.
    pub fn parse_any(text: &str) -> Result<Self, &'static str> {
        let (is_tls, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return Err("is not a URL that begins with https://"),
        };
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains(['#', '@', '\\']) {
            return Err("is not a valid URL");
        }
        let (authority, target) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, port)) => (address, port),
            None => authority.find(':').map_or((authority, ""), |at| authority.split_at(at)),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => Some(if is_tls { 443 } else { 80 }),
            digits => digits.and_then(|digits| digits.parse().ok()),
        };
        let Some(port) = port.filter(|_| !host.is_empty()) else { return Err("is not a valid URL") };
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self { is_tls, host: host.to_ascii_lowercase(), port, target: format!("{slash}{target}") })
    }

    /// The URL of a path on a host, in the clear or under TLS. So a CA looks at a host.
    pub fn of_host(is_tls: bool, host: &str, port: u16, target: &str) -> Self {
        Self { is_tls, host: host.to_ascii_lowercase(), port, target: target.to_owned() }
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The host; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Host and port, as `Host` has them.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.is_tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, shown, authority, target) in [
            ("https://CA.example", "https://ca.example/", "ca.example", "/"),
            ("https://ca.example/Dir?a=B", "https://ca.example/Dir?a=B", "ca.example", "/Dir?a=B"),
            ("https://ca.example:14000?q", "https://ca.example:14000/?q", "ca.example:14000", "/?q"),
            ("https://[2001:db8::1]:8/x", "https://[2001:db8::1]:8/x", "[2001:db8::1]:8", "/x"),
            ("http://127.0.0.1:8/x", "http://127.0.0.1:8/x", "127.0.0.1:8", "/x"),
            ("http://localhost", "http://localhost/", "localhost", "/"),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((&*url.to_string(), &*url.authority(), url.target()), (shown, authority, target));
        }
    }

    #[test]
    fn a_url_in_the_clear_leads_elsewhere_only_if_that_is_allowed() {
        assert!(Url::parse("http://minio:9000/a").is_err());
        assert_eq!(Url::parse_any("http://minio:9000/a").unwrap().to_string(), "http://minio:9000/a");
        assert!(Url::parse_any("ftp://minio/").is_err());
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "ca.example",
            "ftp://ca.example/",
            "http://ca.example/",
            "http://127.0.0.1.example/",
            "https://",
            "https:///path",
            "https://a:b/",
            "https://a:99999/",
            "https://user@a/",
            "https://a/b c",
            "https://a/\r\nX: y",
            "https://[::1/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
            assert_eq!(Url::parse_any(text).is_ok(), text.starts_with("http://"), "{text}");
        }
    }
}
