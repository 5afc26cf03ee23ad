//! Keys that verify tokens: from PEM (RFC 7468), from a JWK set (RFC 7517), or a secret.
//!
//! The algorithm comes from the key (RFC 8725, section 3.1). A key that was fetched or that is public is never a secret,
//! so its bytes cannot be taken for one.

use aws_lc_rs::hmac;
use aws_lc_rs::rand;
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{
    self, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents, VerificationAlgorithm,
};
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::json;
use super::outcome::{Found, KeyProblem};
use crate::auth::{decode, decode_url};

/// Whether tokens can be verified.
pub const IS_BUILT_IN: bool = true;

/// Keys of a set.
const KEYS_MAX: usize = 100;
/// Keys that are tried for one token, since each takes a worker up to a tenth of a millisecond.
const TRIED_MAX: usize = 4;
/// Bits of an RSA key. A signature of 4,096 bits takes some 70 microseconds.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=4_096;
/// Bytes of a public exponent. Usual are three.
const RSA_EXPONENT_BYTES_MAX: usize = 4;

/// A set of keys.
pub struct KeySet {
    keys: Vec<Key>,
    /// The random key of fingerprints. A set that replaces this one has another.
    fingerprints: hmac::Key,
}

struct Key {
    /// `kid`. A key without one may be that of any token.
    id: Option<Box<str>>,
    checks: Vec<(Algorithm, Check)>,
}

enum Check {
    Signature(ParsedPublicKey),
    Tag(Box<hmac::Key>),
}

type Signed = (Algorithm, &'static dyn VerificationAlgorithm);

static RSA: [(Algorithm, &RsaParameters); 6] = [
    (Algorithm::Rs256, &signature::RSA_PKCS1_2048_8192_SHA256),
    (Algorithm::Rs384, &signature::RSA_PKCS1_2048_8192_SHA384),
    (Algorithm::Rs512, &signature::RSA_PKCS1_2048_8192_SHA512),
    (Algorithm::Ps256, &signature::RSA_PSS_2048_8192_SHA256),
    (Algorithm::Ps384, &signature::RSA_PSS_2048_8192_SHA384),
    (Algorithm::Ps512, &signature::RSA_PSS_2048_8192_SHA512),
];

static P256: Signed = (Algorithm::Es256, &signature::ECDSA_P256_SHA256_FIXED);
static P384: Signed = (Algorithm::Es384, &signature::ECDSA_P384_SHA384_FIXED);
static ED25519: Signed = (Algorithm::EdDsa, &signature::ED25519);

const PRIVATE: KeyProblem = KeyProblem {
    problem: "has a private key, which belongs to the issuer alone",
    hint: "`openssl pkey -in FILE -pubout` writes its public key",
};

const SHORT: KeyProblem = KeyProblem {
    problem: "is too short for a secret: HS256 needs 32 bytes, HS384 48 and HS512 64 (RFC 7518, section 3.2)",
    hint: "`openssl rand -hex 32` makes one",
};

const NONE: KeyProblem = KeyProblem {
    problem: "has no key that verifies tokens",
    hint: "keys are of RSA with 2048 to 4096 bits, P-256, P-384 or Ed25519, in a JWK set or as `BEGIN PUBLIC KEY`",
};

const TOO_MANY: KeyProblem =
    KeyProblem { problem: "has more than 100 keys", hint: "take out those that sign no tokens any more" };

impl KeySet {
    /// The public keys of a text: PEM, a JWK set, or one JWK. Keys of other kinds are left out.
    ///
    /// # Errors
    /// There is no key, or a private one.
    pub fn of_text(text: &[u8]) -> Result<Self, KeyProblem> {
        let keys = match text.trim_ascii_start() {
            [b'{', ..] => of_jwks(text)?,
            _ => of_pem(text)?,
        };
        if keys.is_empty() { Err(NONE) } else { Self::new(keys) }
    }

    /// The key that is a secret. Each algorithm for which it is long enough may be that of a token.
    ///
    /// # Errors
    /// The secret is too short.
    pub fn of_secret(secret: &[u8]) -> Result<Self, KeyProblem> {
        let algorithms = [
            (Algorithm::Hs256, hmac::HMAC_SHA256),
            (Algorithm::Hs384, hmac::HMAC_SHA384),
            (Algorithm::Hs512, hmac::HMAC_SHA512),
        ];
        let fits = |algorithm: &Algorithm| {
            algorithm.secret_bytes_min().is_some_and(|bytes_min| secret.len() >= bytes_min)
        };
        let checks: Vec<_> = algorithms
            .into_iter()
            .filter(|(algorithm, _)| fits(algorithm))
            .map(|(algorithm, hash)| (algorithm, Check::Tag(Box::new(hmac::Key::new(hash, secret)))))
            .collect();
        if checks.is_empty() { Err(SHORT) } else { Self::new(vec![Key { id: None, checks }]) }
    }

    fn new(keys: Vec<Key>) -> Result<Self, KeyProblem> {
        if keys.len() > KEYS_MAX {
            return Err(TOO_MANY);
        }
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).expect("invariant: the system has random numbers");
        Ok(Self { keys, fingerprints: hmac::Key::new(hmac::HMAC_SHA256, &bytes) })
    }

    /// Whether a key may sign with this algorithm.
    pub fn takes(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.check(algorithm).is_some())
    }

    /// Checks a signature with the key of this identity, or with those that have none.
    pub(super) fn check(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Found {
        let is_named = |key: &&Key| id.is_none() || key.id.is_none() || key.id.as_deref() == id;
        let checks = self.keys.iter().filter(is_named).filter_map(|key| key.check(algorithm));
        let mut found = Found::NoKey;
        for check in checks.take(TRIED_MAX) {
            if check.is_right(message, signature) {
                return Found::Signer;
            }
            found = Found::OtherSignature;
        }
        found
    }

    /// The fingerprint of a token for a rule with this number. It says nothing about the token, and another set of keys
    /// has another one.
    pub fn fingerprint(&self, number: u64, token: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.fingerprints);
        context.update(&number.to_be_bytes());
        context.update(token);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(context.sign().as_ref());
        fingerprint
    }
}

