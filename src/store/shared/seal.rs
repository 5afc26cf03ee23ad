//! Values that only gates with the key can read (AES-256-GCM).

use std::io;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;

use crate::config::plan::Secret;

/// The first byte of a sealed value: the format.
const FORMAT: u8 = 1;

/// The keys. The first one seals, and each of them opens.
pub(super) struct Seal(Vec<LessSafeKey>);

impl Seal {
    /// `None` if a key is not 32 bytes in base64, or if there is no key.
    pub(super) fn new(keys: &[Secret]) -> Option<Self> {
        let read =
            |key: &Secret| Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &decode(&key.0)?).ok()?));
        let keys: Option<Vec<_>> = keys.iter().map(read).collect();
        keys.filter(|keys| !keys.is_empty()).map(Self)
    }

    /// No key: nothing can be sealed or opened.
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// Seals a value for the key under which it is stored. Under another one it cannot be opened, so a server cannot swap
    /// values.
    pub(super) fn seal(&self, name: &str, value: &[u8]) -> io::Result<Vec<u8>> {
        let unable = |_| io::Error::other("a value cannot be sealed");
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(unable)?;
        let mut sealed = value.to_vec();
        let key = self.0.first().ok_or_else(|| io::Error::other("there is no key to seal with"))?;
        key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(name.as_bytes()),
            &mut sealed,
        )
        .map_err(unable)?;
        Ok([&[FORMAT][..], &nonce, &sealed].concat())
    }

    /// Whether there are keys beside the first one.
    pub(super) fn has_several(&self) -> bool {
        self.0.len() > 1
    }

    /// Opens a value.
    ///
    /// # Errors
    /// No key opens it: it was sealed with another one, or for another name, or it is broken.
    pub(super) fn open(&self, name: &str, sealed: &[u8]) -> io::Result<Vec<u8>> {
        Ok(self.open_any(name, sealed)?.0)
    }

    /// Opens a value, and tells whether the first key has sealed it.
    ///
    /// # Errors
    /// As [`Seal::open`].
    pub(super) fn open_any(&self, name: &str, sealed: &[u8]) -> io::Result<(Vec<u8>, bool)> {
        let open = |(index, key): (usize, &LessSafeKey)| {
            let (nonce, sealed) = sealed.strip_prefix(&[FORMAT])?.split_first_chunk::<NONCE_LEN>()?;
            let mut bytes = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let length = key.open_in_place(nonce, Aad::from(name.as_bytes()), &mut bytes).ok()?.len();
            bytes.truncate(length);
            Some((bytes, index == 0))
        };
        self.0.iter().enumerate().find_map(open).ok_or_else(|| {
            let why =
                format!("{name} in the store cannot be opened with this `key`: give all gates the same one");
            io::Error::new(io::ErrorKind::InvalidData, why)
        })
    }
}

/// Base64 in one of its alphabets. Padding may be left out.
fn decode(text: &str) -> Option<Vec<u8>> {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        (bits, count) = (bits << 6 | u32::from(digit), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(keys: &[&str]) -> Seal {
        let keys: Vec<Secret> = keys.iter().map(|&key| Secret(key.into())).collect();
        Seal::new(&keys).unwrap()
    }

    const ONE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const TWO: &str = "_____________________________________________"; // 45 digits: not a key

    #[test]
    fn only_the_key_and_the_name_open_a_value() {
        let (one, other) = (seal(&[ONE]), seal(&["BBECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"]));
        let sealed = one.seal("a/b", b"secret").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_ne!(sealed, one.seal("a/b", b"secret").unwrap(), "each seal has a nonce of its own");
        assert_eq!(one.open("a/b", &sealed).unwrap(), b"secret");
        assert!(one.open("a/c", &sealed).is_err() && other.open("a/b", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut broken = sealed.clone();
            broken[at] ^= 1;
            assert!(one.open("a/b", &broken).is_err() && one.open("a/b", &sealed[..at]).is_err(), "{at}");
        }
        let why = other.open("a/b", &sealed).unwrap_err().to_string();
        assert!(why.contains("a/b") && !why.contains("AAEC"), "{why}");
        assert_eq!(one.open("a", &one.seal("a", b"").unwrap()).unwrap(), b"");
    }

    #[test]
    fn an_older_key_still_opens_while_a_new_one_seals() {
        let (old, new) = (seal(&[ONE]), seal(&["BBECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", ONE]));
        let sealed = old.seal("a", b"1").unwrap();
        assert_eq!(new.open("a", &sealed).unwrap(), b"1");
        assert!(old.open("a", &new.seal("a", b"2").unwrap()).is_err());
    }

    #[test]
    fn a_key_has_32_bytes() {
        assert_eq!(decode(ONE), Some((0..32).collect()));
        assert_eq!(
            (decode("-_-_"), decode("+/+/")),
            (Some(vec![0xfb, 0xff, 0xbf]), Some(vec![0xfb, 0xff, 0xbf]))
        );
        for wrong in ["", "AAAA", "A*", TWO] {
            assert!(Seal::new(&[Secret(wrong.into())]).is_none(), "{wrong}");
        }
        assert!(Seal::new(&[]).is_none());
    }
}
