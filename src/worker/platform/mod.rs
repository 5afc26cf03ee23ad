//! What differs between systems, one file each; `cfg` chooses the file, never a line in it.
//!
//! There are `add`, `remove` and `Wait` (sockets into the poller, events out of it), `accept` and
//! `may_accept`, `write_last`, `pipe`, `enlarge` and `splice`, `give_way` and `release_code`. Linux has them all in
//! their best form; elsewhere `polling` and std do the same work with a few more system calls.

#[cfg(target_os = "linux")]
mod code;
#[cfg(target_os = "linux")]
mod linux;
mod portable;

#[cfg(target_os = "linux")]
pub(super) use code::release_code;
#[cfg(target_os = "linux")]
pub(super) use linux::{Wait, accept, add, enlarge, give_way, may_accept, pipe, remove, splice, write_last};
#[cfg(not(target_os = "linux"))]
pub(super) use portable::{
    Wait, accept, add, enlarge, give_way, may_accept, pipe, release_code, remove, splice, write_last,
};
