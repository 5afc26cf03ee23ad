//! The directives of a block become routes.

use super::proxy;
use super::tree::Tree;
use crate::config::dialects::compose::foreign::adapted::{Adapted, Route, path, route_name, whole_segments};

/// The part of a route that stands outside of a block.
#[derive(Clone, Default)]
pub(super) struct Base {
    pub(super) hosts: Vec<String>,
    pub(super) path: Option<String>,
    pub(super) strip_prefix: bool,
    pub(super) differs: Vec<String>,
}

/// Directives without which a route forwards the same requests in the same way, and the reason why they have no counterpart.
const LEFT_OUT: [(&str, &str); 10] = [
    ("encode", "the gate does not compress"),
    ("header", "the gate sets no header fields"),
    ("log", "`access_log` is for all routes; `smolgate.access_log: false` takes one out"),
    ("log_skip", "`smolgate.access_log: false` takes a route out of the log"),
    ("tls", "certificates come from files"),
    ("bind", "the listeners of the gate have addresses"),
    ("tracing", "the gate has no tracing"),
    ("metrics", "the internal API has metrics"),
    ("handle_errors", "the answers of a service are passed on as they are"),
    ("request_body", "`smolgate.max_body` limits a body, `10MB` for example"),
];

/// Adds the routes of the directives below `tree`. Returns what is missing: it may concern every route of the hosts.
pub(super) fn adapt(adapted: &mut Adapted, base: &Base, tree: &Tree<'_>) -> Vec<String> {
    let mut missing = Vec::new();
    for one in &tree.below {
        match (one.word, LEFT_OUT.iter().find(|(word, _)| *word == one.word)) {
            ("reverse_proxy", _) => missing.extend(proxy(adapted, base, one).err()),
            ("handle" | "handle_path" | "route", _) => missing.extend(inner(adapted, base, one)),
            ("redir", _) => redirect(adapted, base, one),
            (_, Some((_, why))) => one.note(adapted, why),
            (word, None) if word.starts_with('@') => one.note(adapted, "a label has no matcher"),
            (word, None) => {
                missing.push(format!("the directive `{word}` has no counterpart"));
                one.note(adapted, "no label means this: a route with it is not ready");
            }
        }
    }
    missing
}

/// Adds the routes of a block inside of a block.
fn inner(adapted: &mut Adapted, base: &Base, one: &Tree<'_>) -> Vec<String> {
    let mut base = base.clone();
    if let Err(why) = base.narrow(one.value.trim()) {
        one.note(adapted, &why);
        return vec![why];
    }
    base.strip_prefix |= one.word == "handle_path" && base.path.is_some();
    adapt(adapted, &base, one)
}

/// Adds the route of one `reverse_proxy`. The error is what it has without a counterpart.
fn proxy(adapted: &mut Adapted, base: &Base, one: &Tree<'_>) -> Result<(), String> {
    let mut base = base.clone();
    let (matcher, upstreams) = match one.value.trim() {
        value if value.starts_with(['/', '@', '*']) => {
            value.split_once(char::is_whitespace).unwrap_or((value, ""))
        }
        value => ("", value),
    };
    let target = base.narrow(matcher).and_then(|()| proxy::target(upstreams)).inspect_err(|why| {
        one.note(adapted, why);
    })?;
    let Base { hosts, path, strip_prefix, differs } = base;
    let name = route_name(path.as_deref(), &hosts);
    let mut route = Route { name, hosts, path, strip_prefix, differs, target, ..Route::default() };
    proxy::options(adapted, &mut route, one);
    if route.hosts.is_empty() {
        route.differs.push("a route for any host comes after all routes with a host".to_owned());
    }
    adapted.routes.push(route);
    Ok(())
}

/// Adds a note about a redirect, with the label that may be meant.
fn redirect(adapted: &mut Adapted, base: &Base, one: &Tree<'_>) {
    let to = one.value.split_whitespace().find(|part| part.contains("://"));
    let name = to.and_then(|to| to.split_once("://")?.1.strip_suffix("{uri}"));
    let why = match name.filter(|name| !name.contains(['/', '{']) && !base.hosts.is_empty()) {
        Some(name) => format!(
            "put `smolgate.redirect_from: {}` beside the label of the host {name}; the gate redirects with 301",
            base.hosts.join(", ")
        ),
        None => "a label redirects hosts alone: `smolgate.redirect_from`".to_owned(),
    };
    one.note(adapted, &why);
}

impl Base {
    /// Takes only the requests of a matcher: none, `*` or a path with a star at its end.
    fn narrow(&mut self, matcher: &str) -> Result<(), String> {
        if matcher.is_empty() || matcher == "*" {
            return Ok(());
        }
        if self.path.is_some() {
            return Err("a path inside of a path".to_owned());
        }
        if !matcher.starts_with('/') || matcher.contains(char::is_whitespace) {
            return Err(format!("the matcher `{matcher}` has no counterpart"));
        }
        let Some(prefix) = matcher.strip_suffix('*') else {
            return Err(format!("`{matcher}` is one path, and a label takes a prefix"));
        };
        let prefix = if prefix.len() > 1 { prefix.trim_end_matches('/') } else { prefix };
        self.path = path(prefix)?;
        self.differs.extend(self.path.as_deref().map(whole_segments));
        Ok(())
    }
}
