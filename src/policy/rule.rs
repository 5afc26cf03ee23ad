//! The policies of a rule in force.

use std::sync::Arc;

use super::auth::Authenticator;
use super::jwt::KeySets;
use super::limits::{ConcurrencyLimit, SharedSpeeds, SpeedLimit};
use super::mirror::Mirroring;
use super::rate_limit::RateLimiter;
use crate::config::plan::{Cors, PluginChain, Policies, RequestLimit};

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
    /// The plugins.
    pub(super) plugins: Option<Arc<PluginChain>>,
    /// The limit of the listener, then that of the rule.
    pub(super) max_requests: Box<[ConcurrencyLimit]>,
    /// Whether the first limit is that of the listener.
    shares_limit: bool,
    /// The copies of requests.
    pub(super) mirror: Option<Mirroring>,
    /// The speed of bodies and tunnels.
    pub(super) speed: Option<SpeedLimit>,
    /// The response may change on its way to the client.
    pub(super) changes_responses: bool,
}

impl RulePolicies {
    /// The policies of a rule with that name. `before` are those of the rule until now. `of_listener` is the limit of the
    /// listener and the one until now.
    pub(super) fn new(
        policies: &Policies,
        of_listener: Option<(&Arc<RequestLimit>, &ConcurrencyLimit)>,
        speeds: &SharedSpeeds,
        keys: &KeySets,
        before: Option<&RulePolicies>,
    ) -> Self {
        let Policies {
            cors,
            rate_limit,
            auth,
            plugins,
            max_requests,
            mirror,
            speed,
            intercept,
            compress,
            pages: _,
        } = policies;
        let mirrored = before.and_then(|before| before.mirror.as_ref());
        let users = before.and_then(|before| before.auth.as_ref());
        let auth = auth.as_ref().map(|auth| Authenticator::new(auth, keys, users));
        let limits = rate_limit.as_ref().map_or(&[][..], |limits| &limits.0);
        let tables = before.map_or(&[][..], |before| &before.rate_limit);
        let own = max_requests.as_ref().filter(|limit| !limit.is_none());
        let is_exempt = max_requests.is_some() && own.is_none();
        let of_listener = of_listener.filter(|_| !is_exempt);
        let of_listener = of_listener.map(|(limit, shared)| ConcurrencyLimit::new(limit, Some(shared)));
        let before = before.and_then(|before| before.max_requests.get(usize::from(before.shares_limit)));
        let of_rule = own.map(|limit| ConcurrencyLimit::new(limit, before));
        let rate_limit: Box<[_]> = limits.iter().map(|limit| RateLimiter::new(limit, tables)).collect();
        Self {
            cors: cors.clone(),
            limits_users: rate_limit.iter().any(RateLimiter::is_of_users),
            rate_limit,
            auth,
            plugins: plugins.clone(),
            shares_limit: of_listener.is_some(),
            max_requests: of_listener.into_iter().chain(of_rule).collect(),
            mirror: mirror.as_ref().map(|mirror| Mirroring::new(mirror, mirrored)),
            speed: speed.as_ref().map(|speed| speeds.limit(speed)),
            changes_responses: compress.is_some() || intercept.is_some(),
        }
    }

    /// Whether preflights of the rule are answered here.
    pub fn answers_preflights(&self) -> bool {
        self.cors.is_some()
    }
}
