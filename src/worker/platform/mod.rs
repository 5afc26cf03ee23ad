//! What differs between systems, one file each; `cfg` chooses the file, never a line in it.
//!
//! There are `add`, `remove` and `Wait` (sockets into the poller, events out of it), `accept` and
//! `has_backlog`, `read`, `write` and `write_last`, `pipe`, `enlarge`, `write_pipe` and `splice`, `lower_priority`, `use_idle_priority` and
//! `release_startup_code`; and `return_memory`, which is the allocator's.
//! Linux has them all in their best form; elsewhere `polling` and std do the same work with a few more system
//! calls. `--cfg portable` has Linux do without its own too, so that the tests try both there.

mod events;
#[cfg_attr(all(target_os = "linux", target_env = "gnu"), path = "glibc.rs")]
mod heap;
#[cfg_attr(all(target_os = "linux", not(portable)), path = "linux.rs")]
#[cfg_attr(any(not(target_os = "linux"), portable), path = "portable.rs")]
mod system;

pub(super) use heap::return_memory;
pub(super) use system::{
    Wait, accept, add, enlarge, has_backlog, lower_priority, pipe, read, refuse_new, release_startup_code,
    remove, splice, use_idle_priority, write, write_last, write_pipe,
};
