//! The plugins of a rule.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use crate::config::keys::scalar::show_duration;
use crate::config::keys::yaml::list;

/// The plugins that are asked about each request of a rule, one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PluginChain {
    /// Their names, each once.
    pub names: Vec<PluginName>,
    /// How long all answers together may take.
    pub timeout: Duration,
}

impl PluginChain {
    /// The time without a key.
    pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
}

/// The name of a plugin. Where it was written is not compared.
#[derive(Clone, Debug)]
pub struct PluginName {
    /// The name.
    pub name: Arc<str>,
    /// The place, as a span of the report.
    pub(crate) place: [u32; 3],
}

impl PartialEq for PluginName {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for PluginName {}

impl Hash for PluginName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Display for PluginName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl fmt::Display for PluginChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PluginChain { names, timeout } = self;
        write!(f, "{{ names: {}, timeout: {} }}", list(names.iter()), show_duration(*timeout))
    }
}
