//! Warnings about policies of a valid plan, and errors that only the whole of it shows.

use std::collections::HashSet;
use std::sync::Arc;

use super::diagnostics::Report;
use super::lowering::{ListenerSpans, Lowered};
use super::plan::{Action, Auth, Bind, Listener, Protocol, RateKey, Rule, SpeedGroup};

/// Warns about limits on users of rules that know none.
pub(super) fn without_users(rules: &[Rule], spans: &ListenerSpans, report: &mut Report) {
    for (rule, span) in rules.iter().zip(&spans.rules) {
        let Some(policies) = rule.policies.as_deref() else { continue };
        let limits = policies.rate_limit.iter().flat_map(|limits| &limits.0);
        let unknown = |by: &RateKey| match by {
            RateKey::User => policies.auth.is_none(),
            RateKey::Claim(_) => !matches!(policies.auth.as_deref(), Some(Auth::Jwt(_))),
            RateKey::Client | RateKey::Header(_) | RateKey::Cookie(_) | RateKey::Host | RateKey::All => false,
        };
        for limit in limits.filter(|limit| unknown(&limit.by)) {
            let message = format!("`rate_limit` counts by `{}`, which this rule never knows", limit.by);
            report.warning(
                Some(*span),
                message,
                "add `auth`, and `auth: { jwt }` for claims; else `else` counts",
            );
        }
    }
}

/// Warns about `intercept` without a page that could stand in for an answer.
pub(super) fn without_page(rules: &[Rule], spans: &ListenerSpans, report: &mut Report) {
    let shows_nothing = |rule: &Rule| {
        rule.policies.as_ref().is_some_and(|all| all.intercept.is_some() && all.pages.is_none())
    };
    for (_, span) in rules.iter().zip(&spans.rules).filter(|(rule, _)| shows_nothing(rule)) {
        let message = "`intercept` changes nothing: this rule has no `pages`";
        report.warning(Some(*span), message, "add for example `pages: { 5xx: FILE }`");
    }
}

fn asks_for_password(rule: &Rule) -> bool {
    let auth = rule.policies.as_ref().and_then(|policies| policies.auth.as_deref());
    matches!(auth, Some(Auth::Basic(_)))
}

/// Warns about passwords that others on the way can read.
pub(super) fn passwords_in_the_clear(listener: &Listener, spans: &ListenerSpans, report: &mut Report) {
    let is_here = |bind: &Bind| matches!(bind, Bind::Address(at) if at.ip().is_loopback());
    if listener.binds.iter().all(is_here) {
        return;
    }
    for (_, span) in listener.rules().iter().zip(&spans.rules).filter(|(rule, _)| asks_for_password(rule)) {
        let message = format!("passwords come to the listener `{}` in the clear", listener.name);
        let hint = "add `tls`, or `redirect_to_https` beside a listener with TLS; a proxy in front is one of `trusted_proxies`";
        report.warning(Some(*span), message, hint);
    }
}

/// Reports names of shared speeds that are those of places: connections would share a limit by accident.
pub(super) fn speeds_of_places(lowered: &Lowered, report: &mut Report) {
    let of_rule = |rule: &'_ Rule| match &rule.action {
        Action::Pass(pass) => pass.speed.clone(),
        _ => rule.policies.as_ref().and_then(|policies| policies.speed.clone()),
    };
    let mut groups = Vec::new();
    for (listener, spans) in lowered.plan.listeners.iter().zip(&lowered.spans) {
        let own = match &listener.protocol {
            Protocol::Tcp(pass) => pass.speed.clone(),
            Protocol::Http(_) => None,
        };
        let rules = listener.rules().iter().map(of_rule).zip(spans.rules.iter().copied());
        let all = rules.chain([(own, spans.listener)]);
        groups.extend(all.filter_map(|(speed, span)| Some((speed?.shared.clone()?, span))));
    }
    let places: HashSet<Arc<str>> = groups
        .iter()
        .filter_map(|(group, _)| match group {
            SpeedGroup::Place(name) => Some(name.clone()),
            SpeedGroup::OfPlace | SpeedGroup::Named(_) => None,
        })
        .collect();
    for (group, span) in &groups {
        if let SpeedGroup::Named(name) = group
            && places.contains(name)
        {
            let message =
                format!("the name `{name}` of a shared speed is that of a place with `shared: true`");
            report.error_hint(
                *span,
                message,
                "choose a name that begins with neither `policies.` nor `listeners.`",
            );
        }
    }
}
