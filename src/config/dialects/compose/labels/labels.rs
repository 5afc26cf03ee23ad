//! The labels for the gate on a service, grouped by route.

use crate::config::diagnostics::{Span, Spanned, did_you_mean, quoted};
use crate::config::dialects::compose::project::{LabelError, pairs};
use crate::config::plan::Policies;
use crate::config::syntax::{Node, Value};

/// Prefixes of labels, before the first dot. If two labels set the same key, the first prefix counts.
pub(in crate::config::dialects::compose) const PREFIXES: [&str; 2] = ["smolgate", "liteproxy"];

/// The meaning of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config::dialects::compose) enum Key {
    Host,
    Port,
    PortHttp,
    RedirectFrom,
    Passthrough,
    Target,
    Scheme,
    /// The key of a rule. A dot leads into a mapping. The reader of rules reads the value.
    Rule(&'static str),
    /// The key of the upstream of a rule, in the same way.
    Upstream(&'static str),
}

/// The routes that a label has a meaning for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config::dialects::compose) enum With {
    Any,
    /// Routes without `passthrough`.
    Requests,
    /// Routes with `passthrough`.
    Connections,
}

/// Every label: its name, its meaning, and the routes that it goes with. A new key of rules becomes a label by a
/// row. The first name of a key is the one that messages list.
pub(super) const KEYS: [(&str, Key, With); 100] = [
    ("host", Key::Host, With::Any),
    ("port", Key::Port, With::Any),
    ("port.http", Key::PortHttp, With::Connections),
    ("path", Key::Rule("path_prefix"), With::Requests),
    ("strip_prefix", Key::Rule("strip_path_prefix"), With::Requests),
    ("rewrite", Key::Rule("rewrite"), With::Requests),
    ("redirect_from", Key::RedirectFrom, With::Any),
    ("passhost", Key::Rule("pass_host"), With::Requests),
    ("passthrough", Key::Passthrough, With::Any),
    ("target", Key::Target, With::Any),
    ("scheme", Key::Scheme, With::Requests),
    ("ca", Key::Upstream("tls.ca"), With::Requests),
    ("insecure_skip_verify", Key::Upstream("tls.insecure_skip_verify"), With::Requests),
    ("sni", Key::Upstream("tls.sni"), With::Requests),
    ("path_glob", Key::Rule("path"), With::Requests),
    ("path_regex", Key::Rule("path_regex"), With::Requests),
    ("share", Key::Rule("share"), With::Requests),
    ("by", Key::Rule("by"), With::Requests),
    ("methods", Key::Rule("methods"), With::Requests),
    ("from", Key::Rule("from"), With::Requests),
    ("not_from", Key::Rule("not_from"), With::Requests),
    ("headers.request.set", Key::Rule("headers.request.set"), With::Requests),
    ("headers.request.add", Key::Rule("headers.request.add"), With::Requests),
    ("headers.request.default", Key::Rule("headers.request.default"), With::Requests),
    ("headers.request.remove", Key::Rule("headers.request.remove"), With::Requests),
    ("headers.response.set", Key::Rule("headers.response.set"), With::Requests),
    ("headers.response.add", Key::Rule("headers.response.add"), With::Requests),
    ("headers.response.default", Key::Rule("headers.response.default"), With::Requests),
    ("headers.response.remove", Key::Rule("headers.response.remove"), With::Requests),
    ("hsts", Key::Rule("hsts"), With::Requests),
    ("request_id", Key::Rule("request_id"), With::Requests),
    ("traceparent", Key::Rule("traceparent"), With::Requests),
    ("in_the_clear", Key::Rule("in_the_clear"), With::Requests),
    ("acme", Key::Rule("acme"), With::Requests),
    ("access_log", Key::Rule("access_log"), With::Any),
    ("policy", Key::Rule("policy"), With::Requests),
    ("cors", Key::Rule("cors.origins"), With::Requests),
    ("cors.credentials", Key::Rule("cors.credentials"), With::Requests),
    ("rate_limit", Key::Rule("rate_limit"), With::Requests),
    ("auth.basic", Key::Rule("auth.basic"), With::Requests),
    ("auth.jwt", Key::Rule("auth.jwt.keys"), With::Requests),
    ("auth.jwt.issuer", Key::Rule("auth.jwt.issuer"), With::Requests),
    ("auth.jwt.audience", Key::Rule("auth.jwt.audience"), With::Requests),
    ("auth.forward", Key::Rule("auth.forward"), With::Requests),
    ("max_requests", Key::Rule("max_requests"), With::Requests),
    ("plugins", Key::Rule("plugins"), With::Requests),
    ("mirror", Key::Rule("mirror.upstream"), With::Requests),
    ("mirror.share", Key::Rule("mirror.share"), With::Requests),
    ("speed.download", Key::Rule("speed.download"), With::Any),
    ("speed.upload", Key::Rule("speed.upload"), With::Any),
    ("speed.shared", Key::Rule("speed.shared"), With::Any),
    ("compress", Key::Rule("compress"), With::Requests),
    ("intercept", Key::Rule("intercept"), With::Requests),
    ("max_body", Key::Rule("max_body"), With::Requests),
    ("buffer_request", Key::Rule("buffer_request"), With::Requests),
    ("body_timeout", Key::Rule("body_timeout"), With::Requests),
    ("response_timeout", Key::Rule("response_timeout"), With::Requests),
    ("tunnel_timeout", Key::Rule("tunnel_timeout"), With::Any),
    ("connect_timeout", Key::Upstream("connect_timeout"), With::Any),
    ("balance", Key::Upstream("balance"), With::Any),
    ("health", Key::Upstream("health"), With::Any),
    ("hold", Key::Upstream("hold"), With::Any),
    ("starting", Key::Upstream("starting"), With::Requests),
    ("sticky", Key::Upstream("sticky.cookie"), With::Requests),
    ("weight", Key::Upstream("targets.weight"), With::Any),
    ("backup", Key::Upstream("targets.backup"), With::Any),
    ("upstream.max_requests", Key::Upstream("max_requests"), With::Any),
    ("upstream.max_connections", Key::Upstream("max_connections"), With::Any),
    ("upstream.queue.max", Key::Upstream("queue.max"), With::Any),
    ("upstream.queue.timeout", Key::Upstream("queue.timeout"), With::Any),
    ("upstream.tries", Key::Upstream("tries"), With::Any),
    ("upstream.idle_timeout", Key::Upstream("idle_timeout"), With::Any),
    ("upstream.max_idle", Key::Upstream("max_idle"), With::Any),
    ("upstream.tcp_keepalive", Key::Upstream("tcp_keepalive"), With::Any),
    ("upstream.http2", Key::Upstream("http2"), With::Requests),
    ("upstream.retry_statuses", Key::Upstream("retry_statuses"), With::Requests),
    ("upstream.hold_max", Key::Upstream("hold_max"), With::Any),
    ("upstream.slow_start", Key::Upstream("slow_start"), With::Any),
    ("upstream.eject", Key::Upstream("eject"), With::Any),
    ("upstream.eject.failures", Key::Upstream("eject.failures"), With::Any),
    ("upstream.eject.for", Key::Upstream("eject.for"), With::Any),
    ("upstream.eject.statuses", Key::Upstream("eject.statuses"), With::Requests),
    ("upstream.balance.hash", Key::Upstream("balance.hash"), With::Any),
    ("upstream.balance.bound", Key::Upstream("balance.bound"), With::Any),
    ("upstream.sticky.secret", Key::Upstream("sticky.secret"), With::Requests),
    ("upstream.sticky.max_age", Key::Upstream("sticky.max_age"), With::Requests),
    ("upstream.health.path", Key::Upstream("health.path"), With::Requests),
    ("upstream.health.method", Key::Upstream("health.method"), With::Requests),
    ("upstream.health.host", Key::Upstream("health.host"), With::Requests),
    ("upstream.health.status", Key::Upstream("health.status"), With::Requests),
    ("upstream.health.body", Key::Upstream("health.body"), With::Requests),
    ("upstream.health.port", Key::Upstream("health.port"), With::Any),
    ("upstream.health.interval", Key::Upstream("health.interval"), With::Any),
    ("upstream.health.timeout", Key::Upstream("health.timeout"), With::Any),
    ("upstream.health.rise", Key::Upstream("health.rise"), With::Any),
    ("upstream.health.fall", Key::Upstream("health.fall"), With::Any),
    ("send_proxy_protocol", Key::Rule("send_proxy_protocol"), With::Connections),
    ("path_prefix", Key::Rule("path_prefix"), With::Requests),
    ("strip_path_prefix", Key::Rule("strip_path_prefix"), With::Requests),
    ("pass_host", Key::Rule("pass_host"), With::Requests),
];

