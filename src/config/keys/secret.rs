//! Values that are never shown.

use std::fmt;
use std::sync::Arc;

/// A string that is never shown: `Debug` and every view print `[redacted]`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(pub Arc<str>);

/// The words that views print in the place of secrets. The last one is as long as the shortest secret of a cookie.
const WITHHELD: [&str; 3] = ["[redacted]", "redacted", "[redacted secret]"];

/// Whether a text is the word of a view in the place of a secret. A configuration with it loads, so that its other parts
/// can be checked; the word itself lets nothing in.
pub(crate) fn is_withheld(text: &str) -> bool {
    WITHHELD.contains(&text)
}

impl Secret {
    /// Whether a view has left the secret out, and the configuration that it wrote was loaded.
    pub fn is_withheld(&self) -> bool {
        is_withheld(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
