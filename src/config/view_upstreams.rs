//! Upstreams of a plan as native YAML.

use std::fmt::Write;

use super::keys::yaml::{list, quote, quote_key};
use super::plan::{
    Balance, Eject, Health, HealthRequest, Plugin, PluginEnvironment, Queue, Scheme, Sticky, Target,
    TargetHost, Upstream, UpstreamPolicy, UpstreamTls,
};
use super::values::scalar::show_duration;
use super::yaml_writer::{Yaml, path, write_headers};

/// Writes a plugin with its name.
pub(super) fn write_plugin(out: &mut Yaml, plugin: &Plugin) {
    let Plugin { name, command, arguments, environment, settings } = plugin;
    out.open(1, &quote_key(name));
    let command = command.display().to_string();
    out.line(2, "run", list([&*command].into_iter().chain(arguments.iter().map(|one| &**one))));
    match environment {
        PluginEnvironment::All => out.line(2, "env", "all"),
        PluginEnvironment::Named(names) if names.is_empty() => {}
        PluginEnvironment::Named(names) => out.line(2, "env", list(names.iter())),
    }
    out.settings(2, settings.lines());
}

/// Writes an upstream with its name.
pub(super) fn write_upstream(out: &mut Yaml, upstream: &Upstream) {
    let Upstream { name, origin: _, targets, tls, settings, policy } = upstream;
    out.open(1, &quote_key(name));
    let targets: Vec<String> = targets.iter().map(target).collect();
    out.line(2, "targets", format!("[{}]", targets.join(", ")));
    if *tls != UpstreamTls::default() {
        let UpstreamTls { ca, insecure_skip_verify, sni } = tls;
        out.open(2, "tls");
        if let Some(ca) = ca {
            out.line(3, "ca", path(ca));
        }
        if *insecure_skip_verify {
            out.line(3, "insecure_skip_verify", true);
        }
        if let Some(sni) = sni {
            out.line(3, "sni", quote(sni));
        }
    }
    out.settings(2, settings.lines());
    write_policy(out, policy);
}

fn write_policy(out: &mut Yaml, policy: &UpstreamPolicy) {
    let UpstreamPolicy { balance, sticky, eject, health, slow_start, queue, starting, retry_statuses } =
        policy;
    let balance = match balance {
        Balance::RoundRobin => "round_robin".to_owned(),
        Balance::StrictRoundRobin => "strict_round_robin".to_owned(),
        Balance::LeastRequests => "least_requests".to_owned(),
        Balance::Random => "random".to_owned(),
        Balance::Hash { key, bound: None } => format!("{{ hash: {} }}", quote(&key.to_string())),
        Balance::Hash { key, bound: Some(bound) } => {
            format!("{{ hash: {}, bound: {bound} }}", quote(&key.to_string()))
        }
    };
    out.line(2, "balance", balance);
    if let Some(Sticky { cookie, secret, max_age }) = sticky {
        let mut keys = format!("cookie: {}", quote(cookie));
        if secret.is_some() {
            // As long as a secret must be.
            keys.push_str(", secret: \"[redacted secret]\"");
        }
        if let Some(time) = max_age {
            // Writing to a String cannot fail.
            let _ = write!(keys, ", max_age: {}", show_duration(*time));
        }
        out.line(2, "sticky", format!("{{ {keys} }}"));
    }
    match eject {
        None => out.line(2, "eject", false),
        Some(Eject { failures, time, statuses }) => {
            let mut keys = format!("failures: {failures}, for: {}", show_duration(*time));
            if !statuses.is_empty() {
                // Writing to a String cannot fail.
                let _ = write!(keys, ", statuses: {}", list(statuses.iter()));
            }
            out.line(2, "eject", format!("{{ {keys} }}"));
        }
    }
    if let Some(health) = health {
        write_health(out, health);
    }
    if !slow_start.is_zero() {
        out.line(2, "slow_start", show_duration(*slow_start));
    }
    let Queue { max, timeout } = queue;
    if *max > 0 {
        out.line(2, "queue", format_args!("{{ max: {max}, timeout: {} }}", show_duration(*timeout)));
    }
    if *starting {
        out.line(2, "starting", true);
    }
    if !retry_statuses.is_empty() {
        out.line(2, "retry_statuses", list(retry_statuses.iter()));
    }
}

fn write_health(out: &mut Yaml, health: &Health) {
    let Health { request, port, interval, timeout, rise, fall } = health;
    out.open(2, "health");
    if let Some(HealthRequest { path, method, host, headers, status, body }) = request {
        out.line(3, "path", quote(path));
        out.line(3, "method", method);
        if let Some(host) = host {
            out.line(3, "host", quote(host));
        }
        if !headers.is_empty() {
            out.open(3, "headers");
            write_headers(out, 4, headers);
        }
        if !status.is_empty() {
            out.line(3, "status", list(status.iter()));
        }
        if let Some(text) = body {
            out.line(3, "body", quote(text));
        }
    }
    if let Some(port) = port {
        out.line(3, "port", port);
    }
    out.line(3, "interval", show_duration(*interval));
    out.line(3, "timeout", show_duration(*timeout));
    out.line(3, "rise", rise);
    out.line(3, "fall", fall);
}

/// A target with its scheme, even if the listener would give it.
fn target(target: &Target) -> String {
    let is_socket = matches!(target.host, TargetHost::Unix(_));
    let text = match target.scheme {
        Scheme::Tcp if !is_socket => format!("tcp://{target}"),
        _ => target.to_string(),
    };
    let Target { scheme: _, host: _, port: _, base_path: _, weight, backup } = target;
    let mut keys = quote(&text);
    if *weight != 1 || *backup {
        keys = format!("{{ target: {keys}, weight: {weight}, backup: {backup} }}");
    }
    keys
}
