//! All changes of a load.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::entries::{Asked, List, Overlay};
use super::entry::Outcome;
use super::text::{self, IN_MEMORY};
use super::{routes, upstreams};
use crate::config::diagnostics::{Report, Severity, Span};
use crate::config::inputs::Inputs;
use crate::config::plan::OverlayPlace;
use crate::config::source::Source;
use crate::config::syntax::Node;

/// Lays the changes over the files. Returns those that still hold.
///
/// `known` are those of the running gate, perhaps with one that is asked for. A file that keeps changes comes before
/// them. An entry of the files that is needless now is dropped, and one that does not fit is left out and reported. If
/// a change is asked for, the load fails if that change, or one that did fit before, does not.
pub(crate) fn apply(
    known: &Overlay,
    source: &mut Source,
    inputs: &dyn Inputs,
    report: &mut Report,
) -> Overlay {
    let edits = source.internal_api.as_ref().and_then(|api| api.value.edits.clone());
    let Some(edits) = edits else {
        if known.asked.is_some() {
            let hint = "write `edits: memory` or `edits: FILE` under `internal_api`";
            report.error_without_place(
                "nothing can be changed: the files have no `edits` any more",
                Some(hint),
            );
        }
        return Overlay::default();
    };
    let Some((text, name)) = text_of(known, &edits.value, edits.span, inputs, report) else {
        return known.clone();
    };
    let Some((mut overlay, nodes)) = text::read(&text, &name, report) else { return known.clone() };
    let mut run = Run { known, source, report, made: false };
    for (list, nodes) in List::ALL.into_iter().zip(nodes) {
        let entries = std::mem::take(&mut overlay.lists[list as usize]);
        for (index, (node, entry)) in nodes.into_iter().zip(entries).enumerate() {
            match run.end(list, index, node, &entry.to_string()) {
                End::Holds => {}
                End::IsLeftOut => drop(overlay.rejected.insert(entry.to_string())),
                End::IsDropped => continue,
            }
            overlay.lists[list as usize].push(entry);
        }
    }
    overlay.made = run.made;
    overlay
}

/// The names of the upstreams that the changes add, for files that use them. Errors are for [`apply`] to report.
pub(crate) fn upstream_names(known: &Overlay, source: &Source, inputs: &dyn Inputs) -> Vec<Arc<str>> {
    let edits = source.internal_api.as_ref().and_then(|api| api.value.edits.clone());
    let text = edits
        .and_then(|edits| Some(text_of(known, &edits.value, edits.span, inputs, &mut Report::default())?.0));
    let written: Value = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let added = written.get(List::Upstreams.key()).and_then(Value::as_array);
    let names = added.into_iter().flatten().filter_map(|one| one.get("name")?.as_str());
    names.map(Arc::from).collect()
}

/// The text of the changes and its name. `None` if there are none, or if the file cannot be read, which was reported.
fn text_of(
    known: &Overlay,
    place: &OverlayPlace,
    span: Span,
    inputs: &dyn Inputs,
    report: &mut Report,
) -> Option<(String, std::path::PathBuf)> {
    let name = place.file().map_or(Path::new(IN_MEMORY), |path| path);
    if let (Some(path), None) = (place.file(), &known.asked) {
        match inputs.read(path) {
            Ok(text) => return Some((text, name.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let message = format!("{} cannot be read: {error}", path.display());
                report.error_hint(span, message, "name a file that the gate may write");
                return None;
            }
        }
    }
    known.text().map(|text| (text, name.into()))
}

/// How an entry goes on.
enum End {
    Holds,
    IsLeftOut,
    IsDropped,
}

/// One load.
struct Run<'a> {
    known: &'a Overlay,
    source: &'a mut Source,
    report: &'a mut Report,
    made: bool,
}

impl Run<'_> {
    fn end(&mut self, list: List, index: usize, node: Node, written: &str) -> End {
        let is_asked = self.known.asked == Some(Asked::Entry(list, index));
        match self.outcome(list, node) {
            Outcome::Applied(made) => {
                self.made |= made && is_asked;
                End::Holds
            }
            Outcome::Invalid => End::Holds,
            Outcome::Needless(conflict, span, message) if is_asked => {
                self.report.conflict = Some(conflict);
                self.report.error(span, message);
                End::Holds
            }
            Outcome::Needless(_, span, message) => {
                let hint = "the change of the control API is dropped";
                self.report.warning(Some(span), message, hint);
                End::IsDropped
            }
            Outcome::Unfit(span, message, hint) => {
                let fatal = self.known.asked.is_some() && !self.known.rejected.contains(written);
                let hint = match fatal {
                    true => hint.to_owned(),
                    false => format!("the change of the control API is left out until it fits: {hint}"),
                };
                self.report.add(Severity::Error, fatal, Some(span), message, Some(hint));
                End::IsLeftOut
            }
        }
    }

    fn outcome(&mut self, list: List, node: Node) -> Outcome {
        let change = match list {
            List::RemovedRoutes => routes::remove,
            List::Upstreams => upstreams::add,
            List::Routes => routes::add,
            List::RemovedServers => upstreams::remove,
        };
        change(node, self.source, self.report)
    }
}
