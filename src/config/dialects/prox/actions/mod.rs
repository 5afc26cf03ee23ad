//! Actions, and the targets and answers that they become in a route.

mod answers;
mod upstreams;

mod actions;

pub(super) use actions::{Action, ActionReader, Actions, Kind, Proxy, resources};
pub(super) use answers::{Matched, file, respond};
pub(super) use upstreams::{Balancer, Destination, Transport, balancer};
