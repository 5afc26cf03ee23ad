//! Without the feature there are no keys to fetch.

use crate::generation::Generation;

/// No keys.
#[derive(Default)]
pub(in crate::gate) struct KeyService;

impl KeyService {
    /// Nothing.
    pub(in crate::gate) fn follow(&self, _: &Generation) {}

    /// Nothing.
    pub(in crate::gate) fn stop(&self) {}
}
