//! A request as plugins see it.

use std::net::{IpAddr, SocketAddr};

use crate::http::{Framing, RequestHead, Version, match_path};
use crate::mux::Transport;
use crate::plugin::messages::{RequestInfo, Texts};
use crate::proxy::client::Exchange;
use crate::proxy::record::{Detail, Failure};
use crate::reason::Reason;

/// Bytes of a body that plugins see.
pub(super) const BODY_MAX: usize = 64 * 1024;

/// The failure of a plugin.
pub(super) fn failed(why: String) -> Failure {
    Failure { reason: Reason::PluginFailed, detail: Detail::Text(why) }
}

/// The request with this head. `body` has the first bytes of its body.
pub(super) fn request_info(
    exchange: &Exchange<'_>,
    route: &str,
    head: &RequestHead<'_>,
    body: &[u8],
) -> RequestInfo {
    let host = head.host.map(|host| host.as_bytes()).unwrap_or_default();
    let protocol: &[u8] = match head.version {
        Version::Http10 => b"HTTP/1.0",
        Version::Http11 => b"HTTP/1.1",
        Version::Http2 => b"HTTP/2.0",
    };
    RequestInfo {
        route: route.into(),
        method: head.method.into(),
        path: match_path(head.path).into_owned(),
        query: head.query.unwrap_or_default().into(),
        domain: without_port(host).into(),
        host: host.into(),
        protocol: protocol.into(),
        client: client_text(&exchange.client.stream, exchange.record.client),
        length: match head.framing {
            Framing::None => 0,
            Framing::Length(length) => i64::try_from(length).unwrap_or(i64::MAX),
            Framing::Chunked | Framing::UntilClose => -1,
        },
        headers: fields(head),
        body: body.into(),
        ..RequestInfo::default()
    }
}

/// The address and the port of a client. The port is 0 behind a proxy that tells the address.
pub(super) fn client_text(stream: &Transport, client: IpAddr) -> Vec<u8> {
    let peer = stream.addresses().ok().map(|(peer, _)| peer);
    let port = peer.filter(|peer| peer.ip().to_canonical() == client).map_or(0, |peer| peer.port());
    SocketAddr::new(client, port).to_string().into_bytes()
}

/// The host without its port. Brackets of an IPv6 address stay.
fn without_port(host: &[u8]) -> &[u8] {
    let end = memchr::memrchr(b':', host).filter(|at| !host[*at..].contains(&b']'));
    end.map_or(host, |at| &host[..at])
}

/// The fields but `Host`: each once, with its first value.
fn fields(head: &RequestHead<'_>) -> Texts {
    let mut all: Texts = Vec::new();
    for field in head.fields.iter() {
        let name = canonical(field.name());
        if name != b"Host" && all.iter().all(|(known, _)| *known != name) {
            all.push((name, field.value().into()));
        }
    }
    all
}

/// The canonical spelling of a name, in which plugins look for it: the first letter, and each behind `-`, is upper case.
pub(super) fn canonical(name: &[u8]) -> Vec<u8> {
    let mut starts = true;
    let letter = |byte: &u8| {
        let letter = if starts { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
        starts = *byte == b'-';
        letter
    };
    name.iter().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_canonical_and_hosts_have_no_port() {
        assert_eq!(canonical(b"x-user-ID"), b"X-User-Id");
        for (host, without) in
            [("a.test:80", "a.test"), ("a.test", "a.test"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]")]
        {
            assert_eq!(without_port(host.as_bytes()), without.as_bytes());
        }
    }
}