/// The hint for keys of policies that are no labels.
const IN_A_SET: &str = "a set of policies in a native file may have it, and `smolgate.policy` names the set";

impl Key {
    /// The key of a rule that forwards requests, or that passes connections on. A dot leads into a mapping.
    pub(in crate::config::dialects::compose) fn of_rule(self, passes: bool) -> Option<String> {
        match self {
            Key::Rule(key) => Some(key.to_owned()),
            Key::Upstream(key) if passes => Some(format!("pass.upstream.{key}")),
            Key::Upstream(key) => Some(format!("upstream.{key}")),
            _ => None,
        }
    }

    /// Whether services that share a route may differ in it.
    fn is_of_member(self) -> bool {
        match self {
            Key::Host | Key::Port | Key::PortHttp | Key::RedirectFrom | Key::Target => true,
            Key::Upstream(key) => key.starts_with("targets."),
            Key::Rule(_) | Key::Passthrough | Key::Scheme => false,
        }
    }

    /// Whether the label says where a route leads. A route with a name may get such labels from the plain route.
    fn is_of_target(self) -> bool {
        match self {
            Key::Port | Key::PortHttp | Key::Target | Key::Scheme => true,
            Key::Upstream(key) => key.starts_with("tls."),
            Key::Rule(_) | Key::Host | Key::RedirectFrom | Key::Passthrough => false,
        }
    }
}

