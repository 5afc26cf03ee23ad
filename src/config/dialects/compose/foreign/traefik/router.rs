//! A router and its service become routes.

use super::middleware::{self, Effect};
use super::rule::{self, Requests};
use super::table::{Item, Kind, Table, local};
use crate::config::dialects::compose::foreign::adapted::{
    Adapted, Route, To, Unready, port, url, whole_segments,
};
use crate::config::dialects::compose::foreign::entry::listed;
use crate::config::dialects::compose::foreign::source::Written;

/// Adds the routes of a router.
pub(super) fn adapt(table: &Table<'_>, written: &Written, router: &Item<'_>, adapted: &mut Adapted) {
    let Some(rule) = router.entry("rule") else {
        let name = format!("traefik.http.routers.{}", router.name);
        return adapted.note(
            &name,
            "",
            "the default rule of Traefik is not in this file: add `smolgate.host`",
        );
    };
    let effect = middleware::effect(table, router.get("middlewares").unwrap_or_default());
    let requests = match rule::routes(&rule.value) {
        Ok(requests) => requests,
        Err(why) => {
            if !effect.missing.is_empty() {
                let why = format!(
                    "it may take requests of the router `{}`: {}",
                    router.name,
                    effect.missing.join("; ")
                );
                adapted.unready.push(Unready { hosts: rule::quoted(&rule.value), path: None, why });
            }
            return adapted.note(&rule.name, &rule.value, why);
        }
    };
    let has_tls = router
        .fields()
        .any(|field| field == "tls" && router.get(field) != Some("false") || field.starts_with("tls."));
    adapted.https |= has_tls || effect.to_https;
    if effect.to_https && !has_tls && is_in_the_clear(router) {
        let why = "with SMOLGATE_HTTPS_ENABLED, the gate redirects every request in the clear";
        return adapted.note(&rule.name, &rule.value, why);
    }
    let (target, missing) = match target(table, written, router) {
        Ok(target) => (target, None),
        Err(why) => (To::default(), Some(why)),
    };
    // Traefik takes the longest rule first, and 0 is no priority.
    let own = router.get("priority").and_then(|text| text.parse().ok()).filter(|priority| *priority > 0);
    let priority = own.unwrap_or(rule.value.len());
    for one in requests {
        let mut route = route(router, one, &effect);
        route.target = target.clone();
        route.priority = Some(priority);
        match &missing {
            Some(why) => route.withheld.push(why.clone()),
            None => route.check_port(),
        }
        adapted.routes.push(route);
    }
}

/// The usual names of the entry point that is in the clear.
const CLEAR: [&str; 2] = ["web", "http"];
/// The usual names of the entry point with TLS.
const SECURE: [&str; 3] = ["websecure", "web-secure", "https"];

/// The entry points of a router. Without any, it has all of them.
fn entry_points<'w>(router: &Item<'w>) -> impl Iterator<Item = &'w str> {
    listed(router.get("entrypoints").unwrap_or_default())
}

/// Whether the router is only for the entry point that is in the clear.
fn is_in_the_clear(router: &Item<'_>) -> bool {
    entry_points(router).all(|name| CLEAR.contains(&name))
}

fn route(router: &Item<'_>, requests: Requests, effect: &Effect) -> Route {
    let Requests { hosts, path, methods } = requests;
    let mut withheld = effect.missing.clone();
    let mut differs: Vec<String> = path.iter().map(|path| whole_segments(path)).collect();
    if hosts.is_empty() {
        differs.push("a route for any host comes after all routes with a host".to_owned());
    }
    let is_usual = |name: &&str| CLEAR.contains(name) || SECURE.contains(name);
    if let Some(name) = entry_points(router).find(|name| !is_usual(name)) {
        withheld.push(format!("its entry point `{name}` may be one that fewer clients can reach"));
    }
    let strip_prefix =
        match strips(path.as_deref().unwrap_or("/"), effect.strip.as_deref().unwrap_or_default()) {
            Ok(strips) => strips,
            Err(why) => {
                withheld.push(why);
                false
            }
        };
    let max_body = effect.max_body.clone();
    Route {
        name: router.name.to_owned(),
        hosts,
        path,
        methods,
        strip_prefix,
        max_body,
        withheld,
        differs,
        ..Route::default()
    }
}

/// Whether the path of a route is what is removed. Traefik removes the first prefix that a request has.
fn strips(path: &str, prefixes: &[String]) -> Result<bool, String> {
    let path = path.trim_end_matches('/');
    let first = prefixes.iter().find(|prefix| prefix.starts_with(path) || path.starts_with(prefix.as_str()));
    match first.map(|prefix| prefix.trim_end_matches('/')) {
        None | Some("") => Ok(false),
        Some(prefix) if prefix == path => Ok(true),
        Some(prefix) => Err(format!(
            "`{prefix}` is removed from the path, and a label removes the whole path of the route"
        )),
    }
}

/// The destination of a router: its service, or the only one of its labels.
fn target(table: &Table<'_>, written: &Written, router: &Item<'_>) -> Result<To, String> {
    let mut own = table.own(Kind::Service);
    let service = match router.get("service") {
        Some(name) => {
            let known = local(name).and_then(|name| own.find(|item| item.name == name));
            Some(known.ok_or_else(|| format!("it leads to `{name}`, which is not this service"))?)
        }
        None => {
            let first = own.next();
            if own.next().is_some() {
                return Err("it does not say which service it leads to".to_owned());
            }
            first
        }
    };
    let field = |field: &str| service.and_then(|item| item.get(&format!("loadbalancer.{field}")));
    if service.is_some_and(|item| item.fields().any(|field| !field.starts_with("loadbalancer."))) {
        return Err("its service is no load balancer".to_owned());
    }
    let mut to = To { own_host: field("passhostheader") == Some("false"), ..To::default() };
    to.https = match field("server.scheme") {
        None | Some("http") => false,
        Some("https") => true,
        Some(other) => return Err(format!("its service speaks `{other}`, and the gate HTTP/1.1 alone")),
    };
    match (field("server.url"), field("server.port")) {
        (Some(target), _) => to.target = Some(url(target)?),
        (None, Some(number)) => to.port = Some(port(number)?),
        (None, None) => to.port = written.exposed.map(|port| port.to_string()),
    }
    Ok(to)
}
