//! Verbs that ask a running gate through its internal API.

mod call;

pub use call::{healthcheck, reload};
