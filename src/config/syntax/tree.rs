//! The tree of a text. Every key and every value has its place.

use crate::config::diagnostics::{Span, Spanned};

/// A value and its place: the first key of a block mapping, the bracket of a flow collection.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
    /// The tag that controls how the value is merged into that of an earlier file. Few dialects merge files.
    pub(crate) tag: Option<Tag>,
}

/// The tags that control how a value is merged into that of an earlier file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// `!reset`: the earlier value is removed, and this one is ignored.
    Reset,
    /// `!override`: this value replaces the earlier one without a merge.
    Override,
}

impl Node {
    /// A value without a tag.
    pub(crate) fn new(span: Span, value: Value) -> Node {
        Node { span, value, tag: None }
    }

    /// The value of a key, if this is a mapping with that key.
    pub(crate) fn get(&self, name: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(key, _)| key.value == name).map(|(_, node)| node),
            _ => None,
        }
    }
}

/// A text that is YAML.
pub(crate) struct Tree {
    pub(crate) root: Node,
    /// The place of the first tag of any kind.
    pub(crate) tag: Option<Span>,
}

/// A value before it has a type.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// Any other scalar, numbers and booleans included.
    Scalar(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in written order, without duplicates.
    Map(Vec<(Spanned<String>, Node)>),
}

/// The number of nodes in a tree.
pub(super) fn size(node: &Node) -> usize {
    match &node.value {
        Value::Null | Value::Scalar(_) => 1,
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|(_, node)| size(node)).sum::<usize>(),
    }
}
