//! Hashes of passwords: bcrypt and argon2id.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{constant_time, hmac, rand};

use super::base64::{decode, encode};

/// Bytes of a password that bcrypt looks at. It ignores the others.
const BCRYPT_BYTES_MAX: usize = 72;

/// The cost of new hashes: 19 MiB, two passes, one lane (OWASP, Password Storage Cheat Sheet).
const NEW_COST: (u32, u32, u32) = (19_456, 2, 1);

/// The random key of fingerprints. A fingerprint stands for a password in memory. Without the key it says nothing about it.
pub struct FingerprintKey(hmac::Key);

impl FingerprintKey {
    /// A new key.
    pub fn new() -> Self {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).expect("invariant: the system has random numbers");
        Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
    }

    /// The fingerprint of these parts, none of which may hold a NUL but the last.
    pub fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
            context.update(&[0]);
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.sign().as_ref());
        fingerprint
    }
}

impl Default for FingerprintKey {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether this is the password of a hash. Takes from a tenth of a second to seconds, so it is never called on a worker.
pub fn is_right(hash: &str, password: &[u8]) -> bool {
    if hash.starts_with("$argon2id$") {
        return is_right_argon2id(hash, password).unwrap_or(false);
    }
    let fits = password.len() <= BCRYPT_BYTES_MAX && !password.contains(&0);
    // The work is done for a password that does not fit too, so that the time says nothing.
    bcrypt::verify(password, hash).unwrap_or(false) && fits
}

/// A new hash of a password; `None` if there is no memory for it.
pub fn hash(password: &[u8]) -> Option<String> {
    let mut salt = [0; 16];
    rand::fill(&mut salt).ok()?;
    let (memory, passes, lanes) = NEW_COST;
    let hash = argon2id((memory, passes, lanes), &salt, password, 32)?;
    let [salt, hash] = [&salt[..], &hash].map(|bytes| encode(bytes).trim_end_matches('=').to_owned());
    Some(format!("$argon2id$v=19$m={memory},t={passes},p={lanes}${salt}${hash}"))
}

/// `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH` (the PHC string format).
fn is_right_argon2id(hash: &str, password: &[u8]) -> Option<bool> {
    let mut parts = hash.strip_prefix("$argon2id$v=19$")?.split('$');
    let (costs, salt, hash) =
        (parts.next()?, decode(parts.next()?.as_bytes())?, decode(parts.next()?.as_bytes())?);
    let mut costs =
        costs.split(',').map(|cost| cost.split_once('=').and_then(|(_, number)| number.parse().ok()));
    let costs = (costs.next()??, costs.next()??, costs.next()??);
    let computed = argon2id(costs, &salt, password, hash.len())?;
    Some(constant_time::verify_slices_are_equal(&computed, &hash).is_ok())
}

fn argon2id(
    (memory, passes, lanes): (u32, u32, u32),
    salt: &[u8],
    password: &[u8],
    length: usize,
) -> Option<Vec<u8>> {
    let params = Params::new(memory, passes, lanes, Some(length)).ok()?;
    let mut hash = vec![0; length];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password, salt, &mut hash)
        .ok()?;
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_other_programs() {
        // Of libxcrypt, and of the tests of the reference implementation of Argon2.
        for (hash, password) in [
            ("$2y$05$abcdefghijklmnopqrstuuKcS.CYWVYVaLiiCKrrc0A5s3mGesJ9O", "sesame"),
            ("$2b$05$abcdefghijklmnopqrstuuKcS.CYWVYVaLiiCKrrc0A5s3mGesJ9O", "sesame"),
            (
                "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
                "password",
            ),
        ] {
            assert!(is_right(hash, password.as_bytes()), "{hash}");
            assert!(!is_right(hash, b"Sesame") && !is_right(hash, b""), "{hash}");
        }
    }

    #[test]
    fn a_new_hash_is_that_of_its_password_alone() {
        let hash = hash(b"sesame").unwrap();
        assert!(is_right(&hash, b"sesame") && !is_right(&hash, b"sesame\0"), "{hash}");
    }

    #[test]
    fn bcrypt_ignores_what_is_behind_byte_72_so_a_longer_password_is_wrong() {
        let password = [b'a'; 72];
        let hash = bcrypt::hash(password, 4).unwrap();
        assert!(is_right(&hash, &password) && !is_right(&hash, &[b'a'; 73]));
        assert!(!is_right(&hash, &[&[b'a'; 71][..], &[0]].concat()));
    }

    #[test]
    fn a_hash_that_is_none_is_that_of_no_password() {
        for hash in
            ["", "$2y$", "$argon2id$v=19$m=1,t=1,p=1$", "$argon2id$v=19$m=0,t=0,p=0$c2FsdHNhbHQ$aGFzaA"]
        {
            assert!(!is_right(hash, b"") && !is_right(hash, b"a"), "{hash}");
        }
    }
}
