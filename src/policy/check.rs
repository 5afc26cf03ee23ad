//! The order of policies.

use std::sync::Arc;

use super::auth::AuthQuestion;
use super::cors::answers_preflight;
use super::limits::ConcurrencyLimit;
use super::mirror::Mirroring;
use super::request::PolicyRequest;
use super::rule::RulePolicies;
use super::state::PolicyState;
use crate::config::plan::PluginChain;
use crate::reason::Reason;

/// The result of a check.
pub enum Outcome<'a> {
    /// The action of its rule.
    Act,
    /// The action of its rule, and a copy of the request for another upstream.
    Mirror(&'a Mirroring),
    /// It is a preflight, which is answered here.
    Preflight,
    /// Its user has to be found. Then it is checked again.
    Identify(AuthQuestion),
    /// Plugins are asked about it. Then it is checked again.
    Plugins(&'a Arc<PluginChain>),
    /// It waits for a place among the open requests of this limit. Then it is checked again.
    Wait(&'a ConcurrencyLimit),
}

/// Decides about a request of a rule with policies.
///
/// # Errors
/// Why it is refused.
pub fn check<'a>(
    policies: &'a RulePolicies,
    request: &PolicyRequest<'_>,
    state: &mut PolicyState,
) -> Result<Outcome<'a>, Reason> {
    if !state.has_asked() {
        // A preflight has no credentials, so it is answered before any policy that wants some.
        if policies.cors.as_ref().is_some_and(|cors| answers_preflight(cors, request, state)) {
            return Ok(Outcome::Preflight);
        }
        let mut limiters = policies.rate_limit.iter().filter(|limiter| !limiter.is_of_users());
        limiters.try_for_each(|limiter| limiter.take(request, state))?;
    }
    if let Some(auth) = policies.auth.as_ref().filter(|_| !state.is_identified())
        && let Some(question) = auth.identify(request, state)?
    {
        state.asks();
        return Ok(Outcome::Identify(question));
    }
    if policies.limits_users && !state.counts_user() {
        let mut limiters = policies.rate_limit.iter().filter(|limiter| limiter.is_of_users());
        limiters.try_for_each(|limiter| limiter.take(request, state))?;
    }
    if let Some(plugins) = policies.plugins.as_ref().filter(|_| !state.has_asked_plugins()) {
        state.asks();
        return Ok(Outcome::Plugins(plugins));
    }
    if let Err(full) = state.enter(&policies.max_requests) {
        state.asks();
        return if full.may_wait() { Ok(Outcome::Wait(full)) } else { Err(Reason::RuleBusy) };
    }
    let mirror = policies.mirror.as_ref();
    if let Some(speed) = policies.speed.as_ref().filter(|_| !state.has_own_speed()) {
        state.pace(speed.paces(request.connection));
    }
    if policies.changes_responses {
        state.watch_response(request.head);
    }
    Ok(mirror.map_or(Outcome::Act, Outcome::Mirror))
}
