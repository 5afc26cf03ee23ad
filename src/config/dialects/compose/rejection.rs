//! Errors that reject one service.

use crate::config::diagnostics::{Report, Severity, Span};

impl Report {
    /// Adds an error that removes one service and leaves the rest of the configuration as it is.
    pub(super) fn rejection(&mut self, at: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.add(Severity::Error, false, Some(at), message.into(), Some(hint.into()));
    }

    /// Turns the errors behind the first `count` findings into rejections of `what`. Returns the first message.
    pub(super) fn reject_since(&mut self, count: usize, what: &str) -> Option<String> {
        let mut first = None;
        for finding in self.findings[count..].iter_mut().filter(|finding| finding.fatal) {
            let rejected = format!("{what} is not served: {}", finding.message);
            first.get_or_insert(std::mem::replace(&mut finding.message, rejected));
            finding.fatal = false;
        }
        first
    }
}
