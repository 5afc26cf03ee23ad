//! Verbs that ask a running gate through its internal API.

mod certs;
mod upstreams;

mod call;

pub use call::{healthcheck, reload};
pub use certs::certs;
pub use upstreams::{drain, ready, upstreams};
