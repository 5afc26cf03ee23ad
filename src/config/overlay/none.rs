//! The overlay of a program without the feature `control`: it holds nothing.

use std::sync::Arc;

use crate::config::diagnostics::Report;
use crate::config::inputs::Inputs;
use crate::config::plan::Change;
use crate::config::source::Source;

/// Nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay(());

impl Overlay {
    /// Is never asked for anything: the program has no control API.
    #[must_use]
    pub fn with(&self, _: Change) -> Self {
        Self(())
    }

    /// The text to keep. There is none.
    pub fn text(&self) -> Option<String> {
        None
    }

    /// Whether the last change made something that was not there.
    pub fn is_made(&self) -> bool {
        false
    }
}

/// The names of the upstreams that it adds: none.
pub(crate) fn upstream_names(_: &Overlay, _: &Source, _: &dyn Inputs) -> Vec<Arc<str>> {
    Vec::new()
}

/// Refuses the key that asks for an overlay.
pub(crate) fn apply(_: &Overlay, source: &mut Source, _: &dyn Inputs, report: &mut Report) -> Overlay {
    let edits = source.internal_api.as_mut().and_then(|api| api.value.edits.take());
    if let Some(edits) = edits {
        let hint = "leave it out, or build the program with the feature `control`";
        report.error_hint(edits.span, "this program has no control API", hint);
    }
    Overlay(())
}
