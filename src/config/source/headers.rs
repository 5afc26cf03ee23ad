//! Header fields that are written.

use std::sync::Arc;

use crate::config::decode::Decoder;
use crate::config::diagnostics::quoted;
use crate::config::syntax::{Node, Value};
use crate::config::values::header;

/// `headers:`, a mapping of names to one value or a list of values.
pub(super) fn headers(decoder: &mut Decoder<'_>, node: Node) -> Option<Vec<(Arc<str>, Arc<str>)>> {
    let Value::Map(entries) = node.value else {
        decoder.report.error_hint(node.span, "`headers` is a mapping", "write `Name: value`");
        return None;
    };
    let mut headers = Vec::new();
    for (key, node) in entries {
        match header::field_name(&key.value) {
            Ok(name) => {
                let values = decoder.parsed_many(node, header::field_value);
                headers.extend(values.into_iter().map(|value| (name.clone(), value.value)));
            }
            Err(error) => {
                let message = format!("{} {}", quoted(&key.value), error.problem);
                decoder.report.error_hint(key.span, message, error.hint.unwrap_or_default());
            }
        }
    }
    Some(headers)
}
