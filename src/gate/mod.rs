//! The gate: starts, reloads, drains and stops. It owns the workers, their sockets and the current generation.
//!
//! ```text
//!   control plane (smol)                              data plane (one thread each)
//!   Gate -- start, stop, reload: load, build, bind --Command--> worker: listeners, connections
//!     |     start.rs, reload.rs                 workers.rs        |
//!     +-- internal API   control.rs                               +-- counters, read by the internal API
//!     +-- signals        process/
//!     +-- files          watching.rs
//! ```
//!
//! The gate serves nothing itself. Nothing is global: a process may run several gates. The modules stand in the order
//! of their use: each one uses only modules below it.

mod gate;

mod start;

mod control;
mod watching;

mod reload;
mod successor;

mod state;

mod services;

mod workers;

mod sockets;

mod background;
mod error;
mod process;

#[cfg(test)]
mod tests;

pub use crate::generation::{
    certificate_for, check_certificates, has_certificate, ordered_name, ordered_names,
};
pub use error::{ChangedLoader, Explainer, GateError, Loader, OnPlan};
pub use gate::Gate;
pub use process::{CaughtSignals, Inherited};
pub use services::stored;
pub use start::check_files;
