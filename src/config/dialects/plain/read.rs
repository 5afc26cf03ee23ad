//! Files that are read one after the other.

use std::path::Path;

use super::notation::PlainNotation;
use crate::config::decode::Decoder;
use crate::config::diagnostics::Report;
use crate::config::dialects::file::ConfigFile;
use crate::config::inputs::Inputs;
use crate::config::source::Source;
use crate::config::syntax::{Node, Value};

/// Adds each file by `read`. Keys without a value count as missing, as in the programs that have these files.
pub(in crate::config::dialects) fn each(
    files: Vec<Vec<ConfigFile>>,
    source: &mut Source,
    (inputs, report): (&dyn Inputs, &mut Report),
    read: fn(&mut Decoder<'_>, Node, &mut Source, &dyn Inputs),
) {
    for ConfigFile { path, mut tree } in files.into_iter().flatten() {
        match tree.tag {
            Some(span) => report.error_hint(span, "tags mean nothing here", "leave the `!` and its word out"),
            None => {
                let dir = path.parent().unwrap_or(Path::new(""));
                take_out_empty(&mut tree.root);
                let notation = PlainNotation { inputs, dir };
                read(&mut Decoder { report, notation: &notation }, tree.root, source, inputs);
            }
        }
        source.files.push(path);
    }
}

/// Takes out keys without a value, at every depth.
fn take_out_empty(node: &mut Node) {
    match &mut node.value {
        Value::Map(entries) => {
            entries.retain(|(_, node)| !matches!(node.value, Value::Null));
            entries.iter_mut().for_each(|(_, node)| take_out_empty(node));
        }
        Value::List(items) => items.iter_mut().for_each(take_out_empty),
        Value::Null | Value::Scalar(_) => {}
    }
}
