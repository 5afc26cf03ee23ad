//! One change: its node, and how it ends.

use std::sync::Arc;

use super::text::Literal;
use crate::config::decode::{Decoder, MappingReader, Text};
use crate::config::diagnostics::{Report, Span, Spanned};
use crate::config::plan::Conflict;
use crate::config::syntax::{Node, Value};
use crate::config::values::scalar;

/// The end of a change.
pub(super) enum Outcome {
    /// It holds. `true`: it made something that was not there.
    Applied(bool),
    /// The files have what it asks for, or have no more what it removes. The text says so.
    Needless(Conflict, Span, String),
    /// It does not fit the files.
    Unfit(Span, String, &'static str),
    /// It is invalid in any case, which was reported.
    Invalid,
}

/// The keys of a change that name what is changed, apart from the others.
pub(super) struct Entry {
    pub(super) name: Spanned<Arc<str>>,
    pub(super) listener: Option<Text>,
    /// A mapping of the other keys.
    pub(super) rest: Node,
}

/// Takes `name` and `listener` out of a change. `None` if it is wrong, which was reported.
pub(super) fn entry(mut node: Node, with_listener: bool, report: &mut Report) -> Option<Entry> {
    let mut own = Vec::new();
    if let Value::Map(entries) = &mut node.value {
        let is_own = |key: &str| key == "name" || (with_listener && key == "listener");
        own = entries.extract_if(.., |(key, _)| is_own(&key.value)).collect();
    }
    let (span, rest) = (node.span, node);
    let own = Node::new(span, Value::Map(own));
    let mut decoder = Decoder { report, notation: &Literal };
    let mut fields = MappingReader::open(&mut decoder, own, "a change")?;
    fields.require(&["name"]);
    let name = fields.parsed("name", scalar::name);
    let listener = fields.field("listener", Decoder::text);
    fields.close();
    Some(Entry { name: name?, listener, rest })
}
