//! A system without inotify: the poll does everything.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::files::WatchTargets;

/// No value of this type exists.
pub(super) enum FileEvents {}

impl FileEvents {
    /// # Errors
    /// Always.
    pub(super) fn new() -> io::Result<FileEvents> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) async fn watch(&mut self, _: WatchTargets) {
        match *self {}
    }

    pub(super) async fn next_event(&self) {
        match *self {}
    }
}

/// Nothing is known about mounts.
pub(super) fn mounted<'a>(_: impl Iterator<Item = &'a Path>) -> BTreeMap<PathBuf, String> {
    BTreeMap::new()
}
