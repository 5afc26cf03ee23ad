//! Watching files: an edit of the configuration's files takes effect by itself.
//!
//! ```text
//!   inotify (linux.rs) or a poll --> stamps differ --> still for QUIET --> read again
//!                                    files.rs          watcher.rs          differs from the last load?
//!                                                                          --> the gate reloads
//! ```
//!
//! The gate has one task that waits here and reloads (`gate/watching.rs`). An event only makes that task read the files
//! again. It compares the content with that of the last load, for whatever reason that load took place. So no event has
//! to be understood, and a lost event costs the time of a poll.

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
