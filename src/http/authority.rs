//! `host[:port]`, as it stands in `Host` and in an absolute-form target (RFC 3986, section 3.2).
//!
//! The syntax is narrower than the RFC's where that allows two readings: no userinfo, no percent-encoding, no
//! sub-delimiters in a name, no empty labels.

use std::net::Ipv6Addr;

use super::class::{is_unreserved, to_lower};

/// Bytes of a host name without its port: the most that DNS can carry (RFC 1035, section 2.3.4).
pub const HOST_BYTES_MAX: usize = 255;

/// A valid authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'b> {
    text: &'b [u8],
    /// Bytes of the host. A colon and the port may follow.
    host_len: usize,
}

impl<'b> Authority<'b> {
    /// Checks an authority. The port may be empty.
    ///
    /// # Errors
    /// A description of the fault.
    pub fn parse(text: &'b [u8]) -> Result<Self, &'static str> {
        let host_len = match text {
            [b'[', ..] => address_end(text)?,
            _ => name_end(text)?,
        };
        match &text[host_len..] {
            [] => {}
            [b':', port @ ..] => check_port(port)?,
            _ => return Err("an IPv6 address can only be followed by a port"),
        }
        Ok(Self { text, host_len })
    }

    /// The authority as written, with its port.
    pub fn as_bytes(&self) -> &'b [u8] {
        self.text
    }

    /// The host, if it is written as rules compare it: in lower case, without the dot of the root.
    pub fn plain_host(&self) -> Option<&'b [u8]> {
        let host = &self.text[..self.host_len];
        let (blocks, rest) = host.as_chunks();
        let is_lower = |block: &[u8; 8]| {
            let word = u64::from_le_bytes(*block);
            to_lower(word) == word
        };
        let is_plain = blocks.iter().all(is_lower) && !rest.iter().any(u8::is_ascii_uppercase);
        (is_plain && host.last() != Some(&b'.')).then_some(host)
    }

    /// The host as rules compare it.
    pub fn key(&self) -> HostKey {
        HostKey::of_host(&self.text[..self.host_len])
    }
}

/// Index after an IPv6 address in brackets.
fn address_end(text: &[u8]) -> Result<usize, &'static str> {
    let end = text.iter().position(|&byte| byte == b']').ok_or("an IPv6 address without ]")?;
    let address = std::str::from_utf8(&text[1..end]).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
    address.map(|_| end + 1).ok_or("not an IPv6 address between the brackets")
}

/// The kinds of bytes in a name. A byte of a label may follow each of them, a dot may follow a byte of a label only.
const DOT: u8 = 1;
const LABEL: u8 = 2;

/// The kind of each byte; 0 if it may not stand in a name.
static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        if is_unreserved(byte as u8) {
            kinds[byte] = LABEL;
        }
        byte += 1;
    }
    kinds[b'.' as usize] = DOT;
    kinds
};

/// Index after a name or an IPv4 address.
fn name_end(text: &[u8]) -> Result<usize, &'static str> {
    // A dot before the first label or after another dot would end an empty label.
    let (mut end, mut least) = (0, LABEL);
    for &byte in text {
        let kind = KINDS[usize::from(byte)];
        if kind < least {
            break;
        }
        least = DOT + LABEL - kind;
        end += 1;
    }
    match text.get(end) {
        _ if end > HOST_BYTES_MAX => Err("the name is longer than 255 bytes"),
        Some(b'.') => Err("an empty label in the name"),
        Some(b':') if end == 0 => Err("there is no name before the port"),
        None if end == 0 => Err("it is empty"),
        None | Some(b':') => Ok(end),
        Some(_) => Err("a byte that is not allowed in a host name"),
    }
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

/// A host as rules compare it: in lower case, without port and without the dot of the root. It is stored
/// inline, so that creating one allocates nothing.
#[derive(Clone, Copy)]
pub struct HostKey {
    /// The host, and zeros up to a whole number of words.
    bytes: [u8; HOST_BYTES_MAX + 1],
    len: u8,
}

impl HostKey {
    /// The key of an authority such as `Example.ORG.:8080`; `None` if it is not valid. An IPv6 address keeps
    /// its brackets and its spelling.
    pub fn new(authority: &[u8]) -> Option<HostKey> {
        Authority::parse(authority).ok().map(|authority| authority.key())
    }

    /// The key of a valid host, which has at most [`HOST_BYTES_MAX`] bytes.
    fn of_host(host: &[u8]) -> HostKey {
        let host = host.strip_suffix(b".").unwrap_or(host);
        let mut bytes = [0; HOST_BYTES_MAX + 1];
        bytes[..host.len()].copy_from_slice(host);
        for word in bytes[..host.len().next_multiple_of(8)].as_chunks_mut().0 {
            *word = to_lower(u64::from_le_bytes(*word)).to_le_bytes();
        }
        HostKey { bytes, len: host.len() as u8 }
    }

    /// The host in lower-case ASCII.
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
            let parsed = Authority::parse(authority.as_bytes()).unwrap();
            let written = authority.strip_suffix(":8080").unwrap_or(authority);
            if let Some(plain) = parsed.plain_host() {
                assert_eq!(plain, key.as_bytes(), "{authority}");
            } else {
                assert!(
                    written.contains(|char: char| char.is_ascii_uppercase())
                        || written.contains(".:")
                        || written.ends_with('.'),
                    "{authority}"
                );
            }
            assert_eq!(key_of.as_ref().map(HostKey::as_bytes), Some(key.as_bytes()), "{authority}");
        }
        let longest = format!("{}.{}", "a".repeat(200), "b".repeat(54));
        assert_eq!(HostKey::new(longest.as_bytes()).map(|key| key.as_bytes().len()), Some(255));
    }

    #[test]
    fn an_invalid_authority_is_refused() {
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
