//! `store key`: makes a key that seals the values of a store.

use std::process::ExitCode;

use rustls::crypto::aws_lc_rs;

use crate::cli::output;

/// Bytes of a key, which is one of AES-256.
const KEY_BYTES: usize = 32;

/// Prints random bytes in base64, as `key` of `store` takes them.
pub fn store_key() -> ExitCode {
    let mut key = [0; KEY_BYTES];
    match aws_lc_rs::default_provider().secure_random.fill(&mut key) {
        Ok(()) => output::result(&format!("{}\n", base64(&key))),
        Err(_) => output::failure(output::UNABLE, "no key: the system has no randomness"),
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - three.len()));
        for digit in 0..4 {
            text.push(match digit <= three.len() {
                true => char::from(DIGITS[bits >> (18 - 6 * digit) & 63]),
                false => '=',
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        let all: Vec<u8> = (0..32).collect();
        assert_eq!(base64(&all), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    }
}
