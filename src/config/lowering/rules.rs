//! Rules with everything filled in.

use std::collections::HashMap;
use std::sync::Arc;

use super::names::Names;
use super::policies::{Defaults, PolicySets, with_upstreams};
use super::upstreams::{TargetProtocol, Upstreams};
use crate::config::diagnostics::{Report, Span};
use crate::config::inputs::Inputs;
use crate::config::plan::{Action, Conditions, Files, Limits, Pass, PoliciesWritten, Proxy, Rule};
use crate::config::source::{ActionSource, FilesSource, PassSource, ProxySource, RuleSource};

/// The rules of one listener, in order. A wrong rule is left out, because it was reported.
pub(super) fn lower(
    sources: Vec<RuleSource>,
    of_listener: &Defaults,
    sets: &PolicySets,
    upstreams: &mut Upstreams,
    inputs: &dyn Inputs,
    report: &mut Report,
) -> Vec<Rule> {
    let mut names = check_names(&sources, report);
    check_expressions(&sources, report);
    let mut rules = Vec::with_capacity(sources.len());
    for source in sources {
        let origin = report.origin(source.span);
        let path_prefix = source.path_prefix.clone().unwrap_or_else(|| "/".into());
        let name = match &source.name {
            Some(name) => name.value.clone(),
            None => names.take_free(short_name(&source, &path_prefix)),
        };
        let of_rule = of_listener.below(&source.policy, sets, report);
        let defaults = &of_rule.limits;
        let place = format!("listeners.{}.rules.{name}", of_listener.listener);
        let mut policies = source.policies.in_place(place).over(&of_rule.policies);
        if !matches!(source.action, Some(ActionSource::Proxy(_))) {
            // Those of a listener or a set are for rules with a target.
            (policies.mirror, policies.intercept) = (Some(None), Some(None));
        }
        let of_bytes = policies.clone();
        let (policies, headers) = match source.action {
            // They act before a request is read.
            Some(ActionSource::Pass(_) | ActionSource::Drop) => (None, None),
            _ => (of_rule.settle(&policies), source.headers.over(&of_rule.headers).settle()),
        };
        sets.check_plugins(policies.as_deref(), report);
        let policies = policies.map(|policies| with_upstreams(policies, source.span, upstreams, report));
        let action = match source.action {
            Some(ActionSource::Proxy(proxy)) => lower_proxy(*proxy, defaults, upstreams, report),
            Some(ActionSource::Redirect(redirect)) => Some(Action::Redirect(redirect)),
            Some(ActionSource::Respond(respond)) => Some(Action::Respond(respond)),
            Some(ActionSource::Files(files)) => Some(lower_files(*files, defaults, inputs, report)),
            Some(ActionSource::Drop) => Some(Action::Drop),
            Some(ActionSource::Pass(pass)) => lower_pass(pass, defaults, of_bytes, upstreams, report),
            None => None,
        };
        if let Some(Action::Pass(Pass { plugins: Some(chain), .. })) = &action {
            sets.check_chain(chain, report);
        }
        if let Some(action) = action {
            rules.push(Rule {
                conditions: salted(source.conditions, &name),
                name,
                origin,
                hosts: source.hosts,
                path_prefix,
                methods: source.methods,
                in_the_clear: source.in_the_clear,
                acme: source.acme,
                access_log: source.access_log,
                headers,
                policies,
                action,
            });
        }
    }
    rules
}

/// Expressions of one listener at most, because each takes memory.
const EXPRESSIONS_MAX: usize = 1_000;

fn check_expressions(sources: &[RuleSource], report: &mut Report) {
    let mut count = 0;
    let over = sources.iter().find(|source| {
        count += source.conditions.as_ref().map_or(0, |conditions| conditions.expressions.len());
        count > EXPRESSIONS_MAX
    });
    if let Some(source) = over {
        let message = format!("this listener has more than {EXPRESSIONS_MAX} expressions in `path_regex`");
        report.error_hint(source.span, message, "prefixes and globs have no such limit");
    }
}

