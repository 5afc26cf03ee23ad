//! The cookie that keeps a client at its endpoint.

use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::tls13::OkmBlock;

use super::endpoint_set::{EndpointSet, KnownEndpoint};
use crate::config::plan::Sticky;

/// The value of a sticky cookie.
type Value = [u8; 24];

/// The sticky cookie of an endpoint.
pub(super) struct Cookie {
    pub(super) value: Value,
    /// `Set-Cookie` up to the attributes that depend on the client.
    pub(super) line: Box<[u8]>,
}

impl EndpointSet {
    /// The cookie of an endpoint of `list`, for all paths of the host; scripts cannot read it.
    pub(super) fn cookie(&self, sticky: &Sticky, known: &KnownEndpoint, list: &[KnownEndpoint]) -> Cookie {
        let value = self.cookie_value(sticky, known, list);
        let shown = std::str::from_utf8(&value).unwrap_or_default();
        let age = sticky.max_age.map(|time| format!("; Max-Age={}", time.as_secs())).unwrap_or_default();
        let line = format!("Set-Cookie: {}={shown}; Path=/; HttpOnly; SameSite=Lax{age}", sticky.cookie);
        Cookie { value, line: line.into_bytes().into() }
    }

    /// The value of the sticky cookie of an endpoint of `list`. The only address of a target is known by the target's
    /// name, so that a container that gets another address keeps its clients.
    fn cookie_value(&self, sticky: &Sticky, known: &KnownEndpoint, list: &[KnownEndpoint]) -> Value {
        let target = &self.plan.targets[known.target];
        let is_only = list.iter().filter(|other| other.target == known.target).count() == 1;
        let identity = match &known.address {
            Some(address) if !is_only => format!("{target} {address}"),
            _ => target.to_string(),
        };
        let key = sticky.secret.as_ref().map_or(&*self.plan.name, |secret| &*secret.0);
        keyed_hash(key.as_bytes(), identity.as_bytes())
    }
}

/// HMAC with SHA-256, of the library that TLS uses anyway, in hexadecimal digits. Only its first 12 bytes, which are
/// enough for an identity.
fn keyed_hash(key: &[u8], message: &[u8]) -> Value {
    let mut digits = [b'0'; 24];
    if let Some(suite) = TLS13_AES_128_GCM_SHA256.tls13() {
        // The key of HMAC may be a hash (RFC 2104, section 2).
        let key = suite.common.hash_provider.hash(key);
        let tag = suite.hkdf_provider.hmac_sign(&OkmBlock::new(key.as_ref()), message);
        for (pair, byte) in digits.chunks_exact_mut(2).zip(tag.as_ref()) {
            let digit = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
            pair.copy_from_slice(&[digit(byte >> 4), digit(*byte)]);
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_depends_on_the_key_and_on_the_message() {
        let hash = keyed_hash(b"key", b"message");
        assert!(hash.iter().all(u8::is_ascii_hexdigit) && hash != [b'0'; 24]);
        assert_eq!(hash, keyed_hash(b"key", b"message"));
        assert_ne!(hash, keyed_hash(b"key", b"messagf"));
        assert_ne!(hash, keyed_hash(b"kez", b"message"));
    }
}
