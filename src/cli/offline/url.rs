//! Parses a URL as people write it into a request for the rules.

use std::net::IpAddr;

use crate::config::plan::{Bind, Listener, Plan, Protocol};
use crate::gate::{certificate_for, has_certificate, ordered_name};
use crate::http::{FieldTable, Fields, HeadLimits, Refusal, idn, match_path};
use crate::http1::{HeadScan, parse_request};
use crate::reason::Reason;
use crate::routing::RequestView;

/// A request, as far as its URL tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The host, and the port if one was written: the value of `Host`.
    pub(super) authority: String,
    /// The host in lower case, without a port and without a dot at the end.
    pub(super) host: String,
    /// The host of the URL, which is the name in the client hello.
    pub(super) name: String,
    /// Further header fields.
    fields: Vec<String>,
    /// The port that was written, else that of the scheme.
    pub(super) port: u16,
    /// Whether the URL begins with `https://` or `http://`. `None` if it has no scheme.
    pub(super) is_https: Option<bool>,
    /// The path as it stands in the request line, without the query.
    pub(super) path: String,
    /// The query with its question mark. Empty if there is none.
    pub(super) query: String,
}

impl Asked {
    /// Parses `[http[s]://]host[:port][/path][?query][#fragment]`. The error is half a sentence.
    pub(super) fn read(url: &str) -> Result<Asked, String> {
        // Control characters would end the request line and change the request.
        if url.contains(|char: char| char.is_ascii_control()) {
            return Err("it has a control character".to_owned());
        }
        let (is_https, rest) = match url.split_once("://") {
            None => (None, url),
            Some((scheme, rest)) if is_one(scheme, ["http", "ws"]) => (Some(false), rest),
            Some((scheme, rest)) if is_one(scheme, ["https", "wss"]) => (Some(true), rest),
            Some((scheme, _)) => return Err(format!("`{scheme}://` is not http:// or https://")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err("a user name in the URL never reaches a proxy: leave it out".to_owned());
        }
        let authority = in_ascii(authority);
        let (host, port) = split_authority(&authority, if is_https == Some(true) { 443 } else { 80 })?;
        let (path, query) = tail.split_at(tail.find('?').unwrap_or(tail.len()));
        let path = if path.is_empty() { "/" } else { path };
        let [path, query] = [path, query].map(str::to_owned);
        Ok(Asked { authority, name: host.clone(), host, fields: Vec::new(), port, is_https, path, query })
    }

    /// The request with these header fields. A field `Host` takes the place of the URL's host, as it does with curl.
    pub(super) fn with_fields(mut self, fields: &[String]) -> Result<Asked, String> {
        for field in fields {
            match field.split_once(':') {
                None => return Err(format!("`-H {field}` is not a header field: write `-H 'Name: value'`")),
                Some((name, value)) if name.eq_ignore_ascii_case("host") => {
                    self.authority = in_ascii(value.trim());
                    self.host = split_authority(&self.authority, self.port)?.0;
                }
                Some(_) => self.fields.push(field.clone()),
            }
        }
        Ok(self)
    }

    /// The name in the client hello. It has none for an address (RFC 6066, section 3).
    pub(super) fn server_name(&self) -> Option<&[u8]> {
        let is_address = self.name.starts_with('[') || self.name.parse::<std::net::IpAddr>().is_ok();
        (!is_address).then_some(self.name.as_bytes())
    }

    /// Whether a handshake for the URL can begin. It always can where TLS is not terminated.
    pub(super) fn finds_certificate(&self, listener: &Listener) -> bool {
        listener.tls.is_none() || has_certificate(listener, Some(self.name.as_bytes()))
    }

    /// The name of the certificate that is ordered for the URL.
    pub(super) fn ordered_name(&self, listener: &Listener) -> Option<String> {
        ordered_name(listener, Some(self.name.as_bytes()))
    }

    /// The certificate of a file for the URL, as a line.
    pub(super) fn certificate(&self, listener: &Listener) -> Option<String> {
        let (name, until) = certificate_for(listener, self.server_name())?;
        Some(format!("  the certificate is that of a file, for {name}, until {until}\n"))
    }

    /// The request as rules see it. The head that a client would send goes through the gate's own parser. The
    /// error is the reason why the gate would refuse it before it looks at a rule.
    pub(super) fn routed(&self, method: &str, limits: &HeadLimits) -> Result<Routed, Refusal> {
        let Asked { authority, path, query, fields, .. } = self;
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let bytes =
            format!("{method} {path}{query} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n").into_bytes();
        let mut table = FieldTable::new();
        let head = parse_request(&bytes, &mut HeadScan::default(), limits, &mut table)?;
        let unfinished = || Refusal {
            reason: Reason::RequestMalformed,
            detail: "the request head does not end".to_owned(),
        };
        let head = head.ok_or_else(unfinished)?;
        let host = head.host_key().map(|key| key.as_bytes().to_vec()).unwrap_or_default();
        let (path, raw_path) = (match_path(head.path).into_owned(), head.path.to_vec());
        let [method, query] = [head.method, head.query.unwrap_or_default()].map(<[u8]>::to_vec);
        Ok(Routed { host, path, raw_path, method, query, bytes, table })
    }
}

/// Whether a scheme is one of these. That of WebSocket is an upgrade of an HTTP request (RFC 6455, section 3).
fn is_one(scheme: &str, of: [&str; 2]) -> bool {
    of.iter().any(|known| scheme.eq_ignore_ascii_case(known))
}

/// A request as rules compare it, and the path as it was received.
#[derive(Debug)]
pub(super) struct Routed {
    pub(super) host: Vec<u8>,
    pub(super) path: Vec<u8>,
    /// The path as a target receives it.
    pub(super) raw_path: Vec<u8>,
    method: Vec<u8>,
    query: Vec<u8>,
    /// The head, and the table of its fields.
    bytes: Vec<u8>,
    table: FieldTable,
}

impl Routed {
    /// The request as one of `client`.
    pub(super) fn view(&self, client: IpAddr) -> RequestView<'_> {
        let Routed { host, path, raw_path: _, method, query, bytes, table } = self;
        let fields = Fields::new(bytes, table);
        RequestView { host, path, method, client, query, fields, is_reading: false }
    }
}

