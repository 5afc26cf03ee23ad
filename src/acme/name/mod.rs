//! The life of one name.

mod attempt;
mod name;

mod look;
mod revocation;

mod journal;

pub(in crate::acme) use name::Name;
