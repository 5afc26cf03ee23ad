//! Errors of a gate, and the functions that its caller provides.

use std::fmt;
use std::io;
use std::path::Path;

use crate::config::plan::{InternalBind, Origin, Plan};
use crate::config::{Diagnostics, Loaded, Overlay};

/// Reads the configuration. It is called at the start and at every reload, never on the data plane.
pub type Loader = Box<dyn Fn() -> Result<Loaded, Diagnostics> + Send + Sync>;

/// As [`Loader`], with the changes of the control API.
pub type ChangedLoader = Box<dyn Fn(&Overlay) -> Result<Loaded, Diagnostics> + Send + Sync>;

/// Called with each plan that takes effect after the first.
pub type OnPlan = Box<dyn Fn(&Plan) + Send + Sync>;

/// Says which rule of a plan takes a request, by its method and URL. Blocks, because it may look at certificates. The
/// error is a sentence.
pub type Explainer = fn(&Plan, &str, &str) -> Result<String, String>;

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
        let what = format!("the internal API cannot listen on `{bind}` ({place})");
        match bind {
            InternalBind::Tcp(_) => Self::of_port(what, error),
            InternalBind::Unix(_) => Self::System(what, error),
        }
    }

    /// The error of a file that cannot keep the changes of the control API.
    pub(super) fn of_overlay(path: &Path, error: io::Error) -> Self {
        Self::System(format!("{} cannot keep the changes of the control API", path.display()), error)
    }

    /// The error of a TCP address that cannot be listened on.
    pub(super) fn of_port(what: String, error: io::Error) -> Self {
        let refused = "permission denied; ports below 1024 need CAP_NET_BIND_SERVICE: \
                       `sudo setcap cap_net_bind_service=+ep` and the path of smolgate, or choose a higher port";
        let is_refused = error.kind() == io::ErrorKind::PermissionDenied;
        Self::System(what, if is_refused { io::Error::new(error.kind(), refused) } else { error })
    }

    /// The error of an access log that cannot be opened. `origin` is where it was written.
    pub(super) fn of_access_log(origin: Option<&Origin>, error: io::Error) -> Self {
        let place = origin.map(|origin| format!(" ({origin})")).unwrap_or_default();
        Self::System(format!("`access_log`{place} cannot be written"), error)
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
            Self::System(what, error) => {
                write!(f, "error: {what}: {error}")?;
                way_out(error.kind()).map_or(Ok(()), |way_out| write!(f, "; {way_out}"))
            }
        }
    }
}

impl std::error::Error for GateError {}

/// The way out after an error of the system, if its text alone does not tell it.
fn way_out(kind: io::ErrorKind) -> Option<&'static str> {
    Some(match kind {
        io::ErrorKind::NotFound => "make the folder of that path, or name another path",
        io::ErrorKind::IsADirectory => "this is a folder: name a file in it",
        io::ErrorKind::AddrNotAvailable => {
            "no interface of this machine has this address: name one that it has, or `:PORT` for all of them"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_name_the_way_out() {
        let told = |kind: io::ErrorKind| GateError::of_access_log(None, kind.into()).to_string();
        assert!(told(io::ErrorKind::NotFound).contains("make the folder"));
        assert!(told(io::ErrorKind::IsADirectory).contains("name a file in it"));
        assert!(told(io::ErrorKind::AddrNotAvailable).contains("no interface of this machine"));
        let told = GateError::of_port("port 80".into(), io::ErrorKind::PermissionDenied.into()).to_string();
        assert!(told.contains("setcap cap_net_bind_service=+ep"), "{told}");
    }
}
