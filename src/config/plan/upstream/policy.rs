//! The policy of an upstream for its endpoints.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::health::Health;
use crate::config::keys::Secret;

/// The policy of an upstream for its endpoints. The default is that of an upstream without any such key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamPolicy {
    /// The choice among the endpoints.
    pub balance: Balance,
    /// The cookie that keeps a client at its endpoint, if there is one.
    pub sticky: Option<Sticky>,
    /// When an endpoint is ejected; `None`: never.
    pub eject: Option<Eject>,
    /// The check of each endpoint, if there is one.
    pub health: Option<Health>,
    /// The time in which the share of an endpoint that came back grows; zero: at once.
    pub slow_start: Duration,
    /// Requests that wait while every endpoint has as many as it may have.
    pub queue: Queue,
    /// Browsers get a page that reloads itself while no endpoint works.
    pub starting: bool,
    /// Statuses of responses after which a request without a body is tried at another endpoint.
    pub retry_statuses: Vec<u16>,
}

/// Requests that wait for a place at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Queue {
    /// The most requests that wait at the same time; 0: none waits.
    pub max: usize,
    /// The longest time that a request waits.
    pub timeout: Duration,
}

impl Default for Queue {
    fn default() -> Self {
        Self { max: 0, timeout: Duration::from_secs(5) }
    }
}

impl Default for UpstreamPolicy {
    fn default() -> Self {
        Self {
            balance: Balance::default(),
            sticky: None,
            eject: Some(Eject::default()),
            health: None,
            slow_start: Duration::ZERO,
            queue: Queue::default(),
            starting: false,
            retry_statuses: Vec::new(),
        }
    }
}

impl UpstreamPolicy {
    /// Whether the numbers of open requests are needed.
    pub fn counts_requests(&self) -> bool {
        matches!(self.balance, Balance::LeastRequests | Balance::Hash { bound: Some(_), .. })
    }
}

/// The choice of an endpoint for a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Balance {
    /// Each in its turn, by weights. Each worker counts for itself.
    #[default]
    RoundRobin,
    /// Each in its turn, without weights. All workers count together.
    StrictRoundRobin,
    /// The one with fewer open requests of two random ones.
    LeastRequests,
    /// A random one, by weights.
    Random,
    /// The same one for requests with equal keys.
    Hash {
        /// The part of the request that is the key.
        key: HashKey,
        /// The most open requests of an endpoint, in per cent of its share; at least 100.
        bound: Option<u32>,
    },
}

/// The part of a request by which it is hashed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HashKey {
    /// The client's address; of IPv6 the first 64 bits.
    Client,
    /// The value of a field, by its name in lower case.
    Header(Arc<str>),
    /// The value of a cookie.
    Cookie(Arc<str>),
    /// The path, without the query.
    Path,
    /// The host, without the port.
    Host,
    /// The server name of TLS, for connections that are passed on.
    Sni,
}

impl HashKey {
    /// Whether a connection has it, of whose bytes nothing is parsed.
    pub fn is_of_connections(&self) -> bool {
        matches!(self, HashKey::Client | HashKey::Sni)
    }
}

impl fmt::Display for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HashKey::Client => f.write_str("client"),
            HashKey::Header(name) => write!(f, "header.{name}"),
            HashKey::Cookie(name) => write!(f, "cookie.{name}"),
            HashKey::Path => f.write_str("path"),
            HashKey::Host => f.write_str("host"),
            HashKey::Sni => f.write_str("sni"),
        }
    }
}

/// The cookie that keeps a client at its endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sticky {
    /// Its name.
    pub cookie: Arc<str>,
    /// The key of its values; `None`: the name of the upstream, which is no secret.
    pub secret: Option<Secret>,
    /// The time after which browsers forget it; `None`: at the end of the session.
    pub max_age: Option<Duration>,
}

/// When an endpoint gets no more requests for a while.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Eject {
    /// Failures in a row, of all workers. At least 1.
    pub failures: u32,
    /// The time of the first ejection.
    pub time: Duration,
    /// Statuses of responses that count as failures too.
    pub statuses: Vec<u16>,
}

impl Default for Eject {
    fn default() -> Self {
        Self { failures: 3, time: Duration::from_secs(10), statuses: Vec::new() }
    }
}
