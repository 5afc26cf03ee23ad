//! Addresses to listen on, and addresses of targets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::pattern;
use crate::config::keys::ValueError;
use crate::config::plan::{Bind, Scheme, Target, TargetHost};

/// A target as written. If it has no scheme, its user decides which one is meant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TargetText {
    /// `None` if only `host:port` was written.
    pub(crate) scheme: Option<Scheme>,
    pub(crate) host: TargetHost,
    pub(crate) port: u16,
    pub(crate) base_path: Arc<str>,
    /// Not part of the text: keys beside it.
    pub(crate) weight: u16,
    pub(crate) backup: bool,
}

impl TargetText {
    /// Whether both lead to one host and port in one protocol.
    pub(crate) fn has_address_of(&self, other: &TargetText) -> bool {
        (self.scheme, &self.host, self.port) == (other.scheme, &other.host, other.port)
    }

    /// The target, with `scheme` if none was written.
    pub(crate) fn with(&self, scheme: Scheme) -> Target {
        Target {
            scheme: self.scheme.unwrap_or(scheme),
            host: self.host.clone(),
            port: self.port,
            base_path: self.base_path.clone(),
            weight: self.weight,
            backup: self.backup,
        }
    }
}

const NO_HTTP2: ValueError = ValueError::hint(
    "asks for HTTP/2, which this program does not speak",
    "write `http://` or `https://`, or take a program with the feature `http2`",
);

pub(crate) const USERINFO: ValueError =
    ValueError::hint("carries a user name", "nothing would send it; leave everything up to the `@` out");

/// The most bytes of the path of a Unix socket; the kernel's structure has one more, for a zero.
const SOCKET_PATH_MAX: usize = 107;

/// `http://host`, `https://host:port/base`, `h2c://host:port`, `h2://host`, `host:port`, `tcp://host:port`, `unix:/path`, `unix:/path:/base`.
pub(crate) fn target(text: &str) -> Result<TargetText, ValueError> {
    const FORMS: &str = "write \"http://host:port\", \"https://host\" or \"host:port\"";
    if let Some(rest) = text.strip_prefix("unix:") {
        return unix(rest);
    }
    let schemes = [
        ("http://", Scheme::Http),
        ("https://", Scheme::Https),
        ("h2c://", Scheme::H2c),
        ("h2://", Scheme::H2),
        ("tcp://", Scheme::Tcp),
    ];
    let found = schemes.iter().find_map(|(prefix, scheme)| Some((*scheme, strip_scheme(text, prefix)?)));
    let (scheme, rest) = match found {
        Some((scheme, rest)) => (Some(scheme), rest),
        None if text.contains("://") => {
            return Err(ValueError::hint("has a scheme that no target has", FORMS));
        }
        None => (None, text),
    };
    let scheme = scheme.map(spoken).transpose()?;
    if rest.contains('@') {
        return Err(USERINFO);
    }
    if rest.contains(['?', '#']) {
        return Err(ValueError::new("has a query or a fragment, which a target cannot have"));
    }
    let (authority, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = host_and_port(authority)?;
    let port = match port.or_else(|| scheme.and_then(Scheme::port)) {
        Some(0) => return Err(ValueError::new("has port 0, to which nothing can connect")),
        Some(port) => port,
        None => {
            let hint = "write \"http://host:port\", \"https://host\" or \"host:port\"; an upstream with a name is `upstream: NAME`";
            return Err(ValueError::hint("has no port", hint));
        }
    };
    let base_path = match (base, scheme) {
        ("", _) => "".into(),
        ("/", Some(scheme)) if scheme.is_http() => "".into(),
        (base, Some(scheme)) if scheme.is_http() => pattern::path(base)?,
        _ => return Err(ValueError::hint("has a path but no `http://`", FORMS)),
    };
    Ok(TargetText { scheme, host, port, base_path, weight: 1, backup: false })
}

/// The scheme, if this program speaks it.
pub(crate) fn spoken(scheme: Scheme) -> Result<Scheme, ValueError> {
    let is_spoken = cfg!(feature = "http2") || !matches!(scheme, Scheme::H2c | Scheme::H2);
    if is_spoken { Ok(scheme) } else { Err(NO_HTTP2) }
}

/// `/path` or `/path:/base`, with or without `//` in front.
fn unix(text: &str) -> Result<TargetText, ValueError> {
    const FORMS: &str = "write \"unix:/run/app.sock\", or \"unix:/run/app.sock:/base\"";
    let text = text.strip_prefix("//").unwrap_or(text);
    let (path, base) = match text.split_once(":/") {
        Some((path, base)) => (path, Some(base)),
        None => (text, None),
    };
    if !path.starts_with('/') {
        return Err(ValueError::hint("has a path of a socket that does not begin with `/`", FORMS));
    }
    if path.ends_with('/') || path.contains(char::is_control) {
        return Err(ValueError::hint("has no path of a socket", FORMS));
    }
    if path.len() > SOCKET_PATH_MAX {
        let hint = "the system knows no longer one; put the socket into a folder with a shorter name";
        return Err(ValueError::hint("has a path of a socket with more than 107 bytes", hint));
    }
    let (scheme, base_path) = match base {
        None => (None, "".into()),
        Some("") => (Some(Scheme::Http), "".into()),
        Some(base) => (Some(Scheme::Http), pattern::path(&format!("/{base}"))?),
    };
    Ok(TargetText {
        scheme,
        host: TargetHost::Unix(path.into()),
        port: 0,
        base_path,
        weight: 1,
        backup: false,
    })
}

/// The rest after a scheme, which is not case-sensitive (RFC 3986, 3.1).
pub(crate) fn strip_scheme<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
pub(crate) fn host_and_port(text: &str) -> Result<(TargetHost, Option<u16>), ValueError> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) =
                rest.split_once(']').ok_or(ValueError::new("has a bracket that is not closed"))?;
            let address: Ipv6Addr =
                address.parse().map_err(|_| ValueError::new("has no IPv6 address in its brackets"))?;
            let port = match after.strip_prefix(':') {
                None if !after.is_empty() => {
                    return Err(ValueError::new("has something other than a port after its brackets"));
                }
                port => port,
            };
            (TargetHost::Address(IpAddr::V6(address)), port)
        }
        None if text.matches(':').count() > 1 => {
            return Err(ValueError::hint(
                "has too many colons",
                "an IPv6 address stands in brackets: \"[::1]:8080\"",
            ));
        }
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            (target_name(host)?, port)
        }
    };
    Ok((host, port.map(port_number).transpose()?))
}

