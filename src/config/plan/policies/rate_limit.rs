//! Limits on the rate of requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::keys::scalar::show_duration;
use crate::config::keys::yaml::quote;

/// The limits of a rule, all of which count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RateLimits(pub Vec<RateLimit>);

/// How many requests with one key may come in a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// Requests in the time; at least 1.
    pub requests: u32,
    /// The time.
    pub per: Duration,
    /// Requests that may come at once; at least 1.
    pub burst: u32,
    /// The key by which requests are counted.
    pub by: RateKey,
    /// The key for requests that have no such key.
    pub fallback: RateKey,
    /// Keys that are remembered at once.
    pub keys: usize,
    /// Leading bits of an IPv6 address that tell clients apart, from 1 to 128.
    pub ipv6_prefix: u8,
    /// The status of a request that is one too many.
    pub status: u16,
    /// Whether responses tell the client what is left.
    pub fields: bool,
}

/// The key by which requests are counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RateKey {
    /// The address of the client; of IPv6 its network, since a host may change the rest.
    Client,
    /// The value of a header field, whose name is in lower case.
    Header(Arc<str>),
    /// The value of a cookie.
    Cookie(Arc<str>),
    /// The user.
    User,
    /// A claim of the user's token.
    Claim(Arc<str>),
    /// The host of the request.
    Host,
    /// All requests together.
    All,
}

impl fmt::Display for RateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Header(name) => write!(f, "header.{name}"),
            Self::Cookie(name) => write!(f, "cookie.{name}"),
            Self::User => f.write_str("user"),
            Self::Claim(name) => write!(f, "claim.{name}"),
            Self::Host => f.write_str("host"),
            Self::All => f.write_str("all"),
        }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RateLimit { requests, per, burst, by, fallback, keys, ipv6_prefix, status, fields } = self;
        let (per, by, fallback) = (show_duration(*per), quote(&by.to_string()), quote(&fallback.to_string()));
        write!(f, "{{ requests: {requests}, per: {per}, burst: {burst}, by: {by}, else: {fallback}")?;
        write!(f, ", keys: {keys}, ipv6_prefix: {ipv6_prefix}, status: {status}, fields: {fields} }}")
    }
}

impl fmt::Display for RateLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits: Vec<String> = self.0.iter().map(RateLimit::to_string).collect();
        write!(f, "[{}]", limits.join(", "))
    }
}
