//! The subject of a certificate that is ordered: a DNS name, or an address (RFC 8738).

use std::borrow::Cow;
use std::fmt::Write;
use std::net::{IpAddr, Ipv6Addr};

/// The address that a text is, with or without the brackets of IPv6. `None` for a DNS name.
pub fn address_of(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::from),
        None => text.parse().ok(),
    }
}

/// The host of URLs and of `Host`. An IPv6 address has brackets there (RFC 3986, section 3.2.2).
pub fn host_of(name: &str) -> Cow<'_, str> {
    match address_of(name) {
        Some(IpAddr::V6(address)) => format!("[{address}]").into(),
        _ => name.into(),
    }
}

/// The name that an authority asks for inside TLS. A hello cannot name an address, so it is the name of the reverse
/// lookup (RFC 8738, section 6).
pub(in crate::tls) fn challenge_name(name: &str) -> Cow<'_, str> {
    match address_of(name) {
        None => name.into(),
        Some(IpAddr::V4(address)) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa").into()
        }
        Some(IpAddr::V6(address)) => {
            let digits = address.octets().into_iter().rev().fold(String::new(), |mut digits, byte| {
                // Writing to a String cannot fail.
                let _ = write!(digits, "{:x}.{:x}.", byte & 0xf, byte >> 4);
                digits
            });
            format!("{digits}ip6.arpa").into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_from_a_name() {
        for text in ["192.0.2.7", "2001:db8::1", "[2001:db8::1]"] {
            assert!(address_of(text).is_some(), "{text}");
        }
        for text in ["a.test", "192.0.2.7.test", "192.0.2", "[192.0.2.7]", "2001:db8::1]", "*.a.test", ""] {
            assert_eq!(address_of(text), None, "{text}");
        }
    }

    #[test]
    fn an_address_has_a_host_and_a_name_of_its_reverse_lookup() {
        let reverse = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        for (name, host, asked) in [
            ("192.0.2.7", "192.0.2.7", "7.2.0.192.in-addr.arpa"),
            ("2001:db8::1", "[2001:db8::1]", reverse),
            ("a.test", "a.test", "a.test"),
        ] {
            assert_eq!((&*host_of(name), &*challenge_name(name)), (host, asked));
        }
    }
}