/// One label.
#[derive(Clone, Debug)]
pub(in crate::config::dialects::compose) struct Label {
    pub(in crate::config::dialects::compose) key: Key,
    /// The name in the table.
    pub(in crate::config::dialects::compose) word: &'static str,
    pub(in crate::config::dialects::compose) with: With,
    /// The place of its name.
    pub(in crate::config::dialects::compose) span: Span,
    pub(in crate::config::dialects::compose) value: Node,
    source: LabelSource,
}

/// The origin of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LabelSource {
    /// 0 for the labels of the service, 1 for those of `deploy`.
    place: usize,
    /// Index in [`PREFIXES`].
    prefix: usize,
}

/// The labels of one route.
#[derive(Clone, Debug)]
pub(in crate::config::dialects::compose) struct Labels {
    /// `api` of `smolgate.api.host`; `None` for `smolgate.host`.
    pub(in crate::config::dialects::compose) route: Option<String>,
    pub(in crate::config::dialects::compose) labels: Vec<Label>,
    /// Errors of labels with our prefix and an unknown key.
    pub(in crate::config::dialects::compose) faults: Vec<LabelError>,
    /// Labels with two different values: the label that does not count, and the place of the one that does.
    pub(in crate::config::dialects::compose) conflicting: Vec<(Spanned<String>, Span)>,
}

impl Labels {
    pub(in crate::config::dialects::compose) fn get(&self, key: Key) -> Option<&Label> {
        self.labels.iter().find(|label| label.key == key)
    }

    /// Whether the target gets the client's Host if no label says so. It does for `smolgate.host`, because most
    /// services compare Host with their own name or with `Origin`. `liteproxy.host` keeps what it always meant.
    pub(in crate::config::dialects::compose) fn passes_host(&self) -> bool {
        self.get(Key::Host).is_some_and(|host| host.source.prefix == 0)
    }

    /// Whether these are labels without a route of their own: they say where the routes with names lead.
    pub(in crate::config::dialects::compose) fn only_lend(&self) -> bool {
        self.route.is_none()
            && self.faults.is_empty()
            && self.labels.iter().all(|label| label.key.is_of_target())
    }

