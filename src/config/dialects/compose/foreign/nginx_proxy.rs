//! Variables for nginx-proxy: hosts, and paths and ports of each.

use std::path::Path;

use super::adapted::{Adapted, Route, To, host, path, port, route_name, whole_segments};
use super::entry::listed;
use super::source::{Source, Written};
use crate::config::diagnostics::Report;
use crate::config::syntax::{Node, Value, yaml};

/// The row of the table.
pub(super) const SOURCE: Source = Source {
    name: "nginx-proxy",
    title: "nginx-proxy",
    word: "variables",
    keys: &["environment"],
    is_its: |name| is_own(name) || why(name).is_some(),
    adapt,
};

/// Whether a variable becomes a label. Names are in lower case here.
fn is_own(name: &str) -> bool {
    [HOST, PORT, PATH, DEST, PROTO, MULTIPORTS].contains(&name)
}

const HOST: &str = "virtual_host";
const PORT: &str = "virtual_port";
const PATH: &str = "virtual_path";
const DEST: &str = "virtual_dest";
const PROTO: &str = "virtual_proto";
const MULTIPORTS: &str = "virtual_host_multiports";
const ACCESS: &str = "network_access";

/// The reason why a variable has no counterpart.
fn why(name: &str) -> Option<&'static str> {
    Some(match name {
        "virtual_root" => "the gate speaks HTTP/1.1 to services, and no FastCGI",
        "https_method" => {
            "with SMOLGATE_HTTPS_ENABLED, requests in the clear are redirected; `smolgate.in_the_clear` serves them"
        }
        "letsencrypt_host" | "letsencrypt_email" | "acme_host" | "acme_email" => {
            "SMOLGATE_ACME_EMAIL orders certificates, else they come from files"
        }
        "cert_name" => "a certificate is found by the names in it",
        "ssl_policy" => "the listener `https` of a native file has `min_version`",
        "hsts" => "the gate sets no header fields",
        "server_tokens" => "the gate has no banner",
        ACCESS => "routes do not depend on the address of the client",
        _ => return None,
    })
}

/// One place of a host.
struct Location {
    path: Option<String>,
    port: Option<String>,
    dest: Option<String>,
    proto: Option<String>,
}

fn adapt(all: &[Written], own: usize) -> Adapted {
    let written = &all[own];
    let mut adapted = Adapted::default();
    let value = |name: &str| {
        let entry = written.entries.iter().find(|entry| entry.key == name);
        entry.map(|entry| entry.value.clone()).filter(|value| !value.is_empty())
    };
    let names = ["letsencrypt_host", "acme_host", "cert_name"];
    adapted.https = names.iter().any(|name| value(name).is_some());
    let proto = value(PROTO);
    match value(MULTIPORTS) {
        Some(text) => match multiports(&text) {
            Ok(all) => {
                for (hosts, location) in all {
                    let location = Location { proto: location.proto.or(proto.clone()), ..location };
                    add(&mut adapted, written, &hosts, location);
                }
            }
            Err(why) => adapted.note("VIRTUAL_HOST_MULTIPORTS", &text, why),
        },
        None => {
            let location = Location { path: value(PATH), port: value(PORT), dest: value(DEST), proto };
            let hosts = value(HOST).unwrap_or_default();
            let hosts: Vec<&str> = listed(&hosts).collect();
            match hosts.is_empty() {
                true => {
                    adapted.note("VIRTUAL_HOST", "", "it is not set: nginx-proxy does not route this service")
                }
                false => add(&mut adapted, written, &hosts, location),
            }
        }
    }
    let access = value(ACCESS).filter(|access| access != "external");
    for route in adapted.routes.iter_mut().filter(|_| access.is_some()) {
        route.withheld.push("NETWORK_ACCESS keeps strangers out, and no label does".to_owned());
    }
    for entry in &written.entries {
        if let Some(why) = why(&entry.key) {
            adapted.note(&entry.name, &entry.value, why);
        }
    }
    adapted
}

