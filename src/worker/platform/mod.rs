//! What differs between systems, one file each; `cfg` chooses the file, never a line in it.
//!
//! There are `add`, `remove` and `Wait` (sockets into the poller, events out of it), `accept` and
//! `may_accept`, `read`, `write` and `write_last`, `pipe`, `enlarge` and `splice`, and `release_code`. Linux has them all in their
//! best form; elsewhere `polling` and std do the same work with a few more system calls.

#[cfg(target_os = "linux")]
mod code;
#[cfg(target_os = "linux")]
mod linux;
mod portable;

#[cfg(target_os = "linux")]
pub(super) use code::release_code;
#[cfg(target_os = "linux")]
pub(super) use linux::{
    Wait, accept, add, enlarge, may_accept, pipe, read, remove, splice, write, write_last,
};
#[cfg(not(target_os = "linux"))]
pub(super) use portable::{
    Wait, accept, add, enlarge, may_accept, pipe, read, release_code, remove, splice, write, write_last,
};
