//! The head a target gets: the client's lines as they came, less what is not for the target, plus
//! what we know of the client.

use std::io::Write;
use std::net::IpAddr;

use super::hops;
use crate::config::plan::{Proxy, Rule};
use crate::http::{Authority, Field, Fields, Framing, Name, RequestHead};
use crate::worker::Buffer;

/// What is said of the client, and whether what it says itself is kept.
pub struct Forwarded {
    /// The address of the connection.
    pub peer: IpAddr,
    /// It is one of `trusted_proxies`.
    pub trusted: bool,
    /// `http`, or `https` when the connection is TLS.
    pub proto: &'static str,
}

/// Writes the head for a target: request line, fields, empty line.
///
/// The client's own hop-by-hop fields go first, ours come after, so that a client cannot have ours
/// dropped by naming them in `Connection` (RFC 9110, section 7.6.1).
pub fn write_request_head(
    head: &RequestHead<'_>,
    rule: &Rule,
    proxy: &Proxy,
    target: (&str, &str),
    forwarded: &Forwarded,
    out: &mut Buffer,
) {
    let (authority, base_path) = target;
    out.extend(head.method);
    out.extend(b" ");
    write_target(head, rule, proxy, base_path, out);
    out.extend(b" HTTP/1.1\r\nHost: ");
    match head.host.filter(|_| proxy.pass_host) {
        Some(host) => out.extend(host.as_bytes()),
        None => out.extend(authority.as_bytes()),
    }
    out.extend(b"\r\n");
    let keep = |field: &Field<'_>| is_for_the_target(field, head, forwarded.trusted);
    head.fields.for_each_run(0, keep, |lines| out.extend(lines));
    out.extend(hops::via(head.version));
    write_forwarded(head, forwarded, out);
    if let Some(left) = hops::left(head) {
        // A buffer in memory takes everything.
        let _ = write!(out, "Max-Forwards: {}\r\n", left.saturating_sub(1));
    }
    match head.framing {
        Framing::Chunked => out.extend(b"Transfer-Encoding: chunked\r\n"),
        Framing::Length(length) if !head.is_length_plain => write_length(length, out),
        _ => {}
    }
    if head.upgrade_websocket {
        out.extend(b"Connection: Upgrade\r\nUpgrade: websocket\r\n");
    } else if head.accepts_trailers {
        out.extend(b"Connection: TE\r\nTE: trailers\r\n");
    }
    out.extend(b"\r\n");
}

/// Writes a length that came with zeros in front: to some readers that is an octal number, so one
/// number must not go on in two readings.
pub(super) fn write_length(length: u64, out: &mut Buffer) {
    // A buffer in memory takes everything.
    let _ = write!(out, "Content-Length: {length}\r\n");
}

/// Path and query: unchanged bytes, less the prefix if the rule says so, behind the base path.
fn write_target(head: &RequestHead<'_>, rule: &Rule, proxy: &Proxy, base_path: &str, out: &mut Buffer) {
    let mut rest = head.path_and_query;
    if rest == b"*" {
        return out.extend(rest);
    }
    if proxy.strip_path_prefix {
        rest = &rest[raw_length(rest, rule.path_prefix.trim_end_matches('/').len())..];
    }
    out.extend(base_path.as_bytes());
    if !rest.starts_with(b"/") {
        // An empty path becomes `/`: a target is never empty (RFC 9112, section 3.2.1).
        out.extend(b"/");
    }
    out.extend(rest);
}

/// How many bytes of `raw` stand for the first `decoded` bytes of the path that rules matched on,
/// where an escape such as `%41` counts as one.
fn raw_length(raw: &[u8], decoded: usize) -> usize {
    let mut at = 0;
    for _ in 0..decoded {
        at += match raw.get(at..at + 3) {
            Some([b'%', high, low]) if is_unreserved_escape(*high, *low) => 3,
            _ => 1,
        };
    }
    at.min(raw.len())
}

