//! File events of Linux: inotify and the table of mounts.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use smol::{Async, Timer};

use super::files::WatchTargets;

/// The time in which events gather before they are read. A busy folder wakes the task at most this often.
const GATHER: Duration = Duration::from_millis(50);

/// Bytes of events that are read at a time.
const EVENT_BYTES: usize = 4096;

/// Events that say that a file or folder changed, but not which.
pub(super) struct FileEvents {
    inotify: Arc<Async<OwnedFd>>,
    /// Watch descriptors, one for each inode.
    watched: HashSet<i32>,
}

impl FileEvents {
    /// Starts without watching anything.
    ///
    /// # Errors
    /// The user has reached the system's limit of inotify instances, or the system has no inotify.
    pub(super) fn new() -> io::Result<FileEvents> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(FileEvents { inotify: Arc::new(Async::new(inotify)?), watched: HashSet::new() })
    }

    /// Watches these paths and no others. What inotify cannot watch is left to the poll.
    pub(super) async fn watch(&mut self, targets: WatchTargets) {
        let inotify = self.inotify.clone();
        let wanted = smol::unblock(move || add(inotify.get_ref(), &targets)).await;
        for gone in self.watched.difference(&wanted) {
            // The watch of a deleted file is gone already.
            let _ = inotify::remove_watch(self.inotify.get_ref(), *gone);
        }
        self.watched = wanted;
    }

    /// Returns when something has happened since the last return. May be dropped at any time.
    pub(super) async fn next_event(&self) {
        if let Err(error) = self.inotify.readable().await {
            tracing::debug!(%error, "inotify failed; only the poll is left");
            return std::future::pending().await;
        }
        Timer::after(GATHER).await;
        let mut bytes = [MaybeUninit::uninit(); EVENT_BYTES];
        let mut events = Reader::new(self.inotify.get_ref(), &mut bytes);
        while events.next().is_ok() {}
    }
}

/// Adds a watch for each path. Blocks.
fn add(inotify: &OwnedFd, targets: &WatchTargets) -> HashSet<i32> {
    let of_names = WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVE
        | WatchFlags::ATTRIB
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ONLYDIR;
    let of_text = WatchFlags::MODIFY | WatchFlags::ATTRIB | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
    let folders = targets.folders.iter().map(|folder| (folder, of_names));
    let files = targets.files.iter().map(|file| (file, of_text));
    let add = |(path, flags): (&PathBuf, WatchFlags)| match inotify::add_watch(inotify, path, flags) {
        Ok(descriptor) => Some(descriptor),
        Err(error) => {
            tracing::debug!(path = %path.display(), %error, "inotify does not watch this, the poll does");
            None
        }
    };
    folders.chain(files).filter_map(add).collect()
}

/// For each path that is a mount point: which path of the mounted device it shows. That path follows a renamed
/// file, and ends in `//deleted` when the file is deleted or replaced. Blocks.
pub(super) fn mounted<'a>(paths: impl Iterator<Item = &'a Path>) -> BTreeMap<PathBuf, String> {
    // Without /proc, nothing is known about mounts.
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let found = paths.filter_map(|path| {
        let place = path.canonicalize().ok()?;
        Some((path.to_owned(), root(&table, place.to_str()?)?))
    });
    found.collect()
}

/// The fourth field (root) of the last line whose fifth field (mount point) is `place` (proc_pid_mountinfo(5)).
fn root(table: &str, place: &str) -> Option<String> {
    let escape = |text: &str| {
        text.replace('\\', r"\134").replace(' ', r"\040").replace('\t', r"\011").replace('\n', r"\012")
    };
    let place = escape(place);
    let fields = |line: &'_ str| -> Option<(String, String)> {
        let mut fields = line.split(' ').skip(3);
        Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
    };
    let lines = table.lines().rev().filter_map(fields);
    lines.into_iter().find(|(_, mounted_at)| *mounted_at == place).map(|(root, _)| root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_mounts_is_read() {
        let table = "\
            21 1 254:1 / / rw - ext4 /dev/vda rw\n\
            30 21 254:1 /home/a/old.yml /etc/gate\\040way/a.yml rw - ext4 /dev/vda rw\n\
            31 21 254:1 /home/a/a.yml//deleted /etc/gate\\040way/a.yml rw - ext4 /dev/vda rw\n";
        assert_eq!(root(table, "/etc/gate way/a.yml").as_deref(), Some("/home/a/a.yml//deleted"));
        assert_eq!(root(table, "/").as_deref(), Some("/"));
        assert_eq!(root(table, "/etc"), None);
    }
}
