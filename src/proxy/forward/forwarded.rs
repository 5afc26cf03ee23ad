//! What a target is told of the client: `X-Forwarded-*`, `X-Real-IP` and `Forwarded`.

use std::io::Write;
use std::net::IpAddr;

use crate::config::plan::HttpListener;
use crate::http::{Fields, Name, RequestHead};
use crate::proxy::client::Exchange;
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

impl Forwarded {
    pub(super) fn of(exchange: &Exchange<'_>) -> Self {
        let peer = exchange.client.peer;
        let is_proxy =
            |http: &HttpListener| http.trusted_proxies.iter().any(|network| network.contains(&peer));
        let trusted = exchange.snapshot.http().is_some_and(is_proxy);
        let proto = if exchange.client.stream.is_encrypted() { "https" } else { "http" };
        Self { peer, trusted, proto }
    }
}

/// `X-Forwarded-User` and all the others: only a proxy can know what they say.
pub(super) fn is_said_by_a_proxy(name: &[u8]) -> bool {
    name.split_at_checked(b"x-forwarded-".len())
        .is_some_and(|(start, _)| start.eq_ignore_ascii_case(b"x-forwarded-"))
}

/// `X-Forwarded-*`, `X-Real-IP` and `Forwarded` (RFC 7239): what we know, behind what a trusted
/// proxy knows.
pub(super) fn write_forwarded(head: &RequestHead<'_>, forwarded: &Forwarded, out: &mut Buffer) {
    let Forwarded { peer, trusted, proto } = *forwarded;
    let address = AddressText::new(peer);
    let told = |name: Name| if trusted { head.fields.get(name) } else { None };
    let host = head.host.unwrap_or_default();

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
}
