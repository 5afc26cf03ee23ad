//! Conditions of rules as written.

use std::sync::Arc;

use crate::config::decode::{Decoder, MappingReader};
use crate::config::diagnostics::quoted;
use crate::config::plan::{Conditions, NamedCondition, Networks};
use crate::config::syntax::{Node, Value};
use crate::config::values::{ValueError, glob, networks};

/// Keys that ask for more than the address of the client, so that they mean nothing before a request is read.
pub(super) const OF_REQUESTS: [&str; 4] = ["path", "header", "cookie", "query"];

/// The conditions of a rule. `None` if there are none.
pub(super) fn conditions(fields: &mut MappingReader<'_, '_>) -> Option<Arc<Conditions>> {
    if let (Some(_), Some(span)) = (fields.at("path_prefix"), fields.at("path")) {
        let message = "`path` and `path_prefix` cannot stand in one rule";
        let hint = "`path` is for the whole path: `/users/**` takes what the prefix `/users` takes";
        fields.decoder.report.error_hint(span, message, hint);
    }
    let paths = fields.field("path", |decoder, node| Some(decoder.parsed_many(node, glob::path_glob)));
    let conditions = Conditions {
        paths: paths.into_iter().flatten().map(|path| path.value).collect(),
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
    };
    (conditions != Conditions::default()).then(|| Arc::new(conditions))
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
