//! What a reload says it did, in one line.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use crate::config::plan::{
    CertificateSource, ClientAuth, Listener, ListenerTls, Meaning, Plan, Protocol, Rule, Upstream,
};
use crate::proxy::Generation;

/// What a reload of a gate that is stopping says.
pub(super) const STOPPED: &str = "the gate is stopping; nothing was reloaded";

/// What is different in `new`.
pub(super) fn changes(old: &Plan, new: &Generation, restarted: bool) -> String {
    let verb = if restarted { "restarted" } else { "reloaded" };
    let mut said = Vec::new();
    for listener in &new.plan.listeners {
        match old.listeners.iter().find(|before| before.name == listener.name) {
            None => said.push(format!("listener {} added", listener.name)),
            Some(before) => said.extend(listener_changes(old, before, &new.plan, listener)),
        }
    }
    for before in &old.listeners {
        if !new.plan.listeners.iter().any(|listener| listener.name == before.name) {
            said.push(format!("listener {} removed", before.name));
        }
    }
    if old.internal_api != new.plan.internal_api {
        said.push("internal API changed".into());
    }
    if old.rejected_services != new.plan.rejected_services {
        said.push(format!("{} services rejected", new.plan.rejected_services));
    }
    if old.log != new.plan.log {
        said.push("logging changed".into());
    }
    if old.log.format != new.plan.log.format {
        said.push("log_format takes effect with the next start".into());
    }
    if old.workers != new.plan.workers && !restarted {
        said.push("workers takes effect with ?restart=true".into());
    }
    if said.is_empty() {
        said.push("nothing changed".into());
    }
    format!("{verb} as generation {}: {}", new.number, said.join(", "))
}

fn listener_changes(old: &Plan, before: &Listener, new: &Plan, now: &Listener) -> Option<String> {
    let (added, removed) = rule_changes(old, before.rules(), new, now.rules());
    let mut said = format!("listener {}:", now.name);
    if added + removed > 0 {
        // Writing to a string cannot fail.
        let rules = if added == 1 { "rule" } else { "rules" };
        let _ = write!(said, " {added} {rules} added, {removed} removed;");
    } else if before.rules().iter().map(|rule| &rule.name).ne(now.rules().iter().map(|rule| &rule.name)) {
        said.push_str(" rules in another order, or renamed;");
    }
    if settings(old, before) != settings(new, now) {
        said.push_str(" settings changed;");
    }
    said.ends_with(';').then(|| said.trim_end_matches(';').to_owned())
}

/// How many rules of `now` were not there `before`, and the other way round. One that stands there twice
/// counts twice.
fn rule_changes(old: &Plan, before: &[Rule], new: &Plan, now: &[Rule]) -> (usize, usize) {
    let mut left: HashMap<Meaning<'_>, usize> = HashMap::with_capacity(before.len());
    for rule in before {
        *left.entry(old.meaning(rule)).or_default() += 1;
    }
    let mut stayed = 0;
    for rule in now {
        if let Some(count) = left.get_mut(&new.meaning(rule)).filter(|count| **count > 0) {
            *count -= 1;
            stayed += 1;
        }
    }
    (now.len() - stayed, before.len() - stayed)
}

fn upstream_text(upstream: &Upstream) -> String {
    let Upstream { targets, tls, connect_timeout, tries, idle_timeout, .. } = upstream;
    format!("{targets:?} {tls:?} {connect_timeout:?} {tries} {idle_timeout:?}")
}

/// Everything of a listener but its rules and where it was written.
fn settings(plan: &Plan, listener: &Listener) -> String {
    let protocol = match &listener.protocol {
        Protocol::Http(http) => {
            let times = (http.header_timeout, http.idle_timeout);
            format!("http {:?} {times:?} {:?} {:?}", http.head, http.trusted_proxies, http.redirect_to_https)
        }
        Protocol::Tcp(tcp) => {
            let settings = (tcp.send_proxy_protocol, tcp.idle_timeout);
            format!("tcp {settings:?} {}", upstream_text(&plan.upstreams[tcp.upstream.0]))
        }
    };
    let tls = listener.tls.as_ref().map(tls_text);
    let Listener { binds, shutdown_timeout, accept_proxy_protocol, .. } = listener;
    format!("{binds:?} {shutdown_timeout:?} {accept_proxy_protocol:?} {protocol} {tls:?}")
}

fn tls_text(tls: &ListenerTls) -> String {
    let demand = |auth: &Option<Arc<ClientAuth>>| auth.as_ref().map(|auth| (auth.ca.clone(), auth.mode));
    let one = |source: &CertificateSource| (source.files.clone(), demand(&source.client_auth));
    let certificates: Vec<_> = tls.certificates.iter().map(one).collect();
    let default = tls.default_certificate.as_ref().map(one);
    let times = tls.handshake_timeout;
    format!("{certificates:?} {default:?} {:?} {:?} {times:?}", tls.min_version, demand(&tls.client_auth))
}
