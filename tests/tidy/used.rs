//! Rows of tables that nothing uses: a reason without a cause, a key without an effect, a counter that never counts.

use crate::source::{Source, words};

/// A file with rows, how the name of a row begins as a word of code, and where the row is used if not here.
pub(crate) struct Table {
    pub(crate) file: &'static str,
    /// The name of a row, if the line is one.
    pub(crate) name: fn(&str) -> Option<&str>,
    /// Stands before the name where it is used.
    pub(crate) prefix: &'static str,
    /// The folder or file in which a use does not count.
    pub(crate) own: &'static str,
}

/// Every table.
pub(crate) const TABLES: [Table; 6] = [
    Table { file: "src/reason.rs", name: reason, prefix: "Reason::", own: "src/reason.rs" },
    Table { file: "src/config/plan/rule.rs", name: key, prefix: "", own: "src/config/" },
    Table { file: "src/config/plan/listener.rs", name: key, prefix: "", own: "src/config/" },
    Table { file: "src/config/plan/upstream/upstream.rs", name: key, prefix: "", own: "src/config/" },
    Table { file: "src/config/plan/top_level.rs", name: key, prefix: "", own: "src/config/" },
    Table { file: "src/metrics/series.rs", name: counter, prefix: "", own: "src/metrics/" },
];

/// Keys that a method beside the table reads.
const READ_BESIDE: [&str; 2] = ["head_fields_max", "target_bytes_max"];

/// `Name` of `Name = "code", 400, "error", "A sentence.";`
fn reason(line: &str) -> Option<&str> {
    line.ends_with(".\";").then(|| line.trim().split_once(" = \"")).flatten().map(|(name, _)| name)
}

/// `name` of `name: Type = default, SHAPE;`
fn key(line: &str) -> Option<&str> {
    let (name, value) = line.trim().split_once(": ")?;
    let shape = value.strip_suffix(';')?.rsplit_once(", ")?.1;
    let is_constant = shape.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    (is_constant && value.contains(" = ")).then_some(name)
}

/// `name` of `pub name: Counter,`
fn counter(line: &str) -> Option<&str> {
    line.trim().strip_prefix("pub ")?.strip_suffix(": Counter,")
}

/// Reports rows that no other code names.
pub(crate) fn unused(table: &Table, text: &str, sources: &[Source]) -> Vec<String> {
    let Table { file, name, prefix, own } = table;
    let rows: Vec<&str> = text.lines().filter_map(*name).collect();
    assert!(!rows.is_empty(), "{file} has no rows");
    let others: Vec<&Source> = sources.iter().filter(|source| !source.path.starts_with(own)).collect();
    let is_used = |row: &&str| {
        let word = format!("{prefix}{row}");
        others.iter().any(|source| words(&source.production, &word).next().is_some())
    };
    let unused = rows.iter().filter(|row| !READ_BESIDE.contains(row) && !is_used(row));
    unused.map(|row| format!("{file}: nothing outside {own} uses `{row}`")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_only_its_own_folder_and_tests_name_is_unused() {
        let text = "        a_timeout: Duration = Duration::from_secs(60), TIMEOUT;\n        b: bool = false, FLAG;\n";
        let table = &TABLES[1];
        let unused = |path, code| unused(table, text, &[Source::new(path, code)]).len();
        assert_eq!(unused("src/proxy/a.rs", "fn f() { g(limits.a_timeout, limits.b) }"), 0);
        assert_eq!(unused("src/proxy/a.rs", "fn f() { g(limits.a_timeout) } // b\n"), 1);
        assert_eq!(unused("src/config/a.rs", "fn f() { g(limits.a_timeout, limits.b) }"), 2);
        assert_eq!(unused("src/proxy/a.rs", "#[cfg(test)]\nmod tests { fn f() { g(a_timeout, b) } }"), 2);
    }

    #[test]
    fn rows_are_told_from_other_lines() {
        assert_eq!(reason("    A = \"a\", 400, \"\", \"A sentence.\";"), Some("A"));
        assert_eq!(key("    pub a: bool,"), None);
        assert_eq!(key("    let a: bool = f(b, c);"), None);
        assert_eq!(counter("    pub opened: Counter,"), Some("opened"));
        assert_eq!(counter("    pub duration: Histogram,"), None);
    }
}
