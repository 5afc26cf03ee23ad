//! From the path of a request to an open file, never outside its root.
//!
//! [`FilePath`] decodes the path once. [`find()`] opens the file below its root, or its index, or its compressed form.
//! [`Validators`] and [`range`] say which part of it a client still needs. The response is written by `proxy`.
//!
//! Nothing here waits for a disk, unless the caller says [`Opening::Waiting`]. A worker says [`Opening::Cached`]
//! first. Only if that would wait, it asks again on a thread for blocking work, by [`off_worker()`].

pub mod listing;

mod find;

mod content;
mod off_worker;
mod precompressed;

pub mod media_types;
pub mod range;
mod validators;

mod file_path;

mod system;

pub use content::Content;
pub use file_path::FilePath;
pub use find::{Entry, Found, FoundFile, Missing, Wanted, find, open_root};
pub use off_worker::off_worker;
pub use precompressed::Accepted;
pub use system::Opening;
pub use validators::{Evaluation, Preconditions, Validators, date};
