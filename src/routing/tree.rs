//! The rules of one host by path segments. One arena holds the trees of all hosts.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::conditions::{RequestView, unmet};
use crate::config::plan::{Conditions, HostPattern};

/// The index for "no rule". It is greater than every index, so that `min` works.
pub(super) const NONE: u32 = u32::MAX;

/// The rules under one path prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    /// A single rule without conditions, which is all that most hosts have. [`NONE`] is no rule.
    Rule(u32),
    /// The node with this index in the arena.
    Node(u32),
}

/// All nodes and their shared lists. Nodes hold ranges instead of boxes, so that data that is read in
/// sequence is contiguous.
#[derive(Debug, Default)]
pub(super) struct TreeArena {
    nodes: Vec<Node>,
    conditional: Vec<Conditional>,
    children: Vec<Child>,
    /// The segments of all children, one after the other.
    segments: Vec<u8>,
}

/// One path prefix: the rules that end here, and the segments that may follow. The root is `/`.
#[derive(Debug)]
struct Node {
    /// The smallest rule index in this node and below. A search with a smaller one skips the node.
    least: u32,
    /// The rule without methods and conditions. It is the last one, because no rule behind it is ever reached.
    unconditional: u32,
    /// The rules before `unconditional`, in written order.
    conditional: Span,
    /// The children, sorted by the length of the segment and then by its bytes. Lengths are compared without
    /// reading segments. There is no hash, because strangers choose the segments that are looked up.
    children: Span,
}

/// A rule that does not take every request that comes by.
#[derive(Debug)]
struct Conditional {
    rule: u32,
    wants: Wants,
}

/// Everything that a rule asks of the requests that reach its place in a tree.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wants {
    /// The pattern of the host, if not every host of the tree matches it.
    pub(super) host: Option<HostPattern>,
    /// The methods. Empty for any.
    pub(super) methods: Box<[Arc<str>]>,
    /// [`Rule::conditions`](crate::config::plan::Rule::conditions).
    pub(super) conditions: Option<Arc<Conditions>>,
}

#[derive(Debug)]
struct Child {
    segment: Span,
    tree: Tree,
}

/// A range of one of the arena's lists.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    fn of<'a, T>(&self, list: &'a [T]) -> &'a [T] {
        &list[self.start as usize..][..self.len as usize]
    }
}

/// Moves `items` to the end of `list`.
fn append<T>(list: &mut Vec<T>, items: impl IntoIterator<Item = T>) -> Span {
    let start = list.len();
    list.extend(items);
    let index = |count| u32::try_from(count).expect("invariant: a configuration has fewer than 2^32 bytes");
    Span { start: index(start), len: index(list.len() - start) }
}

impl TreeArena {
    /// The smallest index below `best` of a rule from `tree` along `path`; else `best`.
    pub(super) fn first(&self, mut tree: Tree, request: &RequestView<'_>, mut best: u32) -> u32 {
        let mut rest = request.path.strip_prefix(b"/");
        loop {
            let node = match tree {
                Tree::Rule(rule) => return best.min(rule),
                Tree::Node(index) => &self.nodes[index as usize],
            };
            if node.least >= best {
                return best;
            }
            let better = node.conditional.of(&self.conditional).iter().take_while(|entry| entry.rule < best);
            best = match better.into_iter().find(|entry| entry.wants.met_by(request)) {
                Some(entry) => entry.rule,
                None => best.min(node.unconditional),
            };
            let Some(segments) = rest else { return best };
            let end = memchr::memchr(b'/', segments);
            let segment = &segments[..end.unwrap_or(segments.len())];
            let Some(child) = self.child(node, segment) else { return best };
            tree = child;
            rest = end.map(|end| &segments[end + 1..]);
        }
    }

    fn child(&self, node: &Node, segment: &[u8]) -> Option<Tree> {
        let children = node.children.of(&self.children);
        let order = |child: &Child| {
            let by_length = (child.segment.len as usize).cmp(&segment.len());
            by_length.then_with(|| child.segment.of(&self.segments).cmp(segment))
        };
        children.binary_search_by(order).ok().map(|at| children[at].tree)
    }
}

impl Wants {
    fn met_by(&self, request: &RequestView<'_>) -> bool {
        let Wants { host, methods, conditions } = self;
        (methods.is_empty() || methods.iter().any(|known| known.as_bytes() == request.method))
            && host.as_ref().is_none_or(|host| host.matches(request.host))
            && conditions.as_ref().is_none_or(|conditions| unmet(conditions, request).is_none())
    }
}

/// A tree under construction.
#[derive(Default)]
pub(super) struct TreeBuilder {
    unconditional: Option<u32>,
    conditional: Vec<Conditional>,
    children: BTreeMap<Box<[u8]>, TreeBuilder>,
}

impl TreeBuilder {
    /// Adds a rule. The caller adds rules in written order.
    pub(super) fn insert(&mut self, index: u32, path_prefix: &str, wants: Wants) {
        let mut builder = self;
        let segments = path_prefix.strip_prefix('/').unwrap_or(path_prefix);
        for segment in segments.split('/').filter(|_| !segments.is_empty()) {
            builder = builder.children.entry(segment.as_bytes().into()).or_default();
        }
        if builder.unconditional.is_some() {
            return;
        }
        if wants == Wants::default() {
            builder.unconditional = Some(index);
        // If a rule names one host or one prefix twice, the tree holds it once.
        } else if builder.conditional.last().is_none_or(|last| last.rule != index || last.wants != wants) {
            builder.conditional.push(Conditional { rule: index, wants });
        }
    }

    /// Moves the tree to the arena, where it never changes.
    pub(super) fn build_into(self, arena: &mut TreeArena) -> Tree {
        let unconditional = self.unconditional.unwrap_or(NONE);
        if self.conditional.is_empty() && self.children.is_empty() {
            return Tree::Rule(unconditional);
        }
        let mut least = self.conditional.first().map_or(unconditional, |first| first.rule);
        let mut children: Vec<(Box<[u8]>, Tree)> = Vec::with_capacity(self.children.len());
        for (segment, builder) in self.children {
            let tree = builder.build_into(arena);
            least = least.min(match tree {
                Tree::Rule(rule) => rule,
                Tree::Node(index) => arena.nodes[index as usize].least,
            });
            children.push((segment, tree));
        }
        children.sort_by_key(|(segment, _)| segment.len());
        let segments = &mut arena.segments;
        let child = |(segment, tree): (Box<[u8]>, Tree)| Child { segment: append(segments, segment), tree };
        let children = append(&mut arena.children, children.into_iter().map(child));
        let conditional = append(&mut arena.conditional, self.conditional);
        let node = Node { least, unconditional, conditional, children };
        Tree::Node(append(&mut arena.nodes, [node]).start)
    }
}
