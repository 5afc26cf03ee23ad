//! Bodies on their way from one connection to another, and writes that end by a deadline.

#[cfg(test)]
mod dropped_tests;

mod new_body;
mod transfer;
mod upload;

mod encoded;

mod body;
mod write;

pub(super) use body::{Body, Incoming};
pub(super) use encoded::EncodedBody;
pub(super) use new_body::{DISCARDED_MAX, NewBody};
pub(super) use transfer::{COPIED_MAX, Transfer};
pub(super) use upload::ConcurrentUpload;
pub(super) use write::{write_all, write_message};
