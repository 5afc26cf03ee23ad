//! Requests that wait: for an endpoint that works, or for a free place at one.

mod hold;
mod queue;

pub use hold::Hold;
pub use queue::Keys;
