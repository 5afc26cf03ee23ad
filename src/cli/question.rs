//! A URL as a person writes it becomes what a rule is asked about.

use crate::config::plan::{Bind, Listener, Plan, Protocol};
use crate::log::Reason;

/// A request, as far as its URL tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Lower case, without port, without a dot at the end.
    pub(super) host: String,
    /// Written, or the scheme's.
    pub(super) port: u16,
    /// The path as it would stand in the request line, without the query.
    pub(super) path: String,
    /// The query with its question mark; empty when there is none.
    pub(super) query: String,
}

impl Asked {
    /// Reads `[http[s]://]host[:port][/path][?query][#fragment]`; the error is half a sentence.
    pub(super) fn read(url: &str) -> Result<Asked, String> {
        let (default_port, rest) = match url.split_once("://") {
            None => (80, url),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (80, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (443, rest),
            Some((scheme, _)) => return Err(format!("`{scheme}://` is not http:// or https://")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("a user name in the URL never reaches a proxy: leave it out".to_owned());
        }
        let (host, port) = split_authority(authority, default_port)?;
        let (path, query) = tail.split_at(tail.find('?').unwrap_or(tail.len()));
        let path = if path.is_empty() { "/" } else { path };
        Ok(Asked { host, port, path: path.to_owned(), query: query.to_owned() })
    }

    /// The path as rules see it: percent-escapes of unreserved characters decoded (RFC 3986, 6.2.2.2).
    /// The error is why the gate would refuse the request before it looks at a rule.
    pub(super) fn path_for_matching(&self) -> Result<String, Reason> {
        let bytes = self.path.as_bytes();
        if !bytes.iter().all(|byte| byte.is_ascii_graphic()) {
            return Err(Reason::RequestTarget);
        }
        let mut decoded = String::with_capacity(bytes.len());
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match unreserved_escape(&bytes[at..]) {
                Some(plain) => {
                    decoded.push(char::from(plain));
                    at += 3;
                }
                None => {
                    decoded.push(char::from(byte));
                    at += 1;
                }
            }
        }
        if decoded.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(Reason::RequestTarget);
        }
        Ok(decoded)
    }
}

/// The character behind a percent-escape at the start of `bytes`, when it is unreserved (RFC 3986, 2.3).
fn unreserved_escape(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
    (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)).then_some(byte)
}

fn split_authority(authority: &str, default_port: u16) -> Result<(String, u16), String> {
    let colon = match authority.rfind(']') {
        Some(bracket) => authority[bracket..].find(':').map(|at| bracket + at),
        None => authority.rfind(':'),
    };
    let (host, port) = authority.split_at(colon.unwrap_or(authority.len()));
    let port = match port.trim_start_matches(':') {
        "" => default_port,
        digits => digits.parse().map_err(|_| format!("`{digits}` is not a port"))?,
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if host.is_empty() {
        return Err("it has no host: write it as http://host:port/path".to_owned());
    }
    Ok((host, port))
}

/// The listener that would accept the request, and how that was found out.
#[derive(Debug)]
pub(super) struct Accepted<'a> {
    pub(super) listener: &'a Listener,
    /// Half a sentence for the reader; empty when the port of the URL is the listener's.
    pub(super) note: String,
}

/// Picks by name, else by port; where no listener has the port and there is a single HTTP listener,
/// that one. The error is a sentence.
pub(super) fn accepted<'a>(
    plan: &'a Plan,
    asked: &Asked,
    name: Option<&str>,
) -> Result<Accepted<'a>, String> {
    if let Some(name) = name {
        let named = plan.listeners.iter().find(|listener| &*listener.name == name);
        let listener = named.ok_or_else(|| format!("no listener is named `{name}`; {}", there_are(plan)))?;
        return Ok(Accepted { listener, note: String::new() });
    }
    if let Some(listener) = by_port(plan, asked) {
        return Ok(Accepted { listener, note: String::new() });
    }
    let mut http = plan.listeners.iter().filter(|listener| matches!(listener.protocol, Protocol::Http(_)));
    match (http.next(), http.next()) {
        (Some(listener), None) => {
            let note = format!("no listener has port {}; this is the only one for HTTP", asked.port);
            Ok(Accepted { listener, note })
        }
        _ => {
            Err(format!("no listener has port {}; {}. Name one with --listener", asked.port, there_are(plan)))
        }
    }
}

/// Among listeners of one port, one whose address the URL names comes first.
fn by_port<'a>(plan: &'a Plan, asked: &Asked) -> Option<&'a Listener> {
    let has = |listener: &&Listener, fits: &dyn Fn(&Bind) -> bool| listener.binds.iter().any(fits);
    let address = |bind: &Bind| match bind {
        Bind::Address(address) => {
            address.port() == asked.port && asked.host.trim_matches(['[', ']']).parse() == Ok(address.ip())
        }
        Bind::Any(_) => false,
    };
    let port = |bind: &Bind| bind.port() == asked.port;
    let mut listeners = plan.listeners.iter();
    listeners.clone().find(|it| has(it, &address)).or_else(|| listeners.find(|it| has(it, &port)))
}

fn there_are(plan: &Plan) -> String {
    let known: Vec<String> =
        plan.listeners.iter().map(|listener| format!("{} ({})", listener.name, binds(listener))).collect();
    match known.as_slice() {
        [] => "there are none".to_owned(),
        [one] => format!("there is {one}"),
        more => format!("there are {}", more.join(", ")),
    }
}

/// The addresses of a listener, in one word.
pub(super) fn binds(listener: &Listener) -> String {
    let binds: Vec<String> = listener.binds.iter().map(Bind::to_string).collect();
    binds.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &str, port: u16, path: &str, query: &str) -> Result<Asked, String> {
        Ok(Asked { host: host.to_owned(), port, path: path.to_owned(), query: query.to_owned() })
    }

    #[test]
    fn urls_as_people_write_them() {
        for (url, expected) in [
            ("http://Admin.Localhost:8021/users/7?a=1#x", asked("admin.localhost", 8021, "/users/7", "?a=1")),
            ("https://example.com", asked("example.com", 443, "/", "")),
            ("HTTP://example.com./", asked("example.com", 80, "/", "")),
            ("localhost:8021/x", asked("localhost", 8021, "/x", "")),
            ("localhost?q", asked("localhost", 80, "/", "?q")),
            ("http://[::1]:81/x", asked("[::1]", 81, "/x", "")),
            ("http://[::1]", asked("[::1]", 80, "/", "")),
            ("http://h:/", asked("h", 80, "/", "")),
        ] {
            assert_eq!(Asked::read(url), expected, "{url}");
        }
    }

    #[test]
    fn the_path_is_decoded_as_far_as_rules_see_it() {
        let path = |text: &str| Asked::read(&format!("http://h{text}")).unwrap().path_for_matching();
        assert_eq!(path("/%75sers/%2Fx%zz%4").unwrap(), "/users/%2Fx%zz%4");
        assert_eq!(path("/...").unwrap(), "/...");
        for refused in ["/a/../b", "/%2e%2E", "/.%2e/", "/a b", "/ü", "/."] {
            assert_eq!(path(refused), Err(Reason::RequestTarget), "{refused}");
        }
    }

    #[test]
    fn what_is_no_url_is_said() {
        for (url, part) in [
            ("ftp://x/", "not http://"),
            ("/users", "no host"),
            ("http://", "no host"),
            ("http://u:p@h/", "user name"),
            ("http://h:99999/", "not a port"),
            ("http://h:x/", "not a port"),
        ] {
            let error = Asked::read(url).unwrap_err();
            assert!(error.contains(part), "{url}: {error}");
        }
    }
}
