//! The rules of a file.

use std::cmp::Reverse;

use super::gateway::{Gateway, Route};
use super::middlewares::Kind;
use crate::config::decode::{Decoder, Text};
use crate::config::dialects::plain;
use crate::config::plan::{LimitsWritten, PoliciesWritten, Respond};
use crate::config::source::{ActionSource, ProxySource, RuleSource, UpstreamUse};
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
        rules.extend(of_route(route, policies));
    }
    rules
}

/// The policies that a route of the control API may name: those that some route of the file has, and those for which
/// nothing is needed but their keys.
pub(super) fn named_policies(
    gateway: &Gateway,
    decoder: &mut Decoder<'_>,
) -> Vec<(&'static str, PoliciesWritten)> {
    let named: Vec<_> = gateway.routes.iter().flat_map(|route| route.middlewares.iter().cloned()).collect();
    gateway.middlewares.declared(&named, decoder)
}

/// The rule of a route, and the one that refuses other methods.
pub(in crate::config) fn of_route(
    route: Route,
    policies: PoliciesWritten,
) -> impl Iterator<Item = RuleSource> {
    let refusal = (!route.methods.is_empty()).then(|| refusing(&route, &policies));
    let Route { name, length, expression, rewrite, methods, upstream, timeout, middlewares: _ } = route;
    let limits =
        LimitsWritten { response_timeout: timeout, body_timeout: timeout, ..LimitsWritten::default() };
    let proxy = ProxySource { rewrite, ..forward(upstream, limits) };
    let rule = RuleSource {
        conditions: plain::matching(expression),
        methods,
        policies,
        action: Some(ActionSource::Proxy(proxy.into())),
        rank: Some(length),
        ..RuleSource { name: Some(name.clone()), ..RuleSource::at(name.span) }
    };
    std::iter::once(rule).chain(refusal)
}

/// The name of the rule that refuses the methods that a route does not list.
pub(in crate::config) fn refusal_of(route: &str) -> String {
    format!("{route} (405)")
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
        name: plain::named(&refusal_of(&route.name.value), span),
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
