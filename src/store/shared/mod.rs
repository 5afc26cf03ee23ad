//! A bucket that several gates share.
//!
//! A server keeps small values under keys, and each write says what it expects to find (`values.rs`). Two things follow:
//!
//! - The lease tells which gate orders, at all CAs (`right.rs`). It is a courtesy that saves vain attempts.
//! - A record is written over the one that this gate has read, and over no other. This is the guard: of two gates that
//!   begin an attempt for a name, one finds that the record has changed, and orders nothing.
//!
//! No clock of another machine is compared with ours. Values are sealed, so the server learns names and no keys.

mod bucket;

mod right;

mod s3;

mod lease;
mod probe;
mod sealed;

mod seal;

#[cfg(test)]
#[path = "memory_tests.rs"]
mod memory;

mod values;

pub(super) use bucket::Shared;
pub(super) use right::Right;
