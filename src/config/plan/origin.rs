//! The place where something was written.

use std::fmt;
use std::sync::Arc;

/// The place where something was written. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as it was named on the command line.
    pub file: Arc<str>,
    /// The line of the first character.
    pub line: u32,
    /// The column of the first character, in characters.
    pub column: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
