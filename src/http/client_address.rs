//! The address of the client behind trusted proxies, from `X-Forwarded-For`, `Forwarded` (RFC 7239) or `X-Real-IP`.

use std::net::IpAddr;

use super::class::{is_token, trim};
use super::fields::Fields;
use super::name::Name;

/// A client as trusted proxies describe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin<'b> {
    /// Its address. Never an IPv4-mapped IPv6 address.
    pub address: IpAddr,
    /// The scheme that it used, if `Forwarded` says it.
    pub proto: Option<&'b [u8]>,
}

/// The client of a request that came from `peer`, a trusted proxy. Proxies append the address of their peer, so the
/// client is the last address that is not trusted. What stands before it may be forged and is not read. An entry that
/// is no address ends the search: the client is the trusted address behind it.
///
/// `Forwarded` is read only without `X-Forwarded-For`, and `X-Real-IP` only without both.
pub fn client_behind<'b>(fields: Fields<'b>, peer: IpAddr, trusted: impl Fn(&IpAddr) -> bool) -> Origin<'b> {
    let mut last = Origin { address: peer, proto: None };
    for entry in entries(fields) {
        let Some(origin) = entry else { break };
        last = origin;
        if !trusted(&origin.address) {
            break;
        }
    }
    last
}

/// The entries of the field that counts, the last one first. `None` for what is no address.
fn entries<'b>(fields: Fields<'b>) -> impl Iterator<Item = Option<Origin<'b>>> {
    let values = move |name| {
        let named = fields.iter().rev().filter(move |field| field.known() == name);
        named.map(|field| field.value()).filter(|value| !value.is_empty())
    };
    let list = move |name| values(name).flat_map(items_from_the_end);
    let plain = |node| Some(Origin { address: node_address(node)?, proto: None });
    let by_list = list(Name::XForwardedFor).map(plain);
    let counts = [Name::XForwardedFor, Name::Forwarded].map(|name| list(name).next().is_some());
    let by_element = list(Name::Forwarded).map(element).filter(move |_| !counts[0]);
    by_list
        .chain(by_element)
        .chain(values(Name::XRealIp).map(plain).take(1).filter(move |_| counts == [false; 2]))
}

/// The items of a list, the last one first. A comma inside of quotes divides nothing. Empty items are left out.
fn items_from_the_end(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.rsplit(outside_quotes(b',')).map(trim).filter(|item| !item.is_empty())
}

/// Tells, for one byte after the other in either direction, whether it is a `mark` outside of quotes. No value that is
/// read here has an escaped quote.
fn outside_quotes(mark: u8) -> impl FnMut(&u8) -> bool {
    let mut quoted = false;
    move |&byte| {
        quoted ^= byte == b'"';
        byte == mark && !quoted
    }
}

/// An element of `Forwarded`: `for=192.0.2.1;proto=https`.
fn element(element: &[u8]) -> Option<Origin<'_>> {
    let parameter = |name: &[u8]| {
        let pairs = element.split(outside_quotes(b';')).map(trim);
        pairs
            .filter_map(|pair| pair.split_at_checked(name.len()))
            .find_map(|(start, value)| start.eq_ignore_ascii_case(name).then(|| unquoted(value)))
    };
    Some(Origin {
        address: node_address(parameter(b"for=")?)?,
        proto: parameter(b"proto=").filter(|proto| is_token(proto)),
    })
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

/// An address, maybe in brackets, maybe with a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn node_address(node: &[u8]) -> Option<IpAddr> {
    let node = std::str::from_utf8(node).ok()?;
    let is_port =
        |port: &str| (1..=5).contains(&port.len()) && port.bytes().all(|byte| byte.is_ascii_digit());
    let address = match node.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            let port_fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            IpAddr::V6(address.parse().ok().filter(|_| port_fits)?)
        }
        None => match node.split_once(':') {
            Some((address, port)) if is_port(port) && address.contains('.') => {
                IpAddr::V4(address.parse().ok()?)
            }
            _ => node.parse().ok()?,
        },
    };
    Some(address.to_canonical())
}
