//! What the gate says about itself: events, access log lines, counters.

pub mod reason;

pub use reason::Reason;
