//! Values of `auth.jwt`.

use std::sync::Arc;
use std::time::Duration;

use super::token;
use crate::config::keys::{ValueError, scalar};
use crate::config::plan::{Scheme, TokenPlace};
use crate::config::values::target;
use crate::jwt::Algorithm;

/// The most by which two clocks may be said to differ.
const LEEWAY_MAX: Duration = Duration::from_secs(3_600);

/// The name of an algorithm.
pub(crate) fn algorithm(text: &str) -> Result<Algorithm, ValueError> {
    const KNOWN: &str =
        "write RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA, HS256, HS384 or HS512";
    Algorithm::find(text).ok_or(ValueError::hint("is not an algorithm of signatures that is known", KNOWN))
}

/// The URL of a JWK set.
pub(crate) fn url(text: &str) -> Result<Arc<str>, ValueError> {
    const FORM: &str = "write for example \"https://id.example.com/.well-known/jwks.json\"";
    let (scheme, rest) = text.split_once("://").ok_or(ValueError::hint("is no URL of keys", FORM))?;
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.contains(['#', '\\']);
    match target::target(&format!("{scheme}://{authority}")) {
        Err(error @ target::USERINFO) => Err(error),
        Ok(target) if is_plain && matches!(target.scheme, Some(Scheme::Http | Scheme::Https)) => {
            Ok(text.into())
        }
        _ => Err(ValueError::hint("is no URL of keys", FORM)),
    }
}

/// Whether what is fetched from a URL passes other machines in the clear.
pub(crate) fn is_in_the_clear(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let host = rest.split(['/', '?', ':']).next().unwrap_or_default();
    !matches!(host, "localhost" | "127.0.0.1") && !rest.starts_with("[::1]")
}

/// The most by which two clocks differ.
pub(crate) fn leeway(text: &str) -> Result<Duration, ValueError> {
    let leeway = scalar::duration(text)?;
    if leeway <= LEEWAY_MAX { Ok(leeway) } else { Err(ValueError::new("is longer than an hour")) }
}

/// The place of a token in a request.
pub(crate) fn place(text: &str) -> Result<TokenPlace, ValueError> {
    match text.split_once('.') {
        None if text == "bearer" => Ok(TokenPlace::Bearer),
        Some(("cookie", name)) => token(name).map(TokenPlace::Cookie),
        _ => Err(ValueError::hint("is no place of a token", "write bearer or cookie.NAME")),
    }
}

/// A text that is not empty: an issuer, an audience, a claim, or a value of one.
pub(crate) fn text(text: &str) -> Result<Arc<str>, ValueError> {
    if text.is_empty() { Err(ValueError::new("is empty")) } else { Ok(text.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        assert_eq!(algorithm("EdDSA"), Ok(Algorithm::EdDsa));
        for text in ["none", "None", "rs256", "ES512", "HS1", ""] {
            assert!(algorithm(text).is_err(), "{text}");
        }
        for (text, in_the_clear) in [
            ("https://id.example.com/jwks?a=b", false),
            ("http://keycloak:8080/certs", true),
            ("http://localhost:1/a", false),
            ("http://127.0.0.1", false),
            ("http://[::1]:2/", false),
            ("http://localhost.example/", true),
        ] {
            assert_eq!(url(text).as_deref(), Ok(text));
            assert_eq!(is_in_the_clear(text), in_the_clear, "{text}");
        }
        for text in ["ftp://a", "https://", "https://u:p@a/", "https://a/#b", "https://a/b c", "https://a\\b"]
        {
            assert!(url(text).is_err(), "{text}");
        }
        assert_eq!(place("cookie.session").map(|place| place.to_string()).as_deref(), Ok("cookie.session"));
        for text in ["", "query.token", "cookie.", "header.X", "Bearer"] {
            assert!(place(text).is_err(), "{text}");
        }
        assert!(leeway("1h").is_ok() && leeway("0s").is_ok() && leeway("61m").is_err());
    }
}
