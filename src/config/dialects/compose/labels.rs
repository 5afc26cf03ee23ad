//! The labels for the gate on a service, grouped by route.

use super::project::{LabelError, pairs};
use crate::config::diagnostics::{Span, Spanned, did_you_mean, quoted};
use crate::config::syntax::{Node, Value};

/// Prefixes of labels, before the first dot. If two labels set the same key, the first prefix counts.
pub(super) const PREFIXES: [&str; 2] = ["smolgate", "liteproxy"];

/// The key of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Host,
    Port,
    PortHttp,
    Path,
    StripPrefix,
    RedirectFrom,
    Passhost,
    Passthrough,
    Target,
}

const KEYS: [(&str, Key); 9] = [
    ("host", Key::Host),
    ("port", Key::Port),
    ("port.http", Key::PortHttp),
    ("path", Key::Path),
    ("strip_prefix", Key::StripPrefix),
    ("redirect_from", Key::RedirectFrom),
    ("passhost", Key::Passhost),
    ("passthrough", Key::Passthrough),
    ("target", Key::Target),
];

/// One label.
#[derive(Clone, Debug)]
pub(super) struct Label {
    pub(super) key: Key,
    /// The place of its name.
    pub(super) span: Span,
    pub(super) value: Node,
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
#[derive(Debug)]
pub(super) struct Labels {
    /// `api` of `smolgate.api.host`; `None` for `smolgate.host`.
    pub(super) route: Option<String>,
    labels: Vec<Label>,
    /// Errors of labels with our prefix and an unknown key.
    pub(super) faults: Vec<LabelError>,
    /// Labels with two different values: the label that does not count, and the place of the one that does.
    pub(super) conflicting: Vec<(Spanned<String>, Span)>,
}

impl Labels {
    pub(super) fn get(&self, key: Key) -> Option<&Label> {
        self.labels.iter().find(|label| label.key == key)
    }

    /// Whether the target gets the client's Host if no label says so. It does for `smolgate.host`, because most
    /// services compare Host with their own name or with `Origin`. `liteproxy.host` keeps what it always meant.
    pub(super) fn passes_host(&self) -> bool {
        self.get(Key::Host).is_some_and(|host| host.source.prefix == 0)
    }

    /// The place of the first label.
    pub(super) fn span(&self) -> Option<Span> {
        let own = self.labels.iter().map(|label| label.span);
        own.chain(self.faults.iter().map(|fault| fault.span)).next()
    }
}

/// The routes of a service: the plain one first, then by first mention. The labels of `deploy` count only where
/// the service has none.
pub(super) fn read(service: &Node) -> (Vec<Labels>, Vec<LabelError>) {
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
pub(super) fn misspelled(service: &Node) -> Vec<(Spanned<String>, String)> {
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
    let (route, key) = split(rest);
    let index = routes.iter().position(|labels| labels.route.as_deref() == route).unwrap_or_else(|| {
        let route = route.map(str::to_owned);
        routes.push(Labels { route, labels: Vec::new(), faults: Vec::new(), conflicting: Vec::new() });
        routes.len() - 1
    });
    let labels = &mut routes[index];
    match key {
        Some(key) => match labels.labels.iter().find(|label| label.key == key) {
            None => labels.labels.push(Label { key, span: name.span, value: value.clone(), source }),
            Some(first) if first.source.place == source.place && !same(&first.value, value) => {
                labels.conflicting.push((name.clone(), first.span))
            }
            Some(_) => {}
        },
        None => {
            let words = KEYS.iter().map(|(word, _)| *word);
            let last = rest.rsplit('.').next().unwrap_or(rest);
            let hint = match did_you_mean(last, words) {
                Some(known) if known == last => "the name of a route has letters, digits, `-` and `_`".into(),
                Some(known) => {
                    format!("did you mean `{}{known}`?", &name.value[..name.value.len() - last.len()])
                }
                None => format!("the labels are {}", KEYS.map(|(word, _)| word).join(", ")),
            };
            let message = format!("{} is not a label that the gate knows", quoted(&name.value));
            labels.faults.push(LabelError::new(name.span, message, hint));
        }
    }
}

/// Splits a label into its route and its key: `api` and `Host` for `api.host`.
fn split(rest: &str) -> (Option<&str>, Option<Key>) {
    let find = |word: &str| KEYS.iter().find(|(known, _)| *known == word).map(|(_, key)| *key);
    if let Some(key) = find(rest) {
        return (None, Some(key));
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
