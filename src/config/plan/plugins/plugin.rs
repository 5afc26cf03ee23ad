//! A process that is asked about requests.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::keys::shape::{FLAG, HELD, TIMEOUT};
use crate::config::keys::{Form, Shape, ValueError, settings};

/// A process that is asked about requests. Two that are equal are one process, over all reloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// Its name, which is unique.
    pub name: Arc<str>,
    /// The program. A name without a slash is looked up in `PATH`.
    pub command: PathBuf,
    /// Its arguments.
    pub arguments: Vec<Arc<str>>,
    /// The variables that it gets from the environment of the gate.
    pub environment: PluginEnvironment,
    /// The rest.
    pub settings: PluginSettings,
}

settings! {
    /// Settings of a plugin.
    PluginSettings, PluginWritten {
        /// How long the answer to one call may take.
        timeout: Duration = Duration::from_secs(1), TIMEOUT;
        /// The fate of requests while the plugin is not ready, and of those for which a call fails.
        on_failure: OnFailure = OnFailure::Refuse, ON_FAILURE;
        /// Calls that are open at once. A further one fails.
        max_calls: usize = 256, HELD;
        /// Whether it runs even if no rule asks it.
        autostart: bool = false, FLAG;
    }
}

/// The variables of a plugin's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginEnvironment {
    /// All of the gate's.
    All,
    /// Those with these names, and a few that every program needs.
    Named(Vec<Arc<str>>),
}

/// The fate of a request without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// It is refused.
    Refuse,
    /// It goes on.
    Allow,
}

const ON_FAILURE: Shape<OnFailure> = Shape {
    parse: |text| match text {
        "refuse" => Ok(OnFailure::Refuse),
        "allow" => Ok(OnFailure::Allow),
        _ => Err(ValueError::hint("says nothing of failures", "write refuse or allow")),
    },
    show: |on_failure| {
        Some(if *on_failure == OnFailure::Refuse { "refuse".to_owned() } else { "allow".to_owned() })
    },
    form: Form::Words(&["refuse", "allow"]),
};
