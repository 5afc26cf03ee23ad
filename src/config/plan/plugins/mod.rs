//! Plugins: processes that are asked about requests, and the chains in which rules ask them.

mod plugin;

mod chain;

pub use chain::{PluginChain, PluginName};
pub use plugin::{OnFailure, Plugin, PluginEnvironment, PluginSettings};

pub(crate) use plugin::PluginWritten;
