//! Hosts for which a listener has rules, but no certificate.

use std::collections::HashSet;
use std::path::Path;

use super::certificates::Certificates;
use super::problem::Problem;
use super::subject::address_of;
use crate::config::plan::{Action, CertificateFiles, HostPattern, ListenerTls, OrderedHosts, Origin, Rule};

/// Hosts that one message names.
const SHOWN: usize = 10;

/// The problem of hosts in rules that clients cannot reach under TLS, because no certificate has their name. If
/// certificates are ordered, only wildcards are such hosts, and with DNS challenges only those of several labels.
pub(in crate::tls) fn missing(
    tls: &ListenerTls,
    rules: &[Rule],
    certificates: &Certificates,
) -> Option<Problem> {
    // The default certificate is for all hosts.
    if !certificates.find(None).is_empty() {
        return None;
    }
    let is_ordered = |host: &HostPattern| {
        tls.ordered.as_ref().is_some_and(|ordered| name(host, ordered.wildcards).is_some())
    };
    // Where certificates are ordered, hosts that are to have none are meant so.
    let mut found = uncovered(rules, certificates, tls.ordered.is_some());
    found.retain(|(host, _)| !is_ordered(host));
    let (_, origin) = found.first()?;
    let names: Vec<String> = found.iter().take(SHOWN).map(|(host, _)| host.to_string()).collect();
    let more = match found.len() - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("no certificate has the name {}{more}: not served under TLS", names.join(", "));
    // No challenge helps a host for which no certificate could have a name.
    let is_of_dns = found.iter().any(|(host, _)| name(host, true).is_some());
    Some(Problem::error(origin, message, &hint(tls, is_of_dns)))
}

/// The names for which certificates are ordered, in the order of the rules. A host that one of them covers has none of its
/// own.
pub(in crate::tls) fn wanted(
    rules: &[Rule],
    certificates: &Certificates,
    ordered: &OrderedHosts,
) -> Vec<Box<str>> {
    let hosts = uncovered(rules, certificates, true).into_iter();
    let mut seen: HashSet<Box<str>> = HashSet::new();
    let mut names: Vec<Box<str>> = hosts
        .filter_map(|(host, _)| name(host, ordered.wildcards).map(String::into_boxed_str))
        .filter(|name| seen.insert(name.clone()))
        .collect();
    let wildcards: HashSet<Box<str>> =
        names.iter().filter_map(|name| name.strip_prefix("*.")).map(Box::from).collect();
    let parent = |name: &str| name.split_once('.').map_or("", |(_, parent)| parent).to_owned();
    names.retain(|name| name.starts_with("*.") || !wildcards.contains(&*parent(name)));
    names
}

/// The name of a certificate for a host that can be ordered.
fn name(host: &HostPattern, wildcards: bool) -> Option<String> {
    match host {
        HostPattern::Exact(host) => {
            Some(address_of(host).map_or_else(|| host.to_string(), |address| address.to_string()))
        }
        HostPattern::Wildcard(suffix) if wildcards => Some(format!("*.{suffix}")),
        HostPattern::Glob(glob) if wildcards => {
            glob.suffix_of_one_label().map(|suffix| format!("*.{suffix}"))
        }
        HostPattern::Wildcard(_) | HostPattern::Glob(_) | HostPattern::Deep(_) => None,
    }
}

/// Hosts of rules that no certificate has, each with the first rule that names it. With `to_order`, those of rules with
/// `acme: false` are left out. Without it, addresses are: clients do not ask for them by name.
fn uncovered<'r>(
    rules: &'r [Rule],
    certificates: &Certificates,
    to_order: bool,
) -> Vec<(&'r HostPattern, &'r Origin)> {
    let mut needless: HashSet<&HostPattern> = HashSet::new();
    let mut seen: HashSet<&HostPattern> = HashSet::new();
    let mut found: Vec<(&HostPattern, &Origin)> = Vec::new();
    for rule in rules {
        // A rule for some clients leaves the name to the rules behind it.
        if rule.decides_by_name() && rule.conditions.is_none() {
            // This rule takes all connections, so TLS is not terminated for later rules.
            if rule.hosts.is_empty() {
                break;
            }
            needless.extend(&rule.hosts);
        }
        if matches!(rule.action, Action::Pass(_) | Action::Drop) || to_order && !rule.acme {
            continue;
        }
        let lacking = rule.hosts.iter().filter(|host| {
            let under = || host.patterns_over().iter().any(|over| needless.contains(over));
            !is_covered(host, certificates, to_order) && !needless.contains(host) && !under()
        });
        found.extend(lacking.filter(|host| seen.insert(host)).map(|host| (host, &rule.origin)));
    }
    found
}

fn hint(tls: &ListenerTls, is_of_dns: bool) -> String {
    match &tls.ordered {
        Some(ordered) if ordered.wildcards || !is_of_dns => {
            return "a certificate has wildcards of one label only: write `*.`, list the hosts, or add a certificate file".into();
        }
        Some(_) => {
            return "a wildcard is ordered with a DNS challenge only: set `dns` of `acme`, list the hosts, or add a certificate file".into();
        }
        None => {}
    }
    let folder = tls.certificates.iter().find_map(|source| match &source.files {
        CertificateFiles::Path(path) if !path.is_file() => Some(path.as_path()),
        _ => None,
    });
    let place = |folder: &Path| format!("put NAME.crt and NAME.key into {}", folder.display());
    let what = folder.map_or_else(|| "add one to `certificates`".to_owned(), place);
    format!("{what}, or have it ordered (`acme`, SMOLGATE_ACME_EMAIL)")
}

/// Whether a certificate has the host. For a wildcard, a certificate for any of its hosts is enough. Clients that name
/// no host get the default, so an address that is `to_order` needs it there.
fn is_covered(host: &HostPattern, certificates: &Certificates, to_order: bool) -> bool {
    match host {
        HostPattern::Exact(host) => match address_of(host) {
            Some(address) => {
                let mut default = certificates.find(None).iter().map(|index| certificates.entry(*index));
                !to_order || default.any(|entry| entry.info.addresses.contains(&address))
            }
            None => certificates.find_named(host).is_some(),
        },
        pattern => certificates.names(&pattern.first_label()).any(|name| pattern.matches(name.as_bytes())),
    }
}
