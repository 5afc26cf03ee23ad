//! The index over a listener's rules: hash by host, then a tree of path segments.
//!
//! A rule stands in one bucket for each of its hosts, or in the bucket for any host. A request looks
//! into at most three buckets (its exact host, the wildcard over it, any host) and takes the smallest
//! rule index among the answers, which is the first rule in written order:
//!
//! ```text
//!   host ──► exact    ["admin.localhost"] ─► tree: /  ─ users ─ 7
//!        ──► wildcard ["localhost"]       ─► tree          each node: the rules that end here
//!        ──► any                          ─► tree
//! ```

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::config::plan::{HostPattern, Rule};

/// Finds the first rule that matches a request. Built once per generation, then only read.
#[derive(Debug)]
pub struct RuleTable {
    exact: Buckets,
    /// By what follows the first label and its dot.
    wildcard: Buckets,
    any: Node,
}

/// The hasher is fast and has a fixed seed. That is safe here: collisions hurt where a stranger
/// chooses the keys that are *stored*, and these come from the configuration.
type Buckets = HashMap<Box<[u8]>, Node, FixedState>;

impl RuleTable {
    /// Indexes `rules`, which stand in the order in which they are tried.
    pub fn build(rules: &[Rule]) -> RuleTable {
        let mut exact: HashMap<&str, Sprout> = HashMap::new();
        let mut wildcard: HashMap<&str, Sprout> = HashMap::new();
        let mut any = Sprout::default();
        for (index, rule) in rules.iter().enumerate() {
            let index = u32::try_from(index).expect("invariant: a configuration has fewer than 2^32 rules");
            if rule.hosts.is_empty() {
                any.plant(index, rule);
            }
            for host in &rule.hosts {
                let sprout = match host {
                    HostPattern::Exact(host) => exact.entry(host).or_default(),
                    HostPattern::Wildcard(suffix) => wildcard.entry(suffix).or_default(),
                };
                sprout.plant(index, rule);
            }
        }
        let freeze = |sprouts: HashMap<&str, Sprout>| {
            sprouts.into_iter().map(|(host, sprout)| (host.as_bytes().into(), sprout.freeze())).collect()
        };
        RuleTable { exact: freeze(exact), wildcard: freeze(wildcard), any: any.freeze() }
    }

    /// Index of the first rule that matches; `None` when none does.
    ///
    /// `host` is lower case, without a port and without a dot at the end; empty when the request has
    /// none. `path` is decoded for matching and has no query; `*` (asterisk-form) matches only `/`.
    /// `method` is as written: methods are case-sensitive (RFC 9110, 9.1).
    ///
    /// Allocates nothing. The cost grows with the depth of the path prefixes of this host and with the
    /// logarithm of their number; not with the number of hosts, nor with the length of the path.
    pub fn find(&self, host: &[u8], path: &[u8], method: &[u8]) -> Option<usize> {
        let mut best = NONE;
        if let Some(bucket) = self.exact.get(host) {
            best = bucket.first(path, method, best);
        }
        if !self.wildcard.is_empty()
            && let Some(suffix) = after_first_label(host)
            && let Some(bucket) = self.wildcard.get(suffix)
        {
            best = bucket.first(path, method, best);
        }
        best = self.any.first(path, method, best);
        (best != NONE).then_some(best as usize)
    }
}

/// Stands for "no rule yet"; greater than every index, so that `min` works.
const NONE: u32 = u32::MAX;

/// `example.com` of `www.example.com`; `None` when the first label is empty or the only one.
fn after_first_label(host: &[u8]) -> Option<&[u8]> {
    let dot = memchr::memchr(b'.', host)?;
    (dot > 0).then(|| &host[dot + 1..])
}

/// One path prefix: what ends here, and the segments that may follow. The root is `/`.
#[derive(Debug)]
struct Node {
    /// The smallest index in this node and below it: nothing here can improve on a smaller one.
    least: u32,
    /// In written order.
    entries: Box<[Entry]>,
    /// Sorted by segment. A sorted slice needs no hash of bytes that a stranger chose.
    children: Box<[(Box<[u8]>, Node)]>,
}

/// A rule, as far as host and path do not decide.
#[derive(Debug)]
struct Entry {
    rule: u32,
    /// Empty: any method.
    methods: Box<[Arc<str>]>,
}

impl Entry {
    fn takes(&self, method: &[u8]) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|known| known.as_bytes() == method)
    }
}

impl Node {
    /// The smallest index below `best` of a rule on the way from here along `path`; else `best`.
    fn first(&self, path: &[u8], method: &[u8], mut best: u32) -> u32 {
        let mut node = self;
        let mut rest = path.strip_prefix(b"/");
        loop {
            if node.least >= best {
                return best;
            }
            for entry in node.entries.iter().take_while(|entry| entry.rule < best) {
                if entry.takes(method) {
                    best = entry.rule;
                    break;
                }
            }
            let (Some(segments), false) = (rest, node.children.is_empty()) else { return best };
            let end = memchr::memchr(b'/', segments);
            let segment = &segments[..end.unwrap_or(segments.len())];
            let Some(child) = node.child(segment) else { return best };
            node = child;
            rest = end.map(|end| &segments[end + 1..]);
        }
    }

    fn child(&self, segment: &[u8]) -> Option<&Node> {
        let at = self.children.binary_search_by(|(name, _)| name[..].cmp(segment)).ok()?;
        Some(&self.children[at].1)
    }
}

/// A node while the table is built.
#[derive(Default)]
struct Sprout {
    entries: Vec<Entry>,
    children: BTreeMap<Box<[u8]>, Sprout>,
}

impl Sprout {
    fn plant(&mut self, index: u32, rule: &Rule) {
        let mut sprout = self;
        let segments = rule.path_prefix.strip_prefix('/').unwrap_or(&rule.path_prefix);
        if !segments.is_empty() {
            for segment in segments.split('/') {
                sprout = sprout.children.entry(segment.as_bytes().into()).or_default();
            }
        }
        // What stands behind a rule for every method is never reached; a rule that names one host
        // twice stands here once.
        let closed = sprout.entries.last().is_some_and(|last| last.methods.is_empty() || last.rule == index);
        if !closed {
            sprout.entries.push(Entry { rule: index, methods: rule.methods.as_slice().into() });
        }
    }

    fn freeze(self) -> Node {
        let children: Box<[_]> =
            self.children.into_iter().map(|(name, sprout)| (name, sprout.freeze())).collect();
        let here = self.entries.iter().map(|entry| entry.rule);
        let below = children.iter().map(|(_, node)| node.least);
        let least = here.chain(below).min().unwrap_or(NONE);
        Node { least, entries: self.entries.into(), children }
    }
}
