//! Listeners, and parts of rules.

use std::sync::Arc;

use crate::config::diagnostics::{Span, Spanned};
use crate::config::plan::{Bind, Conditions, Location, PathExpression, Respond};
use crate::config::source::{
    ActionSource, HttpSource, ListenerSource, ProtocolSource, ProxySource, UpstreamUse,
};
use crate::config::values::scalar;
use crate::http::Template;

/// The listener `http`, in the clear.
pub(in crate::config::dialects) fn listener(bind: Spanned<Bind>, http: HttpSource) -> ListenerSource {
    let span = bind.span;
    ListenerSource {
        span,
        name: named("http", span),
        binds: vec![bind],
        shutdown_timeout: None,
        tls: None,
        accept_proxy_protocol: Vec::new(),
        protocol: ProtocolSource::Http(Box::new(http)),
    }
}

/// The condition for one path alone. A slash at the end counts.
pub(in crate::config::dialects) fn exact(path: &str) -> Option<Arc<Conditions>> {
    let mut text = String::from("^");
    for char in path.chars() {
        if char.is_ascii_punctuation() && !matches!(char, '/' | '_' | '<' | '>') {
            text.push('\\');
        }
        text.push(char);
    }
    text.push('$');
    matching(PathExpression::new(&text).ok()?)
}

/// The condition for the paths of an expression.
pub(in crate::config::dialects) fn matching(expression: PathExpression) -> Option<Arc<Conditions>> {
    Some(Arc::new(Conditions { expressions: vec![expression], ..Conditions::default() }))
}

/// The action that forwards requests. `rewrite` is the path in the place of the client's.
pub(in crate::config::dialects) fn forward(upstream: UpstreamUse, rewrite: Option<Location>) -> ProxySource {
    ProxySource {
        upstream,
        rewrite,
        pass_host: false,
        strip_path_prefix: false,
        buffer_request: None,
        limits: Default::default(),
    }
}

/// The action that responds with a body of this type.
pub(in crate::config::dialects) fn response(status: u16, media: &str, body: &str) -> Option<ActionSource> {
    let headers = vec![("Content-Type".into(), media.into())];
    Some(ActionSource::Respond(Respond { status, headers, body: Template::literal(body), page: None }))
}

/// A text as the name of a rule, unless it is too long for one.
pub(in crate::config::dialects) fn named(text: &str, at: Span) -> Option<Spanned<Arc<str>>> {
    Some(Spanned { value: scalar::name(text).ok()?, span: at })
}
