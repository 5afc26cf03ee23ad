//! From the bytes of a request's head to what is to be done with it.

mod read;

mod rules;

mod decision;

pub(super) use decision::Act;
pub(super) use read::read;
