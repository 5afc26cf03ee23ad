//! Values that are never shown.

use std::fmt;
use std::sync::Arc;

/// A string that is never shown: `Debug` and every view print `[redacted]`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(pub Arc<str>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
