//! A record that answers a challenge.

use serde::{Deserialize, Serialize};

/// A record that was written, or is about to be.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(in crate::acme) struct Published {
    /// The name, after all aliases.
    pub(super) name: String,
    /// The text.
    pub(super) value: String,
}
