//! The dialects: kinds of file that a configuration can be written in. Each has a file or a folder here, and a row
//! in the table.
//!
//! A dialect adds to the one [`Source`] and does not know the plan that is made of it. Names, defaults and checks
//! are the same for all dialects.

mod compose;
mod native;

mod file;

pub(crate) use file::ConfigFile;

use super::diagnostics::Report;
use super::inputs::Inputs;
use super::source::Source;
use super::syntax::Node;

/// A row of the table.
pub(crate) struct Dialect {
    /// The value of `--format`.
    name: &'static str,
    /// The description in `--help`.
    about: &'static str,
    /// Keys at the top of a file that only this dialect has.
    keys: &'static [&'static str],
    /// Adds all files of this dialect, in the order in which they were named.
    pub(crate) read: fn(Vec<ConfigFile>, &mut Source, &dyn Inputs, &mut Report),
}

/// The dialects in the order in which they are read. The first has no keys of its own: it takes every file without
/// a key of another dialect.
pub(crate) const DIALECTS: [Dialect; 2] = [
    Dialect { name: "native", about: "Listeners, rules and upstreams", keys: &[], read: native::read },
    Dialect {
        name: "compose",
        about: "Services with labels",
        keys: &["services", "include"],
        read: compose::read,
    },
];

/// A dialect, by its index in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format(pub(crate) usize);

impl Format {
    /// Compose files.
    pub(crate) const COMPOSE: Self = Self(1);

    /// The name and the description of every format.
    pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
        DIALECTS.iter().map(|dialect| (dialect.name, dialect.about))
    }

    /// The format of that name.
    pub fn named(name: &str) -> Option<Self> {
        DIALECTS.iter().position(|dialect| dialect.name == name).map(Self)
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
        assert_eq!(Format::named("compose"), Some(Format::COMPOSE));
        assert_eq!(Format::named("other"), None);
        assert!(DIALECTS[0].keys.is_empty() && DIALECTS[1..].iter().all(|dialect| !dialect.keys.is_empty()));
    }
}
