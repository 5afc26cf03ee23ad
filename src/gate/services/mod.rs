//! Services beside the gate that follow its generations: the ordering of certificates, the fetching of keys, and the
//! processes of plugins, as far as they were built in.

#[cfg_attr(not(feature = "acme"), path = "none.rs")]
mod certificates;
#[cfg_attr(not(feature = "jwt"), path = "no_keys.rs")]
mod keys;
#[cfg_attr(not(feature = "plugins"), path = "no_plugins.rs")]
mod plugins;

pub(super) use certificates::Services;
pub use certificates::stored;
pub(super) use keys::KeyService;
pub(super) use plugins::PluginService;