fn target_name(text: &str) -> Result<TargetHost, ValueError> {
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(TargetHost::Address(IpAddr::V4(address)));
    }
    let name = pattern::host_name(text)?;
    // Some programs read a name as an address if its last label is a number (RFC 3986, 3.2.2).
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ValueError::hint(
            "has a host that is neither a name nor an address",
            "write \"host:port\"",
        ));
    }
    Ok(TargetHost::Name(name))
}

/// A port to connect to.
pub(crate) fn port(text: &str) -> Result<u16, ValueError> {
    match port_number(text) {
        Ok(0) | Err(_) => Err(ValueError::new("is not a port between 1 and 65535")),
        port => port,
    }
}

fn port_number(text: &str) -> Result<u16, ValueError> {
    if text.is_empty() {
        return Err(ValueError::new("has a `:` and no port behind it"));
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let hint = "ports are numbers up to 65535; a listener at port 0 takes a free one";
    let error = ValueError::hint("has a port that is not between 0 and 65535", hint);
    text.parse().ok().filter(|_| digits).ok_or(error)
}

/// An address to listen on: a port alone, `:port`, `address:port`, `localhost:port`. Port 0 is a free one.
pub(crate) fn bind(text: &str) -> Result<Bind, ValueError> {
    const FORMS: ValueError = ValueError::hint(
        "is not an address to listen on",
        "write \":8021\", \"127.0.0.1:8021\", \"[::1]:8021\" or a port",
    );
    if let Some(port) = text.strip_prefix(':').or_else(|| text.strip_prefix("*:")) {
        return port_number(port).map(Bind::Any);
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return port_number(text).map(Bind::Any);
    }
    if text.contains("://") {
        return Err(ValueError::hint(
            "is a URL, and a listener has an address",
            "write \":8021\" or \"127.0.0.1:8021\"; with the key `tls`, it speaks HTTPS",
        ));
    }
    if text.starts_with("unix:") || text.starts_with('/') {
        return Err(ValueError::hint(
            "is a path, and a listener has a TCP address",
            "write \":8021\"; only the internal API takes \"unix:/path\"",
        ));
    }
    if is_port_mapping(text) {
        return Err(ValueError::hint(
            "has two ports",
            "write the one to listen on; the other one belongs to the command that starts the container",
        ));
    }
    if text.contains('/') || text == "*" {
        return Err(FORMS);
    }
    match host_and_port(text)? {
        (_, None) => Err(ValueError::hint("has no port", "write for example \"127.0.0.1:8021\"")),
        (TargetHost::Address(address), Some(port)) => Ok(Bind::Address(SocketAddr::new(address, port))),
        (TargetHost::Name(name), Some(port)) if &*name == "localhost" => {
            Ok(Bind::Address(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)))
        }
        (TargetHost::Name(_) | TargetHost::Unix(_), Some(_)) => Err(ValueError::hint(
            "names a host, and only an address can be listened on",
            "write an address of this machine, or \":port\" for all of them",
        )),
    }
}

