//! The account key, and what it signs: JWS with ES256 (RFC 7515, RFC 7518, RFC 8555, section 6.2).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::base64;

/// The key of an account: ECDSA with P-256.
pub(in crate::acme) struct AccountKey(EcdsaKeyPair);

/// The signer of a request: the key itself for a new account, later the account's URL.
pub(in crate::acme) enum Signer<'a> {
    Key,
    Account(&'a str),
}

impl AccountKey {
    /// A new key, and the same as PKCS #8.
    pub(in crate::acme) fn generate() -> Result<(Self, Vec<u8>), Unspecified> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        let der = pair.to_pkcs8v1()?.as_ref().to_vec();
        Ok((Self(pair), der))
    }

    /// A key that was generated earlier. `None` if the bytes are none.
    pub(in crate::acme) fn from_pkcs8(der: &[u8]) -> Option<Self> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok().map(Self)
    }

    /// The public key as JWK. The members stand in the order of a thumbprint (RFC 7638, section 3).
    fn jwk(&self) -> String {
        // An uncompressed point: 4, then both coordinates of 32 bytes.
        let point = self.0.public_key().as_ref();
        let (x, y) = (base64::url(&point[1..33]), base64::url(&point[33..]));
        format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
    }

    /// The answer to a challenge: its token and the thumbprint of this key (RFC 8555, section 8.1).
    pub(in crate::acme) fn key_authorization(&self, token: &str) -> String {
        format!("{token}.{}", base64::url(digest(&SHA256, self.jwk().as_bytes())))
    }

    /// The body of a request: `payload`, signed. `None` makes a POST-as-GET (RFC 8555, section 6.3).
    pub(in crate::acme) fn request(
        &self,
        signer: &Signer<'_>,
        nonce: &str,
        url: &str,
        payload: Option<&Value>,
    ) -> Result<String, Unspecified> {
        let mut protected = json!({ "alg": "ES256", "nonce": nonce, "url": url });
        match signer {
            Signer::Key => protected["jwk"] = self.public(),
            Signer::Account(account) => protected["kid"] = json!(account),
        }
        let payload = payload.map(Value::to_string).unwrap_or_default();
        Ok(self.sign(&protected.to_string(), &payload)?.to_string())
    }

    /// The proof that an account of the CA, `kid`, wants this key (RFC 8555, section 7.3.4).
    pub(in crate::acme) fn external_binding(&self, kid: &str, secret: &[u8], url: &str) -> Value {
        let protected = json!({ "alg": "HS256", "kid": kid, "url": url }).to_string();
        let signing_input = format!("{}.{}", base64::url(protected), base64::url(self.jwk()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signing_input.as_bytes());
        flattened(&signing_input, tag.as_ref())
    }

    /// The proof that the holder of this key wants it for an account whose key is `old` (RFC 8555, section 7.3.5).
    pub(in crate::acme) fn key_change(
        &self,
        old: &Self,
        account: &str,
        url: &str,
    ) -> Result<Value, Unspecified> {
        let protected = json!({ "alg": "ES256", "jwk": self.public(), "url": url }).to_string();
        let payload = json!({ "account": account, "oldKey": old.public() }).to_string();
        self.sign(&protected, &payload)
    }

    fn sign(&self, protected: &str, payload: &str) -> Result<Value, Unspecified> {
        let signing_input = format!("{}.{}", base64::url(protected), base64::url(payload));
        let signature = self.0.sign(&SystemRandom::new(), signing_input.as_bytes())?;
        Ok(flattened(&signing_input, signature.as_ref()))
    }

    fn public(&self) -> Value {
        serde_json::from_str(&self.jwk()).unwrap_or_default()
    }
}

/// The JSON form of a JWS with one signature (RFC 7515, section 7.2.2).
fn flattened(signing_input: &str, signature: &[u8]) -> Value {
    let (protected, payload) = signing_input.split_once('.').unwrap_or_default();
    json!({ "protected": protected, "payload": payload, "signature": base64::url(signature) })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    fn part(jws: &Value, name: &str) -> Vec<u8> {
        base64::decode_url(jws[name].as_str().unwrap()).unwrap()
    }

    #[test]
    fn a_request_is_signed_over_what_it_says() {
        let (key, der) = AccountKey::generate().unwrap();
        let key = AccountKey::from_pkcs8(&der).map(|read| (key, read)).map(|(_, read)| read).unwrap();
        for (signer, payload) in
            [(Signer::Key, Some(json!({ "a": 1 }))), (Signer::Account("https://ca/1"), None)]
        {
            let text = key.request(&signer, "n", "https://ca/new", payload.as_ref()).unwrap();
            let jws: Value = serde_json::from_str(&text).unwrap();
            let protected: Value = serde_json::from_slice(&part(&jws, "protected")).unwrap();
            assert_eq!((&protected["nonce"], &protected["url"]), (&json!("n"), &json!("https://ca/new")));
            assert_eq!(protected.get("kid").is_some(), matches!(signer, Signer::Account(_)));
            assert_eq!(protected.get("jwk").is_some(), matches!(signer, Signer::Key));
            assert_eq!(part(&jws, "payload").is_empty(), payload.is_none());
            let signed =
                format!("{}.{}", jws["protected"].as_str().unwrap(), jws["payload"].as_str().unwrap());
            let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.0.public_key().as_ref());
            public.verify(signed.as_bytes(), &part(&jws, "signature")).unwrap();
        }
    }

    #[test]
    fn the_members_of_a_thumbprint_are_sorted_and_without_spaces() {
        let (key, _) = AccountKey::generate().unwrap();
        let public: Value = serde_json::from_str(&key.jwk()).unwrap();
        // serde_json sorts members too.
        assert_eq!(public.to_string(), key.jwk());
        let authorization = key.key_authorization("token");
        let thumbprint = authorization.strip_prefix("token.").unwrap();
        assert_eq!(base64::decode_url(thumbprint).map(|hash| hash.len()), Some(32));
    }

    #[test]
    fn an_external_binding_is_checked_with_the_secret() {
        let (key, _) = AccountKey::generate().unwrap();
        let jws = key.external_binding("kid-1", b"secret", "https://ca/account");
        let protected: Value = serde_json::from_slice(&part(&jws, "protected")).unwrap();
        assert_eq!(protected, json!({ "alg": "HS256", "kid": "kid-1", "url": "https://ca/account" }));
        let signed = format!("{}.{}", jws["protected"].as_str().unwrap(), jws["payload"].as_str().unwrap());
        let secret = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        hmac::verify(&secret, signed.as_bytes(), &part(&jws, "signature")).unwrap();
        assert_eq!(part(&jws, "payload"), key.jwk().as_bytes());
    }
}
