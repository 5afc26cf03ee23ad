//! Where a thing was written.

use std::fmt;
use std::sync::Arc;

/// Where a thing was written. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, as it was named on the command line.
    pub file: Arc<str>,
    /// Line of its first character.
    pub line: u32,
    /// Column of its first character, in characters.
    pub column: u32,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
