//! The rules of a file.

use std::cmp::Reverse;
use std::sync::Arc;

use super::gateway::{Gateway, Route};
use super::middlewares::Kind;
use crate::config::decode::{Decoder, Text};
use crate::config::dialects::plain;
use crate::config::plan::{LimitsWritten, Location, PoliciesWritten, Respond};
use crate::config::source::{ActionSource, ProxySource, RuleSource, UpstreamUse};
use crate::http::Template;

/// The one rule of a load balancer.
pub(super) fn of_balancer(upstream: Text) -> Vec<RuleSource> {
    let span = upstream.span;
    let action = Some(ActionSource::Proxy(forward(upstream, LimitsWritten::default()).into()));
    vec![RuleSource { name: plain::named("load_balancer", span), action, ..RuleSource::at(span) }]
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
        if policies.auth.is_some() {
            let excluded = middlewares.excluded().iter();
            rules.extend(excluded.filter_map(|path| without_token(&route, path, &policies)));
        }
        let refusal = (!route.methods.is_empty()).then(|| refusing(&route, &policies));
        let rewrite = route.rewrite.as_ref().map(|rewrite| rewrite.any(&route.expression));
        rules.push(RuleSource {
            name: Some(route.name.clone()),
            conditions: plain::matching(route.expression.clone()),
            policies,
            ..forwarding(&route, rewrite)
        });
        rules.extend(refusal);
    }
    rules
}

/// The rule for a path of a route that needs no token. `None` if the route does not take that path.
fn without_token(route: &Route, path: &Arc<str>, policies: &PoliciesWritten) -> Option<RuleSource> {
    let rewrite = route.rewrite.as_ref().map(|rewrite| rewrite.of(&route.expression, path));
    route.expression.matches(path.as_bytes()).then(|| RuleSource {
        name: plain::named(&format!("{} ({path})", route.name.value), route.name.span),
        conditions: plain::exact(path),
        policies: PoliciesWritten { auth: None, ..policies.clone() },
        ..forwarding(route, rewrite)
    })
}

/// A rule that forwards the requests of a route.
fn forwarding(route: &Route, rewrite: Option<Location>) -> RuleSource {
    let Route { name, methods, upstream, timeout, .. } = route;
    let limits =
        LimitsWritten { response_timeout: *timeout, body_timeout: *timeout, ..LimitsWritten::default() };
    let proxy = ProxySource { rewrite, ..forward(upstream.clone(), limits) };
    RuleSource {
        methods: methods.clone(),
        action: Some(ActionSource::Proxy(proxy.into())),
        ..RuleSource::at(name.span)
    }
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
        name: plain::named(&format!("{} (405)", route.name.value), span),
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
