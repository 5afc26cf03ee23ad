//! The gate: what holds the two planes together.
//!
//! ```text
//!   control plane (smol)                         data plane (one thread each)
//!   Gate -- reload: load, build, bind --Order--> worker: doors, sites, links
//!     |       reload.rs                workers.rs      |
//!     +-- internal API   control.rs                +-- counters, read by the internal API
//!     +-- signals        signals.rs
//!     +-- files          watch/
//! ```
//!
//! It owns the workers, the sockets they listen on, and the current generation; it starts, reloads,
//! drains and stops. It serves nothing itself. Nothing is global: a process may run many gates.

mod background;
mod certificates;
mod control;
mod notify;
mod reload;
mod report;
mod running;
mod signals;
mod sockets;
#[cfg(test)]
mod tests;
mod watch;
mod workers;

pub use signals::CaughtSignals;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{Diagnostics, Loaded};
use crate::metrics::Counters;
use crate::upstream::NameCache;
pub use certificates::check as check_certificates;
use running::GateState;

/// Reads the configuration: called at the start and at every reload, never on the data plane.
pub type Loader = Box<dyn Fn() -> Result<Loaded, Diagnostics> + Send + Sync>;

/// A running gate. Stops, after draining, when dropped.
pub struct Gate {
    state: Arc<GateState>,
}

/// Why a gate could not start, or a reload was refused. Nothing has changed then.
#[derive(Debug)]
pub enum GateError {
    /// The configuration is not valid, or what an upstream of it needs cannot be had.
    Configuration(Diagnostics),
    /// An address cannot be listened on, a file not be opened, a thread not be started.
    System(String, io::Error),
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

impl Gate {
    /// Starts the workers, the listeners and the internal API. Returns when every listener accepts.
    ///
    /// # Errors
    /// [`GateError`]; nothing is left running then.
    pub fn start(loader: Loader) -> Result<Self, GateError> {
        Self::start_with(loader, Counters::new(), Box::new(|_| {}))
    }

    /// The same with counters that exist already, and a function that is told of each plan that
    /// comes into force after the first.
    ///
    /// # Errors
    /// As [`Gate::start`].
    pub fn start_with(loader: Loader, counters: Arc<Counters>, on_plan: OnPlan) -> Result<Self, GateError> {
        Self::start_asking(NameCache::default(), loader, counters, on_plan)
    }

    /// The same, where names of targets are asked of another resolver than that of the system.
    ///
    /// # Errors
    /// As [`Gate::start`].
    pub fn start_asking(
        name_cache: NameCache,
        loader: Loader,
        counters: Arc<Counters>,
        on_plan: OnPlan,
    ) -> Result<Self, GateError> {
        let state = GateState::new(loader, counters, on_plan, name_cache)?;
        smol::block_on(state.start())?;
        Ok(Self { state })
    }

    /// Where the listener of that name accepts: the first of its addresses, with the port that the
    /// system chose for port 0.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.state.address(listener)
    }

    /// Where the internal API listens, when that is a TCP address.
    pub fn internal_address(&self) -> Option<SocketAddr> {
        smol::block_on(self.state.internal_address())
    }

    /// Reads the configuration again and puts it into force; with `restart`, on new workers and new sockets,
    /// while those of before drain. Blocks. What changed, in one line.
    ///
    /// # Errors
    /// [`GateError`]; the old configuration stays in force then.
    pub fn reload(&self, restart: bool) -> Result<String, GateError> {
        smol::block_on(self.state.reload(restart))
    }

    /// One line for the log: what is listened on, where the internal API is.
    pub fn summary(&self) -> String {
        let listeners: Vec<String> =
            self.state.listening().iter().map(|(name, address)| format!("{name} on {address}")).collect();
        let listeners = if listeners.is_empty() { "nothing".into() } else { listeners.join(", ") };
        match self.internal_address() {
            Some(address) => format!("listening: {listeners}; internal API on {address}"),
            None => format!("listening: {listeners}; internal API on a Unix socket"),
        }
    }

    /// Opens log files again, after they were moved away.
    pub fn reopen_logs(&self) {
        self.state.reopen_logs();
    }

    /// Stops accepting, lets exchanges end within the `shutdown_timeout` of their listener, and ends. Blocks.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        smol::block_on(self.state.stop());
    }
}

/// Told of each plan that comes into force after the first.
pub type OnPlan = Box<dyn Fn(&crate::config::plan::Plan) + Send + Sync>;
