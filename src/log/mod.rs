//! What the gate says about itself: events and access log lines.
//!
//! Two ways to the outside, for neither of which a worker ever waits:
//!
//! ```text
//! tracing events ── setup.rs ──┐
//!                              ├─ queue.rs ── a writer thread ── stderr, stdout, a file
//! exchanges ─────── access.rs ─┘
//! ```
//!
//! Any module may use this one; it uses nothing but `config::plan` and `metrics`. Only `main` calls [`setup`]:
//! tests start many gates in one process, and a process has one subscriber.

pub mod access;
pub mod setup;

pub(crate) mod clock;
mod hidden;
mod queue;

pub use access::{AccessLog, AccessRecord, AccessRequest};