fn is_unreserved_escape(high: u8, low: u8) -> bool {
    let digit = |byte: u8| (byte as char).to_digit(16);
    let byte = digit(high).zip(digit(low)).map(|(high, low)| (high * 16 + low) as u8);
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// Whether a field of the client's goes on to the target as it is.
fn is_for_the_target(field: &Field<'_>, head: &RequestHead<'_>, trusted: bool) -> bool {
    match field.known() {
        // We write these ourselves, or they end here.
        Name::Host | Name::TransferEncoding | Name::Lookalike => false,
        // CGI would hand it on as HTTP_PROXY, which libraries take for the proxy to use (CVE-2016-5385).
        Name::Proxy => false,
        Name::XForwardedFor
        | Name::XForwardedProto
        | Name::XForwardedHost
        | Name::XRealIp
        | Name::Forwarded => false,
        Name::ContentLength => head.is_length_plain,
        Name::MaxForwards if hops::left(head).is_some() => false,
        Name::Trailer => head.framing == Framing::Chunked && head.accepts_trailers,
        _ if !trusted && is_said_by_a_proxy(field.name()) => false,
        name => !name.is_hop_by_hop() && !field.is_named_by_connection(),
    }
}

/// `X-Forwarded-User` and all the others: only a proxy can know what they say.
fn is_said_by_a_proxy(name: &[u8]) -> bool {
    name.split_at_checked(b"x-forwarded-".len())
        .is_some_and(|(start, _)| start.eq_ignore_ascii_case(b"x-forwarded-"))
}

/// `X-Forwarded-*`, `X-Real-IP` and `Forwarded` (RFC 7239): what we know, behind what a trusted
/// proxy knows.
fn write_forwarded(head: &RequestHead<'_>, forwarded: &Forwarded, out: &mut Buffer) {
    let Forwarded { peer, trusted, proto } = *forwarded;
    let address = AddressText::new(peer);
    let told = |name: Name| if trusted { head.fields.get(name) } else { None };
    let host = head.host.as_ref().map_or(&b""[..], Authority::as_bytes);

    out.extend(b"X-Forwarded-For: ");
    if trusted {
        write_chain(head.fields, Name::XForwardedFor, out);
    }
    out.extend(address.as_bytes());
    out.extend(b"\r\nX-Forwarded-Proto: ");
    out.extend(told(Name::XForwardedProto).unwrap_or(proto.as_bytes()));
    let host_told = told(Name::XForwardedHost).unwrap_or(host);
    if !host_told.is_empty() {
        out.extend(b"\r\nX-Forwarded-Host: ");
        out.extend(host_told);
    }
    out.extend(b"\r\nX-Real-IP: ");
    match told(Name::XRealIp) {
        Some(told) => out.extend(told),
        None => out.extend(address.as_bytes()),
    }
    out.extend(b"\r\nForwarded: ");
    if trusted {
        write_chain(head.fields, Name::Forwarded, out);
    }
    out.extend(b"for=");
    match peer {
        IpAddr::V4(_) => out.extend(address.as_bytes()),
        IpAddr::V6(_) => {
            out.extend(b"\"[");
            out.extend(address.as_bytes());
            out.extend(b"]\"");
        }
    }
    if !host.is_empty() {
        out.extend(b";host=\"");
        out.extend(host);
        out.extend(b"\"");
    }
    out.extend(b";proto=");
    out.extend(proto.as_bytes());
    out.extend(b"\r\n");
}

/// All values of a field, in order, each with a comma behind it.
fn write_chain(fields: Fields<'_>, name: Name, out: &mut Buffer) {
    for field in fields.iter().filter(|field| field.known() == name && !field.value().is_empty()) {
        out.extend(field.value());
        out.extend(b", ");
    }
}

/// An address as text, formatted once for all the fields it stands in.
struct AddressText {
    bytes: [u8; 45],
    len: usize,
}

impl AddressText {
    fn new(address: IpAddr) -> Self {
        let mut text = Self { bytes: [0; 45], len: 0 };
        match address {
            // By hand, because every request does it: the formatting of std takes ten times as long.
            IpAddr::V4(address) => {
                let [first, rest @ ..] = address.octets();
                text.push_number(first);
                for octet in rest {
                    text.push(b'.');
                    text.push_number(octet);
                }
            }
            IpAddr::V6(_) => {
                let mut left = &mut text.bytes[..];
                write!(left, "{address}").expect("invariant: no address is longer");
                text.len = 45 - left.len();
            }
        }
        text
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn push_number(&mut self, number: u8) {
        if number >= 100 {
            self.push(b'0' + number / 100);
        }
        if number >= 10 {
            self.push(b'0' + number / 10 % 10);
        }
        self.push(b'0' + number % 10);
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_as_std_writes_them() {
        for address in
            ["0.0.0.0", "9.10.99.100", "255.255.255.255", "127.0.0.1", "::", "2001:db8::1", "::ffff:1.2.3.4"]
        {
            let parsed: IpAddr = address.parse().unwrap();
            assert_eq!(AddressText::new(parsed).as_bytes(), parsed.to_string().as_bytes());
        }
        let longest = "1111:2222:3333:4444:5555:6666:7777:8888".parse().unwrap();
        assert_eq!(AddressText::new(longest).as_bytes().len(), 39);
    }

    #[test]
    fn a_prefix_that_was_written_with_escapes_is_stripped_whole() {
        assert_eq!(raw_length(b"/users/7", 6), 6);
        assert_eq!(raw_length(b"/%75sers/7", 6), 8);
        assert_eq!(raw_length(b"/%75%73%65%72%73", 6), 16);
        assert_eq!(raw_length(b"/a%2Fb", 3), 3, "a reserved escape is three bytes to the rules too");
        assert_eq!(raw_length(b"/u", 6), 2);
    }
}