/// Adds the route of a location for these hosts.
fn add<H: AsRef<str>>(adapted: &mut Adapted, written: &Written, hosts: &[H], location: Location) {
    let Location { path, port: number, dest, proto } = location;
    let mut route = Route::default();
    for name in hosts.iter().map(AsRef::as_ref) {
        match host(name) {
            Ok(host) => {
                if host.starts_with("*.") {
                    route
                        .differs
                        .push(format!("the gate takes exactly one label before the rest of `{host}`"));
                }
                route.hosts.push(host);
            }
            Err(why) => adapted.note("VIRTUAL_HOST", name, why),
        }
    }
    // Without a host, the labels would take any.
    if route.hosts.is_empty() {
        return;
    }
    route.name = route_name(path.as_deref(), &route.hosts);
    route.differs.extend(path.iter().filter(|path| *path != "/").map(|path| whole_segments(path)));
    match path.as_deref().map_or(Ok(None), self::path) {
        Ok(path) => route.path = path,
        Err(why) => return adapted.note("VIRTUAL_PATH", &path.unwrap_or_default(), why),
    }
    match dest.as_deref() {
        None | Some("") => {}
        Some("/") => route.strip_prefix = route.path.is_some(),
        Some(dest) => {
            route.withheld.push(format!("the path is replaced by `{dest}`, and a label only removes it"))
        }
    }
    let (is_https, is_other) = match proto.as_deref() {
        None | Some("http") => (false, None),
        Some("https") => (true, None),
        Some(other) => (false, Some(other)),
    };
    if let Some(other) = is_other {
        route.withheld.push(format!("the service speaks `{other}`, and the gate HTTP/1.1 alone"));
    }
    let number = number.or(written.exposed.map(|port| port.to_string()));
    route.target = To { https: is_https, any_certificate: is_https, ..To::default() };
    match number.as_deref().map(port).transpose() {
        Ok(port) => route.target.port = port,
        Err(why) => route.withheld.push(why),
    }
    if is_https {
        route.differs.push(
            "nginx-proxy does not check the certificate of a service; neither do these labels".to_owned(),
        );
    }
    route.check_port();
    adapted.routes.push(route);
}

/// The locations of `VIRTUAL_HOST_MULTIPORTS`, in YAML or JSON.
fn multiports(text: &str) -> Result<Vec<(Vec<String>, Location)>, String> {
    let unreadable = || "it is not a mapping of hosts to paths".to_owned();
    let mut scratch = Report::default();
    let file = scratch.add_file(Path::new("VIRTUAL_HOST_MULTIPORTS"), &text.into());
    let tree = yaml::parse(text, file, &mut scratch).ok_or_else(unreadable)?;
    let Value::Map(hosts) = &tree.root.value else { return Err(unreadable()) };
    let mut all = Vec::new();
    for (host, paths) in hosts {
        let default =
            || (vec![host.value.clone()], Location { path: None, port: None, dest: None, proto: None });
        match &paths.value {
            Value::Null => all.push(default()),
            Value::Map(paths) if paths.is_empty() => all.push(default()),
            Value::Map(paths) => {
                for (path, node) in paths {
                    all.push((vec![host.value.clone()], location(&path.value, node).ok_or_else(unreadable)?));
                }
            }
            _ => return Err(unreadable()),
        }
    }
    Ok(all)
}

/// A path and its mapping. `None` if the mapping has another form.
fn location(path: &str, node: &Node) -> Option<Location> {
    let text = |key: &str| match node.get(key).map(|node| &node.value) {
        None | Some(Value::Null) => Some(None),
        Some(Value::Scalar(text)) => Some(Some(text.clone())),
        Some(_) => None,
    };
    let is_known = match &node.value {
        Value::Null => true,
        Value::Map(entries) => {
            entries.iter().all(|(key, _)| ["port", "dest", "proto"].contains(&&*key.value))
        }
        _ => false,
    };
    let path = Some(path.to_owned());
    is_known.then_some(Location { path, port: text("port")?, dest: text("dest")?, proto: text("proto")? })
}
