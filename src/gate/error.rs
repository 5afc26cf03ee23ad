//! Errors of a gate, and the functions that its caller provides.

use std::fmt;
use std::io;

use crate::config::plan::{InternalBind, Plan};
use crate::config::{Diagnostics, Loaded};

/// Reads the configuration. It is called at the start and at every reload, never on the data plane.
pub type Loader = Box<dyn Fn() -> Result<Loaded, Diagnostics> + Send + Sync>;

/// Called with each plan that takes effect after the first.
pub type OnPlan = Box<dyn Fn(&Plan) + Send + Sync>;

/// The reason why a gate could not start, or why a reload was refused. Nothing has changed then.
#[derive(Debug)]
pub enum GateError {
    /// The configuration is not valid, or a file for an upstream is missing or wrong.
    Configuration(Diagnostics),
    /// The system refused an operation: listening on an address, opening a file, starting a thread.
    System(String, io::Error),
}

impl GateError {
    /// The error of an internal API that cannot listen at `bind`.
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
