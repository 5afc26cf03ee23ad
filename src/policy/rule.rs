//! The policies of a rule in force.

use std::sync::Arc;

use super::auth::Authenticator;
use super::concurrency::ConcurrencyLimit;
use super::jwt::KeySets;
use super::rate_limit::RateLimiter;
use crate::config::plan::{Cors, Policies, RequestLimit};

/// The policies of a rule in force, in the order in which they act.
pub struct RulePolicies {
    /// As in the plan.
    pub(super) cors: Option<Arc<Cors>>,
    /// One for each limit.
    pub(super) rate_limit: Box<[RateLimiter]>,
    /// Whether a limit counts the requests of users.
    pub(super) limits_users: bool,
    /// The users.
    pub(super) auth: Option<Authenticator>,
    /// The limit of the listener, then that of the rule.
    pub(super) max_requests: Box<[ConcurrencyLimit]>,
}

impl RulePolicies {
    /// The policies of a rule with that name. `before` are those of the rule until now. `of_listener` is the limit of the
    /// listener and the one until now.
    pub(super) fn new(
        policies: &Policies,
        of_listener: Option<(&Arc<RequestLimit>, &ConcurrencyLimit)>,
        before: Option<&RulePolicies>,
        keys: &KeySets,
    ) -> Self {
        let Policies { cors, rate_limit, auth, max_requests } = policies;
        let users = before.and_then(|before| before.auth.as_ref());
        let auth = auth.as_ref().map(|auth| Authenticator::new(auth, users, keys));
        let limits = rate_limit.as_ref().map_or(&[][..], |limits| &limits.0);
        let tables = before.map_or(&[][..], |before| &before.rate_limit);
        let of_listener = of_listener.map(|(limit, shared)| ConcurrencyLimit::new(limit, Some(shared)));
        // The limit of the rule is the last.
        let before = before.and_then(|before| before.max_requests.last());
        let of_rule = max_requests.as_ref().map(|limit| ConcurrencyLimit::new(limit, before));
        let rate_limit: Box<[_]> = limits.iter().map(|limit| RateLimiter::new(limit, tables)).collect();
        Self {
            cors: cors.clone(),
            limits_users: rate_limit.iter().any(RateLimiter::is_of_users),
            rate_limit,
            auth,
            max_requests: of_listener.into_iter().chain(of_rule).collect(),
        }
    }

    /// Whether preflights of the rule are answered here.
    pub fn answers_preflights(&self) -> bool {
        self.cors.is_some()
    }
}
