//! Copies of requests for another upstream.

use std::fmt;
use std::sync::Arc;

use super::upstream::PolicyUpstream;
use crate::config::keys::yaml::quote;
use crate::config::plan::conditions::WHOLE_SHARE;

/// Copies of requests without a body, whose responses are thrown away.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mirror {
    /// The name of the upstream that gets the copies.
    pub name: Arc<str>,
    /// That upstream.
    pub upstream: PolicyUpstream,
    /// Ten thousandths of all such requests, from 1 to 10,000.
    pub parts: u32,
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mirror { name, upstream: _, parts } = self;
        let (whole, rest) = (parts * 100 / WHOLE_SHARE, parts * 100 % WHOLE_SHARE * 100 / WHOLE_SHARE);
        write!(f, "{{ upstream: {}, share: {whole}.{rest:02}% }}", quote(name))
    }
}
