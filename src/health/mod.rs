//! Health checks: asks each endpoint of the upstreams that want it whether it is well. Part of the control plane: no
//! worker checks, so their number does not matter to a target.
//!
//! ```text
//!   Checker --every interval--> check, on a thread --> Progress --rise, fall--> EndpointState
//! ```

mod checker;

mod check;
mod progress;

#[cfg_attr(not(feature = "http2"), path = "no_http2.rs")]
mod http2;

pub use checker::Checker;
