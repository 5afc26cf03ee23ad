//! The self-check: a look at a name as a CA looks at it. It costs nothing, delays an order, and forbids none.

mod check;

mod caa;
mod place;
mod reach;

mod finding;
mod name;

pub(in crate::acme) use check::{clock_text, first_reason, look_at};
pub(in crate::acme) use finding::State;
pub(in crate::acme) use name::in_vain;
pub(in crate::acme) use place::warn_of_place;
