//! `Source` becomes `Plan`: names are looked up, defaults filled in, clashes reported. It is the same for every
//! dialect.

mod top_level;

mod acme;
mod binds;
mod rules;
mod tls;

mod policies;

mod plugins;

mod upstreams;

mod upstream_policy;

mod names;

pub(crate) use top_level::{ListenerSpans, Lowered, internal_api, lower};
