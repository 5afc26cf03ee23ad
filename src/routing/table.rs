//! The index over a listener's rules: hash by host, then a tree of path segments.
//!
//! A rule is in the tree of each of its hosts, or in the tree for any host. A request searches at most three
//! trees: its exact host, the wildcard over it, and any host. Hosts such as `**.example.com` have trees of their
//! own, one for each part of the host behind a dot. The smallest rule index among the results is the first rule
//! in written order:
//!
//! ```text
//!   host ──► exact    ["admin.localhost"] ─► tree: /  ─ users ─ 7
//!        ──► wildcard ["localhost"]       ─► tree          each node: the rules that end here
//!        ──► any                          ─► tree
//! ```
//!
//! A rule with conditions is at the longest literal prefix of its path, and is asked when a request comes by.
//! A host such as `cdn-*.example.com` is a condition in the tree of `*.example.com`, `*.*.example.com` is one in that of
//! `**.example.com`, and `cdn-*.**` is one in the tree for any host.

use std::collections::HashMap;

use super::conditions::RequestView;
use super::hosts::Hosts;
use super::tree::{NONE, Tree, TreeArena, TreeBuilder, Wants};
use crate::config::plan::{HostPlace, Matcher, Rule};

/// Finds the first rule that matches a request. Built once per generation, then only read.
#[derive(Debug)]
pub struct RuleTable {
    exact: Hosts,
    /// Wildcard hosts, by the part after the first label and its dot.
    wildcard: Hosts,
    /// Hosts such as `**.example.com`, by the part behind the stars and their dot.
    deep: Hosts,
    any: Tree,
    arena: TreeArena,
}

impl RuleTable {
    /// Indexes `rules`, which are in the order in which they are tried.
    pub fn build(rules: &[Rule]) -> RuleTable {
        let mut exact: HashMap<&str, TreeBuilder> = HashMap::new();
        let mut wildcard: HashMap<&str, TreeBuilder> = HashMap::new();
        let mut deep: HashMap<&str, TreeBuilder> = HashMap::new();
        let mut any = TreeBuilder::default();
        for (index, rule) in rules.iter().enumerate() {
            let index = u32::try_from(index).expect("invariant: a configuration has fewer than 2^32 rules");
            // The path prefix is one of the prefixes.
            let Matcher { hosts, path_prefix: _, methods, conditions } = rule.matcher();
            let wants = Wants { host: None, methods: methods.into(), conditions: conditions.cloned() };
            for prefix in rule.prefixes() {
                if hosts.is_empty() {
                    any.insert(index, &prefix, wants.clone());
                }
                for host in hosts {
                    let (place, takes_all) = host.place();
                    let builder = match place {
                        HostPlace::Exact(host) => exact.entry(host).or_default(),
                        HostPlace::Wildcard(suffix) => wildcard.entry(suffix).or_default(),
                        HostPlace::Deep(suffix) => deep.entry(suffix).or_default(),
                        HostPlace::Any => &mut any,
                    };
                    let host = (!takes_all).then(|| host.clone());
                    builder.insert(index, &prefix, Wants { host, ..wants.clone() });
                }
            }
        }
        let mut arena = TreeArena::default();
        let mut build = |builders: HashMap<&str, TreeBuilder>| {
            Hosts::build(builders.into_iter().map(|(host, builder)| (host, builder.build_into(&mut arena))))
        };
        let (exact, wildcard, deep) = (build(exact), build(wildcard), build(deep));
        RuleTable { exact, wildcard, deep, any: any.build_into(&mut arena), arena }
    }

    /// Index of the first rule that matches; `None` if no rule does.
    ///
    /// Allocates nothing, unless a condition asks for a query that is encoded. The cost grows with the depth of
    /// this host's path prefixes and with the logarithm of their number. It does not grow with the number of
    /// hosts or with the length of the path. Each rule with conditions on the way is asked by itself.
    pub fn find(&self, request: &RequestView<'_>) -> Option<usize> {
        let mut best = NONE;
        if let Some(tree) = self.exact.get(request.host) {
            best = self.arena.first(tree, request, best);
        }
        if !self.wildcard.is_empty()
            && let Some(suffix) = after_first_label(request.host)
            && let Some(tree) = self.wildcard.get(suffix)
        {
            best = self.arena.first(tree, request, best);
        }
        if !self.deep.is_empty() {
            best = self.first_deep(request, best);
        }
        best = self.arena.first(self.any, request, best);
        (best != NONE).then_some(best as usize)
    }

    /// Searches the tree of every part of the host that stands behind a dot and at least one byte.
    fn first_deep(&self, request: &RequestView<'_>, best: u32) -> u32 {
        let dots = memchr::memchr_iter(b'.', request.host).filter(|dot| *dot > 0);
        let trees = dots.filter_map(|dot| self.deep.get(&request.host[dot + 1..]));
        trees.fold(best, |best, tree| self.arena.first(tree, request, best))
    }
}

/// Returns `example.com` for `www.example.com`; `None` if the first label is empty or the only one.
fn after_first_label(host: &[u8]) -> Option<&[u8]> {
    let dot = memchr::memchr(b'.', host)?;
    (dot > 0).then(|| &host[dot + 1..])
}
