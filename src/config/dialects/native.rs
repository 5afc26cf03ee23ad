//! The native dialect, whose keys `docs/config.md` lists.

use std::path::Path;

use super::dialect::Dialect;
use super::file::ConfigFile;
use crate::config::decode::{Decoder, Filled, Notation, Unfillable};
use crate::config::diagnostics::{Report, Span};
use crate::config::inputs::Inputs;
use crate::config::schema;
use crate::config::source::Source;
use crate::config::values::{ValueError, scalar, substitution};

/// The row of the table.
pub(super) const DIALECT: Dialect = Dialect {
    name: "native",
    about: "Listeners, rules and upstreams",
    keys: &[],
    shared: &[],
    default_files: &["smolgate.yml", "config/smolgate.yml", "/etc/smolgate/smolgate.yml"],
    common_files: &["config.yml", "config/config.yml"],
    option: None,
    syntax: None,
    schema: || schema::file(schema::native()),
    describe: None,
    foreign: None,
    uses_names: false,
    read,
};

/// Adds the files to `source`, one after the other.
fn read(files: Vec<Vec<ConfigFile>>, source: &mut Source, inputs: &dyn Inputs, report: &mut Report) {
    for ConfigFile { path, tree } in files.into_iter().flatten() {
        match tree.tag {
            Some(span) => report.error_hint(span, "tags mean nothing here", "leave the `!` and its word out"),
            None => {
                let dir = path.parent().unwrap_or(Path::new(""));
                source.read(&mut Decoder { report, notation: &NativeNotation { inputs, dir } }, tree.root);
            }
        }
        source.files.push(path);
    }
    source.join_short_forms(report);
}

/// `${env:NAME}` and `${file:path}` in values, and paths from the folder of the file.
struct NativeNotation<'a> {
    inputs: &'a dyn Inputs,
    dir: &'a Path,
}

impl Notation for NativeNotation<'_> {
    fn fill(&self, written: &str, _: Span) -> Result<Filled, Unfillable> {
        let text = substitution::expand(written, self.dir, self.inputs);
        text.map(|text| Filled { text, warnings: Vec::new() })
            .map_err(|(message, hint)| (message, hint.unwrap_or_default()))
    }

    fn dir(&self, _: Span) -> &Path {
        self.dir
    }

    fn flag(&self) -> fn(&str) -> Result<bool, ValueError> {
        scalar::flag
    }

    fn separator(&self) -> Option<char> {
        None
    }
}
