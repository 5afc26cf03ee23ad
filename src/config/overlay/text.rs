//! The text of the changes becomes nodes with places.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::entries::{ENTRIES_MAX, List, Overlay};
use crate::config::decode::{Decoder, Filled, MappingReader, Notation, Unfillable};
use crate::config::diagnostics::{Report, Span};
use crate::config::syntax::{Node, yaml};
use crate::config::values::{ValueError, scalar};

/// The name of a text that is in no file.
pub(super) const IN_MEMORY: &str = "api";

/// Values of the control API: nothing is filled in, because a client may not read files and variables of the gate.
pub(super) struct Literal;

impl Notation for Literal {
    fn fill(&self, written: &str, _: Span) -> Result<Filled, Unfillable> {
        Ok(Filled { text: written.to_owned(), warnings: Vec::new() })
    }

    fn dir(&self, _: Span) -> &Path {
        Path::new("")
    }

    fn flag(&self) -> fn(&str) -> Result<bool, ValueError> {
        scalar::flag
    }

    fn separator(&self) -> Option<char> {
        None
    }

    fn tells_of_other_proxies(&self) -> bool {
        false
    }
}

/// The nodes of each list.
pub(super) type Nodes = [Vec<Node>; 4];

/// Reads a text. `None` if it is wrong, which was reported.
pub(super) fn read(text: &str, name: &Path, report: &mut Report) -> Option<(Overlay, Nodes)> {
    let file = report.add_file(name, &Arc::from(text));
    let mut overlay = Overlay::default();
    let mut written: Value = match serde_json::from_str(text) {
        Ok(written) => written,
        Err(error) => {
            let hint =
                "it is written by the gate: undo your edit, or remove the file and make the changes again";
            let start =
                text.lines().take(error.line().saturating_sub(1)).map(|line| line.len() + 1).sum::<usize>();
            let start = (start + error.column().saturating_sub(1)).min(text.len()) as u32;
            report.error_hint(Span { file, start, end: start }, format!("this is not JSON: {error}"), hint);
            return None;
        }
    };
    let root = yaml::parse(text, file, report)?.root;
    let span = root.span;
    let mut nodes = Nodes::default();
    let mut decoder = Decoder { report, notation: &Literal };
    let mut fields = MappingReader::open(&mut decoder, root, "the changes of the control API")?;
    for list in List::ALL {
        let items = fields.field(list.key(), |decoder, node| Some(decoder.list(node, "a list of changes")));
        nodes[list as usize] = items.unwrap_or_default();
        if let Some(Value::Array(entries)) = written.get_mut(list.key()) {
            overlay.lists[list as usize] = std::mem::take(entries);
        }
    }
    fields.close();
    if overlay.count() > ENTRIES_MAX {
        let hint = "write them into a file of the configuration";
        report.error_hint(span, format!("there are more than {ENTRIES_MAX} changes"), hint);
        return None;
    }
    Some((overlay, nodes))
}
