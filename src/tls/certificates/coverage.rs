//! Hosts for which a listener has rules, but no certificate.

use std::collections::HashSet;
use std::path::Path;

use super::certificates::Certificates;
use super::problem::Problem;
use crate::config::plan::{Action, CertificateFiles, HostPattern, ListenerTls, Origin, Rule};

/// Hosts that one message names.
const SHOWN: usize = 10;

/// The problem of hosts in rules that clients cannot reach under TLS, because no certificate has their name. If
/// certificates are ordered, only wildcards are such hosts.
pub(in crate::tls) fn missing(
    tls: &ListenerTls,
    rules: &[Rule],
    certificates: &Certificates,
) -> Option<Problem> {
    // The default certificate is for all hosts.
    if !certificates.find(None).is_empty() {
        return None;
    }
    let is_ordered = |host: &HostPattern| tls.ordered.is_some() && matches!(host, HostPattern::Exact(_));
    let mut found = uncovered(rules, certificates);
    found.retain(|(host, _)| !is_ordered(host));
    let (_, origin) = found.first()?;
    let names: Vec<String> = found.iter().take(SHOWN).map(|(host, _)| host.to_string()).collect();
    let more = match found.len() - names.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("no certificate has the name {}{more}: not served under TLS", names.join(", "));
    Some(Problem::error(origin, message, &hint(tls)))
}

/// The hosts for which certificates are ordered.
pub(in crate::tls) fn wanted(rules: &[Rule], certificates: &Certificates) -> HashSet<Box<str>> {
    let exact = |(host, _): (&HostPattern, _)| match host {
        HostPattern::Exact(host) => Some(Box::from(&**host)),
        HostPattern::Wildcard(_) | HostPattern::Partial { .. } | HostPattern::Deep(_) => None,
    };
    uncovered(rules, certificates).into_iter().filter_map(exact).collect()
}

/// Hosts of rules that no certificate has, each with the first rule that names it. Addresses are left out, because
/// clients do not ask for them by name.
fn uncovered<'r>(rules: &'r [Rule], certificates: &Certificates) -> Vec<(&'r HostPattern, &'r Origin)> {
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
        if let Action::Pass(_) | Action::Drop = rule.action {
            continue;
        }
        let lacking = rule.hosts.iter().filter(|host| {
            let under = || host.patterns_over().iter().any(|over| needless.contains(over));
            !is_covered(host, certificates) && !needless.contains(host) && !under()
        });
        found.extend(lacking.filter(|host| seen.insert(host)).map(|host| (host, &rule.origin)));
    }
    found
}

fn hint(tls: &ListenerTls) -> String {
    if tls.ordered.is_some() {
        return "a wildcard cannot be ordered, it needs a DNS challenge: list the hosts, or add a certificate file".into();
    }
    let folder = tls.certificates.iter().find_map(|source| match &source.files {
        CertificateFiles::Path(path) if !path.is_file() => Some(path.as_path()),
        _ => None,
    });
    let place = |folder: &Path| format!("put NAME.crt and NAME.key into {}", folder.display());
    let what = folder.map_or_else(|| "add one to `certificates`".to_owned(), place);
    format!("{what}, or have it ordered (`acme`, SMOLGATE_ACME_EMAIL)")
}

/// Whether a certificate has the host. For a wildcard, a certificate for any of its hosts is enough.
fn is_covered(host: &HostPattern, certificates: &Certificates) -> bool {
    match host {
        HostPattern::Exact(host) if is_address(host) => true,
        HostPattern::Exact(host) => certificates.find_named(host).is_some(),
        HostPattern::Wildcard(suffix) | HostPattern::Partial { suffix, .. } | HostPattern::Deep(suffix) => {
            certificates.has_any_under(suffix)
        }
    }
}

fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok()
}
