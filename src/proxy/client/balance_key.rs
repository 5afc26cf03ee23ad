//! The part of a request or connection by which it is balanced.

use std::net::IpAddr;
use std::num::NonZero;

use crate::config::plan::HashKey;
use crate::http::RequestHead;
use crate::upstream::hash_key;

/// The hash of a request's key. `None` if the request has none.
pub(in crate::proxy) fn of_request(
    key: &HashKey,
    head: &RequestHead<'_>,
    client: IpAddr,
) -> Option<NonZero<u64>> {
    match key {
        HashKey::Client | HashKey::Sni => of_connection(key, client, b""),
        HashKey::Header(name) => head.fields.find(name.as_bytes()).map(hash_key),
        HashKey::Cookie(name) => head.fields.cookie(name.as_bytes()).map(hash_key),
        HashKey::Path => Some(hash_key(head.path)),
        HashKey::Host => head.host_key().map(|host| hash_key(host.as_bytes())),
    }
}

/// The hash of a connection's key, of whose bytes nothing is parsed. `name` is the server name of TLS, or empty.
pub(in crate::proxy) fn of_connection(key: &HashKey, client: IpAddr, name: &[u8]) -> Option<NonZero<u64>> {
    match key {
        HashKey::Client => Some(match client {
            IpAddr::V4(client) => hash_key(&client.octets()),
            // A network that a host gets has 64 bits, and the host may change the rest.
            IpAddr::V6(client) => hash_key(&client.octets()[..8]),
        }),
        HashKey::Sni => (!name.is_empty()).then(|| hash_key(name)),
        HashKey::Header(_) | HashKey::Cookie(_) | HashKey::Path | HashKey::Host => None,
    }
}
