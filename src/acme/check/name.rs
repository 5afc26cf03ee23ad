//! Whether a CA can issue for a name at all.

use std::net::IpAddr;

use crate::config::plan::Orders;
use crate::tls::address_of;

/// Ends of names that are not public (RFC 6761, RFC 8375, and those that networks use by themselves).
const PRIVATE: [&str; 9] =
    [".local", ".localhost", ".internal", ".test", ".example", ".invalid", ".lan", ".home.arpa", ".onion"];

/// Why an order for the name would be in vain.
pub(in crate::acme) fn in_vain(name: &str, orders: &Orders) -> Option<&'static str> {
    let wants_public = orders.cas.iter().all(|ca| ca.is_public());
    if let Some(address) = address_of(name) {
        return (wants_public && is_private(address)).then_some(
            "this is an address of a private network, and the CA issues certificates for public addresses only",
        );
    }
    let name = name.strip_prefix("*.").unwrap_or(name);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if name.starts_with('.') || !name.bytes().all(is_plain) {
        return Some("this is no DNS name");
    }
    let is_public = name.contains('.') && !PRIVATE.iter().any(|end| name.ends_with(end));
    (wants_public && !is_public)
        .then_some("this name is not public, and the CA issues certificates for public names only")
}

/// Whether a CA cannot connect to an address.
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            // 100.64.0.0/10 is for carriers (RFC 6598).
            let is_shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || is_shared
        }
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_a_ca_cannot_reach_are_known() {
        for (text, expected) in [
            ("10.0.0.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("127.0.0.1", true),
            ("203.0.113.7", false),
            ("::1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(text.parse().unwrap()), expected, "{text}");
        }
    }
}
