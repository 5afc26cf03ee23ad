//! The error of a body that cannot be read on.

use std::fmt;

/// The reason why a body cannot be read on. Both connections must be cut, because the start of the next
/// message is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The body is not valid chunked coding.
    Malformed(&'static str),
    /// The framing of the body, not its data, is over a limit.
    TooLarge(&'static str),
    /// The peer closed before the end.
    Truncated,
}

impl BodyError {
    /// A description of the error for a person.
    pub fn explain(self) -> &'static str {
        match self {
            BodyError::Malformed(why) | BodyError::TooLarge(why) => why,
            BodyError::Truncated => "the body ended too early",
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explain())
    }
}

impl std::error::Error for BodyError {}
