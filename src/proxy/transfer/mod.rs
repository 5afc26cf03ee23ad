//! Bodies on their way from one connection to another, and writes that end by a deadline.

#[cfg(test)]
mod dropped_tests;

mod new_body;
mod transfer;
mod upload;

mod encoded;

mod body;
mod pace;
mod slices;
mod write;

pub(super) use body::{Body, Incoming};
pub(super) use encoded::EncodedBody;
pub(super) use new_body::{DISCARDED_MAX, NewBody};
pub(super) use pace::room;
pub(super) use slices::COPIED_MAX;
pub(super) use transfer::Transfer;
pub(super) use upload::ConcurrentUpload;
pub(super) use write::{write_all, write_message};
