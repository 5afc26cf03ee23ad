//! What a reload says it did, in one line.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use crate::config::plan::{
    Action, CertificateSource, ClientAuth, Listener, ListenerTls, Plan, Protocol, Rule, Upstream,
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
    let (had, has) = (rules(old, before), rules(new, now));
    let added: usize =
        has.iter().map(|(rule, count)| count.saturating_sub(*had.get(rule).unwrap_or(&0))).sum();
    let removed: usize =
        had.iter().map(|(rule, count)| count.saturating_sub(*has.get(rule).unwrap_or(&0))).sum();
    let mut said = format!("listener {}:", now.name);
    if added + removed > 0 {
        // Writing to a string cannot fail.
        let rules = if added == 1 { "rule" } else { "rules" };
        let _ = write!(said, " {added} {rules} added, {removed} removed;");
    } else if rule_list(before).iter().map(|rule| &rule.name).ne(rule_list(now).iter().map(|rule| &rule.name))
    {
        said.push_str(" rules in another order, or renamed;");
    }
    if settings(old, before) != settings(new, now) {
        said.push_str(" settings changed;");
    }
    said.ends_with(';').then(|| said.trim_end_matches(';').to_owned())
}

fn rule_list(listener: &Listener) -> &[Rule] {
    match &listener.protocol {
        Protocol::Http(http) => &http.rules,
        Protocol::Tcp(_) => &[],
    }
}

/// Each rule as what it matches and does, wherever it was written, and how often it stands there.
fn rules(plan: &Plan, listener: &Listener) -> HashMap<String, usize> {
    let mut rules = HashMap::new();
    for Rule { hosts, path_prefix, methods, in_the_clear, action, .. } in rule_list(listener) {
        let matched = format!("{hosts:?} {path_prefix} {methods:?} {in_the_clear}");
        let rule = match action {
            Action::Proxy(proxy) => {
                let upstream = &plan.upstreams[proxy.upstream.0];
                let settings = (proxy.pass_host, proxy.strip_path_prefix, proxy.max_body, proxy.body_timeout);
                let times = (proxy.response_timeout, proxy.tunnel_timeout);
                format!("{matched} {settings:?} {times:?} {}", upstream_text(upstream))
            }
            Action::Pass(pass) => {
                let settings = (pass.send_proxy_protocol, pass.idle_timeout);
                let upstream = upstream_text(&plan.upstreams[pass.upstream.0]);
                format!("{matched} pass {settings:?} {upstream}")
            }
            other => format!("{matched} {other:?}"),
        };
        *rules.entry(rule).or_default() += 1;
    }
    rules
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
