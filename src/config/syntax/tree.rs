//! The tree of a text, in which every key and every value knows its place.

use crate::config::diagnostics::{Span, Spanned};

/// A value and its place: of a block mapping its first key, of a flow collection its bracket.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Value,
    /// What its tag asks for where trees are merged; a tree of our own format has none.
    pub(crate) tag: Option<Tag>,
}

/// The tags of compose files that say how a value meets the one of an earlier file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    /// `!reset`: the earlier value goes, and this one is not looked at.
    Reset,
    /// `!override`: this value takes the place of the earlier one, nothing is merged.
    Override,
}

impl Node {
    /// A value that no tag stands before.
    pub(crate) fn new(span: Span, value: Value) -> Node {
        Node { span, value, tag: None }
    }

    /// The value of a key, when this is a mapping that has it.
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
    /// Where the first tag of any kind stands.
    pub(crate) tag: Option<Span>,
}

/// What stands at a place, before anyone asked what it should be.
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

/// Nodes of a tree.
pub(super) fn size(node: &Node) -> usize {
    match &node.value {
        Value::Null | Value::Scalar(_) => 1,
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|(_, node)| size(node)).sum::<usize>(),
    }
}
