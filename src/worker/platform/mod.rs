//! What differs between systems, one file each; `cfg` chooses the file, never a line in it.
//!
//! Each file has `register` and `deregister`, a `Wait` (events out of the kernel), `accept` and `splice`. Linux has them all in their
//! best form; elsewhere `polling` and std do the same work with a few more system calls.

#[cfg(target_os = "linux")]
mod linux;
mod portable;

#[cfg(target_os = "linux")]
pub(super) use linux::{Wait, accept, deregister, pipe, register, splice};
#[cfg(not(target_os = "linux"))]
pub(super) use portable::{Wait, accept, deregister, pipe, register, splice};
