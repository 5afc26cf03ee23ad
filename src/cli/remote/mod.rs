//! Verbs that ask a running gate through its internal API.

mod upstreams;

mod call;

pub use call::{healthcheck, reload};
pub use upstreams::{drain, ready, upstreams};
