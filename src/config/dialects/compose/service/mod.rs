//! One service: its labels become routes.

mod routes;

mod draft;

mod targets;

mod ports;
mod values;

pub(super) use ports::infer as infer_port;
pub(super) use routes::of as routes_of;
