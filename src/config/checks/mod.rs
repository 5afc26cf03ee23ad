//! Checks of what only the whole plan shows.

mod plan;

mod policies;

pub(crate) use plan::check;
