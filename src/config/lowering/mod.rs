//! `Source` becomes `Plan`: names are looked up, defaults filled in, clashes reported. Whichever front end
//! a listener or a rule came from, it is the same here.

mod top_level;

mod binds;
mod rules;
mod tls;

mod upstreams;

mod names;

pub(crate) use top_level::{ListenerSpans, Lowered, lower};
