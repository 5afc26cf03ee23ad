//! Tokens that any gate with the key of the store can answer, although it has never heard of them.
//!
//! A gate looks at a name as an authority does, and a balancer may lead the request to any gate. The token has random bytes
//! and a proof that a gate has made it, so each gate tells it from those of other programs. The answer is a second proof.

use std::sync::Arc;

use aws_lc_rs::{hmac, rand};

use crate::acme::protocol::base64;
use crate::config::plan::{Secret, StorePlace};
use crate::tls::Proof;

/// Random bytes of a token.
const RANDOM: usize = 16;
/// Bytes of a proof.
const PROOF: usize = 16;

/// The keys of tokens.
pub(in crate::acme) struct Proofs(Vec<hmac::Key>);

impl Proofs {
    /// `None` for a folder: no other gate answers for this one.
    pub(in crate::acme) fn new(place: &StorePlace) -> Option<Self> {
        let StorePlace::Bucket(bucket) = place else { return None };
        // A key of its own, because the one of the store seals values.
        let key = |secret: &[u8]| {
            let own = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), b"smolgate looks at a name");
            hmac::Key::new(hmac::HMAC_SHA256, own.as_ref())
        };
        // A key is the same in both alphabets of base64, with padding and without.
        let plain = |secret: &Secret| secret.0.trim_end_matches('=').replace('-', "+").replace('_', "/");
        Some(Self(bucket.keys.iter().map(|secret| key(plain(secret).as_bytes())).collect()))
    }

    /// A new token for a host, and the answer to it. `None` without randomness.
    pub(in crate::acme) fn token(&self, host: &str) -> Option<(String, Arc<str>)> {
        let mut random = [0; RANDOM];
        rand::fill(&mut random).ok()?;
        let key = self.0.first()?;
        let token = base64::url([&random[..], &proof(key, "token", host, &random)].concat());
        Some((token, answer(key, host, &random)))
    }

    /// The answer to a token that one of the gates has made for the host.
    fn answer(&self, host: &str, token: &str) -> Option<Arc<str>> {
        let bytes = base64::decode_url(token)?;
        let (random, proven) = bytes.split_at_checked(RANDOM)?;
        let made = self.0.iter().find(|key| proof(key, "token", host, random) == proven)?;
        Some(answer(made, host, random))
    }
}

/// The way in which the data plane answers tokens of other gates.
pub(in crate::acme) fn proof_of(place: &StorePlace) -> Option<Proof> {
    let proofs = Proofs::new(place)?;
    Some(Box::new(move |host, token| proofs.answer(host, token)))
}

fn answer(key: &hmac::Key, host: &str, random: &[u8]) -> Arc<str> {
    base64::url(proof(key, "answer", host, random)).into()
}

fn proof(key: &hmac::Key, what: &str, host: &str, random: &[u8]) -> [u8; PROOF] {
    let tag = hmac::sign(key, &[what.as_bytes(), b" ", host.as_bytes(), b" ", random].concat());
    let mut proof = [0; PROOF];
    proof.copy_from_slice(&tag.as_ref()[..PROOF]);
    proof
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::plan::Bucket;

    fn proofs(keys: &[&str]) -> Proofs {
        let bucket = Bucket {
            endpoint: None,
            name: "b".into(),
            prefix: Arc::default(),
            region: "r".into(),
            login: None,
            root: None,
            keys: keys.iter().map(|&key| Secret(key.into())).collect(),
            lease: Duration::from_secs(60),
        };
        Proofs::new(&StorePlace::Bucket(Arc::new(bucket))).unwrap()
    }

    #[test]
    fn a_gate_with_the_key_answers_a_token_of_another_one_and_no_token_of_a_stranger() {
        let (one, two, other) = (proofs(&["a-_="]), proofs(&["b", "a+/"]), proofs(&["b"]));
        let (token, text) = one.token("a.test").unwrap();
        assert_eq!(token.len(), 43, "as those of authorities");
        assert_eq!(two.answer("a.test", &token), Some(text));
        assert_eq!((two.answer("b.test", &token), other.answer("a.test", &token)), (None, None));
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // The last digit has bits that mean nothing.
            assert!(one.answer("a.test", &changed).is_none() || at + 1 == token.len(), "{at}");
            assert!(one.answer("a.test", &token[..at]).is_none(), "{at}");
        }
        assert_ne!(one.token("a.test").unwrap().0, token);
    }

    #[test]
    fn a_folder_has_no_other_gates() {
        assert!(Proofs::new(&StorePlace::Folder("x".into())).is_none());
    }
}
