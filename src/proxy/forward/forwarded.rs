//! The fields that describe the client: `X-Forwarded-*`, `X-Real-IP` and `Forwarded`.

use std::io::Write;
use std::net::IpAddr;

use crate::config::plan::HttpListener;
use crate::http::{Authority, Fields, Name, RequestHead};
use crate::proxy::client::Exchange;
use crate::worker::Buffer;

/// The description of a client, and whether its own such fields are kept.
pub struct Forwarded {
    /// The address of the connection.
    pub peer: IpAddr,
    /// The address is one of `trusted_proxies`.
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

/// Writes `X-Forwarded-*`, `X-Real-IP` and `Forwarded` (RFC 7239), behind the values of a trusted proxy.
pub(super) fn write_forwarded(head: &RequestHead<'_>, forwarded: &Forwarded, out: &mut Buffer) {
    let Forwarded { peer, trusted, proto } = *forwarded;
    let address = AddressText::new(peer);
    let trusted_value = |name: Name| if trusted { head.fields.get(name) } else { None };
    let host = head.host.as_ref().map_or(&b""[..], Authority::as_bytes);

    out.extend(b"X-Forwarded-For: ");
    if trusted {
        write_chain(head.fields, Name::XForwardedFor, out);
    }
    out.extend(address.as_bytes());
    out.extend(b"\r\nX-Forwarded-Proto: ");
    out.extend(trusted_value(Name::XForwardedProto).unwrap_or(proto.as_bytes()));
    let forwarded_host = trusted_value(Name::XForwardedHost).unwrap_or(host);
    if !forwarded_host.is_empty() {
        out.extend(b"\r\nX-Forwarded-Host: ");
        out.extend(forwarded_host);
    }
    out.extend(b"\r\nX-Real-IP: ");
    match trusted_value(Name::XRealIp) {
        Some(value) => out.extend(value),
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

/// Writes `X-Forwarded-Prefix`, the part of the path that is stripped, behind the part that a trusted proxy has
/// stripped before. It is the prefix of the rule, and not the spelling of the client.
#[cold]
pub(super) fn write_prefix(prefix: &str, head: &RequestHead<'_>, forwarded: &Forwarded, out: &mut Buffer) {
    let before = head.fields.get(Name::XForwardedPrefix).filter(|_| forwarded.trusted).unwrap_or_default();
    out.extend(b"X-Forwarded-Prefix: ");
    out.extend(before.strip_suffix(b"/").unwrap_or(before));
    out.extend(prefix.as_bytes());
    out.extend(b"\r\n");
}

/// Writes all values of a field, in order, each with a comma behind it.
fn write_chain(fields: Fields<'_>, name: Name, out: &mut Buffer) {
    for field in fields.iter().filter(|field| field.known() == name && !field.value().is_empty()) {
        out.extend(field.value());
        out.extend(b", ");
    }
}

/// An address as text, formatted once for all fields that contain it.
struct AddressText {
    bytes: [u8; 45],
    len: usize,
}

/// Each octet in decimal with a dot behind it, and the number of these bytes.
static OCTETS: [([u8; 4], u8); 256] = {
    let mut octets = [([b'.'; 4], 0); 256];
    let mut octet = 0;
    while octet < 256 {
        let (digits, mut text) = (1 + (octet >= 10) as usize + (octet >= 100) as usize, [b'.'; 4]);
        let (mut at, mut rest) = (digits, octet);
        while at > 0 {
            at -= 1;
            text[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        octets[octet] = (text, digits as u8 + 1);
        octet += 1;
    }
    octets
};

impl AddressText {
    fn new(address: IpAddr) -> Self {
        let mut text = Self { bytes: [0; 45], len: 0 };
        match address {
            // Copied from a table, because every request does it: formatting by std takes ten times as long.
            IpAddr::V4(address) => {
                for octet in address.octets() {
                    let (digits, len) = &OCTETS[usize::from(octet)];
                    text.bytes[text.len..text.len + 4].copy_from_slice(digits);
                    text.len += usize::from(*len);
                }
                // Remove the last dot.
                text.len -= 1;
            }
            IpAddr::V6(_) => {
                let mut left = &mut text.bytes[..];
                write!(left, "{address}").expect("invariant: no address is longer");
                text.len = 45 - left.len();
            }
        }
        text
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_std_writes_them() {
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
