//! Values that are never shown.

use super::tree::{Node, Value};
use crate::config::diagnostics::{Report, did_you_mean};
use crate::config::keys::is_withheld;

/// Whether the value of this key is a secret. This includes misspelt keys.
pub(super) fn is_secret(key: &str) -> bool {
    did_you_mean(key, ["token"]).is_some()
}

/// Hides the text of a secret in every excerpt. A value that only refers to a variable or a file may be shown. The word
/// that a view has in its place is a warning.
pub(crate) fn mask_secret(node: &Node, report: &mut Report) {
    let is_reference = |text: &str| {
        let inside = text.strip_prefix("${env:").or_else(|| text.strip_prefix("${file:"));
        let name = inside.and_then(|inside| inside.strip_suffix('}'));
        name.is_some_and(|name| !name.contains('}') && !name.contains(":-"))
    };
    match &node.value {
        Value::Scalar(text) if is_reference(text) => {}
        Value::Scalar(text) if is_withheld(text) => {
            let message = "this secret was left out: `adapt` and `/config` show none";
            report.warning(Some(node.span), message, "write the secret in its place");
        }
        // The span of a list or a mapping is its first character.
        Value::List(_) | Value::Map(_) => {}
        _ => report.mask(node.span),
    }
    if let Value::List(items) = &node.value {
        items.iter().for_each(|item| mask_secret(item, report));
    }
    if let Value::Map(entries) = &node.value {
        entries.iter().for_each(|(_, item)| mask_secret(item, report));
    }
}
