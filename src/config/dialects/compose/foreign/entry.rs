//! The labels or variables of a service, as they are written.

use crate::config::syntax::Node;

/// One label or variable. Variables of the compose file stay in its value as they are written, so that they can be pasted.
pub(super) struct Entry {
    pub(super) name: String,
    /// The name in lower case: Traefik and Caddy do not distinguish.
    pub(super) key: String,
    pub(super) value: String,
}

/// The node at a path of keys with dots between them.
pub(super) fn find<'n>(node: &'n Node, path: &str) -> Option<&'n Node> {
    path.split('.').try_fold(node, |node, key| node.get(key))
}

/// The items of a list with commas.
pub(super) fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}
