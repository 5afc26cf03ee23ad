//! The fields that describe the client: `X-Forwarded-*`, `X-Real-IP` and `Forwarded`.

use std::io::Write;
use std::net::IpAddr;

use crate::config::plan::HttpListener;
use crate::http::{Authority, Fields, Name, Origin, RequestHead, client_behind, is_token};
use crate::proxy::client::Exchange;
use crate::worker::Buffer;

/// The description of a client, and whether its own such fields are kept.
pub struct Forwarded<'b> {
    /// The address of the connection.
    pub peer: IpAddr,
    /// The client, if the address is one of `trusted_proxies`.
    pub behind: Option<Origin<'b>>,
    /// `http`, or `https` when the connection is TLS.
    pub proto: &'static str,
}

impl<'b> Forwarded<'b> {
    /// Inlined, because the way of every request has it once.
    #[inline(always)]
    pub(super) fn of(exchange: &Exchange<'_>, head: &RequestHead<'b>) -> Self {
        let peer = exchange.client.peer;
        let behind = exchange.snapshot.http().and_then(|http| client_of(http, peer, head));
        let proto = if exchange.client.stream.is_encrypted() { "https" } else { "http" };
        Self { peer, behind, proto }
    }

    /// The address of the client.
    pub(super) fn client(&self) -> IpAddr {
        self.behind.as_ref().map_or(self.peer, |client| client.address)
    }

    /// Whether the fields of the peer that describe its client are kept.
    pub(super) fn is_trusted(&self) -> bool {
        self.behind.is_some()
    }
}

/// The client of a request behind `peer`, if that is one of `trusted_proxies`.
#[inline]
pub(in crate::proxy) fn client_of<'b>(
    http: &HttpListener,
    peer: IpAddr,
    head: &RequestHead<'b>,
) -> Option<Origin<'b>> {
    if http.trusted_proxies.is_empty() { None } else { client_behind_proxy(http, peer, head) }
}

/// As [`client_of`]. A function of its own, because most listeners trust no proxy.
#[cold]
fn client_behind_proxy<'b>(http: &HttpListener, peer: IpAddr, head: &RequestHead<'b>) -> Option<Origin<'b>> {
    let trusted = |address: &IpAddr| http.trusted_proxies.iter().any(|network| network.contains(address));
    trusted(&peer).then(|| client_behind(head.fields, peer, trusted))
}

/// Writes `X-Forwarded-*`, `X-Real-IP` and `Forwarded` (RFC 7239), behind the values of a trusted proxy.
#[inline(always)]
pub(super) fn write_forwarded(head: &RequestHead<'_>, forwarded: &Forwarded<'_>, out: &mut Buffer) {
    let Forwarded { peer, behind, proto } = forwarded;
    let (peer, own) = (*peer, proto.as_bytes());
    let host = head.host.as_ref().map_or(&b""[..], Authority::as_bytes);
    match behind {
        None => {
            let address = AddressText::new(peer);
            write_fields(&address, &address, (own, host), out, |_, _| {});
            out.extend(b"\r\nForwarded: for=");
            write_element((peer, &address), (own, host), out);
        }
        Some(client) => write_behind(head, (peer, *client), (own, host), out),
    }
}

/// Writes the fields for a request that came from a trusted proxy.
#[cold]
fn write_behind(
    head: &RequestHead<'_>,
    (peer, client): (IpAddr, Origin<'_>),
    (own_proto, own_host): (&[u8], &[u8]),
    out: &mut Buffer,
) {
    let (near, far) = (AddressText::new(peer), AddressText::new(client.address));
    let value = |name| head.fields.get(name);
    let proto = value(Name::XForwardedProto).or(client.proto).unwrap_or(own_proto);
    let host = value(Name::XForwardedHost).unwrap_or(own_host);
    write_fields(&near, &far, (proto, host), out, |name, out| write_chain(head.fields, name, out));
    out.extend(b"\r\nForwarded: ");
    write_chain(head.fields, Name::Forwarded, out);
    out.extend(b"for=");
    // Only a token and a host fit into an element.
    let proto = Some(proto).filter(|proto| is_token(proto)).unwrap_or(own_proto);
    let host = Some(host).filter(|host| Authority::parse(host).is_ok()).unwrap_or(own_host);
    // Without earlier elements, the one of smolgate is all that a target learns of the client.
    let node = if value(Name::Forwarded).is_some() { (peer, &near) } else { (client.address, &far) };
    write_element(node, (proto, host), out);
}

/// Writes all fields before `Forwarded`. `near` is the address of the peer, `far` that of the
/// client. `chain` writes the earlier values of a field.
#[inline(always)]
fn write_fields(
    near: &AddressText,
    far: &AddressText,
    (proto, host): (&[u8], &[u8]),
    out: &mut Buffer,
    chain: impl Fn(Name, &mut Buffer),
) {
    out.extend(b"X-Forwarded-For: ");
    chain(Name::XForwardedFor, out);
    out.extend(near.as_bytes());
    out.extend(b"\r\nX-Forwarded-Proto: ");
    out.extend(proto);
    if !host.is_empty() {
        out.extend(b"\r\nX-Forwarded-Host: ");
        out.extend(host);
    }
    out.extend(b"\r\nX-Real-IP: ");
    out.extend(far.as_bytes());
}

/// Writes an element of `Forwarded` behind its `for=`, and the end of the line.
#[inline(always)]
fn write_element((address, text): (IpAddr, &AddressText), (proto, host): (&[u8], &[u8]), out: &mut Buffer) {
    match address {
        IpAddr::V4(_) => out.extend(text.as_bytes()),
        IpAddr::V6(_) => {
            out.extend(b"\"[");
            out.extend(text.as_bytes());
            out.extend(b"]\"");
        }
    }
    let before_proto: &[u8] = if host.is_empty() {
        b";proto="
    } else {
        out.extend(b";host=\"");
        out.extend(host);
        b"\";proto="
    };
    out.extend(before_proto);
    out.extend(proto);
    out.extend(b"\r\n");
}

/// Writes `X-Forwarded-Prefix`, the part of the path that is stripped, behind the part that a trusted proxy has
/// stripped before. It is the prefix of the rule, and not the spelling of the client.
#[cold]
pub(super) fn write_prefix(
    prefix: &str,
    head: &RequestHead<'_>,
    forwarded: &Forwarded<'_>,
    out: &mut Buffer,
) {
    let before =
        head.fields.get(Name::XForwardedPrefix).filter(|_| forwarded.is_trusted()).unwrap_or_default();
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
