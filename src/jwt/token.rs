//! The check of a token: JWS in its compact form (RFC 7515, section 3.1) with the claims of a JWT (RFC 7519, section 4.1),
//! by the rules of RFC 8725.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::claims::Claims;
use super::json;
use super::keys::KeySet;
use super::outcome::{Found, TokenError};
use crate::auth::decode_url;

/// Bytes of the longest token.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// The last second of the year 9999. No later time of a token is meant.
const SECONDS_MAX: f64 = 253_402_300_799.0;

/// The kinds of tokens that let a user in (RFC 8725, section 3.11). A token for a logout, or a proof, is none.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// The demands on a token.
#[derive(Clone, Copy, Debug)]
pub struct Demands<'a> {
    /// The algorithms, if not all of the keys.
    pub algorithms: &'a [Algorithm],
    /// The issuer, if there is one alone.
    pub issuer: Option<&'a str>,
    /// The audiences, one of which the token must be for.
    pub audience: &'a [Arc<str>],
    /// The most by which two clocks differ.
    pub leeway: Duration,
}

/// Checks a token, its signature before its claims. Returns them, and how long they hold.
///
/// # Errors
/// [`TokenError`].
pub fn verify(
    token: &[u8],
    keys: &KeySet,
    demands: &Demands<'_>,
    now: SystemTime,
) -> Result<(Claims, Duration), TokenError> {
    let (message, claims, signature) = parts(token).ok_or(TokenError::Malformed)?;
    let head = decode_url(message.0).and_then(|head| json::object(&head)).ok_or(TokenError::Malformed)?;
    let algorithm = algorithm(&head, demands)?;
    let id = match head.get("kid") {
        None => None,
        Some(id) => Some(id.as_str().ok_or(TokenError::Malformed)?),
    };
    let signature = decode_url(signature).ok_or(TokenError::Malformed)?;
    match keys.check(id, algorithm, message.1, &signature) {
        Found::Signer => {}
        Found::OtherSignature => return Err(TokenError::Signature),
        Found::NoKey if id.is_some() => return Err(TokenError::UnknownKey),
        Found::NoKey => return Err(TokenError::Algorithm),
    }
    let claims = decode_url(claims).and_then(|claims| Claims::read(&claims)).ok_or(TokenError::Malformed)?;
    let left = check_claims(&claims.0, demands, now)?;
    Ok((claims, left))
}

/// The head and the signed bytes, the claims, and the signature, all as they are written.
#[expect(clippy::type_complexity, reason = "the parts of one text")]
fn parts(token: &[u8]) -> Option<((&[u8], &[u8]), &[u8], &[u8])> {
    if token.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let mut dots = memchr::memchr_iter(b'.', token);
    let (first, second) = (dots.next()?, dots.next()?);
    // A fifth part would be that of an encrypted token.
    let is_signed = dots.next().is_none() && second + 1 < token.len();
    is_signed.then(|| ((&token[..first], &token[..second]), &token[first + 1..second], &token[second + 1..]))
}

/// The algorithm of a head. `jku`, `jwk`, `x5u` and `x5c` are never looked at (RFC 8725, section 3.10).
fn algorithm(head: &Map<String, Value>, demands: &Demands<'_>) -> Result<Algorithm, TokenError> {
    // RFC 7515, section 4.1.11: extensions that are not understood refuse the token; none is. RFC 8725, section 3.6.
    if head.contains_key("crit") || head.contains_key("zip") || head.contains_key("b64") {
        return Err(TokenError::Malformed);
    }
    if let Some(kind) = head.get("typ") {
        let kind = kind.as_str().ok_or(TokenError::Malformed)?.to_ascii_lowercase();
        if !TYPES.contains(&kind.strip_prefix("application/").unwrap_or(&kind)) {
            return Err(TokenError::Malformed);
        }
    }
    let name = head.get("alg").and_then(Value::as_str).ok_or(TokenError::Malformed)?;
    let is_allowed =
        |algorithm: &Algorithm| demands.algorithms.is_empty() || demands.algorithms.contains(algorithm);
    Algorithm::find(name).filter(is_allowed).ok_or(TokenError::Algorithm)
}

/// Checks the registered claims. Returns how long they hold.
fn check_claims(
    claims: &Map<String, Value>,
    demands: &Demands<'_>,
    now: SystemTime,
) -> Result<Duration, TokenError> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let leeway = demands.leeway.as_secs_f64();
    let expires = time(claims, "exp")?.ok_or(TokenError::Endless)?;
    if expires + leeway <= now {
        return Err(TokenError::Expired);
    }
    for name in ["nbf", "iat"] {
        if time(claims, name)?.is_some_and(|time| time > now + leeway) {
            return Err(TokenError::NotYetValid);
        }
    }
    let text = |name| claims.get(name).and_then(Value::as_str);
    if demands.issuer.is_some_and(|issuer| text("iss") != Some(issuer)) {
        return Err(TokenError::Issuer);
    }
    let is_ours =
        |one: &Value| one.as_str().is_some_and(|one| demands.audience.iter().any(|ours| **ours == *one));
    let is_for_us = match claims.get("aud") {
        Some(Value::Array(list)) => list.iter().any(is_ours),
        one => one.is_some_and(is_ours),
    };
    if !demands.audience.is_empty() && !is_for_us {
        return Err(TokenError::Audience);
    }
    Ok(Duration::from_secs_f64(expires + leeway - now))
}

/// A claim that is a time: seconds, with a part of one or not (RFC 7519, section 2).
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<f64>, TokenError> {
    let Some(time) = claims.get(name) else { return Ok(None) };
    let time = time.as_f64().filter(|time| *time <= SECONDS_MAX);
    time.map(Some).ok_or(TokenError::Malformed)
}

#[cfg(all(test, feature = "jwt"))]
#[path = "token_tests.rs"]
mod tests;
