//! Plugins where the feature is left out. The key `plugins` is an error then, so no rule has any.

use crate::config::plan::Plan;

/// No plugins.
#[derive(Default)]
pub struct Plugins;

/// No connections.
#[derive(Default)]
pub struct Links;

/// Does not exist.
#[derive(Debug)]
pub enum PluginExchange {}

impl Plugins {
    /// No plugins.
    pub fn new(_plan: &Plan, _before: Option<&Plugins>) -> Self {
        Self
    }
}

impl PluginExchange {
    /// Is never called.
    pub fn end(&self, _target: Option<String>, _received: u64, _sent: u64, _milliseconds: u64) {}
}
