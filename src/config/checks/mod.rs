//! Checks of what only the whole plan shows.

mod plan;

mod policies;

mod ways_around;

mod cover;

pub(crate) use plan::check;