/// Whether a text is like `80:8080`, the ports of a container.
fn is_port_mapping(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once(':').is_some_and(|(outer, inner)| is_number(outer) && is_number(inner))
}

/// The name to ask for in TLS.
pub(crate) fn server_name(text: &str) -> Result<Arc<str>, ValueError> {
    match host_and_port(text)? {
        (_, Some(_)) => Err(ValueError::new("has a port, which a TLS name has not")),
        (TargetHost::Name(name), None) => Ok(name),
        (TargetHost::Address(_) | TargetHost::Unix(_), None) => {
            Err(ValueError::new("is an address, and TLS asks for names only"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_to_write() {
        for (text, problem, hint) in [
            ("http://127.0.0.1:80", "is a URL", "\":8021\""),
            ("https://:443", "is a URL", "with the key `tls`"),
            ("70000", "not between 0 and 65535", "up to 65535"),
            (":-1", "not between 0 and 65535", "up to 65535"),
            ("80:8080", "has two ports", "write the one to listen on"),
            ("unix:/run/a.sock", "is a path", "only the internal API"),
            ("/run/a.sock", "is a path", "only the internal API"),
            ("80/tcp", "is not an address to listen on", "or a port"),
            ("*", "is not an address to listen on", "or a port"),
            ("example.com:80", "names a host", "\":port\" for all of them"),
            ("127.0.0.1", "has no port", "\"127.0.0.1:8021\""),
        ] {
            let error = bind(text).unwrap_err();
            let told = error.problem.contains(problem) && error.hint.unwrap_or_default().contains(hint);
            assert!(told, "{text}: {error:?}");
        }
        assert_eq!(bind(":8080"), Ok(Bind::Any(8080)));
    }

    #[test]
    fn targets() {
        for (text, expected) in [
            ("http://localhost:8083", "http://localhost:8083"),
            ("http://localhost", "http://localhost"),
            ("http://localhost:80/", "http://localhost"),
            ("HTTPS://Example.com/base/", "https://example.com/base"),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("localhost:8080", "localhost:8080"),
            ("tcp://10.0.0.1:5432", "10.0.0.1:5432"),
            ("[::1]:5432", "[::1]:5432"),
            ("http://bücher.de:81/a", "http://xn--bcher-kva.de:81/a"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("unix:///run/app.sock", "unix:/run/app.sock"),
            ("unix:/run/app.sock:/", "unix:/run/app.sock"),
            ("unix:/run/my app:1.sock:/base/", "unix:/run/my app:1.sock:/base"),
        ] {
            assert_eq!(
                target(text).map(|target| target.with(Scheme::Tcp).to_string()).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
        for text in [
            "",
            "localhost",
            "8083",
            "127.0.0.1",
            "http://",
            "http://:80",
            "http://u:p@a",
            "http://a?b",
            "http://a#b",
            "http://a/../b",
            "ws://a",
            "unix:a",
            "unix:",
            "unix:/",
            "unix:/run/",
            "unix:@a",
            "unix:/a:/b/../c",
            "http://unix:/a",
            "a:0",
            "a:65536",
            "a:+1",
            "a:",
            "::1:80",
            "[::1",
            "[::1]x",
            "[a]:80",
            "a:80/base",
            "tcp://a:80/",
            "http://a b",
            "http://ﬁ",
            "1.2.3:80",
            "http://1.2.3.400",
        ] {
            assert!(target(text).is_err(), "{text}");
        }
    }

    #[test]
    fn targets_of_http2_are_known_where_it_is_spoken() {
        for (text, expected) in [
            ("h2c://localhost:80/a/", "h2c://localhost/a"),
            ("H2://Example.com:443", "h2://example.com"),
            ("h2c://[::1]:50051", "h2c://[::1]:50051"),
        ] {
            let target = target(text).map(|target| target.with(Scheme::Tcp).to_string());
            let expected = if cfg!(feature = "http2") { Ok(expected.to_owned()) } else { Err(NO_HTTP2) };
            assert_eq!(target, expected, "{text}");
        }
    }

    #[test]
    fn binds() {
        for (text, expected) in [
            (":8021", ":8021"),
            ("8021", ":8021"),
            ("*:8021", ":8021"),
            ("127.0.0.1:8021", "127.0.0.1:8021"),
            ("localhost:0", "127.0.0.1:0"),
            ("[::]:8021", "[::]:8021"),
        ] {
            assert_eq!(bind(text).map(|bind| bind.to_string()).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "",
            ":",
            ":65536",
            "70000",
            "127.0.0.1",
            "example.com:80",
            "http://127.0.0.1:80",
            "/a",
            "::1:80",
            "-1",
        ] {
            assert!(bind(text).is_err(), "{text}");
        }
    }
}
