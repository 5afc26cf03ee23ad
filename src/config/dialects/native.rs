//! The native dialect, whose keys `docs/config.md` lists.

use std::path::Path;

use super::dialect::Dialect;
use super::file::ConfigFile;
use crate::config::decode::Decoder;
use crate::config::diagnostics::Report;
use crate::config::inputs::Inputs;
use crate::config::source::Source;

/// The row of the table.
pub(super) const DIALECT: Dialect = Dialect {
    name: "native",
    about: "Listeners, rules and upstreams",
    keys: &[],
    default_files: &["smolgate.yml", "config/smolgate.yml", "/etc/smolgate/smolgate.yml"],
    option: None,
    read,
};

/// Adds the files to `source`, one after the other.
fn read(files: Vec<ConfigFile>, source: &mut Source, inputs: &dyn Inputs, report: &mut Report) {
    for ConfigFile { path, tree } in files {
        match tree.tag {
            Some(span) => report.error_hint(span, "tags mean nothing here", "leave the `!` and its word out"),
            None => {
                let dir = path.parent().unwrap_or(Path::new(""));
                source.read(&mut Decoder { report, inputs, dir }, tree.root);
            }
        }
        source.files.push(path);
    }
    source.join_short_forms(report);
}
