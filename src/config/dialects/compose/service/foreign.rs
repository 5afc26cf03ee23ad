//! Hints for services that are written for another proxy.

use crate::config::diagnostics::quoted;
use crate::config::dialects::compose::project::{Project, Reader, Service, pairs};

/// A proxy that reads compose files too.
struct Proxy {
    name: &'static str,
    /// The key of a service that it reads, and a word for what stands below it.
    key: &'static str,
    word: &'static str,
    /// Whether a name below that key is for it.
    is_its: fn(&str) -> bool,
    /// The hosts in a value, if it has some.
    hosts: fn(&str, &str) -> Vec<String>,
    /// The port in a value, if it is one.
    port: fn(&str, &str) -> Option<String>,
}

const PROXIES: [Proxy; 3] = [
    Proxy {
        name: "Traefik",
        key: "labels",
        word: "labels",
        is_its: |name| name.starts_with("traefik."),
        hosts: |name, value| match name.ends_with(".rule") {
            true => value.split("Host(").skip(1).flat_map(backquoted).collect(),
            false => Vec::new(),
        },
        port: |name, value| name.ends_with(".server.port").then(|| value.to_owned()),
    },
    Proxy {
        name: "Caddy",
        key: "labels",
        word: "labels",
        is_its: |name| name == "caddy" || name.starts_with("caddy.") || name.starts_with("caddy_"),
        hosts: |name, value| if name.contains('.') { Vec::new() } else { listed(value) },
        port: |name, value| {
            let port = value.split_once("upstreams ")?.1.split([' ', '}']).next()?;
            name.ends_with("reverse_proxy").then(|| port.to_owned())
        },
    },
    Proxy {
        name: "nginx-proxy",
        key: "environment",
        word: "variables",
        is_its: |name| name == "VIRTUAL_HOST" || name == "VIRTUAL_PORT",
        hosts: |name, value| if name == "VIRTUAL_HOST" { listed(value) } else { Vec::new() },
        port: |name, value| (name == "VIRTUAL_PORT").then(|| value.to_owned()),
    },
];

/// The words in back-quotes up to the next bracket.
fn backquoted(text: &str) -> Vec<String> {
    let inside = text.split(')').next().unwrap_or_default();
    inside.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn listed(text: &str) -> Vec<String> {
    let hosts = text.split([',', ' ']).map(|host| host.split("://").last().unwrap_or(host));
    hosts.filter(|host| !host.is_empty()).map(str::to_owned).collect()
}

/// A hint for a project with services for another proxy.
pub(crate) fn hint(reader: &Reader<'_>, project: &Project) -> Option<String> {
    let mut hints = project.services.iter().filter_map(|service| of_service(reader, service));
    let first = hints.next()?;
    Some(match hints.count() {
        0 => first,
        more => format!("{first}; and so on for {more} more"),
    })
}

fn of_service(reader: &Reader<'_>, service: &Service) -> Option<String> {
    PROXIES.iter().find_map(|proxy| {
        let written = service.node.get(proxy.key).map(pairs).unwrap_or_default();
        let its: Vec<_> = written.iter().filter(|(name, _)| (proxy.is_its)(&name.value)).collect();
        let place = reader.report.place(its.first()?.0.span);
        let value = |node| reader.lenient(node);
        let hosts: Vec<String> =
            its.iter().flat_map(|(name, node)| (proxy.hosts)(&name.value, &value(node))).collect();
        let port = its.iter().find_map(|(name, node)| (proxy.port)(&name.value, &value(node)));
        let host = if hosts.is_empty() { "NAME".to_owned() } else { hosts.join(", ") };
        let port = port.map_or_else(String::new, |port| format!(" and `smolgate.port: {port}`"));
        let (name, Proxy { name: proxy, word, .. }) = (quoted(&service.name.value), proxy);
        Some(format!("{name} has {word} for {proxy} ({place}): add the label `smolgate.host: {host}`{port}"))
    })
}
