//! `host[:port]`, as it stands in `Host` and in an absolute-form target (RFC 3986, section 3.2).
//!
//! Narrower than the RFC where that allows two readings: no userinfo, no percent-encoding, no
//! sub-delimiters in a name, no empty labels.

use std::net::Ipv6Addr;

use super::class::is_unreserved;

/// Bytes of a host name, its port not counted: what DNS can carry (RFC 1035, section 2.3.4).
pub const HOST_BYTES_MAX: usize = 255;

/// Checks an authority and says what is wrong with it.
pub(crate) fn check(authority: &[u8]) -> Result<(), &'static str> {
    split(authority).map(|_| ())
}

/// Host and port of an authority, checked. The port is up to five digits, or none.
fn split(authority: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let (host, port) = divide(authority)?;
    check_host(host)?;
    check_port(port)?;
    Ok((host, port))
}

/// What stands before the colon of the port, and what after it.
fn divide(authority: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    if authority.is_empty() {
        return Err("it is empty");
    }
    Ok(match authority {
        [b'[', ..] => {
            let end = authority.iter().position(|&byte| byte == b']').ok_or("an IPv6 address without ]")?;
            let (host, rest) = authority.split_at(end + 1);
            match rest {
                [] => (host, rest),
                [b':', port @ ..] => (host, port),
                _ => return Err("an IPv6 address can only be followed by a port"),
            }
        }
        _ => match authority.iter().position(|&byte| byte == b':') {
            Some(colon) => (&authority[..colon], &authority[colon + 1..]),
            None => (authority, &[][..]),
        },
    })
}

fn check_host(host: &[u8]) -> Result<(), &'static str> {
    if let [b'[', address @ .., b']'] = host {
        let address = std::str::from_utf8(address).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
        return address.map(|_| ()).ok_or("not an IPv6 address between the brackets");
    }
    if host.len() > HOST_BYTES_MAX {
        return Err("the name is longer than 255 bytes");
    }
    // An empty label in front, or none at all, counts as "a dot came before".
    let mut after_dot = true;
    for &byte in host {
        if !is_unreserved(byte) {
            return Err("a byte that is not allowed in a host name");
        }
        if byte == b'.' && after_dot {
            return Err("an empty label in the name");
        }
        after_dot = byte == b'.';
    }
    if host.is_empty() {
        return Err("there is no name before the port");
    }
    Ok(())
}

fn check_port(port: &[u8]) -> Result<(), &'static str> {
    let number = port.iter().try_fold(0u32, |number, &byte| {
        if !byte.is_ascii_digit() {
            return None;
        }
        Some(number * 10 + u32::from(byte - b'0')).filter(|&number| number <= u32::from(u16::MAX))
    });
    number.map(|_| ()).ok_or("the port is not a number from 0 to 65535")
}

/// A host as rules compare it: without port, without the dot of the root, in lower case. Held
/// inline, so making one allocates nothing.
#[derive(Clone, Copy)]
pub struct HostKey {
    bytes: [u8; HOST_BYTES_MAX],
    len: u8,
}

impl HostKey {
    /// The key of an authority such as `Example.ORG.:8080`; `None` if that is not valid. An IPv6
    /// address keeps its brackets and its spelling.
    pub fn new(authority: &[u8]) -> Option<HostKey> {
        let (host, _) = split(authority).ok()?;
        HostKey::of_host(host)
    }

    /// The same of an authority that is known to be valid.
    pub(super) fn of_checked(authority: &[u8]) -> Option<HostKey> {
        let (host, _) = divide(authority).ok()?;
        HostKey::of_host(host)
    }

    fn of_host(host: &[u8]) -> Option<HostKey> {
        let host = host.strip_suffix(b".").unwrap_or(host);
        let mut key = HostKey { bytes: [0; HOST_BYTES_MAX], len: u8::try_from(host.len()).ok()? };
        for (to, from) in key.bytes.iter_mut().zip(host) {
            *to = from.to_ascii_lowercase();
        }
        Some(key)
    }

    /// Lower-case ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl std::fmt::Debug for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HostKey({})", self.as_bytes().escape_ascii())
    }
}

impl PartialEq for HostKey {
    fn eq(&self, other: &HostKey) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for HostKey {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_compared_without_port_final_dot_and_case() {
        for (authority, key) in [
            ("example.org", "example.org"),
            ("Example.ORG:8080", "example.org"),
            ("example.org.", "example.org"),
            ("example.org.:443", "example.org"),
            ("example.org:", "example.org"),
            ("a_b.local", "a_b.local"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[2001:DB8::1]:8443", "[2001:db8::1]"),
            ("x:0", "x"),
            ("x:00080", "x"),
        ] {
            let key_of = HostKey::new(authority.as_bytes());
            assert_eq!(key_of.as_ref().map(HostKey::as_bytes), Some(key.as_bytes()), "{authority}");
        }
        let longest = format!("{}.{}", "a".repeat(200), "b".repeat(54));
        assert_eq!(HostKey::new(longest.as_bytes()).map(|key| key.as_bytes().len()), Some(255));
    }

    #[test]
    fn what_is_not_a_host_and_port_is_refused() {
        let long = "a".repeat(256);
        for authority in [
            "",
            ":",
            ":80",
            ".",
            "..",
            ".a",
            "a..b",
            "a..",
            "a b",
            "a,b",
            "a/b",
            "a#b",
            "a?b",
            "u@a",
            "a:b",
            "a:80:80",
            "a:65536",
            "a:-1",
            "a:+1",
            "a:99999999999999999999",
            "%61",
            "a%2eb",
            "a\\b",
            "*",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]:x",
            "[fe80::1%25eth0]",
            "[v1.x]",
            "[]",
            "[127.0.0.1]",
            "b\u{fc}cher.de",
            "a\t",
            "a;b",
            "a!",
            "a'b",
            &long,
        ] {
            assert!(HostKey::new(authority.as_bytes()).is_none(), "{authority}");
        }
        assert!(HostKey::new(b"a\xff").is_none());
        assert!(HostKey::new(b"a\0").is_none());
    }
}
