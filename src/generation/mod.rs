//! The product of one load of the configuration, and its parts for a worker, a listener and a tunnel.
//!
//! `gate` builds it; the data plane uses it.

pub(crate) mod certificates;
mod tunnel_context;

mod listener_snapshot;

mod worker_upstreams;

mod worker_state;

mod date;
mod handle;
mod permits;

mod generation;

mod client_census;

pub use certificates::{
    certificate_for, check as check_certificates, has_certificate, ordered_name, ordered_names,
};
pub use client_census::ClientCensus;
pub use date::DateHeader;
pub use generation::{Generation, terminators};
pub use handle::GenerationHandle;
pub use listener_snapshot::{ListenerSnapshot, NameAction};
pub(crate) use permits::{Permit, Told};
pub use permits::{Permits, StreamPermit};
pub(crate) use tunnel_context::TunnelContext;
pub use worker_state::WorkerState;
pub use worker_upstreams::Upstreams;
