//! The rules of a file.

use std::cmp::Reverse;
use std::sync::Arc;

use super::gateway::{Gateway, Route};
use super::middlewares::Kind;
use crate::config::decode::{Decoder, Text};
use crate::config::dialects::plain;
use crate::config::plan::{LimitsWritten, Location, PoliciesWritten, Respond};
use crate::config::source::{ActionSource, NamedPolicies, ProxySource, RuleSource, UpstreamUse};
use crate::http::Template;

/// The one rule of a load balancer.
pub(super) fn of_balancer(upstream: Text) -> Vec<RuleSource> {
    let span = upstream.span;
    let action = Some(ActionSource::Proxy(forward(upstream, LimitsWritten::default()).into()));
    let name = plain::named("load_balancer", span);
    vec![RuleSource { name, action, rank: Some(0), ..RuleSource::at(span) }]
}

/// One rule for each route, the longest expression first, and behind it one that refuses other methods.
pub(super) fn of_gateway(gateway: Gateway, decoder: &mut Decoder<'_>) -> Vec<RuleSource> {
    let Gateway { mut routes, middlewares } = gateway;
    routes.sort_by_key(|route| Reverse(route.length));
    let named: Vec<Kind> =
        routes.iter().flat_map(|route| &route.middlewares).map(|kind| kind.value).collect();
    middlewares.warn_of_unused(&named, decoder);
    let mut rules = Vec::new();
    for route in routes {
        let policies = middlewares.policies(&route.middlewares, decoder);
        let excluded: &[_] = if policies.auth.is_some() { middlewares.excluded() } else { &[] };
        rules.extend(of_route(&route, &policies, excluded));
    }
    rules
}

/// The policies that a route of the control API may name: those that some route of the file has, and those for which
/// nothing is needed but their keys.
pub(super) fn named_policies(gateway: &Gateway, decoder: &mut Decoder<'_>) -> Vec<NamedPolicies> {
    let named: Vec<_> = gateway.routes.iter().flat_map(|route| route.middlewares.iter().cloned()).collect();
    gateway.middlewares.declared(&named, decoder)
}

/// The rules of a route: those for the paths that need no token, its own, and the one that refuses other methods.
pub(in crate::config) fn of_route(
    route: &Route,
    policies: &PoliciesWritten,
    excluded: &[Arc<str>],
) -> Vec<RuleSource> {
    let rewrite = route.rewrite.as_ref().map(|rewrite| rewrite.any(&route.expression));
    let rule = RuleSource {
        name: Some(route.name.clone()),
        conditions: plain::matching(route.expression.clone()),
        policies: policies.clone(),
        ..forwarding(route, rewrite)
    };
    let without_token = excluded.iter().filter_map(|path| without_token(route, path, policies));
    let refusal = (!route.methods.is_empty()).then(|| refusing(route, policies));
    without_token.chain([rule]).chain(refusal).collect()
}

/// The rule for a path of a route that needs no token. `None` if the route does not take that path.
fn without_token(route: &Route, path: &Arc<str>, policies: &PoliciesWritten) -> Option<RuleSource> {
    let rewrite = route.rewrite.as_ref().map(|rewrite| rewrite.of(&route.expression, path));
    route.expression.matches(path.as_bytes()).then(|| RuleSource {
        name: plain::named(&part_of(&route.name.value, path), route.name.span),
        conditions: plain::exact(path),
        policies: PoliciesWritten { auth: None, ..policies.clone() },
        ..forwarding(route, rewrite)
    })
}

/// A rule that forwards the requests of a route.
fn forwarding(route: &Route, rewrite: Option<Location>) -> RuleSource {
    let Route { name, length, methods, upstream, timeout, .. } = route;
    let limits =
        LimitsWritten { response_timeout: *timeout, body_timeout: *timeout, ..LimitsWritten::default() };
    let proxy = ProxySource { rewrite, ..forward(upstream.clone(), limits) };
    RuleSource {
        methods: methods.clone(),
        action: Some(ActionSource::Proxy(proxy.into())),
        rank: Some(*length),
        ..RuleSource::at(name.span)
    }
}

/// The name of a rule that belongs to a route beside its own.
fn part_of(route: &str, part: &str) -> String {
    format!("{route} ({part})")
}

/// Whether a rule with this name belongs to the route: its own, or one beside it.
#[cfg(feature = "control")]
pub(in crate::config) fn is_of_route(rule: &str, route: &str) -> bool {
    let beside = |rest: &str| rest.starts_with(" (") && rest.ends_with(')');
    rule.strip_prefix(route).is_some_and(|rest| rest.is_empty() || beside(rest))
}

/// The target gets the client's `Host`.
fn forward(upstream: Text, limits: LimitsWritten) -> ProxySource {
    ProxySource { pass_host: true, limits, ..plain::forward(UpstreamUse::Named(upstream), None) }
}

/// The rule for methods that a route does not list (RFC 9110, section 15.5.6). Pages may read its response, too.
fn refusing(route: &Route, policies: &PoliciesWritten) -> RuleSource {
    let span = route.name.span;
    let headers = [("Allow", route.methods.join(", ")), ("Content-Type", "text/plain; charset=utf-8".into())];
    RuleSource {
        name: plain::named(&part_of(&route.name.value, "405"), span),
        rank: Some(route.length),
        conditions: plain::matching(route.expression.clone()),
        policies: PoliciesWritten { cors: policies.cors.clone(), ..PoliciesWritten::default() },
        action: Some(ActionSource::Respond(Respond {
            status: 405,
            headers: headers.map(|(name, value)| (name.into(), value.into())).into(),
            body: Template::literal("405 Method Not Allowed\n"),
            page: None,
        })),
        ..RuleSource::at(span)
    }
}