    /// These labels, and those of the plain route that say where it leads, unless these name a port or a target.
    pub(in crate::config::dialects::compose) fn with_target_of(&self, plain: Option<&Labels>) -> Labels {
        let mut labels = self.clone();
        let has_own = labels.get(Key::Port).is_some() || labels.get(Key::Target).is_some();
        if let Some(plain) = plain.filter(|_| !has_own) {
            let lent = plain.labels.iter().filter(|label| label.key.is_of_target());
            let lent: Vec<Label> = lent.filter(|label| self.get(label.key).is_none()).cloned().collect();
            labels.labels.extend(lent);
            labels.faults.extend(plain.faults.iter().cloned());
        }
        labels
    }

    /// The hint for labels whose route is probably none, because its name is the beginning of a key: `upstream` of
    /// `smolgate.upstream.hold`.
    pub(in crate::config::dialects::compose) fn no_route(&self) -> Option<String> {
        let (route, first) = (self.route.as_deref()?, self.labels.first()?);
        let is_beginning = |word: &str| word.split_once('.').is_some_and(|(start, _)| start == route);
        if matches!(first.key, Key::Upstream(_)) && KEYS.iter().any(|(word, ..)| is_beginning(word)) {
            return Some(format!("write `smolgate.{}`; `{route}` would be the name of a route", first.word));
        }
        Policies::KEYS.contains(&route).then(|| IN_A_SET.to_owned())
    }

    /// The names and values that all services with this route have, if the service shares it with others.
    pub(in crate::config::dialects::compose) fn shared(&self) -> Option<Vec<(&'static str, String)>> {
        let is_sharing =
            |label: &Label| matches!(label.key, Key::Upstream("targets.weight" | "targets.backup"));
        self.labels.iter().find(|label| is_sharing(label))?;
        let all = self.labels.iter().filter(|label| !label.key.is_of_member());
        let text = |value: &Value| match value {
            Value::Scalar(text) => text.clone(),
            _ => String::new(),
        };
        Some(all.map(|label| (label.word, text(&label.value.value))).collect())
    }

    /// The place of the first label.
    pub(in crate::config::dialects::compose) fn span(&self) -> Option<Span> {
        let own = self.labels.iter().map(|label| label.span);
        own.chain(self.faults.iter().map(|fault| fault.span)).next()
    }
}

/// The routes of a service: the plain one first, then by first mention. The labels of `deploy` count only where
/// the service has none.
pub(in crate::config::dialects::compose) fn read(service: &Node) -> (Vec<Labels>, Vec<LabelError>) {
    let places = places(service);
    let mut routes: Vec<Labels> = Vec::new();
    let mut faults = Vec::new();
    for (place, node) in places.into_iter().enumerate().filter_map(|(place, node)| Some((place, node?))) {
        if let Value::Scalar(_) = node.value {
            let hint = "write `smolgate.host: name` below it";
            faults.push(LabelError::new(node.span, "`labels` is a mapping or a list of `key=value`", hint));
        }
        if let Value::List(items) = &node.value {
            faults.extend(items.iter().filter_map(dashed));
        }
        let pairs = pairs(node);
        for (prefix, word) in PREFIXES.iter().enumerate() {
            for (name, value) in &pairs {
                let own = name.value.strip_prefix(word).and_then(|rest| rest.strip_prefix('.'));
                if let Some(rest) = own {
                    take(&mut routes, name, rest, (LabelSource { place, prefix }, value));
                }
            }
        }
    }
    routes.sort_by_key(|labels| labels.route.is_some());
    (routes, faults)
}

/// The nodes that may hold labels.
fn places(service: &Node) -> [Option<&Node>; 2] {
    [service.get("labels"), service.get("deploy").and_then(|deploy| deploy.get("labels"))]
}

/// Labels with a misspelt prefix or key of ours, and the correction.
pub(in crate::config::dialects::compose) fn misspelled(service: &Node) -> Vec<(Spanned<String>, String)> {
    let labels = places(service).into_iter().flatten().flat_map(pairs);
    let slip = |(name, _): (Spanned<String>, Node)| {
        let (word, rest) = name.value.split_once(['.', '_', '-'])?;
        let prefix = did_you_mean(word, PREFIXES)?;
        let is_ours = PREFIXES.iter().any(|prefix| name.value.starts_with(&format!("{prefix}.")));
        let rest = rest.to_ascii_lowercase();
        let meant = split(&rest).1.filter(|_| !is_ours).map(|_| format!("{prefix}.{rest}"));
        meant.map(|meant| (name.clone(), meant))
    };
    labels.filter_map(slip).collect()
}

