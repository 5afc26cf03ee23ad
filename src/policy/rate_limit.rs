//! Limits on the rate of requests.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use super::limits::{LimitTable, Rate, Taken};
use super::request::PolicyRequest;
use super::state::PolicyState;
use crate::config::plan::{RateKey, RateLimit};
use crate::http::Claim;
use crate::reason::Reason;

/// One limit of a rule in force.
pub(super) struct RateLimiter {
    limit: RateLimit,
    rate: Rate,
    table: Arc<LimitTable>,
}

impl RateLimiter {
    /// The limit. It takes the table of an equal one among `before`, so that a reload forgets nothing.
    pub(super) fn new(limit: &RateLimit, before: &[RateLimiter]) -> Self {
        let known = before.iter().find(|before| before.limit == *limit).map(|before| before.table.clone());
        let table = known.unwrap_or_else(|| Arc::new(LimitTable::new(limit.keys)));
        let rate = Rate::new(limit.requests, limit.per, limit.burst);
        Self { limit: limit.clone(), rate, table }
    }

    /// Whether it counts the requests of users, so that it counts once the user is known.
    pub(super) fn is_of_users(&self) -> bool {
        matches!(self.limit.by, RateKey::User | RateKey::Claim(_))
    }

    /// Counts a request.
    ///
    /// # Errors
    /// `RateLimited` if it is one too many. The response says when to come again.
    pub(super) fn take(&self, request: &PolicyRequest<'_>, state: &mut PolicyState) -> Result<(), Reason> {
        let hash = |by| hash(&self.table, by, self.limit.ipv6_prefix, request, state);
        let hash = hash(&self.limit.by).or_else(|| hash(&self.limit.fallback));
        let hash = hash.unwrap_or_else(|| self.table.hash(Key::All));
        let (left, next, is_refused) = match self.table.take(self.rate, hash, request.now) {
            Taken::Left(left, next) => (left, next, false),
            Taken::Wait(wait) => (0, wait, true),
        };
        if self.limit.fields {
            // RateLimit header fields for HTTP (an Internet-Draft of httpapi), whose policies have names.
            let (by, requests, per) = (&self.limit.by, self.limit.requests, seconds(self.limit.per));
            state.respond_with("RateLimit-Policy", format_args!("\"{by}\";q={requests};w={per}"));
            let wait = if left == 0 { seconds(next) } else { 0 };
            state.respond_with("RateLimit", format_args!("\"{by}\";r={left};t={wait}"));
        }
        if !is_refused {
            return Ok(());
        }
        state.respond_with("Retry-After", format_args!("{}", seconds(next)));
        state.refuse_with(self.limit.status);
        Err(Reason::RateLimited)
    }
}

/// Whole seconds, at least one.
fn seconds(time: Duration) -> u64 {
    (time.as_secs() + u64::from(time.subsec_nanos() > 0)).max(1)
}

/// A key in a table. Keys of two kinds are never equal.
#[derive(Hash)]
enum Key<'a> {
    V4([u8; 4]),
    /// The network that a host gets. The host may change the rest.
    V6(u128),
    Header(&'a [u8]),
    Cookie(&'a [u8]),
    User(&'a [u8]),
    Claim(&'a [u8]),
    Host(&'a [u8]),
    All,
}

/// The leading bits of an address.
fn network(address: Ipv6Addr, prefix: u8) -> u128 {
    let host_bits = 128 - u32::from(prefix);
    u128::from(address) & u128::MAX.checked_shl(host_bits).unwrap_or(0)
}

fn claim<'a>(claims: &'a [Claim], name: &str) -> Option<&'a [u8]> {
    claims.iter().find(|claim| *claim.name == *name).map(|claim| &*claim.value)
}

/// The hash of the key of a request. `None` if it has none.
fn hash(
    table: &LimitTable,
    by: &RateKey,
    ipv6_prefix: u8,
    request: &PolicyRequest<'_>,
    state: &PolicyState,
) -> Option<u64> {
    let PolicyRequest { head, client, now: _, connection: _ } = request;
    let is_there = |value: &&[u8]| !value.is_empty();
    let key = match by {
        RateKey::Client => match client {
            IpAddr::V4(client) => Key::V4(client.octets()),
            IpAddr::V6(client) => Key::V6(network(*client, ipv6_prefix)),
        },
        RateKey::Header(name) => Key::Header(head.fields.find(name.as_bytes()).filter(is_there)?),
        RateKey::Cookie(name) => Key::Cookie(head.fields.cookie(name.as_bytes()).filter(is_there)?),
        RateKey::User => Key::User(Some(state.user()).filter(is_there)?),
        RateKey::Claim(name) => Key::Claim(claim(state.claims(), name).filter(is_there)?),
        RateKey::Host => return Some(table.hash(Key::Host(head.host_key()?.as_bytes()))),
        RateKey::All => Key::All,
    };
    Some(table.hash(key))
}
