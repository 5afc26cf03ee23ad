//! The rules of a file, in the order in which `ServeMux` chooses.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::keys::{Keys, Transport, WAIT};
use super::route::{HEALTH, Route};
use crate::config::diagnostics::Span;
use crate::config::dialects::plain;
use crate::config::plan::{Location, Queue, Redirect, UpstreamWritten};
use crate::config::source::{
    ActionSource, Inline, ProxySource, RuleSource, UpstreamPolicySource, UpstreamUse,
};
use crate::http::{CaptureNames, Scope, Template, TemplateUse};

/// How requests wait for one of `max_conns_per_host` connections. In go-proxy they wait without an end.
const QUEUE: Queue = Queue { max: 10_000, timeout: WAIT };

/// The rules. `workers` share the idle connections. `started` is the start of the gate.
pub(super) fn rules(keys: &Keys, workers: usize, span: Span, started: Option<&str>) -> Vec<RuleSource> {
    let mut routes: Vec<&Route> = keys.routes.iter().collect();
    // Of paths that one request can match, only `/x` and `/x/` are of equal length.
    routes.sort_by_key(|route| (Reverse(route.path.len()), route.is_subtree()));
    let alone = keys.routes.iter().filter(|route| !route.is_subtree()).map(|route| &*route.path);
    let alone: HashSet<&str> = alone.chain([HEALTH]).collect();
    let mut rules = vec![health(keys, span, started)];
    for route in routes {
        if route.is_subtree() && !route.path.is_empty() && !alone.contains(&*route.path) {
            rules.push(redirect(route));
        }
        rules.push(forward(route, keys, workers));
    }
    let takes_all = keys.routes.iter().any(|route| route.path.is_empty());
    if keys.cors.is_some() && !takes_all {
        rules.push(RuleSource {
            name: plain::named("404", span),
            action: plain::response(404, "text/plain; charset=utf-8", "404 page not found\n"),
            ..RuleSource::at(span)
        });
    }
    rules
}

/// The rule for `/health`, which does not count as an open request.
fn health(keys: &Keys, span: Span, started: Option<&str>) -> RuleSource {
    let (version, routes) = (plain::json(&keys.version), keys.routes.len());
    let running = started.map(|started| {
        let program = plain::json(env!("CARGO_PKG_VERSION"));
        format!("\"smolgate\":{{\"version\":{program}}},\"startTime\":{},", plain::json(started))
    });
    let running = running.unwrap_or_default();
    let body =
        format!("{{\"config\":{{\"routes\":{routes},\"version\":{version}}},{running}\"status\":\"UP\"}}\n");
    let mut rule = RuleSource {
        name: plain::named(HEALTH, span),
        conditions: plain::exact(HEALTH),
        action: plain::response(200, "application/json", &body),
        ..RuleSource::at(span)
    };
    rule.policies.max_requests = Some(None);
    rule
}

/// The redirect from a path without the slash at its end.
fn redirect(route: &Route) -> RuleSource {
    let captures = CaptureNames::default();
    let with_slash = Template::new("{path}/", &Scope { used: TemplateUse::Url, captures: &captures });
    let to = Location::new(with_slash.expect("invariant: `path` is a placeholder of URLs"));
    RuleSource {
        name: plain::named(&format!("{} (slash)", route.path), route.written.span),
        conditions: plain::exact(&route.path),
        action: Some(ActionSource::Redirect(Redirect { to, status: 307 })),
        ..RuleSource::at(route.span)
    }
}

fn forward(route: &Route, keys: &Keys, workers: usize) -> RuleSource {
    let upstream = upstream(route, keys, workers);
    let rule = RuleSource {
        name: plain::named(&route.written.value, route.written.span),
        ..RuleSource::at(route.span)
    };
    if route.path.is_empty() {
        return RuleSource {
            action: Some(ActionSource::Proxy(plain::forward(upstream, None).into())),
            ..rule
        };
    }
    if route.is_subtree() {
        let proxy = ProxySource { strip_path_prefix: true, ..plain::forward(upstream, None) };
        return RuleSource {
            path_prefix: Some(route.path.clone()),
            action: Some(ActionSource::Proxy(proxy.into())),
            ..rule
        };
    }
    // All of the path is taken off, so `/` is what follows the path of the target.
    let root = Location::rewrite(Template::literal("/"));
    let action = Some(ActionSource::Proxy(plain::forward(upstream, Some(root)).into()));
    RuleSource { conditions: plain::exact(&route.path), action, ..rule }
}

/// The upstream of a route. Routes with equal targets share it.
fn upstream(route: &Route, keys: &Keys, workers: usize) -> UpstreamUse {
    let Transport {
        dial_timeout,
        dial_keep_alive,
        max_idle_conns,
        max_idle_conns_per_host,
        max_conns_per_host,
        idle_conn_timeout,
        response_header_timeout: _,
    } = keys.transport;
    let targets: HashSet<String> =
        keys.routes.iter().map(|route| format!("{:?}", route.target.value)).collect();
    let of_all = if max_idle_conns == 0 { usize::MAX } else { max_idle_conns / targets.len() };
    let settings = UpstreamWritten {
        connect_timeout: Some(dial_timeout),
        idle_timeout: Some(idle_conn_timeout),
        max_idle: Some((max_idle_conns_per_host.min(of_all) / workers).max(1)),
        max_connections: max_conns_per_host.map(Some),
        tcp_keepalive: Some(dial_keep_alive),
        ..UpstreamWritten::default()
    };
    let policy = UpstreamPolicySource {
        queue: max_conns_per_host.is_some().then_some(QUEUE),
        ..UpstreamPolicySource::default()
    };
    let targets = vec![route.target.clone()];
    UpstreamUse::Inline(Box::new(Inline { span: route.target.span, targets, tls: None, settings, policy }))
}
