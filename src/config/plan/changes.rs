//! The differences between two plans, in words.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use super::headers::RuleHeaders;
use super::identity::{RuleIdentity, policy};
use super::listener::{CertificateSource, HttpListener, Listener, ListenerTls, Protocol};
use super::policies::Policies;
use super::rule::{Pass, Rule};
use super::top_level::{GlobalSettings, Plan};
use super::upstream::Upstream;

/// Names of rules or upstreams that are written out. Further ones are only counted.
const NAMES_MAX: usize = 5;

/// Listeners and upstreams whose files have changed: files that the plan only names.
#[derive(Default)]
pub struct FileChanges<'a> {
    /// Listeners with other certificates.
    pub certificates: Vec<CertificateChanges<'a>>,
    /// Listeners whose clients are verified against other authorities.
    pub client_authorities: Vec<&'a str>,
    /// Upstreams that are verified against other authorities.
    pub upstream_authorities: Vec<&'a str>,
}

/// The certificates of a listener that are new, and those that are gone, by their names.
pub struct CertificateChanges<'a> {
    /// Name of the listener.
    pub listener: &'a str,
    /// A certificate that was replaced is in both lists.
    pub come: Vec<String>,
    /// The certificates until now.
    pub gone: Vec<String>,
}

/// Describes the differences in `new`, in the configuration and in the files that it names. There is one phrase
/// for each change, and none without a change.
pub fn changes(old: &Plan, new: &Plan, files: &FileChanges<'_>) -> Vec<String> {
    let mut said = Vec::new();
    for listener in &new.listeners {
        match old.listeners.iter().find(|before| before.name == listener.name) {
            None => said.push(format!("listener {} added", listener.name)),
            Some(before) => said.extend(listener_changes(old, before, new, listener, files)),
        }
    }
    for before in &old.listeners {
        if !new.listeners.iter().any(|listener| listener.name == before.name) {
            said.push(format!("listener {} removed", before.name));
        }
    }
    let upstreams = upstream_changes(old, new);
    if !upstreams.are_none() {
        said.push(format!("upstreams:{}", upstreams.text("upstream").trim_end_matches(';')));
    }
    if !files.upstream_authorities.is_empty() {
        said.push(format!("authorities changed of {}", counted(&files.upstream_authorities, "upstream")));
    }
    said.extend(global_changes(old, new));
    said
}

fn global_changes(old: &Plan, new: &Plan) -> Vec<String> {
    let Plan {
        files: _,
        settings,
        access_log,
        access_log_origin: _,
        internal_api,
        orders,
        listeners: _,
        upstreams: _,
        plugins,
        rejected_services,
        mode: _,
    } = new;
    // The gate says when another number of workers takes effect. The listeners have the time-out.
    let GlobalSettings {
        log_level,
        log_format,
        workers: _,
        max_connections,
        max_streams,
        shutdown_timeout: _,
        watch,
    } = settings;
    let logging = old.settings.log_level != *log_level || old.access_log != *access_log;
    let log_format = old.settings.log_format != *log_format;
    let all = [
        (old.internal_api != *internal_api, "internal API changed".to_owned()),
        (old.orders != *orders, "ordering of certificates changed".to_owned()),
        (old.settings.max_connections != *max_connections, format!("max_connections is {max_connections}")),
        (old.settings.max_streams != *max_streams, format!("max_streams is {max_streams}")),
        (old.settings.watch != *watch, format!("watch is {watch}")),
        (old.plugins != *plugins, "plugins changed".to_owned()),
        (old.rejected_services != *rejected_services, rejected(*rejected_services)),
        (logging || log_format, "logging changed".to_owned()),
        (log_format, "log_format takes effect with the next start".to_owned()),
    ];
    all.into_iter().filter(|(differs, _)| *differs).map(|(_, said)| said).collect()
}

fn rejected(services: usize) -> String {
    match services {
        0 => "no service is rejected any more".to_owned(),
        1 => "1 service rejected".to_owned(),
        more => format!("{more} services rejected"),
    }
}

fn listener_changes(
    old: &Plan,
    before: &Listener,
    new: &Plan,
    now: &Listener,
    files: &FileChanges<'_>,
) -> Option<String> {
    let rules = rule_changes(old, before.rules(), new, now.rules());
    let mut said = format!("listener {}:{}", now.name, rules.text("rule"));
    if rules.are_none()
        && before.rules().iter().map(|rule| &rule.name).ne(now.rules().iter().map(|rule| &rule.name))
    {
        said.push_str(" rules in another order, or renamed;");
    }
    if before.binds != now.binds {
        said.push_str(" address changed;");
    }
    if settings(old, before) != settings(new, now) {
        said.push_str(" settings changed;");
    }
    if let Some(certificates) = files.certificates.iter().find(|changes| changes.listener == &*now.name) {
        said.push_str(&certificates.text());
    }
    if files.client_authorities.contains(&&*now.name) {
        said.push_str(" authorities of clients changed;");
    }
    said.ends_with(';').then(|| said.trim_end_matches(';').to_owned())
}

