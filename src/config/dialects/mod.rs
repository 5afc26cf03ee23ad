//! The dialects: kinds of file that a configuration can be written in. Each has a file or a folder here, and a row
//! in the table.
//!
//! A dialect adds to the one `Source` and does not know the plan that is made of it. Names, defaults and checks
//! are the same for all dialects.

#[cfg(feature = "compose")]
mod compose;

#[cfg(feature = "dialects")]
mod go_proxy;

#[cfg(feature = "dialects")]
pub(in crate::config) mod locci;

#[cfg(feature = "prox")]
mod prox;

#[cfg(feature = "dialects")]
mod plain;

mod native;

mod dialect;

mod file;

pub use dialect::FileOption;
pub(crate) use dialect::{Dialect, Parse};
pub(crate) use file::ConfigFile;

use std::path::Path;

use super::diagnostics::Report;
use super::schema;
use super::syntax::{Node, Value};

/// The dialects in the order in which they are read. The first has no keys of its own: it takes every file without
/// a key of another dialect.
pub(crate) const DIALECTS: &[Dialect] = &[
    native::DIALECT,
    #[cfg(feature = "compose")]
    compose::DIALECT,
    #[cfg(feature = "dialects")]
    go_proxy::DIALECT,
    #[cfg(feature = "dialects")]
    locci::DIALECT,
    #[cfg(feature = "prox")]
    prox::DIALECT,
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

    /// The files that are tried after those, if a key tells that they are ours.
    pub fn common_files() -> impl Iterator<Item = &'static str> {
        DIALECTS.iter().flat_map(|dialect| dialect.common_files.iter().copied())
    }

    /// Whether a key at the top tells any format.
    pub(crate) fn knows(root: &Node) -> bool {
        let own = DIALECTS.iter().flat_map(|dialect| dialect.keys.iter().copied());
        own.chain(schema::top_keys()).any(|key| root.get(key).is_some())
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

    /// Reports keys of other formats at the top of a file of this one, and takes them out: they would have no effect.
    pub(crate) fn refuse_other_keys(self, root: &mut Node, report: &mut Report) {
        let dialect = &DIALECTS[self.0];
        let (Value::Map(entries), false) = (&mut root.value, dialect.keys.is_empty()) else { return };
        let own = entries.iter().map(|(key, _)| key).find(|key| dialect.keys.contains(&key.value.as_str()));
        let hint = match own {
            Some(own) => {
                let line = report.origin(own.span).line;
                format!(
                    "`{}` in line {line} makes it one: put it and this into two files, each named with -c",
                    own.value
                )
            }
            None => "put it into a file of its own, and name that with -c".to_owned(),
        };
        entries.retain(|(key, _)| {
            let others = self.has_other_key(&key.value);
            if others {
                let message = format!("`{}` means nothing in a {} file", key.value, dialect.name);
                report.error_hint(key.span, message, hint.as_str());
            }
            !others
        });
    }

    /// Whether a key is one of the native format that this one has not, or tells of a third.
    fn has_other_key(self, key: &str) -> bool {
        let Dialect { keys, shared, .. } = &DIALECTS[self.0];
        let is_native = schema::top_keys().any(|native| native == key);
        !keys.contains(&key)
            && !shared.contains(&key)
            && (is_native || DIALECTS.iter().any(|other| other.keys.contains(&key)))
    }

    /// The format of a file, by its keys.
    pub(crate) fn of(path: &Path, root: &Node) -> Self {
        let is_own =
            |dialect: &Dialect| dialect.syntax.as_ref().is_some_and(|syntax| (syntax.is_own)(path, root));
        let has_own_key = |dialect: &Dialect| dialect.keys.iter().any(|key| root.get(key).is_some());
        let found = DIALECTS.iter().position(is_own).or_else(|| DIALECTS.iter().position(has_own_key));
        Self(found.unwrap_or(0))
    }

    /// The parser of a text that is not YAML. `format` is that of the file, if it is known.
    pub(crate) fn parser(format: Option<Self>, path: &Path, text: &str) -> Option<Parse> {
        let rows = DIALECTS.iter().enumerate();
        rows.filter(|(index, _)| format.is_none_or(|format| format == Self(*index))).find_map(
            |(_, dialect)| {
                let syntax = dialect.syntax.as_ref()?;
                let is_meant = format.is_some() && text.trim_start().starts_with(['{', '[']);
                (is_meant || (syntax.takes)(path, text)).then_some(syntax.parse)
            },
        )
    }

    /// The extensions of files for which a folder stands.
    pub fn suffixes() -> impl Iterator<Item = &'static str> {
        let own = DIALECTS.iter().filter_map(|dialect| dialect.syntax.as_ref());
        ["yml", "yaml"].into_iter().chain(own.map(|syntax| syntax.suffix))
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
