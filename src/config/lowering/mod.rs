//! `Source` becomes `Plan`: names are looked up, defaults filled in, clashes reported. Whichever front end
//! a listener or a rule came from, it is the same here.

mod binds;
mod names;
mod rules;
mod tls;
mod top_level;
mod upstreams;

pub(crate) use top_level::{ListenerSpots, Lowered, lower};