/// The rules that differ. A rule that stands twice counts twice. Policies, changes of fields, and whether requests
/// of a rule are logged and certificates ordered, are no part of the rule's identity, but an operator wants to read of them.
// A rule may have programs of expressions, which are no part of what is compared.
#[allow(clippy::mutable_key_type)]
fn rule_changes<'a>(old: &'a Plan, before: &'a [Rule], new: &'a Plan, now: &'a [Rule]) -> NameChanges<'a> {
    let meaning = |plan: &'a Plan, rule: &'a Rule| {
        (plan.identity(rule), (rule.access_log, rule.acme), (&rule.policies, &rule.headers))
    };
    let mut left = HashMap::<_, usize>::with_capacity(before.len());
    for rule in before {
        *left.entry(meaning(old, rule)).or_default() += 1;
    }
    type Changes<'a> = (&'a Option<Arc<Policies>>, &'a Option<Arc<RuleHeaders>>);
    let mut take = |meaning: (RuleIdentity<'a>, (bool, bool), Changes<'a>)| {
        let count = left.get_mut(&meaning).filter(|count| **count > 0);
        count.map(|count| *count -= 1).is_some()
    };
    let come = now.iter().filter(|rule| !take(meaning(new, rule))).map(|rule| &*rule.name).collect();
    // Old rules that no new rule has taken are gone.
    let gone = before.iter().filter(|rule| take(meaning(old, rule))).map(|rule| &*rule.name).collect();
    NameChanges::new(come, gone)
}

/// The upstreams with a name of their own that differ. An upstream that a `target:` made shows in its rule.
fn upstream_changes<'a>(old: &'a Plan, new: &'a Plan) -> NameChanges<'a> {
    let named = |plan: &'a Plan| -> HashMap<&'a str, &'a Upstream> {
        let named =
            plan.upstreams.iter().filter(|upstream| upstream.targets[0].to_string() != *upstream.name);
        named.map(|upstream| (&*upstream.name, upstream)).collect()
    };
    let (before, now) = (named(old), named(new));
    let differ = |these: &HashMap<&'a str, &Upstream>, those: &HashMap<&'a str, &Upstream>| {
        let is_in_those =
            |name: &str, one: &Upstream| those.get(name).is_some_and(|other| policy(other) == policy(one));
        let differ = these.iter().filter(|(name, one)| !is_in_those(name, one));
        let mut names: Vec<&str> = differ.map(|(name, _)| *name).collect();
        names.sort_unstable();
        names
    };
    NameChanges::new(differ(&now, &before), differ(&before, &now))
}

impl CertificateChanges<'_> {
    fn text(&self) -> String {
        let [come, gone] = [&self.come, &self.gone].map(|list| list.iter().map(|name| &**name).collect());
        let changes = NameChanges::new(come, gone);
        if changes.are_none() {
            " certificates in another order;".to_owned()
        } else {
            changes.text("certificate")
        }
    }
}

/// The names of things that differ.
struct NameChanges<'a> {
    /// Names that stand for something else now.
    changed: Vec<&'a str>,
    added: Vec<&'a str>,
    removed: Vec<&'a str>,
}

impl<'a> NameChanges<'a> {
    fn new(come: Vec<&'a str>, gone: Vec<&'a str>) -> Self {
        let (came, went): (HashSet<_>, HashSet<_>) =
            (come.iter().copied().collect(), gone.iter().copied().collect());
        let (changed, added) = come.into_iter().partition(|name| went.contains(name));
        Self { changed, added, removed: gone.into_iter().filter(|name| !came.contains(name)).collect() }
    }

    fn are_none(&self) -> bool {
        self.changed.is_empty() && self.added.is_empty() && self.removed.is_empty()
    }

    fn text(&self, thing: &str) -> String {
        let mut text = String::new();
        for (names, what) in [(&self.changed, "changed"), (&self.added, "added"), (&self.removed, "removed")]
        {
            if !names.is_empty() {
                // Writing to a string cannot fail.
                let _ = write!(text, " {} {what};", counted(names, thing));
            }
        }
        text
    }
}

/// Their number and their names: `2 rules (api, web)`.
fn counted(names: &[&str], thing: &str) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    let shown = names[..names.len().min(NAMES_MAX)].join(", ");
    let more = match names.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!("{} {thing}{plural} ({shown}{more})", names.len())
}

/// Everything of a listener except its rules, its name, its addresses and its place.
fn settings<'a>(plan: &'a Plan, listener: &'a Listener) -> impl PartialEq + 'a {
    let Listener { name: _, origin: _, binds: _, protocol, tls, accept_proxy_protocol, shutdown_timeout } =
        listener;
    let (http, tcp) = match protocol {
        Protocol::Http(http) => (Some(http_settings(http)), None),
        Protocol::Tcp(pass) => (None, Some(tcp_settings(plan, pass))),
    };
    (http, tcp, tls.as_ref().map(tls_settings), accept_proxy_protocol, shutdown_timeout)
}

fn http_settings(http: &HttpListener) -> impl PartialEq {
    let HttpListener {
        rules: _,
        settings,
        trusted_proxies,
        client_gone,
        redirect_to_https,
        max_requests,
        pages,
    } = http;
    (settings, trusted_proxies, client_gone, redirect_to_https, max_requests, pages)
}

fn tcp_settings<'a>(plan: &'a Plan, pass: &'a Pass) -> impl PartialEq + 'a {
    let Pass { upstream, send_proxy_protocol, idle_timeout, speed, plugins: _ } = pass;
    (policy(&plan.upstreams[upstream.0]), send_proxy_protocol, idle_timeout, speed)
}

fn tls_settings(tls: &ListenerTls) -> impl PartialEq {
    let ListenerTls { certificates, default_certificate, ordered, client_auth, settings } = tls;
    let certificates: Vec<_> = certificates.iter().map(certificate).collect();
    let default = default_certificate.as_ref().map(certificate);
    (certificates, default, ordered.is_some(), client_auth, settings)
}

/// Everything of a certificate except its place.
fn certificate(source: &CertificateSource) -> impl PartialEq {
    let CertificateSource { origin: _, files, client_auth } = source;
    (files, client_auth)
}
