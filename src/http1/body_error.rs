//! Why a body cannot be read on.

use std::fmt;

/// Why a body cannot be read on. Both connections must be cut: where the next message would start
/// is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is not valid chunked coding.
    Malformed(&'static str),
    /// Its framing, not its data, is over a limit.
    TooLarge(&'static str),
    /// The peer closed before the end.
    Truncated,
}

impl BodyError {
    /// One phrase for the person who meets it.
    pub fn explain(self) -> &'static str {
        match self {
            BodyError::Malformed(why) | BodyError::TooLarge(why) => why,
            BodyError::Truncated => "the body ended before its end was due",
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.explain())
    }
}

impl std::error::Error for BodyError {}
