//! Counters: one worker writes each, and a reader sums them.
//!
//! ```text
//! worker ── counter.rs ── worker_set.rs ──┐
//!                                         ├─ registry.rs ─┬─ exposition.rs ── /metrics
//! workers that have ended ── ended.rs ────┘               └─ views/ ───────── /stats, /api/v1/metrics
//! ```
//!
//! A worker has its own set, so counting is a plain load and store in a cache line that no other thread
//! writes to: no lock, no locked instruction. `/metrics` adds up the sets of all workers. A reader may see an
//! exchange in one counter and not yet in another; a counter never goes back. A lock protects names and
//! series, but only the install of a generation and the first exchange of a series take it.
//!
//! The number of series is bounded whatever peers send: see [`SERIES_MAX`] and [`RULE_SERIES_MAX`].

mod views;

mod exposition;
mod upstream;
mod page;
mod process;
mod rule;

mod registry;

mod ended;

mod worker_set;

mod series;

mod counter;
mod orders;
mod plugins;

pub use counter::{Counter, Histogram, WaitCounters, WaitEnd};
pub use orders::{NameState, OrderResult, StoreOperation};
pub use plugins::{PluginCounters, PluginResult};
pub use process::ProcessStats;
pub use registry::{Counters, SERIES_MAX, WorkerCounters};
pub use rule::{RULE_SERIES_MAX, RuleCounters};
pub use series::{
    CertificateExpiry, EndpointCounters, Handshake, ListenerCounters, OTHER, TUNNEL_ENDS, UpstreamCounters,
};
pub use upstream::{EndpointFigures, render_endpoints};
pub use views::{ListenerStats, ReloadStats, ResponseTimes, Responses, Stats, UpstreamStats};
pub use worker_set::NAMES_MAX;
