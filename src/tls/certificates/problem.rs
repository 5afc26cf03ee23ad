//! What is wrong with a certificate, for people.

use crate::config::plan::Origin;

/// What is wrong with a certificate, or with what clients have to show. Everything else serves.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Where the file was named.
    pub origin: Origin,
    /// Whether it works all the same, for now.
    pub is_warning: bool,
    /// What is wrong.
    pub message: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

/// What is wrong, and what to do about it.
pub(in crate::tls) type ProblemText = (String, &'static str);

impl Problem {
    pub(in crate::tls) fn error(origin: &Origin, message: String, hint: &str) -> Self {
        Self { origin: origin.clone(), is_warning: false, message, hint: hint.into() }
    }
}