/// The authority as clients send it: a host in Unicode becomes its form in punycode. A host without such a form stays
/// as it is.
fn in_ascii(authority: &str) -> String {
    let (host, port) = authority.split_at(authority.rfind(':').unwrap_or(authority.len()));
    match idn::to_ascii(host).filter(|_| !host.is_ascii()) {
        Some(ascii) => ascii + port,
        None => authority.to_owned(),
    }
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

/// The listener that would accept the request, and how it was chosen.
#[derive(Debug)]
pub(super) struct Accepted<'a> {
    pub(super) listener: &'a Listener,
    /// Half a sentence for the reader. Empty if the port of the URL is that of the listener.
    pub(super) note: String,
}

/// Chooses a listener by name, else by port. If no listener has the port, and there is only one HTTP listener, or only
/// one for the scheme of the URL, it chooses that. The error is a sentence.
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
    let http = plan.listeners.iter().filter(|listener| matches!(listener.protocol, Protocol::Http(_)));
    let of_scheme = http.clone().filter(|listener| Some(listener.tls.is_some()) == asked.is_https);
    let scheme = if asked.is_https == Some(true) { "https" } else { "http" };
    let only = sole(http).map(|it| (it, "HTTP")).or_else(|| sole(of_scheme).map(|it| (it, scheme)));
    let port = asked.port;
    let unknown = || format!("no listener has port {port}; {}. Name one with --listener", there_are(plan));
    let (listener, what) = only.ok_or_else(unknown)?;
    Ok(Accepted { listener, note: format!("no listener has port {port}; this is the only one for {what}") })
}

