//! The index over a listener's rules: hash by host, then a tree of path segments.
//!
//! A rule is in the tree of each of its hosts, or in the tree for any host. A request searches at most three
//! trees: its exact host, the wildcard over it, and any host. The smallest rule index among the results is
//! the first rule in written order:
//!
//! ```text
//!   host ──► exact    ["admin.localhost"] ─► tree: /  ─ users ─ 7
//!        ──► wildcard ["localhost"]       ─► tree          each node: the rules that end here
//!        ──► any                          ─► tree
//! ```

use std::collections::HashMap;

use super::hosts::Hosts;
use super::tree::{NONE, Tree, TreeArena, TreeBuilder};
use crate::config::plan::{HostPattern, Matcher, Rule};

/// Finds the first rule that matches a request. Built once per generation, then only read.
#[derive(Debug)]
pub struct RuleTable {
    exact: Hosts,
    /// Wildcard hosts, by the part after the first label and its dot.
    wildcard: Hosts,
    any: Tree,
    arena: TreeArena,
}

impl RuleTable {
    /// Indexes `rules`, which are in the order in which they are tried.
    pub fn build(rules: &[Rule]) -> RuleTable {
        let mut exact: HashMap<&str, TreeBuilder> = HashMap::new();
        let mut wildcard: HashMap<&str, TreeBuilder> = HashMap::new();
        let mut any = TreeBuilder::default();
        for (index, rule) in rules.iter().enumerate() {
            let index = u32::try_from(index).expect("invariant: a configuration has fewer than 2^32 rules");
            let Matcher { hosts, path_prefix, methods } = rule.matcher();
            if hosts.is_empty() {
                any.insert(index, path_prefix, methods);
            }
            for host in hosts {
                let builder = match host {
                    HostPattern::Exact(host) => exact.entry(host).or_default(),
                    HostPattern::Wildcard(suffix) => wildcard.entry(suffix).or_default(),
                };
                builder.insert(index, path_prefix, methods);
            }
        }
        let mut arena = TreeArena::default();
        let mut build = |builders: HashMap<&str, TreeBuilder>| {
            Hosts::build(builders.into_iter().map(|(host, builder)| (host, builder.build_into(&mut arena))))
        };
        let (exact, wildcard) = (build(exact), build(wildcard));
        RuleTable { exact, wildcard, any: any.build_into(&mut arena), arena }
    }

    /// Index of the first rule that matches; `None` if no rule does.
    ///
    /// `host` is lower case, without a port and without a dot at the end; it is empty if the request has
    /// none. `path` is decoded for matching and has no query; `*` (asterisk-form) matches only `/`. `method`
    /// is as written, because methods are case-sensitive (RFC 9110, section 9.1).
    ///
    /// Allocates nothing. The cost grows with the depth of this host's path prefixes and with the logarithm
    /// of their number. It does not grow with the number of hosts or with the length of the path.
    pub fn find(&self, host: &[u8], path: &[u8], method: &[u8]) -> Option<usize> {
        let mut best = NONE;
        if let Some(tree) = self.exact.get(host) {
            best = self.arena.first(tree, path, method, best);
        }
        if !self.wildcard.is_empty()
            && let Some(suffix) = after_first_label(host)
            && let Some(tree) = self.wildcard.get(suffix)
        {
            best = self.arena.first(tree, path, method, best);
        }
        best = self.arena.first(self.any, path, method, best);
        (best != NONE).then_some(best as usize)
    }
}

/// Returns `example.com` for `www.example.com`; `None` if the first label is empty or the only one.
fn after_first_label(host: &[u8]) -> Option<&[u8]> {
    let dot = memchr::memchr(b'.', host)?;
    (dot > 0).then(|| &host[dot + 1..])
}
