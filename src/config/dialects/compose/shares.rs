//! Services that share one route by their labels `weight` and `backup`: their targets are those of one upstream.

use super::route::{Destination, Route, ServiceId};
use crate::config::diagnostics::Report;
use crate::config::source::{PassSource, UpstreamUse};

/// Joins routes with equal hosts, paths, methods and conditions whose services have a `weight` or are a `backup`.
/// The first of them gets the targets of the others. Returns the services whose other labels differ.
pub(super) fn join(routes: &mut Vec<Route>, report: &mut Report) -> Vec<ServiceId> {
    let mut joined: Vec<(Route, bool)> = Vec::with_capacity(routes.len());
    let mut rejected = Vec::new();
    for mut route in routes.drain(..) {
        let Some((first, is_alone)) = joined.iter_mut().find(|(first, _)| is_one(first, &route)) else {
            joined.push((route, true));
            continue;
        };
        *is_alone = false;
        match differing(first, &route) {
            None => {
                add(&mut first.destination, route.destination);
                first.redirect_from.append(&mut route.redirect_from);
            }
            Some(word) => {
                let what = &route.what;
                let message = format!("{what} is not served: its `{word}` is not that of {}", first.what);
                let hint =
                    "services that share a route by `weight` or `backup` differ in their targets alone";
                report.rejection(route.span, &message, hint);
                rejected.push(route.service);
            }
        }
    }
    for (route, _) in joined.iter().filter(|(route, is_alone)| *is_alone && is_sharing(route)) {
        let message = format!("{} shares its route with no other service", route.what);
        let hint =
            "a `weight` or `backup` counts among services with one host and path that all have such a label";
        report.warning(Some(route.span), message, hint);
    }
    routes.extend(joined.into_iter().map(|(route, _)| route));
    rejected
}

fn is_sharing(route: &Route) -> bool {
    route.shared.is_some() && !matches!(route.destination, Destination::Unavailable(_))
}

/// Whether two services share one route.
fn is_one(a: &Route, b: &Route) -> bool {
    is_sharing(a) && is_sharing(b) && a.passthrough == b.passthrough && what(a) == what(b)
}

/// The requests that a route takes.
fn what(route: &Route) -> impl PartialEq {
    let rule = &route.rule;
    (&route.host, &rule.path_prefix, &rule.methods, &rule.conditions)
}

/// A label of one of the routes that the other has not, or has with another value.
fn differing(a: &Route, b: &Route) -> Option<&'static str> {
    let (a, b) = (a.shared.as_deref().unwrap_or_default(), b.shared.as_deref().unwrap_or_default());
    let lacks = |all: &[(&'static str, String)], one: &(&'static str, String)| !all.contains(one);
    let differing = a.iter().find(|one| lacks(b, one)).or_else(|| b.iter().find(|one| lacks(a, one)));
    differing.map(|(word, _)| *word)
}

/// Adds the targets of `other` to those of `destination`.
fn add(destination: &mut Destination, other: Destination) {
    match (destination, other) {
        (Destination::Target(proxy), Destination::Target(other)) => {
            extend(&mut proxy.upstream, other.upstream)
        }
        (
            Destination::Passthrough { tls, clear },
            Destination::Passthrough { tls: other, clear: other_clear },
        ) => {
            let pairs = [(tls, other), (clear, other_clear)];
            pairs.into_iter().for_each(|(pass, other): (&mut Box<PassSource>, _)| {
                extend(&mut pass.upstream, other.upstream)
            });
        }
        _ => {}
    }
}

fn extend(upstream: &mut UpstreamUse, other: UpstreamUse) {
    if let (UpstreamUse::Inline(upstream), UpstreamUse::Inline(other)) = (upstream, other) {
        upstream.targets.extend(other.targets);
    }
}
