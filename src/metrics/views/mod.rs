//! Counters as numbers, for views of the internal API other than `/metrics`.

mod figures;
mod stats;

pub use figures::ResponseTimes;
pub use stats::{ListenerStats, ReloadStats, Responses, Stats, UpstreamStats};
