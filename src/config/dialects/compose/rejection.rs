//! Errors that reject one service.

use crate::config::diagnostics::{Report, Severity, Span};

impl Report {
    /// Adds an error that removes one service and leaves the rest of the configuration as it is.
    pub(super) fn rejection(&mut self, at: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Error, false, Some(at), message.into(), Some(hint.into()));
    }
}