/// The item of an iterator that has only one.
fn sole<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    items.next().filter(|_| items.next().is_none())
}

/// Chooses a listener by port. Of several ones, a listener with the address of the URL comes first.
fn by_port<'a>(plan: &'a Plan, asked: &Asked) -> Option<&'a Listener> {
    let has = |listener: &&Listener, fits: &dyn Fn(&Bind) -> bool| listener.binds.iter().any(fits);
    let address = |bind: &Bind| match bind {
        Bind::Address(address) => {
            address.port() == asked.port && asked.name.trim_matches(['[', ']']).parse() == Ok(address.ip())
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

    #[test]
    fn urls_are_parsed_as_people_write_them() {
        for (url, host, port, path, query) in [
            ("http://Admin.Localhost:8021/users/7?a=1#x", "admin.localhost", 8021, "/users/7", "?a=1"),
            ("https://example.com", "example.com", 443, "/", ""),
            ("wss://example.com/chat", "example.com", 443, "/chat", ""),
            ("ws://example.com/chat", "example.com", 80, "/chat", ""),
            ("HTTP://example.com./", "example.com", 80, "/", ""),
            ("localhost:8021/x", "localhost", 8021, "/x", ""),
            ("localhost?q", "localhost", 80, "/", "?q"),
            ("http://[::1]:81/x", "[::1]", 81, "/x", ""),
            ("http://[::1]", "[::1]", 80, "/", ""),
            ("http://h:/", "h", 80, "/", ""),
            ("http://MÜNCHEN.example:81/x", "xn--mnchen-3ya.example", 81, "/x", ""),
        ] {
            let asked = Asked::read(url).unwrap();
            let read = (asked.host.as_str(), asked.port, asked.path.as_str(), asked.query.as_str());
            assert_eq!(read, (host, port, path, query), "{url}");
        }
    }

    fn routed(url: &str) -> Result<[Vec<u8>; 3], Reason> {
        let limits = HeadLimits { bytes: 1_000, fields: 10, target: 100 };
        Asked::read(url)
            .unwrap()
            .routed("GET", &limits)
            .map(|routed| [routed.host, routed.path, routed.raw_path])
            .map_err(|refusal| refusal.reason)
    }

    #[test]
    fn host_and_path_are_what_the_gate_would_compare() {
        for (url, host, path, raw_path) in [
            ("http://H.localhost.:81/%75sers/%2Fx?y=/../", "h.localhost", "/users/%2Fx", "/%75sers/%2Fx"),
            ("http://h", "h", "/", "/"),
            ("http://[::1]:1/...", "[::1]", "/...", "/..."),
        ] {
            let expected = [host, path, raw_path].map(|part| part.as_bytes().to_vec());
            assert_eq!(routed(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn a_request_that_the_gate_would_refuse_is_refused() {
        for url in ["http://h/a/../b", "http://h/%2e%2E", "http://h/ü", "http://h/."] {
            assert_eq!(routed(url), Err(Reason::RequestTarget), "{url}");
        }
        assert_eq!(routed(&format!("http://h/{}", "x".repeat(200))), Err(Reason::TargetTooLong));
        assert_eq!(routed("http://h,i/"), Err(Reason::RequestHost));
        assert!(routed("http://h/a b").is_err());
    }

    #[test]
    fn a_text_that_is_no_url_is_an_error() {
        for (url, part) in [
            ("ftp://x/", "not http://"),
            ("/users", "no host"),
            ("http://", "no host"),
            ("http://u:p@h/", "user name"),
            ("http://h:99999/", "not a port"),
            ("http://h:x/", "not a port"),
            ("http://h/\r\nHost: i", "control character"),
        ] {
            let error = Asked::read(url).unwrap_err();
            assert!(error.contains(part), "{url}: {error}");
        }
    }
}
