//! The differences between systems, one file each. `cfg` chooses a file and never a line in it.
//!
//! Sockets use `add`, `remove` and `Wait` (into the poller, and events out of it), `accept`, `has_backlog`,
//! `has_ended`, `refuse_new`, `read`, `write`, `write_last` and `send_file`. Pipes use `pipe`, `enlarge`, `write_pipe` and `splice`.
//! The process uses `lower_priority`, `use_idle_priority`, `release_startup_code` and `return_memory` (of the
//! allocator).
//!
//! Linux has the best form of each. Elsewhere `polling` and std do the same work with a few more system
//! calls. `--cfg portable` makes Linux use that code too, so that the tests can run both there.

mod events;
#[cfg_attr(all(target_os = "linux", target_env = "gnu"), path = "glibc.rs")]
mod heap;
mod inherited;
#[cfg_attr(all(target_os = "linux", not(portable)), path = "linux.rs")]
#[cfg_attr(any(not(target_os = "linux"), portable), path = "portable.rs")]
mod system;

pub(super) use heap::return_memory;
pub use inherited::inherited_file;
pub use system::peer_process;
pub(super) use system::{
    Wait, accept, add, enlarge, has_backlog, has_ended, lower_priority, pipe, read, refuse_new,
    release_startup_code, remove, send_file, splice, use_idle_priority, write, write_last, write_pipe,
};
