//! Tests of tokens: examples of RFCs, tokens of PyJWT, and what RFC 8725 warns about.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

use super::*;
use crate::auth::encode;

/// RFC 7515, appendix A.1, and RFC 7519, section 3.1.
const CLAIMS: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
/// The second in which those claims expire.
const END: u64 = 1_300_819_380;

const ANY: Demands<'_> = Demands { algorithms: &[], issuer: None, audience: &[], leeway: Duration::ZERO };

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn url(bytes: impl AsRef<[u8]>) -> String {
    encode(bytes.as_ref()).replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned()
}

const SECRET: &[u8] = &[b's'; 64];

/// A token with an HMAC of the secret, whatever it says.
fn tagged(head: &str, claims: &str) -> String {
    let message = format!("{}.{}", url(head), url(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
    format!("{message}.{}", url(tag))
}

fn check(token: &str, demands: &Demands<'_>) -> Result<Claims, TokenError> {
    let keys = KeySet::of_secret(SECRET).unwrap();
    verify(token.as_bytes(), &keys, demands, at(1_000)).map(|(claims, _)| claims)
}

/// The result for a token with these claims.
fn claimed(claims: &str) -> Option<TokenError> {
    check(&tagged(r#"{"alg":"HS256"}"#, claims), &ANY).err()
}

/// The result for a token with this head.
fn headed(head: &str) -> Option<TokenError> {
    check(&tagged(head, r#"{"exp":2000}"#), &ANY).err()
}

fn set(jwk: &str) -> KeySet {
    KeySet::of_text(format!("{{\"keys\":[{jwk}]}}").as_bytes())
        .unwrap_or_else(|error| panic!("{jwk}: {error:?}"))
}

#[test]
fn examples_of_rfc_7515() {
    let hs =
        decode_url(b"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
    let rs = r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#;
    let es = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    for (keys, head, signature) in [
        (
            KeySet::of_secret(&hs.unwrap()).unwrap(),
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        ),
        (
            set(rs),
            "eyJhbGciOiJSUzI1NiJ9",
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        ),
        (
            set(es),
            "eyJhbGciOiJFUzI1NiJ9",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
    ] {
        let token = format!("{head}.{CLAIMS}.{signature}");
        let (claims, left) = verify(token.as_bytes(), &keys, &ANY, at(END - 1)).unwrap();
        assert_eq!(left, Duration::from_secs(1));
        assert!(
            claims.has("iss", &["joe".into()]) && claims.has("http://example.com/is_root", &["true".into()])
        );
        assert_eq!(verify(token.as_bytes(), &keys, &ANY, at(END)).unwrap_err(), TokenError::Expired);
        let late = Demands { leeway: Duration::from_secs(60), ..ANY };
        assert!(verify(token.as_bytes(), &keys, &late, at(END + 59)).is_ok());
        assert!(verify(token.as_bytes(), &keys, &late, at(END + 60)).is_err());
        // Any other byte of the signed text is another token.
        for (from, to) in [(CLAIMS, "eyJpc3MiOiJqb2UifQ"), (&signature[..4], "AAAA"), ("eyJ", "eyK")] {
            let other = token.replacen(from, to, 1);
            assert!(verify(other.as_bytes(), &keys, &ANY, at(END - 1)).is_err(), "{other}");
        }
    }
}

#[test]
fn the_example_of_rfc_8037() {
    let keys = set(r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#);
    let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature =
        decode_url(b"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    let signature = signature.unwrap();
    assert_eq!(keys.check(None, Algorithm::EdDsa, message, &signature), Found::Signer);
    assert_eq!(keys.check(None, Algorithm::EdDsa, &message[1..], &signature), Found::OtherSignature);
    assert_eq!(keys.check(None, Algorithm::Es256, message, &signature), Found::NoKey);
}

#[test]
fn the_example_of_rfc_7519_without_a_signature_is_refused() {
    let token = format!("eyJhbGciOiJub25lIn0.{CLAIMS}.");
    assert_eq!(check(&token, &ANY).unwrap_err(), TokenError::Malformed);
}

/// Keys and tokens of every algorithm, made by PyJWT and by the `cryptography` of Python.
#[test]
fn tokens_of_pyjwt() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tokens/pyjwt.json")).unwrap();
    let made: Value = serde_json::from_str(&text).unwrap();
    let jwks = KeySet::of_text(made["jwks"].to_string().as_bytes()).unwrap();
    let secret = KeySet::of_secret(made["secret"].as_str().unwrap().as_bytes()).unwrap();
    let demands = Demands { issuer: Some("https://id.test/"), audience: &["api".into()], ..ANY };
    for algorithm in Algorithm::ALL {
        let token = made["tokens"][algorithm.label()].as_str().unwrap().as_bytes();
        let [ours, other] = match algorithm.secret_bytes_min() {
            Some(_) => [&secret, &jwks],
            None => [&jwks, &secret],
        };
        let (claims, _) = verify(token, ours, &demands, SystemTime::now()).unwrap();
        assert!(claims.has("role", &["admin".into()]), "{algorithm}");
        assert!(ours.takes(*algorithm) && !other.takes(*algorithm));
        assert!(verify(token, other, &demands, SystemTime::now()).is_err());
        let alone = Demands { algorithms: &[*algorithm], ..demands };
        assert!(verify(token, ours, &alone, SystemTime::now()).is_ok());
        for not_it in Algorithm::ALL.iter().filter(|one| *one != algorithm) {
            let alone = Demands { algorithms: &[*not_it], ..demands };
            assert_eq!(verify(token, ours, &alone, SystemTime::now()).unwrap_err(), TokenError::Algorithm);
        }
        let pem = ["rsa", "p256", "p384", "ed"].map(|name| made["pem"][name].as_str().unwrap()).concat();
        let pem = KeySet::of_text(pem.as_bytes()).unwrap();
        assert_eq!(
            verify(token, &pem, &demands, SystemTime::now()).is_ok(),
            algorithm.secret_bytes_min().is_none()
        );
    }
}

#[test]
fn the_algorithm_comes_from_the_key() {
    for (head, error) in [
        (r#"{"alg":"HS256"}"#, None),
        (r#"{"alg":"none"}"#, Some(TokenError::Algorithm)),
        (r#"{"alg":"None"}"#, Some(TokenError::Algorithm)),
        (r#"{"alg":"nOnE"}"#, Some(TokenError::Algorithm)),
        (r#"{"alg":""}"#, Some(TokenError::Algorithm)),
        (r#"{"alg":"hs256"}"#, Some(TokenError::Algorithm)),
        (r#"{"alg":"HS384"}"#, Some(TokenError::Signature)),
        (r#"{"alg":"RS256"}"#, Some(TokenError::Algorithm)),
        (r#"{"alg":["HS256"]}"#, Some(TokenError::Malformed)),
        (r#"{}"#, Some(TokenError::Malformed)),
        (r#"{"alg":"HS256","alg":"HS256"}"#, Some(TokenError::Malformed)),
    ] {
        assert_eq!(headed(head), error, "{head}");
    }
}

/// The public key, as PEM or as the bytes of it, is no secret with which a token can be made.
#[test]
fn a_public_key_is_no_secret() {
    let text = include_str!("../../tests/tokens/pyjwt.json");
    let made: Value = serde_json::from_str(text).unwrap();
    let pem = made["pem"]["rsa"].as_str().unwrap();
    let keys = KeySet::of_text(pem.as_bytes()).unwrap();
    for secret in [pem, pem.trim_end(), "x"] {
        let message = format!("{}.{}", url(r#"{"alg":"HS256"}"#), url(r#"{"exp":2000}"#));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), message.as_bytes());
        let token = format!("{message}.{}", url(tag));
        assert_eq!(verify(token.as_bytes(), &keys, &ANY, at(1_000)).unwrap_err(), TokenError::Algorithm);
    }
}

/// RFC 8725, section 3.10, and RFC 7515, section 4.1.
#[test]
fn a_head_leads_to_no_other_key() {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let jwk =
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#, url(&point[1..33]), url(&point[33..]));
    let ours = set(&set_text());
    for more in [
        format!(r#""jwk":{jwk}"#),
        r#""jku":"http://127.0.0.1/""#.into(),
        r#""x5u":"http://127.0.0.1/""#.into(),
    ] {
        let message = format!("{}.{}", url(format!(r#"{{"alg":"ES256",{more}}}"#)), url(r#"{"exp":2000}"#));
        let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        let token = format!("{message}.{}", url(signature));
        assert_eq!(verify(token.as_bytes(), &ours, &ANY, at(1_000)).unwrap_err(), TokenError::Signature);
        // It is right for its own key.
        assert!(verify(token.as_bytes(), &set(&jwk), &ANY, at(1_000)).is_ok());
    }
    let message = format!("{}.{}", url(r#"{"alg":"ES256"}"#), url(r#"{"exp":2000}"#));
    for signature in [vec![0; 64], vec![255; 64], vec![0; 63], vec![0; 65], vec![0]] {
        let token = format!("{message}.{}", url(signature));
        assert_eq!(verify(token.as_bytes(), &set(&jwk), &ANY, at(1_000)).unwrap_err(), TokenError::Signature);
    }
}

fn set_text() -> String {
    let made: Value = serde_json::from_str(include_str!("../../tests/tokens/pyjwt.json")).unwrap();
    let mut jwk = made["jwks"]["keys"][1].clone();
    jwk.as_object_mut().unwrap().remove("kid");
    jwk.to_string()
}

#[test]
fn extensions_and_other_kinds_of_tokens_are_refused() {
    for head in [
        r#"{"alg":"HS256","crit":["exp"],"exp":1}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","b64":false,"crit":["b64"]}"#,
        r#"{"alg":"HS256","b64":true}"#,
        r#"{"alg":"HS256","zip":"DEF"}"#,
        r#"{"alg":"HS256","typ":"logout+jwt"}"#,
        r#"{"alg":"HS256","typ":"dpop+jwt"}"#,
        r#"{"alg":"HS256","typ":1}"#,
        r#"{"alg":"HS256","kid":7}"#,
        r#"["HS256"]"#,
        "HS256",
        "",
    ] {
        assert_eq!(headed(head), Some(TokenError::Malformed), "{head}");
    }
    for kind in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        assert_eq!(headed(&format!(r#"{{"alg":"HS256","typ":"{kind}"}}"#)), None, "{kind}");
    }
}

#[test]
fn an_identity_of_a_key_is_compared_and_nothing_else() {
    let made: Value = serde_json::from_str(include_str!("../../tests/tokens/pyjwt.json")).unwrap();
    let keys = KeySet::of_text(made["jwks"].to_string().as_bytes()).unwrap();
    for id in ["../../etc/passwd", "' OR 1=1", "", "RSA"] {
        assert_eq!(keys.check(Some(id), Algorithm::Rs256, b"", b""), Found::NoKey, "{id}");
    }
    assert_eq!(keys.check(Some("rsa"), Algorithm::Rs256, b"", b""), Found::OtherSignature);
    assert_eq!(keys.check(Some("p256"), Algorithm::Rs256, b"", b""), Found::NoKey);
}

#[test]
fn the_form_of_a_token_is_strict() {
    let good = tagged(r#"{"alg":"HS256"}"#, r#"{"exp":2000}"#);
    assert!(check(&good, &ANY).is_ok());
    let (message, tag) = good.rsplit_once('.').unwrap();
    for token in [
        String::new(),
        ".".into(),
        "..".into(),
        message.into(),
        format!("{message}."),
        format!("{good}."),
        format!("{good}.a.b"),
        format!("{good}="),
        format!("{good} "),
        format!(" {good}"),
        format!(".{good}"),
        good.replacen('.', "=.", 1),
        format!("{message}.{}", &tag[..tag.len() - 2]),
    ] {
        assert!(check(&token, &ANY).is_err(), "{token}");
    }
    let long = |filler: usize| {
        tagged(r#"{"alg":"HS256"}"#, &format!(r#"{{"exp":2000,"a":"{}"}}"#, "a".repeat(filler)))
    };
    // Four characters of a token stand for three bytes.
    let filler = (5_000..8_000).rfind(|filler| long(*filler).len() <= TOKEN_BYTES_MAX).unwrap();
    assert_eq!(long(filler).len(), TOKEN_BYTES_MAX);
    assert!(check(&long(filler), &ANY).is_ok());
    assert_eq!(check(&long(filler + 1), &ANY).unwrap_err(), TokenError::Malformed);
}

#[test]
fn times_are_checked() {
    for (claims, error) in [
        (r#"{"exp":1001}"#, None),
        (r#"{"exp":1000.5}"#, None),
        (r#"{"exp":1000}"#, Some(TokenError::Expired)),
        (r#"{"exp":999.9}"#, Some(TokenError::Expired)),
        (r#"{"exp":-1}"#, Some(TokenError::Expired)),
        (r#"{"exp":0}"#, Some(TokenError::Expired)),
        (r#"{}"#, Some(TokenError::Endless)),
        (r#"{"exp":"2000"}"#, Some(TokenError::Malformed)),
        (r#"{"exp":null}"#, Some(TokenError::Malformed)),
        (r#"{"exp":9223372036854775808}"#, Some(TokenError::Malformed)),
        (r#"{"exp":18446744073709551616}"#, Some(TokenError::Malformed)),
        (r#"{"exp":1e300}"#, Some(TokenError::Malformed)),
        (r#"{"exp":1e999}"#, Some(TokenError::Malformed)),
        (r#"{"exp":2000,"exp":3000}"#, Some(TokenError::Malformed)),
        (r#"{"exp":2000,"nbf":1000,"iat":1000}"#, None),
        (r#"{"exp":2000,"nbf":1001}"#, Some(TokenError::NotYetValid)),
        (r#"{"exp":2000,"iat":1001}"#, Some(TokenError::NotYetValid)),
        (r#"{"exp":2000,"nbf":"0"}"#, Some(TokenError::Malformed)),
        (r#"{"exp":2000,"iat":true}"#, Some(TokenError::Malformed)),
        (r#"["exp"]"#, Some(TokenError::Malformed)),
        ("\u{1}", Some(TokenError::Malformed)),
    ] {
        assert_eq!(claimed(claims), error, "{claims}");
    }
    let demands = Demands { leeway: Duration::from_secs(60), ..ANY };
    for (claims, is_fine) in [
        (r#"{"exp":941,"nbf":1060}"#, true),
        (r#"{"exp":940}"#, false),
        (r#"{"exp":2000,"nbf":1061}"#, false),
    ] {
        assert_eq!(check(&tagged(r#"{"alg":"HS256"}"#, claims), &demands).is_ok(), is_fine, "{claims}");
    }
}

/// RFC 8725, sections 3.8 and 3.9.
#[test]
fn a_token_of_another_issuer_or_for_another_audience_is_refused() {
    let audience = ["api".into(), "web".into()];
    let demands = Demands { issuer: Some("https://id.test/"), audience: &audience, ..ANY };
    for (issuer, audience, error) in [
        (r#""https://id.test/""#, r#""api""#, None),
        (r#""https://id.test/""#, r#"["other","web"]"#, None),
        (r#""https://id.test""#, r#""api""#, Some(TokenError::Issuer)),
        (r#"["https://id.test/"]"#, r#""api""#, Some(TokenError::Issuer)),
        ("null", r#""api""#, Some(TokenError::Issuer)),
        (r#""https://id.test/""#, r#""API""#, Some(TokenError::Audience)),
        (r#""https://id.test/""#, r#"["other"]"#, Some(TokenError::Audience)),
        (r#""https://id.test/""#, "[]", Some(TokenError::Audience)),
        (r#""https://id.test/""#, r#"{"api":1}"#, Some(TokenError::Audience)),
        (r#""https://id.test/""#, r#"[["api"]]"#, Some(TokenError::Audience)),
        (r#""https://id.test/""#, "null", Some(TokenError::Audience)),
    ] {
        let claims = format!(r#"{{"exp":2000,"iss":{issuer},"aud":{audience}}}"#);
        let result = check(&tagged(r#"{"alg":"HS256"}"#, &claims), &demands);
        assert_eq!(result.err(), error, "{claims}");
    }
    let neither = tagged(r#"{"alg":"HS256"}"#, r#"{"exp":2000}"#);
    assert!(check(&neither, &ANY).is_ok() && check(&neither, &demands).is_err());
}

#[test]
fn keys_that_are_none_are_refused() {
    let many = |count| format!(r#"{{"keys":[{}]}}"#, vec![r#"{"kty":"EC"}"#; count].join(","));
    for (text, word) in [
        ("", "no key"),
        ("<html><body>Sign in</body></html>", "no key"),
        ("{}", "no key"),
        (r#"{"keys":[]}"#, "no key"),
        (r#"{"keys":"a"}"#, "no key"),
        (r#"{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#, "no key"),
        (r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#, "no key"),
        (r#"{"keys":[{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}]}"#, "no key"),
        (r#"{"keys":[],"keys":[]}"#, "no key"),
        (r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, "private"),
        (r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}]}"#, "private"),
        (&many(10_000), "more than 100"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "private"),
        ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----", "private"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "no key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "no key"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA", "no key"),
    ] {
        let problem = KeySet::of_text(text.as_bytes()).err().map(|error| error.problem);
        assert!(problem.is_some_and(|problem| problem.contains(word)), "{text:.60}: {problem:?}");
    }
    for length in [0, 1, 31] {
        assert!(KeySet::of_secret(&vec![b'a'; length]).is_err());
    }
    for (length, last) in [(32, Algorithm::Hs256), (48, Algorithm::Hs384), (64, Algorithm::Hs512)] {
        let keys = KeySet::of_secret(&vec![b'a'; length]).unwrap();
        let taken: Vec<_> = Algorithm::ALL.iter().filter(|algorithm| keys.takes(**algorithm)).collect();
        assert_eq!(taken.last(), Some(&&last));
    }
}

/// A key for encryption, or for another algorithm, verifies nothing.
#[test]
fn a_key_is_used_for_what_it_is_for() {
    let made: Value = serde_json::from_str(include_str!("../../tests/tokens/pyjwt.json")).unwrap();
    let rsa = &made["jwks"]["keys"][0];
    let with = |name: &str, value: Value| {
        let mut jwk = rsa.clone();
        jwk[name] = value;
        KeySet::of_text(jwk.to_string().as_bytes()).ok()
    };
    assert!(with("use", "enc".into()).is_none());
    assert!(with("key_ops", serde_json::json!(["sign"])).is_none());
    assert!(with("key_ops", serde_json::json!(["verify"])).is_some());
    assert!(with("alg", "RSA-OAEP".into()).is_none());
    let ps = with("alg", "PS256".into()).unwrap();
    assert!(ps.takes(Algorithm::Ps256) && !ps.takes(Algorithm::Rs256));
}

/// The shape of the key set of an OpenID provider: other members, chains, keys for encryption.
#[test]
fn a_key_set_of_an_openid_provider_is_read() {
    let made: Value = serde_json::from_str(include_str!("../../tests/tokens/pyjwt.json")).unwrap();
    let mut signs = made["jwks"]["keys"][0].clone();
    let mut encrypts = signs.clone();
    for (name, value) in [
        ("alg", "RS256".into()),
        ("x5c", serde_json::json!(["MIICmzCCAYMCBgF4HR7HNDANBgkqhkiG9w0BAQsFADAR"])),
        ("x5t", "mZ9eJ1p9lGE8wQmh2vEoZnRL0CE".into()),
        ("x5t#S256", "aSlm4kqmSVTQxmPUPp7Jj1wAyyCUIH8gqhzYCCLBqYM".into()),
        ("kid", "GTq4Kj8F0mT9dL_cQ2pR".into()),
    ] {
        signs[name] = value;
    }
    (encrypts["use"], encrypts["alg"], encrypts["kid"]) = ("enc".into(), "RSA-OAEP".into(), "other".into());
    let set =
        serde_json::json!({ "keys": [encrypts, signs, { "kty": "AKP", "alg": "ML-DSA-44" }], "more": 1 });
    let keys = KeySet::of_text(set.to_string().as_bytes()).unwrap();
    assert_eq!(keys.check(Some("GTq4Kj8F0mT9dL_cQ2pR"), Algorithm::Rs256, b"", b""), Found::OtherSignature);
    for (id, algorithm) in [("other", Algorithm::Rs256), ("GTq4Kj8F0mT9dL_cQ2pR", Algorithm::Ps256)] {
        assert_eq!(keys.check(Some(id), algorithm, b"", b""), Found::NoKey);
    }
}
