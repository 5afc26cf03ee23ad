//! Verbs that ask a running gate through its internal API.

mod certs;
mod tail;
mod top;
mod upstreams;

mod call;
mod screen;
mod tables;

mod sample;

pub use call::{healthcheck, reload};
pub use certs::certs;
pub use tail::tail;
pub use top::top;
pub use upstreams::{drain, ready, upstreams};
