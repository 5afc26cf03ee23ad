//! Routes that would take the requests of others.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::adapted::{Adapted, Route, Unready};

/// Withholds routes that would take requests of a route that is not ready, routes that repeat an earlier one, and routes in
/// another order than that of the gate. `fill`
/// gives the value of a text with variables.
pub(super) fn withhold(services: &mut [(String, Adapted)], fill: &dyn Fn(&str) -> String) {
    withhold_wider(services, fill);
    withhold_repeated(services, fill);
    withhold_reordered(services, fill);
}

/// Without this, a path that the other proxy protects would be served by a wider route without protection.
fn withhold_wider(services: &mut [(String, Adapted)], fill: &dyn Fn(&str) -> String) {
    let mut unready: Vec<Unready> = Vec::new();
    for (_, adapted) in services.iter_mut() {
        unready.append(&mut adapted.unready);
        for route in adapted.routes.iter().filter(|route| !route.withheld.is_empty()) {
            let path = Some(route.path.clone().unwrap_or_default());
            let why = format!("it would take requests of the route `{}`, which is not ready", route.name);
            unready.push(Unready { hosts: route.hosts.clone(), path, why });
        }
    }
    for one in &mut unready {
        one.hosts = filled(&one.hosts, fill);
    }
    let routes = services.iter_mut().flat_map(|(_, adapted)| &mut adapted.routes);
    for route in routes.filter(|route| route.withheld.is_empty()) {
        let path = trimmed(&route.path);
        let hosts = filled(&route.hosts, fill);
        let is_below = |one: &Unready| one.path.as_deref().is_none_or(|inner| is_below(inner, path));
        if let Some(one) = unready.iter().find(|one| is_below(one) && meet(&one.hosts, &hosts)) {
            route.withheld.push(one.why.clone());
        }
    }
}

/// Of two routes with common requests, the gate takes the more exact one. Withholds both if the other proxy takes the other.
fn withhold_reordered(services: &mut [(String, Adapted)], fill: &dyn Fn(&str) -> String) {
    let mut routes: Vec<(Vec<String>, &mut Route)> = Vec::new();
    for route in services.iter_mut().flat_map(|(_, adapted)| &mut adapted.routes) {
        if route.withheld.is_empty() && route.priority.is_some() {
            routes.push((filled(&route.hosts, fill), route));
        }
    }
    let mut reordered = Vec::new();
    for (index, (hosts, one)) in routes.iter().enumerate() {
        for (other_index, (other_hosts, other)) in routes.iter().enumerate() {
            let (path, other_path) = (trimmed(&one.path), trimmed(&other.path));
            let is_nested = is_below(path, other_path) || is_below(other_path, path);
            let is_reordered = rank(one) < rank(other) && one.priority < other.priority;
            if is_reordered && is_nested && meet(hosts, other_hosts) {
                reordered.extend([(index, other.name.clone()), (other_index, one.name.clone())]);
            }
        }
    }
    for (index, other) in reordered {
        let why = format!(
            "its order with the route `{other}` is another one: the gate takes the more exact one first"
        );
        let withheld = &mut routes[index].1.withheld;
        if withheld.is_empty() {
            withheld.push(why);
        }
    }
}

/// The order of the gate: a host before any host, the longest path, routes with methods.
fn rank(route: &Route) -> (bool, Reverse<usize>, bool) {
    (route.hosts.is_empty(), Reverse(trimmed(&route.path).len()), route.methods.is_empty())
}

/// Hosts with their variables filled in, in lower case.
fn filled(hosts: &[String], fill: &dyn Fn(&str) -> String) -> Vec<String> {
    hosts.iter().map(|host| fill(host).to_lowercase()).collect()
}

/// Whether a path is the prefix, or below it.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn trimmed(path: &Option<String>) -> &str {
    path.as_deref().unwrap_or_default().trim_end_matches('/')
}

/// Whether a host is in both. No host stands for all of them.
fn meet(one: &[String], other: &[String]) -> bool {
    let is_below =
        |name: &str, pattern: &str| pattern.strip_prefix('*').is_some_and(|end| name.ends_with(end));
    let is_same = |a: &str, b: &str| a == b || is_below(a, b) || is_below(b, a);
    one.is_empty() || other.is_empty() || one.iter().any(|a| other.iter().any(|b| is_same(a, b)))
}

/// The gate would never use a route with the host, path and methods of an earlier one.
fn withhold_repeated(services: &mut [(String, Adapted)], fill: &dyn Fn(&str) -> String) {
    let mut seen: HashMap<(String, String, String), String> = HashMap::new();
    for (service, adapted) in services {
        for route in adapted.routes.iter_mut().filter(|route| route.withheld.is_empty()) {
            let mut methods = route.methods.clone();
            methods.sort();
            let any = route.hosts.is_empty().then(|| "*".to_owned());
            for host in filled(&route.hosts, fill).into_iter().chain(any) {
                let key = (host.clone(), trimmed(&route.path).to_owned(), methods.join(" "));
                match seen.get(&key) {
                    Some(first) => route.withheld.push(format!(
                        "an earlier route of `{first}` has {host} and this path: the gate uses one route for them"
                    )),
                    None => drop(seen.insert(key, service.clone())),
                }
            }
        }
    }
}
