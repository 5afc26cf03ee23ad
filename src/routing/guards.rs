//! Guards: rules that keep a path from clients, applied to paths that servers read in more than one way.
//!
//! A rule may drop `/admin`, but `//admin`, `/admin%2F` or `/admin;x` go to a target that reads each of them
//! as `/admin`. So if a rule guards a path, a request that is about to go to a target is checked again. This
//! check uses the path as the loosest server would read it ([`loose_path`]).

use super::explanation::takes;
use super::table::RuleTable;
use crate::config::plan::Rule;
use crate::http::loose_path;

/// The rules of a listener that guard a path. Built once per generation, then only read.
#[derive(Debug)]
pub struct Guards {
    /// The index of each guard among all rules.
    rules: Vec<usize>,
    table: RuleTable,
}

impl Guards {
    /// Collects the guards among `rules`. `None` if there are none, as on most listeners.
    pub fn build(rules: &[Rule]) -> Option<Guards> {
        let (rules, guards): (Vec<usize>, Vec<Rule>) = guards(rules).unzip();
        (!rules.is_empty()).then(|| Guards { rules, table: RuleTable::build(&guards) })
    }

    /// Index of a rule that guards the path in its loosest reading. If all servers read the path alike, the
    /// result is `None`, because the rules have judged that path already. The arguments are those of
    /// [`RuleTable::find`], except that `path` is the path that a target would get.
    ///
    /// Allocates only for a path that has more than one reading.
    pub fn find(&self, host: &[u8], path: &[u8], method: &[u8]) -> Option<usize> {
        let guard = self.table.find(host, &loose_path(path)?, method)?;
        Some(self.rules[guard])
    }
}

/// Finds the first rule that guards the path in its loosest reading, by trying rule after rule.
pub fn explain_guard(rules: &[Rule], host: &[u8], path: &[u8], method: &[u8]) -> Option<usize> {
    let path = loose_path(path)?;
    let guard = guards(rules).find(|(_, rule)| takes(rule, host, &path, method));
    guard.map(|(index, _)| index)
}

/// Each rule that guards a path, with its index. The rule's own path is in its loosest reading too, so a path
/// that was written with an escape is found in every spelling.
fn guards(rules: &[Rule]) -> impl Iterator<Item = (usize, Rule)> {
    let loosely = |rule: &Rule| {
        let prefix = loose_path(rule.path_prefix.as_bytes());
        let prefix = prefix.map(|path| plain(&String::from_utf8_lossy(&path)).into());
        Rule { path_prefix: prefix.unwrap_or_else(|| rule.path_prefix.clone()), ..rule.clone() }
    };
    rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| rule.guards())
        .map(move |(index, rule)| (index, loosely(rule)))
}

/// The prefix without a slash at its end, as in rules.
fn plain(path: &str) -> &str {
    if path == "/" { path } else { path.trim_end_matches('/') }
}
