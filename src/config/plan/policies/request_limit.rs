//! Limits on requests that are open at once.

use std::fmt;
use std::time::Duration;

use crate::config::keys::scalar::show_duration;

/// How many requests are open at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestLimit {
    /// Requests that are open at once; at least 1.
    pub requests: usize,
    /// Further requests that wait for one of them to end.
    pub waiting: usize,
    /// How long a request waits.
    pub timeout: Duration,
}

impl Default for RequestLimit {
    fn default() -> Self {
        Self { requests: 1, waiting: 0, timeout: Duration::from_secs(5) }
    }
}

impl RequestLimit {
    /// No limit, for a rule that is exempt from that of its listener.
    pub fn none() -> Self {
        Self { requests: usize::MAX, ..Self::default() }
    }

    /// Whether this is [`none`](Self::none).
    pub fn is_none(&self) -> bool {
        self.requests == usize::MAX
    }
}

impl fmt::Display for RequestLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_none() {
            return f.write_str("false");
        }
        let RequestLimit { requests, waiting, timeout } = self;
        // A timeout without requests that wait would be an error.
        if *waiting == 0 {
            return write!(f, "{requests}");
        }
        let timeout = show_duration(*timeout);
        write!(f, "{{ requests: {requests}, waiting: {waiting}, timeout: {timeout} }}")
    }
}
