//! What the gate says about itself: events, access log lines, counters.
//!
//! Three ways to the outside, none of which a worker ever waits for:
//!
//! ```text
//! tracing events ── setup.rs ──┐
//!                              ├─ queue.rs ── a writer thread ── stderr, stdout, a file
//! exchanges ─────── access.rs ─┘
//! exchanges ─────── counters.rs ── summed when read ── exposition.rs ── /metrics
//! ```
//!
//! Any module may use this one; it uses nothing but `config::plan`. Only `main` calls [`setup`]:
//! tests start many gates in one process, and a process has one subscriber.

pub mod access;
pub mod counters;
pub mod process;
pub mod setup;

pub(crate) mod clock;
mod exposition;
mod hidden;
mod queue;

pub use access::{AccessLog, AccessRecord, AccessRequest};
pub use counters::{Counters, WorkerCounters};
