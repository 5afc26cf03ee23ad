//! Watching: an edit of what the configuration was read from takes effect by itself.
//!
//! ```text
//!   inotify (linux.rs) or a poll --> stamps differ --> still for QUIET --> look: read again
//!                                    files.rs          watcher.rs            differs from the last load?
//!                                                                            --> the gate reloads
//! ```
//!
//! The gate has one task that waits here and reloads (`gate/watching.rs`). What counts is the content that the
//! last load read, whatever that load was asked for by: an event only makes the task look, so no event has to be
//! understood and a lost one costs a poll.

mod watcher;

mod mounts;

#[cfg_attr(all(target_os = "linux", not(portable)), path = "linux.rs")]
#[cfg_attr(any(not(target_os = "linux"), portable), path = "portable.rs")]
mod platform;

mod files;

#[cfg(test)]
mod tests;

pub(crate) use files::note;
pub(crate) use watcher::ConfigWatcher;
