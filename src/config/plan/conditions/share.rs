//! A stable part of all clients, for canaries.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

/// The condition that a client is in a part of all clients. Which clients are depends on the rule's name and on the
/// key of the client alone, so it is the same after a reload, on every worker and in every process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Share {
    /// Ten thousandths of all clients, from 1 to 10,000.
    pub parts: u32,
    /// The key by which clients are told apart.
    pub by: ShareKey,
    /// The name of the rule: two rules choose other clients.
    pub salt: Arc<str>,
}

/// The key by which clients are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ShareKey {
    /// The address; of IPv6, the network of 64 bits that a host gets.
    Client,
    /// The value of a cookie; without it, the address.
    Cookie(Arc<str>),
    /// The value of a header field; without it, the address.
    Header(Arc<str>),
}

/// Ten thousandths of everything.
pub const WHOLE_SHARE: u32 = 10_000;

impl Share {
    /// Whether the client with this key, or else this address, is in the part.
    pub fn takes(&self, key: Option<&[u8]>, client: IpAddr) -> bool {
        let salted = mixed(FNV_OFFSET, self.salt.as_bytes());
        let hash = match (key, client) {
            (Some(key), _) => mixed(mixed(salted, &[1]), key),
            (None, IpAddr::V4(client)) => mixed(salted, &client.octets()),
            (None, IpAddr::V6(client)) => mixed(salted, &client.octets()[..8]),
        };
        // A hash of 64 bits, scaled to the whole. FNV leaves the high bits of short keys alike, so they are mixed once more.
        let scaled = (u128::from(finished(hash)) * u128::from(WHOLE_SHARE)) >> 64;
        (scaled as u32) < self.parts
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a. The function is written out, because it must be the same in every version of the program.
fn mixed(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The last step of SplitMix64.
fn finished(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

impl ShareKey {
    /// The key in words, for a sentence.
    pub fn in_words(&self) -> String {
        match self {
            ShareKey::Client => "their address".to_owned(),
            ShareKey::Cookie(name) => format!("cookie {name}"),
            ShareKey::Header(name) => format!("header {name}"),
        }
    }
}

impl fmt::Display for ShareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShareKey::Client => f.write_str("client"),
            ShareKey::Cookie(name) => write!(f, "cookie.{name}"),
            ShareKey::Header(name) => write!(f, "header.{name}"),
        }
    }
}

/// The part in per cent, as it is written.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.parts / 100, self.parts % 100) {
            (whole, 0) => write!(f, "{whole}%"),
            (whole, part) if part % 10 == 0 => write!(f, "{whole}.{}%", part / 10),
            (whole, part) => write!(f, "{whole}.{part:02}%"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(parts: u32, salt: &str) -> Share {
        Share { parts, by: ShareKey::Client, salt: salt.into() }
    }

    fn taken(share: &Share) -> Vec<bool> {
        (0..20_000u32).map(|n| share.takes(Some(format!("user-{n}").as_bytes()), [0; 4].into())).collect()
    }

    #[test]
    fn a_share_has_its_part_of_the_keys_and_grows_by_further_ones() {
        let (few, more) = (taken(&share(500, "canary")), taken(&share(2_500, "canary")));
        let count = |taken: &[bool]| taken.iter().filter(|taken| **taken).count();
        assert!((900..=1_100).contains(&count(&few)), "{}", count(&few));
        assert!((4_800..=5_200).contains(&count(&more)), "{}", count(&more));
        assert!(few.iter().zip(&more).all(|(few, more)| !few || *more), "clients stay when a share grows");
        assert_eq!(count(&taken(&share(WHOLE_SHARE, "canary"))), 20_000);
        let other = taken(&share(500, "other"));
        let both = few.iter().zip(&other).filter(|(one, two)| **one && **two).count();
        assert!(both < 100, "two rules choose other clients: {both}");
    }

    /// The choice is the same in every version, so these are constants.
    #[test]
    fn the_choice_is_fixed() {
        let addresses = (0..=255u8).filter(|n| share(500, "canary").takes(None, [192, 0, 2, *n].into()));
        assert_eq!(addresses.collect::<Vec<_>>(), FIXED);
        let v6 = |text: &str| share(5_000, "x").takes(None, text.parse().unwrap());
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::ffff:1"), "a network of 64 bits is one client");
    }

    const FIXED: &[u8] = &[6, 7, 30, 42, 45, 138, 145, 181, 190, 193, 238, 243];

    #[test]
    fn a_share_is_shown_as_it_is_written() {
        for (parts, text) in [(500, "5%"), (10_000, "100%"), (50, "0.5%"), (1, "0.01%"), (1_250, "12.5%")] {
            assert_eq!(share(parts, "").to_string(), text);
        }
    }
}
