//! Tokens: none but the signed one is right, a text is no key by chance, and no claim leaves its field.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use smolgate::jwt::{Algorithm, Claims, Demands, KeySet, verify};

const SECRET: &[u8] = b"a secret of sixty-four bytes that is written here, for tests only";

/// Tokens and keys of PyJWT.
const MADE: &str = include_str!("../../tests/tokens/pyjwt.json");

static KEYS: LazyLock<KeySet> =
    LazyLock::new(|| KeySet::of_secret(SECRET).unwrap_or_else(|_| panic!("a secret")));

/// Checks bytes as a token, as keys, and as claims.
pub fn holds(bytes: &[u8]) {
    let demands = Demands { algorithms: &[], issuer: None, audience: &[], leeway: Duration::from_secs(60) };
    if verify(bytes, &KEYS, &demands, SystemTime::now()).is_ok() {
        // Without the secret, nothing else can be signed.
        let text = std::str::from_utf8(bytes).expect("a token is text");
        assert!(MADE.contains(text), "{text}");
    }
    if let Ok(keys) = KeySet::of_text(bytes) {
        let mut taken = Algorithm::ALL.iter().filter(|algorithm| keys.takes(**algorithm)).peekable();
        assert!(taken.peek().is_some(), "a set has keys");
        assert!(taken.all(|algorithm| algorithm.secret_bytes_min().is_none()), "a public key is no secret");
    }
    let Some(claims) = Claims::read(bytes) else { return };
    let is_plain = |value: &[u8]| value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    for claim in claims.texts() {
        assert!(is_plain(&claim.value), "{}", claim.value.escape_ascii());
        if let Ok(Some(value)) = claims.field(&claim.name) {
            assert!(is_plain(&value) && !value.is_empty());
        }
        assert!(!claims.has(&claim.name, &[]), "no value is wanted");
    }
}

/// The first inputs.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = [
        "",
        "..",
        "eyJhbGciOiJub25lIn0.eyJleHAiOjQwMDAwMDAwMDB9.",
        r#"{"sub":"ann","exp":4000000000,"roles":["a","b,c"],"realm":{"roles":["x"],"a.b":1},"bad":"a\r\nb"}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#,
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----",
        "-----BEGIN ",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    // The tokens stand in quotes, one in each line.
    let quoted = MADE.lines().filter_map(|line| line.split('"').nth(3));
    seeds.extend(quoted.filter(|text| text.starts_with("eyJ")).map(|text| text.as_bytes().to_vec()));
    seeds
}
