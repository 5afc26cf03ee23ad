//! Without the feature there are no keys to fetch.

use crate::generation::Generation;

/// No keys.
pub(in crate::gate) struct KeyService;

impl KeyService {
    /// No keys.
    pub(in crate::gate) fn new() -> Self {
        Self
    }

    /// Nothing.
    pub(in crate::gate) fn follow(&self, _: &Generation) {}

    /// Nothing.
    pub(in crate::gate) fn stop(&self) {}
}
