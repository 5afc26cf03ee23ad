//! The key of a WebSocket handshake (RFC 6455, section 4), which extended CONNECT does not have (RFC 8441, section 5).

use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use aws_lc_rs::rand;

/// The name of the protocol, in `:protocol` and in `Upgrade`.
pub const WEBSOCKET: &[u8] = b"websocket";

/// Bytes of `Sec-WebSocket-Accept`: a hash of 20 bytes in Base64.
pub const ACCEPT_BYTES: usize = 28;

/// Bytes of `Sec-WebSocket-Key`: 16 random bytes in Base64.
const KEY_BYTES: usize = 24;

/// The text that each server appends to the key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A new key. It is no secret: it proves that a response was made for this request.
pub fn new_key() -> [u8; KEY_BYTES] {
    let mut nonce = [0; 16];
    // Without random bytes the key is valid too.
    let _ = rand::fill(&mut nonce);
    base64(&nonce)
}

/// The value of `Sec-WebSocket-Accept` for a key.
pub fn accept_of(key: &[u8]) -> [u8; ACCEPT_BYTES] {
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(GUID);
    base64(hash.finish().as_ref())
}

/// Base64 with padding (RFC 4648, section 4) of as many bytes as fill `N` digits.
fn base64<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut text = [b'='; N];
    for (group, digits) in bytes.chunks(3).zip(text.chunks_mut(4)) {
        let bits =
            group.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for (place, digit) in digits.iter_mut().take(group.len() + 1).enumerate() {
            *digit = ALPHABET[(bits >> (18 - 6 * place)) as usize & 63];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_the_answer_of_the_rfc() {
        assert_eq!(&accept_of(b"dGhlIHNhbXBsZSBub25jZQ=="), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn keys_differ_and_have_the_form_of_16_bytes() {
        let (one, other) = (new_key(), new_key());
        assert_ne!(one, other);
        assert!(one.ends_with(b"==") && !one[..22].contains(&b'='));
    }

    #[test]
    fn groups_of_one_two_and_three_bytes_are_padded() {
        assert_eq!(
            (&base64::<4>(b"f"), &base64::<4>(b"fo"), &base64::<8>(b"foobar")),
            (b"Zg==", b"Zm8=", b"Zm9vYmFy")
        );
    }
}
