//! Reads the labels of one route.

use std::collections::HashSet;

use super::ports;
use super::targets::{self, Seeker};
use super::values::Values;
use crate::config::diagnostics::{Span, Spanned};
use crate::config::dialects::compose::labels::{Key, Labels};
use crate::config::dialects::compose::networks::NetworkMap;
use crate::config::dialects::compose::project::{Reader, Service};
use crate::config::dialects::compose::route::{Destination, Host};
use crate::config::plan::HostPattern;
use crate::config::source::{ActionSource, RuleSource, UpstreamUse};
use crate::config::syntax::{Node, Value};
use crate::config::values::environment::flag;
use crate::config::values::{ValueError, header, pattern};

/// A route while its labels are read. Errors are in the report.
pub(super) struct Draft {
    pub(super) hosts: Vec<Spanned<Host>>,
    /// The host that redirects lead to, by index.
    pub(super) leads_to: usize,
    pub(super) redirect_from: Vec<Spanned<HostPattern>>,
    pub(super) passthrough: bool,
    /// The rule without its hosts and its action.
    pub(super) rule: RuleSource,
    pub(super) destination: Option<Destination>,
    /// See [`Labels::shared`].
    pub(super) shared: Option<Vec<(&'static str, String)>>,
}

/// Reads the labels of a route, and of the plain route if this one has a name.
pub(super) fn read(
    reader: &mut Reader<'_>,
    map: &NetworkMap<'_>,
    project: usize,
    service: &Service,
    (labels, plain): (&Labels, Option<&Labels>),
) -> Draft {
    for fault in &labels.faults {
        reader.report.error_hint(fault.span, fault.message.as_str(), fault.hint.as_str());
    }
    let merged = labels.with_target_of(plain);
    let mut values = Values { reader, labels: &merged };
    let hosts = hosts(&mut values, labels, service.name.span);
    // A route with an invalid `passthrough` is not to be decrypted either.
    let asks = labels.get(Key::Passthrough).is_some();
    let passthrough = values.parsed(Key::Passthrough, flag).map_or(asks, |flag| flag.value);
    let (leads_to, redirect_from) = redirects(&mut values, &hosts);
    let place = hosts.first().map(|host| host.span).or(labels.span()).unwrap_or(service.name.span);
    let mut keys = values.rule_keys(passthrough);
    if !passthrough && labels.passes_host() && !keys.has("pass_host") {
        keys.insert("pass_host", place, Node::new(place, Value::Scalar("true".to_owned())));
    }
    let target = Seeker { map, project, service, place }.target(&mut values, passthrough);
    let is_known = target.is_some();
    let (span, target) = target.unwrap_or_else(|| (place, targets::unknown(place)));
    if let Some(key) = Key::Upstream("targets.target").of_rule(passthrough) {
        keys.insert(&key, span, target);
    }
    let clear = values.parsed(Key::PortHttp, ports::port).filter(|_| passthrough);
    let mut rule = keys.read(values.reader, place);
    match &rule.action {
        Some(ActionSource::Proxy(proxy)) => targets::check(values.reader, &proxy.upstream, false),
        Some(ActionSource::Pass(pass)) => targets::check(values.reader, &pass.upstream, true),
        _ => {}
    }
    let destination = rule.action.take().filter(|_| is_known).and_then(|action| destination(action, clear));
    let shared = merged.shared();
    Draft { hosts, leads_to, redirect_from, passthrough, rule, destination, shared }
}

/// The destination of a rule. `clear` is the port for connections in the clear.
fn destination(action: ActionSource, clear: Option<Spanned<u16>>) -> Option<Destination> {
    match action {
        ActionSource::Proxy(proxy) => Some(Destination::Target(proxy)),
        ActionSource::Pass(tls) => {
            let mut in_the_clear = tls.clone();
            if let (Some(port), UpstreamUse::Inline(inline)) = (clear, &mut in_the_clear.upstream) {
                for target in &mut inline.targets {
                    target.value.port = port.value;
                    target.span = port.span;
                }
            }
            Some(Destination::Passthrough { tls: tls.into(), clear: in_the_clear.into() })
        }
        _ => None,
    }
}

/// The hosts of a route, each once.
fn hosts(values: &mut Values<'_, '_>, labels: &Labels, service: Span) -> Vec<Spanned<Host>> {
    let mut hosts = values.many(Key::Host, host);
    let mut seen = HashSet::new();
    hosts.retain(|host| seen.insert(host.value.clone()));
    let written = labels.get(Key::Host).map(|label| values.reader.lenient(&label.value));
    if written.is_some_and(|text| text.split(',').any(|host| host.trim() == "_"))
        && let Some(label) = labels.get(Key::Host)
    {
        let message = "`_` is taken as any other host";
        values.reader.report.warning(Some(label.span), message, "write `*`, which means that here");
    }
    // A misspelt label is probably the missing one.
    if labels.get(Key::Host).is_none() && labels.faults.is_empty() {
        let route = labels.route.as_ref().map(|route| format!("{route}.")).unwrap_or_default();
        let add = || format!("add the label `smolgate.{route}host` with the domain it is for");
        let hint = labels.no_route().unwrap_or_else(add);
        values.reader.report.error_hint(labels.span().unwrap_or(service), "it has no `host`", hint);
    }
    hosts
}

/// A host. `*` alone is any host, and so is `_`, which nginx has for it.
fn host(text: &str) -> Result<Host, ValueError> {
    match text {
        "*" | "_" => Ok(None),
        text => pattern::host(text).map(Some),
    }
}

/// `redirect_from`: hosts between commas. They are redirected to the first host of the route without `*`. Returns
/// the index of that host too.
fn redirects(values: &mut Values<'_, '_>, hosts: &[Spanned<Host>]) -> (usize, Vec<Spanned<HostPattern>>) {
    let from = values.many(Key::RedirectFrom, pattern::host);
    if hosts.is_empty() || from.is_empty() {
        return (0, Vec::new());
    }
    let is_exact = |host: &Spanned<Host>| matches!(host.value, Some(HostPattern::Exact(_)));
    let index = hosts.iter().position(is_exact);
    let Some((index, own)) = index.and_then(|index| Some((index, hosts[index].value.as_ref()?))) else {
        let message = "`redirect_from` needs a `host` without `*` to lead to";
        values.error(Key::RedirectFrom, message, "write one host");
        return (0, Vec::new());
    };
    if from.iter().any(|from| hosts.iter().any(|host| host.value.as_ref() == Some(&from.value))) {
        let message = "`redirect_from` names the host itself, which would never end";
        values.error(Key::RedirectFrom, message, "leave it out of the list");
        return (0, Vec::new());
    }
    // A rule may match `80`, but no browser would go there.
    if header::location(&format!("http://{own}")).is_err() {
        let message = "`redirect_from` needs a `host` that can stand in a URL";
        values.error(Key::RedirectFrom, message, "leave it out, or write a name as `host`");
        return (0, Vec::new());
    }
    (index, from)
}
