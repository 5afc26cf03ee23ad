//! Why a gate could not start or reload, and the functions that a gate is given.

use std::fmt;
use std::io;

use crate::config::plan::{InternalBind, Plan};
use crate::config::{Diagnostics, Loaded};

/// Reads the configuration: called at the start and at every reload, never on the data plane.
pub type Loader = Box<dyn Fn() -> Result<Loaded, Diagnostics> + Send + Sync>;

/// Called with each plan that comes into force after the first.
pub type OnPlan = Box<dyn Fn(&Plan) + Send + Sync>;

/// Why a gate could not start, or a reload was refused. Nothing has changed then.
#[derive(Debug)]
pub enum GateError {
    /// The configuration is not valid, or what an upstream of it needs cannot be had.
    Configuration(Diagnostics),
    /// An address cannot be listened on, a file not be opened, a thread not be started.
    System(String, io::Error),
}

impl GateError {
    /// The internal API cannot listen at `bind`.
    pub(super) fn of_internal_api(bind: &InternalBind, error: io::Error) -> Self {
        let place = "`bind` of `internal_api`, or INTERNAL_API_PORT, says where";
        Self::System(format!("the internal API cannot listen on `{bind}` ({place})"), error)
    }
}

impl fmt::Display for GateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration(diagnostics) => diagnostics.fmt(f),
            Self::System(what, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "error: {what}: another program listens there already; stop it or choose another address"
                )
            }
            Self::System(what, error) if error.kind() == io::ErrorKind::PermissionDenied => {
                write!(f, "error: {what}: permission denied; ports below 1024 need CAP_NET_BIND_SERVICE")
            }
            Self::System(what, error) => write!(f, "error: {what}: {error}"),
        }
    }
}

impl std::error::Error for GateError {}