impl Key {
    fn check(&self, algorithm: Algorithm) -> Option<&Check> {
        self.checks.iter().find(|(known, _)| *known == algorithm).map(|(_, check)| check)
    }
}

impl Check {
    fn is_right(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Check::Signature(key) => key.verify_sig(message, signature).is_ok(),
            Check::Tag(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

/// The keys of PEM: every `PUBLIC KEY`.
fn of_pem(text: &[u8]) -> Result<Vec<Key>, KeyProblem> {
    let text = std::str::from_utf8(text).map_err(|_| NONE)?;
    let mut keys = Vec::new();
    let mut parts = text.split("-----BEGIN ");
    parts.next();
    for part in parts {
        let (label, rest) = part.split_once("-----").ok_or(NONE)?;
        if label.ends_with("PRIVATE KEY") {
            return Err(PRIVATE);
        }
        let (body, _) = rest.split_once("-----END ").ok_or(NONE)?;
        let digits: Vec<u8> = body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let der = decode(&digits).filter(|_| label == "PUBLIC KEY");
        let key = der.and_then(|der| of_der(&der)).ok_or(NONE)?;
        keys.push(key);
    }
    Ok(keys)
}

/// The key of a `SubjectPublicKeyInfo` (RFC 5280, section 4.1.2.7). The kind is the one as which it can be read.
fn of_der(der: &[u8]) -> Option<Key> {
    if let Ok(rsa) = PublicEncryptingKey::from_der(der) {
        let checks = RSA.iter().map(|(algorithm, parameters)| {
            Some((*algorithm, Check::Signature(ParsedPublicKey::new(*parameters, der).ok()?)))
        });
        let checks = checks.collect::<Option<_>>().filter(|_| RSA_BITS.contains(&rsa.key_size_bits()))?;
        return Some(Key { id: None, checks });
    }
    [P256, P384, ED25519].iter().find_map(|signed| one(signed, der))
}

fn one((algorithm, verification): &Signed, bytes: &[u8]) -> Option<Key> {
    let key = ParsedPublicKey::new(*verification, bytes).ok()?;
    Some(Key { id: None, checks: vec![(*algorithm, Check::Signature(key))] })
}

/// The keys of a JWK set, or of one JWK.
fn of_jwks(text: &[u8]) -> Result<Vec<Key>, KeyProblem> {
    let object = json::object(text).ok_or(NONE)?;
    let set = match object.get("keys") {
        Some(Value::Array(set)) => set.iter().filter_map(Value::as_object).collect(),
        _ => vec![&object],
    };
    if set.len() > KEYS_MAX {
        return Err(TOO_MANY);
    }
    if set.iter().any(|jwk| jwk.contains_key("d") || jwk.contains_key("k")) {
        return Err(PRIVATE);
    }
    Ok(set.into_iter().filter_map(of_jwk).collect())
}

/// The key of a JWK, if it verifies signatures.
fn of_jwk(jwk: &Map<String, Value>) -> Option<Key> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| decode_url(text(name)?.as_bytes());
    let verifies = |operations: &Value| {
        operations.as_array().is_some_and(|operations| operations.iter().any(|one| one == "verify"))
    };
    if jwk.get("use").is_some_and(|used| used != "sig")
        || jwk.get("key_ops").is_some_and(|operations| !verifies(operations))
    {
        return None;
    }
    let mut key = match (text("kty")?, text("crv")) {
        ("RSA", _) => of_components(&bytes("n")?, &bytes("e")?)?,
        ("EC", Some("P-256")) => one(&P256, &point(32, &bytes("x")?, &bytes("y")?)?)?,
        ("EC", Some("P-384")) => one(&P384, &point(48, &bytes("x")?, &bytes("y")?)?)?,
        ("OKP", Some("Ed25519")) => one(&ED25519, &bytes("x").filter(|x| x.len() == 32)?)?,
        _ => return None,
    };
    // A key with an algorithm is for that one alone.
    if let Some(algorithm) = jwk.get("alg") {
        let algorithm = Algorithm::find(algorithm.as_str()?)?;
        key.checks.retain(|(known, _)| *known == algorithm);
    }
    key.id = text("kid").map(Box::from);
    (!key.checks.is_empty()).then_some(key)
}

/// An uncompressed point (SEC 1, section 2.3.3).
fn point(size: usize, x: &[u8], y: &[u8]) -> Option<Vec<u8>> {
    (x.len() == size && y.len() == size).then(|| [&[4], x, y].concat())
}

fn of_components(n: &[u8], e: &[u8]) -> Option<Key> {
    // Some issuers write a zero in front.
    let plain = |bytes: &[u8]| bytes.iter().position(|byte| *byte != 0).map(|first| bytes[first..].to_vec());
    let (n, e) = (plain(n)?, plain(e)?);
    let bits = n.len() * 8 - n[0].leading_zeros() as usize;
    if !RSA_BITS.contains(&bits) || e.len() > RSA_EXPONENT_BYTES_MAX {
        return None;
    }
    let components = RsaPublicKeyComponents { n, e };
    let checks = RSA.iter().map(|(algorithm, parameters)| {
        Some((*algorithm, Check::Signature(components.to_parsed_public_key(parameters).ok()?)))
    });
    Some(Key { id: None, checks: checks.collect::<Option<_>>()? })
}
