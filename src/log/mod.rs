//! Events and access log lines.
//!
//! There are two ways out. A worker waits for neither.
//!
//! ```text
//! tracing events ── setup.rs ──┐
//!                              ├─ queue.rs ── a writer thread ── stderr, stdout, a file
//! exchanges ─────── access/ ───┘
//! ```
//!
//! A caller that may log an event often asks [`repeats`] first.
//!
//! Only `main` calls [`setup`]: tests start many gates in one process, and a process has one subscriber.

pub mod access;
pub mod setup;

pub(crate) mod clock;
pub mod colours;
mod hidden;
mod queue;
pub mod repeats;
mod text;

pub use access::{AccessLines, AccessLog, AccessRecord, AccessRequest, AccessSwitch, Tail, TailObserver};
