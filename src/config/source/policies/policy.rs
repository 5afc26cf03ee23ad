//! The value of any policy.

use std::sync::Arc;

use crate::config::decode::{Decoder, MappingReader};
use crate::config::syntax::{Node, Value};

/// The policy under a key, or `false`.
pub(super) fn policy<'a, T>(
    fields: &mut MappingReader<'_, 'a>,
    name: &'static str,
    read: impl FnOnce(&mut Decoder<'a>, Node) -> Option<T>,
) -> Option<Option<Arc<T>>> {
    fields.field(name, |decoder, node| match &node.value {
        Value::Scalar(text) if text == "false" => Some(None),
        _ => read(decoder, node).map(|value| Some(Arc::new(value))),
    })
}
