//! Verbs that ask a running gate through its internal API.

mod certs;

mod call;

pub use call::{healthcheck, reload};
pub use certs::certs;
