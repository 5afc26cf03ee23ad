//! Rules that keep a path from clients, asked about paths that servers read in more than one way.
//!
//! `/admin` may be dropped here, and `//admin`, `/admin%2F` or `/admin;x` go to a target that reads each of
//! them as `/admin`. So where some rule guards a path, a request that is about to go to a target is looked at
//! once more, as the loosest of servers would read it ([`loose_path`]).

use super::explanation::takes;
use super::table::RuleTable;
use crate::config::plan::Rule;
use crate::http::loose_path;

/// The rules of a listener that guard a path. Built once per generation, then only read.
#[derive(Debug)]
pub struct Guards {
    /// Index of each among all rules.
    rules: Vec<usize>,
    table: RuleTable,
}

impl Guards {
    /// Those among `rules`; `None` where there are none, as on most listeners.
    pub fn build(rules: &[Rule]) -> Option<Guards> {
        let (rules, guards): (Vec<usize>, Vec<Rule>) = guards(rules).unzip();
        (!rules.is_empty()).then(|| Guards { rules, table: RuleTable::build(&guards) })
    }

    /// Index of a rule that guards the path in its loosest reading; `None` also where all servers read the
    /// path alike, since the rules have been asked about that already. The arguments are those of
    /// [`RuleTable::find`], but for the path: that is the one a target would get.
    ///
    /// Allocates only for a path that has more than one reading.
    pub fn find(&self, host: &[u8], path: &[u8], method: &[u8]) -> Option<usize> {
        let guard = self.table.find(host, &loose_path(path)?, method)?;
        Some(self.rules[guard])
    }
}

/// The same question asked slowly, rule by rule: the first that guards the path in its loosest reading.
pub fn explain_guard(rules: &[Rule], host: &[u8], path: &[u8], method: &[u8]) -> Option<usize> {
    let path = loose_path(path)?;
    let guard = guards(rules).find(|(_, rule)| takes(rule, host, &path, method));
    guard.map(|(index, _)| index)
}

/// Each rule that guards a path and its index. Its own path is the loosest reading too, so that one that was
/// written with an escape is found by every way to write it.
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

/// A prefix without a slash at its end, as rules have it.
fn plain(path: &str) -> &str {
    if path == "/" { path } else { path.trim_end_matches('/') }
}
