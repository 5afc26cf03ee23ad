//! Verbs that ask a running gate through its internal API.

mod certs;
#[cfg_attr(not(feature = "control"), path = "no_control.rs")]
mod control;
mod tail;
mod top;
mod upstreams;

mod call;
mod screen;
mod tables;

mod sample;

pub use call::{healthcheck, reload};
pub use certs::certs;
pub use control::control;
pub use tail::tail;
pub use top::top;
pub use upstreams::{drain, ready, upstreams};
