//! Limits on requests and connections at the endpoints of an upstream, and the lines of those that wait.

mod open_request;

mod limits;

pub(super) use limits::{Busy, Limits, OpenConnection, Ticket, is_busy};
pub(super) use open_request::{OpenRequest, RequestCount, SharedCount};
