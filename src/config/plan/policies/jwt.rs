//! Users with tokens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::keys::Secret;
use crate::config::keys::scalar::show_duration;
use crate::config::keys::yaml::{list, quote, quote_key};
use crate::http::reads_alike;
use crate::jwt::Algorithm;

/// Users with tokens (JWT, RFC 7519).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Jwt {
    /// The keys that verify tokens.
    pub keys: JwtKeys,
    /// The issuer, if there is one alone.
    pub issuer: Option<Arc<str>>,
    /// The audiences, one of which a token must be for. Empty: any.
    pub audience: Vec<Arc<str>>,
    /// Claims that a token must have, and the values of which each has one.
    pub claims: Vec<(Arc<str>, Vec<Arc<str>>)>,
    /// The algorithms. Empty: all of the keys.
    pub algorithms: Vec<Algorithm>,
    /// The most by which two clocks differ.
    pub leeway: Duration,
    /// The places of a token in a request, in the order of their use.
    pub from: Vec<TokenPlace>,
    /// Fields for the target, and the claims in them. A client's own ones never get there.
    pub forward: Vec<(Arc<str>, Arc<str>)>,
}

/// The keys that verify tokens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum JwtKeys {
    /// Public keys that are fetched from this URL.
    Url(Arc<str>),
    /// Public keys.
    Public {
        /// The file, or the text itself.
        written: Arc<str>,
        /// The text.
        text: Arc<str>,
    },
    /// A secret.
    Secret(Secret),
}

/// A place of a token in a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TokenPlace {
    /// `Authorization: Bearer`.
    Bearer,
    /// The cookie of this name.
    Cookie(Arc<str>),
}

impl Jwt {
    /// Whether a field of the client never gets to the target.
    pub(super) fn removes(&self, name: &[u8]) -> bool {
        self.forward.iter().any(|(field, _)| reads_alike(name, field.as_bytes()))
    }
}

impl fmt::Display for TokenPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenPlace::Bearer => f.write_str("bearer"),
            TokenPlace::Cookie(name) => write!(f, "cookie.{name}"),
        }
    }
}

impl fmt::Display for JwtKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JwtKeys::Url(url) => f.write_str(&quote(url)),
            JwtKeys::Public { written, text: _ } => f.write_str(&quote(written)),
            JwtKeys::Secret(_) => f.write_str("{ secret: \"[redacted]\" }"),
        }
    }
}

impl fmt::Display for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Jwt { keys, issuer, audience, claims, algorithms, leeway, from, forward } = self;
        write!(f, "keys: {keys}, leeway: {}", show_duration(*leeway))?;
        let places: Vec<Arc<str>> = from.iter().map(|place| place.to_string().into()).collect();
        write!(f, ", from: {}", list(places.iter()))?;
        issuer.iter().try_for_each(|issuer| write!(f, ", issuer: {}", quote(issuer)))?;
        if !audience.is_empty() {
            write!(f, ", audience: {}", list(audience.iter()))?;
        }
        if !algorithms.is_empty() {
            let labels: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.label()).collect();
            write!(f, ", algorithms: [{}]", labels.join(", "))?;
        }
        if !claims.is_empty() {
            let claims =
                claims.iter().map(|(name, values)| format!("{}: {}", quote_key(name), list(values.iter())));
            write!(f, ", claims: {{ {} }}", claims.collect::<Vec<_>>().join(", "))?;
        }
        if !forward.is_empty() {
            let forward =
                forward.iter().map(|(field, claim)| format!("{}: {}", quote_key(field), quote(claim)));
            write!(f, ", forward: {{ {} }}", forward.collect::<Vec<_>>().join(", "))?;
        }
        Ok(())
    }
}
