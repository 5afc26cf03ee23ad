//! Watching: an edit of what the configuration was read from takes effect by itself.
//!
//! ```text
//!   inotify (linux.rs) or a poll --> stamps differ --> still for QUIET --> look: read again
//!                                    files.rs          watcher.rs            differs from the last load?
//!                                                                            --> Shared::reload_changed
//! ```
//!
//! One task a gate, on the control plane, from its start to its stop (`task.rs`). What counts is the
//! content that the last load read, whoever asked for that load: an event only makes the task look,
//! so no event has to be understood and a lost one costs a poll. Reloading is not done here.

mod files;
mod mounts;
#[cfg_attr(all(target_os = "linux", not(portable)), path = "linux.rs")]
#[cfg_attr(any(not(target_os = "linux"), portable), path = "portable.rs")]
mod platform;
mod task;
#[cfg(test)]
mod tests;
mod watcher;

pub(super) use files::note;
pub(super) use task::watch;
