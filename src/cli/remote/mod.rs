//! Verbs that ask a running gate through its internal API.

mod certs;
#[cfg_attr(not(feature = "control"), path = "no_control.rs")]
mod control;
mod upstreams;

mod call;

pub use call::{healthcheck, reload};
pub use certs::certs;
pub use control::control;
pub use upstreams::{drain, ready, upstreams};