/// The error of `- smolgate.host: name`, which is a mapping inside of a list and never intended.
fn dashed(item: &Node) -> Option<LabelError> {
    let Value::Map(entries) = &item.value else { return None };
    let is_ours = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let (name, _) = entries.iter().find(|(name, _)| is_ours(&name.value))?;
    let hint = "write `key=value` behind the `- `, or leave the `- ` out";
    Some(LabelError::new(name.span, "an item of a list of labels is no mapping", hint))
}

fn take(routes: &mut Vec<Labels>, name: &Spanned<String>, rest: &str, (source, value): (LabelSource, &Node)) {
    let (route, found) = split(rest);
    let index = routes.iter().position(|labels| labels.route.as_deref() == route).unwrap_or_else(|| {
        let route = route.map(str::to_owned);
        routes.push(Labels { route, labels: Vec::new(), faults: Vec::new(), conflicting: Vec::new() });
        routes.len() - 1
    });
    let labels = &mut routes[index];
    let Some((word, key, with)) = found else {
        return labels.faults.push(unknown(name, rest));
    };
    match labels.labels.iter().find(|label| label.key == key) {
        None => {
            let (span, value) = (name.span, trimmed(value));
            labels.labels.push(Label { key, word, with, span, value, source });
        }
        Some(first) if first.source.place == source.place && !same(&first.value, value) => {
            labels.conflicting.push((name.clone(), first.span))
        }
        Some(_) => {}
    }
}

/// The error of a label with our prefix and an unknown key, which is `rest`.
fn unknown(name: &Spanned<String>, rest: &str) -> LabelError {
    if let Some((label, value)) = name.value.split_once(':') {
        let hint = format!("in a list, write `=`: `{label}={}`", value.trim());
        return LabelError::new(name.span, "a label in a list is `key=value`", hint);
    }
    let last = rest.rsplit('.').next().unwrap_or(rest);
    let hint = match did_you_mean(last, KEYS.iter().map(|(word, ..)| *word)) {
        Some(known) if known == last => "the name of a route has letters, digits, `-` and `_`".into(),
        Some(known) => format!("did you mean `{}{known}`?", &name.value[..name.value.len() - last.len()]),
        None if Policies::KEYS.iter().any(|key| rest.split('.').next() == Some(key)) => IN_A_SET.into(),
        None => {
            let is_first = |(index, (_, key, _)): &(usize, &(&str, Key, With))| {
                !KEYS[..*index].iter().any(|(_, before, _)| before == key)
            };
            let words = KEYS.iter().enumerate().filter(is_first).map(|(_, row)| row.0);
            let words: Vec<&str> = words.filter(|word| !word.starts_with("upstream.")).collect();
            format!("the labels are {}, and upstream. with a key of upstreams", words.join(", "))
        }
    };
    LabelError::new(name.span, format!("{} is not a label that the gate knows", quoted(&name.value)), hint)
}

/// The value without spaces around it.
fn trimmed(node: &Node) -> Node {
    let Value::Scalar(text) = &node.value else { return node.clone() };
    let start = text.len() - text.trim_start().len();
    let span = node.span.part(text, start, start + text.trim().len());
    Node::new(if text.trim() == text { node.span } else { span }, Value::Scalar(text.trim().to_owned()))
}

/// Splits a label into its route and its row: `api` and that of `host` for `api.host`. A row with a dot comes
/// before a route of that name.
fn split(rest: &str) -> (Option<&str>, Option<(&'static str, Key, With)>) {
    let find = |word: &str| KEYS.into_iter().find(|(known, ..)| *known == word);
    if let Some(row) = find(rest) {
        return (None, Some(row));
    }
    match rest.split_once('.') {
        Some((route, word)) if is_route_name(route) => (Some(route), find(word)),
        _ => (None, None),
    }
}

fn is_route_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn same(a: &Node, b: &Node) -> bool {
    matches!((&a.value, &b.value), (Value::Scalar(a), Value::Scalar(b)) if a == b)
}
