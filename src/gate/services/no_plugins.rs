//! Without the feature there are no plugins.

use std::sync::Arc;

use crate::generation::Generation;
use crate::metrics::Counters;

/// No plugins.
pub(in crate::gate) struct PluginService;

impl PluginService {
    /// No plugins.
    pub(in crate::gate) fn new(_: Arc<Counters>) -> Self {
        Self
    }

    /// Nothing.
    pub(in crate::gate) async fn prepare(&self, _: &Generation) {}

    /// Nothing.
    pub(in crate::gate) async fn stop(&self) {}
}
