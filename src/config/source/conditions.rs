//! Conditions of rules as written.

use std::sync::Arc;

use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::quoted;
use crate::config::plan::{
    Conditions, ExpressionError, NamedCondition, Networks, PathExpression, Share, ShareKey,
};
use crate::config::syntax::{Node, Value};
use crate::config::values::{ValueError, glob, networks};

/// Keys that ask for more than the address of the client, so that they mean nothing before a request is read.
pub(super) const OF_REQUESTS: [&str; 7] = ["path", "path_regex", "header", "cookie", "query", "share", "by"];

/// The conditions of a rule. `None` if there are none.
pub(super) fn conditions(fields: &mut MappingReader<'_, '_>) -> Option<Arc<Conditions>> {
    one_of_paths(fields);
    let paths = fields.field("path", |decoder, node| Some(decoder.parsed_many(node, glob::path_glob)));
    let conditions = Conditions {
        paths: paths.into_iter().flatten().map(|path| path.value).collect(),
        expressions: fields
            .field("path_regex", |decoder, node| Some(expressions(decoder, node)))
            .unwrap_or_default(),
        from: networks(fields, "from"),
        not_from: networks(fields, "not_from"),
        headers: fields
            .field("header", |decoder, node| named(decoder, node, "`header`", glob::header_name))
            .unwrap_or_default(),
        cookies: fields
            .field("cookie", |decoder, node| named(decoder, node, "`cookie`", glob::cookie_name))
            .unwrap_or_default(),
        query: fields
            .field("query", |decoder, node| named(decoder, node, "`query`", glob::parameter_name))
            .unwrap_or_default(),
        share: share(fields),
    };
    (conditions != Conditions::default()).then(|| Arc::new(conditions))
}

/// One expression or a list of them. A comma separates nothing, because expressions have commas.
fn expressions(decoder: &mut Decoder<'_>, node: Node) -> Vec<PathExpression> {
    decoder.one_or_many(node, |decoder, node| {
        let text = decoder.text(node)?;
        match PathExpression::new(&text.text) {
            Ok(expression) => {
                if !expression.is_anchored() {
                    let hint =
                        "write `^` at its start for the beginning of the path, or `.*` if that is meant";
                    let is_meant = text.text.starts_with(".*");
                    let message = "this expression matches in any part of the path";
                    (!is_meant).then(|| decoder.report.warning(Some(text.span), message, hint));
                }
                Some(expression)
            }
            Err(ExpressionError { problem, place }) => {
                let span = place.map_or(text.span, |place| text.place_of(place));
                decoder.report.error_hint(span, format!("{} {problem}", text.shown()), "");
                None
            }
        }
    })
}

/// Reports the second of the keys for paths, of which a rule has one. Beside `pass` each of them is an error by itself.
fn one_of_paths(fields: &mut MappingReader<'_, '_>) {
    let of_glob = "`path` is for the whole path: `/users/**` takes what the prefix `/users` takes";
    let of_expression = "an expression is for the whole path, so write both into it";
    let keys = [("path_prefix", ""), ("path", of_glob), ("path_regex", of_expression)];
    let written: Vec<_> = keys.iter().filter_map(|(key, hint)| Some((key, hint, fields.at(key)?))).collect();
    if let [(first, ..), .., (last, hint, span)] = written[..]
        && fields.at("pass").is_none()
    {
        let message = format!("`{last}` and `{first}` cannot stand in one rule");
        fields.decoder.report.error_hint(span, message, *hint);
    }
}

/// `share` and `by`. The name of the rule is put in later.
fn share(fields: &mut MappingReader<'_, '_>) -> Option<Share> {
    if fields.at("share").is_none() {
        fields.not_here(
            &["by"],
            "means nothing without `share`",
            "add the `share` of clients, such as \"5%\"",
        );
    }
    let parts = fields.parsed("share", glob::share);
    let by = fields.parsed("by", glob::share_key).map_or(ShareKey::Client, |by| by.value);
    parts.map(|parts| Share { parts: parts.value, by, salt: "".into() })
}

fn networks(fields: &mut MappingReader<'_, '_>, name: &'static str) -> Networks {
    let networks = fields.field(name, |decoder, node| Some(decoder.parsed_many(node, networks::networks)));
    let networks: Vec<_> = networks.into_iter().flatten().flat_map(|networks| networks.value).collect();
    Networks::new(&networks)
}

/// A mapping of names to one value or several. A name twice is an error of the mapping itself.
fn named(
    decoder: &mut Decoder<'_>,
    node: Node,
    what: &str,
    parse_name: fn(&str) -> Result<Arc<str>, ValueError>,
) -> Option<Vec<NamedCondition>> {
    let Value::Map(entries) = node.value else {
        let hint = "write `{ name: value }`; the value `*` takes every value";
        decoder.report.error_hint(node.span, format!("{what} is a mapping"), hint);
        return None;
    };
    let mut conditions = Vec::new();
    for (key, node) in entries {
        match parse_name(&key.value) {
            Ok(name) => {
                let values = decoder.parsed_many(node, glob::value);
                let values = values.into_iter().map(|value| value.value).collect();
                conditions.push(NamedCondition { name, values });
            }
            Err(error) => {
                let message = format!("{} {}", quoted(&key.value), error.problem);
                decoder.report.error_hint(key.span, message, error.hint.unwrap_or_default());
            }
        }
    }
    Some(conditions)
}
