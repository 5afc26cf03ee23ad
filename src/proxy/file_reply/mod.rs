//! Responses of `files`: a file or a part of it, its conditions, a redirect to a folder, a listing.
//!
//! [`FileRequest`] is made of the head, while that is parsed. [`send()`] looks the file up and sends it. A file that is
//! in memory is answered at once. For a disk, another thread waits.

mod send;

mod head;
mod transfer;

mod request;

pub(super) use request::FileRequest;
pub(super) use request::act;
pub(super) use send::send;
