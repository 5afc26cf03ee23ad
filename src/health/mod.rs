//! Health checks: asks each endpoint of the upstreams that want it whether it is well. Part of the control plane: no
//! worker checks, so their number does not matter to a target.
//!
//! ```text
//!   Checker --every interval--> check, on a thread --> Progress --rise, fall--> EndpointState
//! ```

mod checker;

mod check;
mod progress;

pub use checker::Checker;