/// The conditions of the rule with this name, by which its share of clients is chosen.
fn salted(mut conditions: Option<Arc<Conditions>>, name: &Arc<str>) -> Option<Arc<Conditions>> {
    if conditions.as_ref().is_some_and(|conditions| conditions.share.is_some())
        && let Some(share) =
            conditions.as_mut().and_then(|conditions| Arc::make_mut(conditions).share.as_mut())
    {
        share.salt = name.clone();
    }
    conditions
}

/// The names that were given. Two rules of a listener cannot share one.
fn check_names(sources: &[RuleSource], report: &mut Report) -> Names {
    let mut seen: HashMap<Arc<str>, Span> = HashMap::new();
    for name in sources.iter().filter_map(|source| source.name.as_ref()) {
        if let Some(first) = seen.get(&name.value) {
            let (message, first) =
                (format!("two rules of this listener are named `{}`", name.value), report.place(*first));
            report.error_hint(name.span, message, format!("the first one is at {first}"));
        } else {
            seen.insert(name.value.clone(), name.span);
        }
    }
    let mut names = Names::default();
    seen.into_keys().for_each(|name| names.take(name));
    names
}

/// The match in short: `GET admin.localhost/users`, `a.example+2` for three hosts, `*` for any.
fn short_name(source: &RuleSource, path_prefix: &str) -> String {
    let mut name = source.methods.join(",");
    if !name.is_empty() {
        name.push(' ');
    }
    match source.hosts.as_slice() {
        [] => name.push('*'),
        [host] => name.push_str(&host.to_string()),
        [host, more @ ..] => name.push_str(&format!("{host}+{}", more.len())),
    }
    let patterns = source.conditions.as_ref().map(|conditions| {
        let globs = conditions.paths.iter().map(ToString::to_string);
        globs.chain(conditions.expressions.iter().map(|one| format!("~{one}"))).collect::<Vec<_>>()
    });
    match patterns.as_deref().unwrap_or_default() {
        [] if path_prefix == "/" => {}
        [] => name.push_str(path_prefix),
        [pattern] => name.push_str(pattern),
        [pattern, more @ ..] => name.push_str(&format!("{pattern}+{}", more.len())),
    }
    name
}

fn lower_proxy(
    source: ProxySource,
    defaults: &Limits,
    upstreams: &mut Upstreams,
    report: &mut Report,
) -> Option<Action> {
    let upstream = upstreams.use_one(source.upstream, TargetProtocol::Http, report)?;
    Some(Action::Proxy(Proxy {
        upstream,
        pass_host: source.pass_host,
        strip_path_prefix: source.strip_path_prefix,
        rewrite: source.rewrite,
        buffer_request: source.buffer_request,
        limits: defaults.with(&source.limits),
    }))
}

fn lower_files(source: FilesSource, defaults: &Limits, inputs: &dyn Inputs, report: &mut Report) -> Action {
    let FilesSource {
        root,
        index,
        fallback,
        precompressed,
        hidden,
        symlinks,
        list,
        immutable,
        strip_path_prefix,
        limits,
    } = source;
    if !inputs.is_dir(&root.value) {
        let message = format!("there is no folder {}", root.value.display());
        let hint = "requests get 503 until there is one; each request looks again";
        report.warning(Some(root.span), message, hint);
    }
    Action::Files(Arc::new(Files {
        root: root.value.into(),
        index: index.unwrap_or_else(|| vec!["index.html".into()]),
        fallback,
        precompressed,
        hidden: hidden.unwrap_or_else(Files::usually_hidden),
        symlinks,
        list,
        immutable,
        strip_path_prefix,
        body_timeout: defaults.with(&limits).body_timeout,
    }))
}

fn lower_pass(
    source: PassSource,
    defaults: &Limits,
    policies: PoliciesWritten,
    upstreams: &mut Upstreams,
    report: &mut Report,
) -> Option<Action> {
    let PassSource { upstream, send_proxy_protocol, idle_timeout } = source;
    let (speed, plugins) = (policies.speed.flatten(), policies.plugins.flatten());
    Some(Action::Pass(Pass {
        upstream: upstreams.use_one(upstream, TargetProtocol::Tcp, report)?,
        send_proxy_protocol,
        idle_timeout: idle_timeout.map_or(defaults.tunnel_timeout, |timeout| timeout.value),
        speed,
        plugins,
    }))
}
