//! Health checks of the endpoints of an upstream.

use std::sync::Arc;
use std::time::Duration;

/// The check of each endpoint of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Health {
    /// The request to send; `None`: a connection is enough.
    pub request: Option<HealthRequest>,
    /// Another port than that of the target.
    pub port: Option<u16>,
    /// The time from one check to the next.
    pub interval: Duration,
    /// The longest time of a check.
    pub timeout: Duration,
    /// Passed checks in a row after which an endpoint is up. At least 1.
    pub rise: u32,
    /// Failed checks in a row after which an endpoint is down. At least 1.
    pub fall: u32,
}

impl Default for Health {
    fn default() -> Self {
        let second = Duration::from_secs(1);
        Self { request: None, port: None, interval: 5 * second, timeout: 2 * second, rise: 2, fall: 3 }
    }
}

/// The request of a health check, and what its response must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HealthRequest {
    /// The path, behind the base path of the target.
    pub path: Arc<str>,
    /// `GET` or `HEAD`.
    pub method: &'static str,
    /// The value of `Host`; `None`: that of the target.
    pub host: Option<Arc<str>>,
    /// Further fields, each with its name.
    pub headers: Vec<(Arc<str>, Arc<str>)>,
    /// The statuses that pass. None: any of the class 2xx.
    pub status: Vec<u16>,
    /// A text that the response must contain.
    pub body: Option<Arc<str>>,
}
