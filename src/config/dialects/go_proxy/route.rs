//! One of `routes`.

use std::sync::Arc;

use crate::config::decode::{Decoder, MappingReader, Text};
use crate::config::diagnostics::{Span, Spanned};
use crate::config::plan::Scheme;
use crate::config::syntax::Node;
use crate::config::values::target::{self, TargetText};
use crate::config::values::{ValueError, pattern};
use crate::http::is_token;

/// The path that go-proxy answers itself.
pub(super) const HEALTH: &str = "/health";

/// A path and its target.
pub(super) struct Route {
    pub(super) span: Span,
    /// The path as written.
    pub(super) written: Spanned<String>,
    /// The path as requests are compared with it, without a slash at the end. Empty for `/`.
    pub(super) path: Arc<str>,
    pub(super) target: Spanned<TargetText>,
}

impl Route {
    /// Whether it takes everything below its path, too.
    pub(super) fn is_subtree(&self) -> bool {
        self.written.value.ends_with('/')
    }
}

/// `{path, target}`.
pub(super) fn route(decoder: &mut Decoder<'_>, node: Node) -> Option<Route> {
    let mut fields = MappingReader::open(decoder, node, "a route")?;
    fields.require(&["path"]);
    fields.require(&["target"]);
    let path = fields.field("path", path);
    let target = fields.parsed("target", http_target);
    let span = fields.span;
    fields.close();
    let (written, path) = path?;
    Some(Route { span, written, path, target: target? })
}

fn path(decoder: &mut Decoder<'_>, node: Node) -> Option<(Spanned<String>, Arc<str>)> {
    let text = decoder.text(node)?;
    match plain_path(&text.text) {
        Ok(path) => {
            let Text { text: value, span, .. } = text;
            Some((Spanned { value, span }, path))
        }
        Err(error) => {
            decoder.value_error(&text, error);
            None
        }
    }
}

/// A path without a slash at its end. `ServeMux` takes more, and go-proxy then forwards it as it is.
fn plain_path(text: &str) -> Result<Arc<str>, ValueError> {
    const METHOD: &str =
        "leave it out; a native rule has `methods`, and `smolgate adapt` prints this file as one";
    const HOST: &str = "leave it out; a native rule has `host`, and `smolgate adapt` prints this file as one";
    const WILDCARD: &str =
        "a native rule has `path: \"/users/{id}\"`, and `smolgate adapt` prints this file as one";
    let first = text.split([' ', '\t']).next().unwrap_or_default();
    if first.len() < text.len() && is_token(first.as_bytes()) {
        return Err(ValueError::hint("has a method in front of its path", METHOD));
    }
    let is_host = |start: &str| start.contains(['.', ':']);
    if text.split_once('/').is_some_and(|(start, _)| is_host(start)) {
        return Err(ValueError::hint("has a host in front of its path", HOST));
    }
    if text.contains(['{', '}']) {
        return Err(ValueError::hint("has a part that stands for others", WILDCARD));
    }
    if text == HEALTH {
        let hint = "it shows that the gate works; `/health/` and any other path are free";
        return Err(ValueError::hint("is answered by the gate itself", hint));
    }
    let path = pattern::path(text)?;
    Ok(if &*path == "/" { "".into() } else { path })
}

/// `http://host:port/base` or `https://...`.
fn http_target(text: &str) -> Result<TargetText, ValueError> {
    let parsed = target::target(text)?;
    match parsed.scheme {
        Some(Scheme::Http | Scheme::Https) => Ok(parsed),
        _ => Err(ValueError::hint("has no `http://` or `https://`", "write \"http://host:port\"")),
    }
}
