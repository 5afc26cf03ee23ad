//! One service: its labels become routes.

mod foreign;
mod routes;

mod draft;

mod targets;

mod ports;
mod values;

pub(super) use foreign::hint as hint_for_another_proxy;
pub(super) use routes::of as routes_of;
