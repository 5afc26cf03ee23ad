//! The dialects: kinds of file that a configuration can be written in. Each has a file or a folder here, and a row
//! in the table.
//!
//! A dialect adds to the one `Source` and does not know the plan that is made of it. Names, defaults and checks
//! are the same for all dialects.

#[cfg(feature = "compose")]
mod compose;

mod native;

mod dialect;

mod file;

pub(crate) use dialect::Dialect;
pub use dialect::FileOption;
pub(crate) use file::ConfigFile;

use super::diagnostics::Report;
use super::schema;
use super::syntax::{Node, Value};

/// The dialects in the order in which they are read. The first has no keys of its own: it takes every file without
/// a key of another dialect.
pub(crate) const DIALECTS: &[Dialect] = &[
    native::DIALECT,
    #[cfg(feature = "compose")]
    compose::DIALECT,
];

/// A dialect, by its index in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format(pub(crate) usize);

impl Format {
    /// The name and the description of every format.
    pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
        DIALECTS.iter().map(|dialect| (dialect.name, dialect.about))
    }

    /// The formats with an option of their own, and the option's name.
    pub fn options() -> impl Iterator<Item = (Self, &'static str, &'static FileOption)> {
        let option = |(index, dialect): (usize, &'static Dialect)| {
            Some((Self(index), dialect.name, dialect.option.as_ref()?))
        };
        DIALECTS.iter().enumerate().filter_map(option)
    }

    /// The files that are tried if none is named, in order, each with its format.
    pub fn default_files() -> impl Iterator<Item = (Self, &'static str)> {
        let files = |(index, dialect): (usize, &'static Dialect)| {
            dialect.default_files.iter().map(move |file| (Self(index), *file))
        };
        DIALECTS.iter().enumerate().flat_map(files)
    }

    /// A JSON Schema of its files, for editors.
    pub fn schema(self) -> serde_json::Value {
        (DIALECTS[self.0].schema)()
    }

    /// The format of that name.
    pub fn named(name: &str) -> Option<Self> {
        DIALECTS.iter().position(|dialect| dialect.name == name).map(Self)
    }

    /// The programs whose labels can be written anew.
    pub fn foreign_names() -> impl Iterator<Item = &'static str> {
        let foreign = DIALECTS.iter().filter_map(|dialect| dialect.foreign.as_ref());
        foreign.flat_map(|foreign| foreign.names.iter().copied())
    }

    /// Reports keys of the native format at the top of a file of this one, which would have no effect.
    pub(crate) fn report_native_keys(self, root: &Node, report: &mut Report) {
        let dialect = &DIALECTS[self.0];
        let (Value::Map(entries), false) = (&root.value, dialect.keys.is_empty()) else { return };
        let keys = || entries.iter().map(|(key, _)| key);
        let hint = match keys().find(|key| dialect.keys.contains(&key.value.as_str())) {
            Some(own) => {
                let line = report.origin(own.span).line;
                format!(
                    "`{}` in line {line} makes it one: put it and this into two files, each named with -c",
                    own.value
                )
            }
            None => "put it into a file of its own, and name that with -c".to_owned(),
        };
        for key in keys().filter(|key| schema::top_keys().any(|native| native == key.value)) {
            let message = format!("`{}` means nothing in a {} file", key.value, dialect.name);
            report.error_hint(key.span, message, hint.as_str());
        }
    }

    /// The format of a tree, by its keys.
    pub(crate) fn of(root: &Node) -> Self {
        let has_own_key = |dialect: &Dialect| dialect.keys.iter().any(|key| root.get(key).is_some());
        Self(DIALECTS.iter().position(has_own_key).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_a_place_in_the_table() {
        for (index, dialect) in DIALECTS.iter().enumerate() {
            assert_eq!(Format::named(dialect.name), Some(Format(index)));
        }
        assert_eq!(Format::named("other"), None);
        assert!(DIALECTS[0].keys.is_empty() && DIALECTS[1..].iter().all(|dialect| !dialect.keys.is_empty()));
    }
}
