//! Writes YAML line by line.

use std::fmt::{Display, Write};
use std::path::Path;
use std::sync::Arc;

use super::keys::yaml::{list, quote, quote_key};

/// The text, and the one way to write a line.
#[derive(Default)]
pub(super) struct Yaml(pub(super) String);

impl Yaml {
    pub(super) fn line(&mut self, depth: usize, key: &str, value: impl Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{:1$}{key}: {value}", "", depth * 2);
    }

    pub(super) fn open(&mut self, depth: usize, key: &str) {
        let _ = writeln!(self.0, "{:1$}{key}:", "", depth * 2);
    }

    /// The lines of settings that a table has.
    pub(super) fn settings(&mut self, depth: usize, lines: Vec<(&str, String)>) {
        lines.into_iter().for_each(|(key, value)| self.line(depth, key, value));
    }

    /// `key:` and one `- ` for each item. `write` puts the lines of an item two levels deeper.
    pub(super) fn list<T>(&mut self, depth: usize, key: &str, items: &[T], write: impl Fn(&mut Yaml, &T)) {
        if items.is_empty() {
            return;
        }
        self.open(depth, key);
        for item in items {
            let start = self.0.len();
            write(self, item);
            let dash = start + depth * 2 + 2;
            self.0.replace_range(dash..dash + 1, "-");
        }
    }
}

/// A path in double quotes.
pub(super) fn path(path: &Path) -> String {
    quote(&path.display().to_string())
}

/// Writes fields. Those of one name are side by side in a plan, because one key with a list wrote them.
pub(super) fn write_headers(out: &mut Yaml, depth: usize, headers: &[(Arc<str>, Arc<str>)]) {
    for same in headers.chunk_by(|a, b| a.0 == b.0) {
        out.line(depth, &quote_key(&same[0].0), list(same.iter().map(|(_, value)| value)));
    }
}

/// A list, or the word for an empty one.
pub(super) fn list_or_none<T: Display>(items: impl ExactSizeIterator<Item = T>) -> String {
    if items.len() == 0 { "none".to_owned() } else { list(items) }
}
