//! What one load of the configuration built, and what of it a worker, a listener and a tunnel have.
//!
//! Runs on the data plane, below `proxy`; built by `gate`.

pub(crate) mod certificates;
mod tunnel_context;

mod listener_snapshot;

mod date;
mod generation;
mod permits;

pub use certificates::check as check_certificates;
pub use date::DateHeader;
pub use generation::{Generation, GenerationHandle, terminators};
pub use listener_snapshot::{ListenerSnapshot, NameAction, Upstreams, WorkerState};
pub use permits::Permits;
pub(crate) use permits::{Permit, Told};
pub(crate) use tunnel_context::TunnelContext;
