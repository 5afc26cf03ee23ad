//! Guards: rules that keep a path from clients, or from clients that are no users, applied to paths that servers read in
//! more than one way.
//!
//! A rule may drop `/admin`, but `//admin`, `/admin%2F` or `/admin;x` go to a target that reads each of them
//! as `/admin`. So if a rule guards a path, a request that is about to go to a target is checked again, with
//! all readings of its path ([`LoosePath`]).
//!
//! Servers read the path that they get. So if the rule strips its prefix, only the rest has readings, and the
//! prefix stands in front of each of them again: guards are written for the paths of clients.
//!
//! The first rule in written order decides here too. A reading that an earlier rule takes meets no guard, and
//! a guard behind the rule that takes the path as it is written by a prefix does not matter.
//!
//! A reading stands for all paths that have a prefix in common with it, which says nothing about a glob. So a
//! guard with a glob or an expression guards everything below its literal prefix. Other rules with a glob or an
//! expression take no reading.
//! The other conditions are asked of the request itself.

use std::borrow::Cow;
use std::sync::Arc;

use super::conditions::RequestView;
use super::explanation::takes;
use super::table::RuleTable;
use crate::config::plan::{Conditions, PathGlob, Rule};
use crate::http::{LoosePath, behind_prefix};

/// The path of a request as its target gets it.
#[derive(Clone, Copy, Debug)]
struct SentPath<'a> {
    /// The prefix that the rule strips, as written in the rule.
    stripped: &'a str,
    /// The bytes that are sent, without the base path of the target.
    rest: &'a [u8],
}

impl<'a> SentPath<'a> {
    /// The part of `path` behind the prefix that the rule strips. `path` is not decoded.
    fn new(stripped: &'a str, path: &'a [u8]) -> Self {
        Self { stripped, rest: behind_prefix(path, stripped) }
    }

    /// Calls `find` with each of the `loose` readings, behind the stripped prefix, until it finds something.
    /// Prefixes of rules have at most `longest` bytes.
    fn find_reading<T>(
        self,
        loose: &LoosePath,
        longest: usize,
        mut find: impl FnMut(&[u8]) -> Option<T>,
    ) -> Option<T> {
        let mut path = loosest(self.stripped).trim_end_matches('/').as_bytes().to_vec();
        let stripped = path.len();
        loose.readings(longest).find_map(|reading| {
            path.truncate(stripped);
            // A rule sees one byte more than its prefix: the end of the segment.
            path.extend(reading.iter().take(longest.saturating_add(1)));
            find(&path)
        })
    }
}

/// The rules of a listener that guard a path. Built once per generation, then only read.
#[derive(Debug)]
pub struct Guards {
    /// The index of each guard among all rules.
    indices: Vec<usize>,
    /// The guards, with their paths in the loosest reading.
    table: RuleTable,
    /// The guards as if each of them guarded all paths.
    anywhere: RuleTable,
    /// Bytes of the longest path prefix of all rules.
    longest: usize,
}

impl Guards {
    /// Collects the guards among `rules`. `None` if there are none, as on most listeners.
    pub fn build(rules: &[Rule]) -> Option<Guards> {
        let guards = rules.iter().enumerate().filter(|(_, rule)| rule.guards());
        let (indices, guards): (Vec<usize>, Vec<&Rule>) = guards.unzip();
        let seen_as = |see: fn(&Rule) -> Rule| guards.iter().map(|guard| see(guard)).collect();
        let [table, anywhere]: [Vec<Rule>; 2] = [seen_as(loosely), seen_as(for_all_paths)];
        let longest = table.iter().chain(rules).flat_map(Rule::prefixes).map(|prefix| prefix.len()).max()?;
        let [table, anywhere] = [table, anywhere].map(|guards| RuleTable::build(&guards));
        (!indices.is_empty()).then_some(Guards { indices, table, anywhere, longest })
    }

