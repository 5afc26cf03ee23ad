//! Limits on requests and connections at the endpoints of an upstream, and the lines of those that wait.

mod limits;

pub(super) use limits::{Busy, Limits, OpenConnection, Ticket, is_busy};
