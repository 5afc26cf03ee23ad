//! The notation of values, in which dialects differ.

use std::path::Path;

use crate::config::diagnostics::Span;
use crate::config::values::ValueError;

/// The notation of one dialect.
pub(crate) trait Notation {
    /// The string with its references filled in. Called only for a string with a `$`.
    fn fill(&self, written: &str, span: Span) -> Result<Filled, Unfillable>;

    /// The folder from which the relative path at this place starts.
    fn dir(&self, span: Span) -> &Path;

    /// The words for yes and no.
    fn flag(&self) -> fn(&str) -> Result<bool, ValueError>;

    /// The character between the items of a list that is written as one string, if there may be one.
    fn separator(&self) -> Option<char>;

    /// Whether an unknown key that other proxies have gets their hint, which tells of native keys.
    fn tells_of_other_proxies(&self) -> bool {
        true
    }
}

/// A string with its references filled in.
pub(crate) struct Filled {
    pub(crate) text: String,
    /// Warnings, each with a hint.
    pub(crate) warnings: Vec<(String, &'static str)>,
}

/// The message of a reference that cannot be filled in, and a hint, which may be empty.
pub(crate) type Unfillable = (String, String);