    /// Index of a rule that guards the path in one of its readings. If all servers read the path alike, the
    /// result is `None`, because the rules have judged that path already.
    ///
    /// `rules` is the index over all rules. `matched` is the rule that it finds for the path as it is written, with its
    /// index. `path` is not decoded.
    ///
    /// Allocates only for a path that has more than one reading. The cost does not grow with the length of
    /// the path, apart from reading it.
    pub fn find(
        &self,
        rules: &RuleTable,
        (matched, rule): (usize, &Rule),
        path: &[u8],
        request: &RequestView<'_>,
    ) -> Option<usize> {
        let path = SentPath::new(rule.stripped_prefix(), path);
        let loose = LoosePath::read(path.rest)?;
        let first_guard = |guards: &RuleTable, reading: &[u8], taker: usize| {
            let reading = request.read_as(reading);
            let guard = self.indices[guards.find(&RequestView { is_reading: false, ..reading })?];
            let first = rules.find(&reading).map_or(taker, |first| first.min(taker));
            (guard <= first).then_some(guard)
        };
        if loose.wanders() {
            return first_guard(&self.anywhere, b"/", usize::MAX);
        }
        let taker = takers(matched, rule);
        let guard =
            path.find_reading(&loose, self.longest, |reading| first_guard(&self.table, reading, taker));
        // A rule that asks for a user has asked.
        guard.filter(|guard| *guard != matched)
    }
}

/// Finds what [`Guards::find`] finds, by trying rule after rule.
pub fn explain_guard(
    rules: &[Rule],
    matched: usize,
    path: &[u8],
    request: &RequestView<'_>,
) -> Option<usize> {
    let rule = rules.get(matched);
    let path = SentPath::new(rule.map_or("", Rule::stripped_prefix), path);
    let loose = LoosePath::read(path.rest)?;
    let first_guard = |rules: &[Rule], guard_as: fn(&Rule) -> Rule, reading: &[u8]| {
        let reading = request.read_as(reading);
        let takes = |rule: &Rule| match rule.guards() {
            true => takes(&guard_as(rule), &RequestView { is_reading: false, ..reading }),
            false => takes(rule, &reading),
        };
        let first = rules.iter().position(takes);
        first.filter(|index| rules[*index].guards())
    };
    if loose.wanders() {
        return first_guard(rules, for_all_paths, b"/");
    }
    let before = &rules[..rule.map_or(matched, |rule| takers(matched, rule)).min(rules.len())];
    path.find_reading(&loose, usize::MAX, |reading| first_guard(before, loosely, reading))
}

/// The number of rules that come before `rule` for a reading. A rule with a prefix, which has taken the path as it is
/// written, takes its readings too. One with a glob or an expression may not take them, so that all rules count.
fn takers(matched: usize, rule: &Rule) -> usize {
    if rule.has_path_patterns() { usize::MAX } else { matched }
}

/// The guard with its own path in the loosest reading, so that a path that was written with an escape is found
/// in every spelling.
fn loosely(guard: &Rule) -> Rule {
    let below = |prefix: &Arc<str>| PathGlob::below(plain(&loosest(prefix)));
    let prefixes = if guard.has_path_patterns() { guard.prefixes() } else { Vec::new() };
    let globs = prefixes.iter().map(below).collect();
    with_paths(guard, plain(&loosest(&guard.path_prefix)), globs)
}

/// The guard as it counts for a path that may lead to any other.
fn for_all_paths(guard: &Rule) -> Rule {
    with_paths(guard, "/", Vec::new())
}

fn with_paths(guard: &Rule, path_prefix: &str, paths: Vec<PathGlob>) -> Rule {
    let seen_as =
        |conditions: &Conditions| Conditions { paths, expressions: Vec::new(), ..conditions.clone() };
    let conditions = guard.conditions.as_deref().map(seen_as);
    Rule { path_prefix: path_prefix.into(), conditions: conditions.map(Into::into), ..guard.clone() }
}

/// The loosest reading of a prefix.
fn loosest(prefix: &str) -> Cow<'_, str> {
    let loose = LoosePath::read(prefix.as_bytes());
    loose.map_or(prefix.into(), |loose| String::from_utf8_lossy(loose.loosest()).into_owned().into())
}

/// The prefix without a slash at its end, as in rules.
fn plain(path: &str) -> &str {
    if path == "/" { path } else { path.trim_end_matches('/') }
}
