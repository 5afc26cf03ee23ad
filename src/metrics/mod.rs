//! Counters: one worker writes each, and they are summed when somebody reads.
//!
//! ```text
//! worker ── counter.rs ── worker_set.rs ──┐
//!                                         ├─ registry.rs ── exposition.rs ── /metrics
//! workers that have ended ── ended.rs ────┘
//! ```
//!
//! A worker has its own set, so counting is a plain load and store in a cache line no other thread
//! writes to: no lock, no locked instruction. `/metrics` walks the sets of all workers and adds up.
//! A reader may see an exchange counted in one place and not yet in another; a counter never goes
//! back. Names and series are found under a lock, but only when a generation is installed or a
//! series is met for the first time.
//!
//! The number of series is bounded whatever peers send: see [`SERIES_MAX`] and [`RULE_SERIES_MAX`].

mod exposition;
mod page;
mod process;
mod rule;

mod registry;

mod ended;

mod worker_set;

mod series;

mod counter;

pub use counter::{Counter, Histogram};
pub use process::ProcessStats;
pub use registry::{Counters, SERIES_MAX, WorkerCounters};
pub use rule::{RULE_SERIES_MAX, RuleCounters};
pub use series::{CertificateExpiry, Handshake, ListenerCounters, OTHER, TUNNEL_ENDS, UpstreamCounters};
pub use worker_set::NAMES_MAX;
