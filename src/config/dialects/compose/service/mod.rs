//! What the labels of one service ask for.

mod routes;

mod draft;

mod targets;

mod ports;
mod values;

pub(super) use routes::of as routes_of;
