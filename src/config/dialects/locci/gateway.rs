//! `api_gateway`: routes and middlewares.

use std::sync::Arc;
use std::time::Duration;

use super::middlewares::{Kind, Middlewares, middlewares};
use crate::config::decode::{Decoder, MappingReader, Text};
use crate::config::diagnostics::{Span, Spanned};
use crate::config::dialects::plain;
use crate::config::plan::{ExpressionError, Location, PathExpression};
use crate::config::syntax::{Node, Value};
use crate::config::values::{pattern, scalar};
use crate::http::{CaptureNames, Scope, Template, TemplateUse};

/// The section.
pub(super) struct Gateway {
    pub(super) routes: Vec<Route>,
    pub(super) middlewares: Middlewares,
}

/// A route.
pub(in crate::config) struct Route {
    pub(in crate::config) name: Spanned<Arc<str>>,
    /// Bytes of the expression as written, by which routes are sorted.
    pub(super) length: usize,
    pub(super) expression: PathExpression,
    /// The path in the place of the client's, if a part of that is taken off.
    pub(super) rewrite: Option<Rewrite>,
    /// Empty for any.
    pub(super) methods: Vec<Arc<str>>,
    pub(in crate::config) upstream: Text,
    pub(super) timeout: Option<Duration>,
    pub(in crate::config) middlewares: Vec<Spanned<Kind>>,
}

/// A path without the part that the expression of its route takes off.
pub(super) struct Rewrite {
    /// The groups of the expression in front of that part and behind it, from 0.
    kept: Vec<usize>,
}

impl Rewrite {
    /// The rewritten path, whatever path the expression takes.
    pub(super) fn any(&self, expression: &PathExpression) -> Location {
        let parts: String = self.kept.iter().map(|group| format!("{{{}}}", group + 1)).collect();
        let captures = CaptureNames { of_host: 0, names: expression.names().to_vec() };
        let scope = Scope { used: TemplateUse::Url, captures: &captures };
        let template =
            Template::new(&format!("/{parts}"), &scope).expect("invariant: each group has a number");
        Location::rewrite(template)
    }

    /// The rewritten form of this path.
    pub(super) fn of(&self, expression: &PathExpression, path: &str) -> Location {
        let mut groups = Vec::new();
        expression.matches_with(path.as_bytes(), |group| groups.push(group));
        let kept =
            self.kept.iter().filter_map(|group| groups.get(*group).copied()).collect::<Vec<_>>().concat();
        let kept = String::from_utf8_lossy(&kept);
        Location::rewrite(Template::literal(&format!("/{}", kept.trim_start_matches('/'))))
    }
}

/// `{routes, middlewares}`.
pub(super) fn gateway(decoder: &mut Decoder<'_>, node: Node) -> Option<Gateway> {
    let mut fields = MappingReader::open(decoder, node, "`api_gateway`")?;
    fields.require(&["routes"]);
    let gateway = Gateway {
        routes: fields.field("routes", routes).unwrap_or_default(),
        middlewares: fields.field("middlewares", middlewares).unwrap_or_default(),
    };
    fields.close();
    Some(gateway)
}

/// A mapping of names to routes.
fn routes(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<Route>> {
    let Value::Map(entries) = node.value else {
        let hint = "write `NAME: { path_pattern: \"^/path\", upstream: NAME }`";
        decoder.report.error_hint(node.span, "`routes` is a mapping", hint);
        return None;
    };
    let route = |(key, node): (Spanned<String>, Node)| match scalar::name(&key.value) {
        Ok(value) => route(decoder, Spanned { value, span: key.span }, node),
        Err(error) => {
            decoder.report.error(key.span, format!("this {}", error.problem));
            None
        }
    };
    Some(entries.into_iter().filter_map(route).collect())
}

/// A route of this name.
pub(in crate::config) fn route(
    decoder: &mut Decoder<'_>,
    name: Spanned<Arc<str>>,
    node: Node,
) -> Option<Route> {
    let mut fields = MappingReader::open(decoder, node, "a route of locci-proxy")?;
    fields.span = name.span;
    fields.require(&["path_pattern"]);
    fields.require(&["upstream"]);
    let strips_at = fields.at("strip_prefix");
    let strips = fields.flag("strip_prefix").then_some(strips_at).flatten();
    let pattern = fields.field("path_pattern", Decoder::text);
    let methods = fields.field("methods", |decoder, node| {
        let items = decoder.list(node, "a list of methods");
        Some(items.into_iter().filter_map(|item| decoder.parsed(item, pattern::method)).collect::<Vec<_>>())
    });
    let upstream = fields.field("upstream", Decoder::text);
    let timeout = fields.parsed("timeout_secs", plain::some_seconds).map(|time| time.value);
    let middlewares = fields.field("middlewares", |decoder, node| {
        let items = decoder.list(node, "a list of middlewares");
        Some(items.into_iter().filter_map(|item| decoder.parsed(item, Kind::named)).collect())
    });
    fields.close();
    let pattern = pattern?;
    let (expression, rewrite) = expression(decoder, &pattern, strips)?;
    Some(Route {
        name,
        length: pattern.text.len(),
        expression,
        rewrite,
        methods: with_head(methods.unwrap_or_default()),
        upstream: upstream?,
        timeout,
        middlewares: middlewares.unwrap_or_default(),
    })
}

/// Each method once, and `HEAD` behind `GET`, since a server answers both alike (RFC 9110, section 9.3.2).
fn with_head(methods: Vec<Spanned<Arc<str>>>) -> Vec<Arc<str>> {
    let mut all: Vec<Arc<str>> = Vec::new();
    for method in methods.into_iter().map(|method| method.value) {
        let head = (&*method == "GET").then(|| "HEAD".into());
        for one in std::iter::once(method).chain(head) {
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    all
}

/// The expression, and the path that a target gets if the part that matches is taken off. Then the expression has groups
/// for what is in front of that part and behind it.
fn expression(
    decoder: &mut Decoder<'_>,
    pattern: &Text,
    strips: Option<Span>,
) -> Option<(PathExpression, Option<Rewrite>)> {
    let written = compiled(decoder, pattern, &pattern.text)?;
    let Some(span) = strips else { return Some((written, None)) };
    let is_at_start = pattern.text.starts_with('^') && !pattern.text.contains(['|', '?']);
    if !pattern.text.starts_with('^') {
        let hint = "write `^` in front of the expression to take a prefix off";
        let message = "`strip_prefix` takes off what matches in any part of the path";
        decoder.report.warning(Some(span), message, hint);
    }
    let behind = written.names().len();
    let (text, kept) = match is_at_start {
        true => (format!("{}(.*)", pattern.text), vec![behind]),
        false => (format!("^(.*?)(?:{})(.*)", pattern.text), vec![0, behind + 1]),
    };
    Some((compiled(decoder, pattern, &text)?, Some(Rewrite { kept })))
}

/// Compiles a text that is the pattern, or has it inside.
fn compiled(decoder: &mut Decoder<'_>, pattern: &Text, text: &str) -> Option<PathExpression> {
    match PathExpression::new(text) {
        Ok(expression) => Some(expression),
        Err(ExpressionError { problem, place }) => {
            let place = place.filter(|_| text == pattern.text);
            let span = place.map_or(pattern.span, |place| pattern.place_of(place));
            decoder.report.error(span, format!("{} {problem}", pattern.shown()));
            None
        }
    }
}
