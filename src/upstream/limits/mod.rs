//! Limits on requests and connections at the endpoints of an upstream, and the lines of those that wait.

mod open_request;
mod waits;

mod limits;

pub(super) use limits::{Busy, Limits, OpenConnection, is_busy};
pub use waits::Waits;

pub(super) use open_request::{OpenRequest, RequestCount, SharedCount};
