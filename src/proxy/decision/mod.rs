//! From the bytes of a request's head to an act.

mod read;

mod ask;

mod rules;

mod decision;

pub(super) use decision::Act;
pub(super) use read::read;
