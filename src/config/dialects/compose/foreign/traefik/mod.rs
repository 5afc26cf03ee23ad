//! Labels for Traefik 2 and 3: routers, services and middlewares, each with a name.

mod passthrough;

mod router;

mod middleware;

mod rule;

mod table;

use super::source::{Source, Written};
use crate::config::dialects::compose::foreign::adapted::Adapted;
use table::{Kind, Table};

/// The row of the table.
pub(super) const SOURCE: Source = Source {
    name: "traefik",
    title: "Traefik",
    word: "labels",
    keys: &["labels", "deploy.labels"],
    is_its: |name| name.starts_with("traefik."),
    adapt,
};

/// Writes a service anew. A router may use services and middlewares that the labels of other services define.
fn adapt(all: &[Written], own: usize) -> Adapted {
    let mut adapted = Adapted::default();
    let written = &all[own];
    let is_off = |value: &str| ["false", "0", "f"].contains(&value.to_lowercase().as_str());
    if written.entries.iter().any(|entry| entry.key == "traefik.enable" && is_off(&entry.value)) {
        adapted.note("traefik.enable", "false", "the service has no route");
        return adapted;
    }
    let table = Table::new(all, own);
    let mut is_routed = false;
    for router in table.own(Kind::Router) {
        router::adapt(&table, written, router, &mut adapted);
        is_routed = true;
    }
    for router in table.own(Kind::TcpRouter) {
        passthrough::adapt(&table, written, router, &mut adapted);
        is_routed = true;
    }
    for entry in &written.entries {
        if let Some(why) = why(&entry.key) {
            adapted.note(&entry.name, &entry.value, why);
        }
    }
    // A service that only defines middlewares needs no route.
    let wants_route = |key: &str| key == "traefik.enable" || key.starts_with("traefik.http.services.");
    if let Some(entry) = written.entries.iter().find(|entry| !is_routed && wants_route(&entry.key)) {
        adapted.note(
            &entry.name,
            &entry.value,
            "the default rule of Traefik is not in this file: add `smolgate.host`",
        );
    }
    adapted
}

/// The reason why a label has no counterpart. `None` if a route says it, or its note.
fn why(key: &str) -> Option<&'static str> {
    let parts: Vec<&str> = key.split('.').skip(1).collect();
    match parts.as_slice() {
        ["enable"] => None,
        ["docker" | "swarm", ..] => Some("the gate asks DNS for the service: both must be on one network"),
        ["http", "routers", _, rest @ ..] => match rest {
            ["rule" | "service" | "middlewares"] => None,
            ["rulesyntax"] => None,
            ["entrypoints"] => Some("labels are for the listeners `http` and `https` of the gate"),
            ["tls", "options"] => Some("the listener `https` of a native file has the keys of `tls`"),
            ["tls", ..] => Some(
                "HTTPS is for all services; SMOLGATE_ACME_EMAIL orders the certificates, else they come from files",
            ),
            ["priority"] => Some("the longest path of a host comes first"),
            _ => Some(NONE),
        },
        ["http", "services", _, "loadbalancer", rest @ ..] => match rest {
            ["server", "port" | "scheme" | "url"] | ["passhostheader"] => None,
            ["serverstransport"] => {
                Some("`smolgate.ca`, `.sni` and `.insecure_skip_verify` say how to trust a service")
            }
            ["healthcheck", ..] => Some("`smolgate.health` checks a service"),
            ["sticky", ..] => Some("`smolgate.sticky` keeps a client at its replica"),
            ["responseforwarding", ..] => Some("responses are never buffered"),
            _ => Some(NONE),
        },
        ["http", "middlewares", _, kind, field @ ..] => middleware::why(kind, field),
        ["tcp", "routers", _, "rule" | "service" | "tls"] => None,
        ["tcp", "routers", _, "tls", "passthrough"] => None,
        ["tcp", "services", _, "loadbalancer", "server", "port"] => None,
        ["tcp" | "udp", ..] => {
            Some("labels are for HTTP; see `passthrough`, and `protocol: tcp` in a native file")
        }
        ["frontend" | "backend" | "port" | "protocol" | "basic", ..] => {
            Some("labels of Traefik 1 are not read")
        }
        _ => Some(NONE),
    }
}

const NONE: &str = "no label means this";
