//! Files on disk: their stamps, their content, and the folders to watch. Everything here blocks, and a network
//! file system may take long.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use crate::config::{Content, SourceFiles, TEXT_BYTES_MAX};
use crate::files;

/// Symbolic links that are followed for one path. Linux follows as many.
const LINKS_MAX: usize = 40;

/// Depth of folders that [`note`] looks into. Clients of certificate authorities keep a folder for each name.
const FOLDERS_DEEP: usize = 2;

/// Metadata that tells, without opening a file, whether it was replaced or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    pub(super) file: FileId,
    length: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// The change time of the inode: a change of mode or name counts too.
    changed: (i64, i64),
    /// Hard links of the file. Zero if it was deleted and something still leads to it.
    pub(super) names: u64,
}

/// Device and inode.
pub(super) type FileId = (u64, u64);

/// The stamp of each path. `None` if nothing is there.
pub(super) type FileStamps = BTreeMap<PathBuf, Option<FileStamp>>;

/// The stamps of all source files.
pub(super) fn stamps(sources: &SourceFiles) -> FileStamps {
    sources.iter().map(|(path, _)| (path.to_owned(), stamp(path))).collect()
}

fn stamp(path: &Path) -> Option<FileStamp> {
    let found = fs::metadata(path).ok()?;
    Some(FileStamp {
        file: (found.dev(), found.ino()),
        length: found.len(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
        names: found.nlink(),
    })
}

/// Reads all source files again.
pub(super) fn read(sources: &SourceFiles) -> SourceFiles {
    sources.iter().map(|(path, before)| (path.to_owned(), seen(path, before))).collect()
}

/// Reads a path the way the load did, so that an unchanged file gives an equal value.
fn seen(path: &Path, before: Content) -> Content {
    if matches!(before, Content::Folder(_) | Content::Unreadable) && path.is_dir() {
        return entries(path).map_or(Content::Unreadable, |entries| Content::folder(&entries));
    }
    match files::read(path, TEXT_BYTES_MAX) {
        Ok(bytes) if before == Content::NotText && std::str::from_utf8(&bytes).is_err() => Content::NotText,
        Ok(bytes) => Content::text(&bytes),
        Err(_) => Content::Unreadable,
    }
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

/// Adds a file that a plan names and that no load reads, such as a certificate. Of a folder, the files that
/// `may_count` accepts are added too, and those of the folders in it.
pub(crate) fn note(sources: &mut SourceFiles, path: &Path, may_count: fn(&Path) -> bool) {
    note_deep(sources, path, may_count, FOLDERS_DEEP);
}

fn note_deep(sources: &mut SourceFiles, path: &Path, may_count: fn(&Path) -> bool, folders: usize) {
    let found = seen(path, Content::Unreadable);
    sources.note(path.to_owned(), found);
    if let (Content::Folder(_), Some(deeper)) = (found, folders.checked_sub(1)) {
        let entries = entries(path).into_iter().flatten();
        let entries = entries.filter(|entry| may_count(entry) || entry.is_dir());
        entries.for_each(|entry| note_deep(sources, &entry, may_count, deeper));
    }
}

/// Paths to watch: a change there may make a source path lead to something else.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct WatchTargets {
    /// Files that may be written to.
    pub(super) files: BTreeSet<PathBuf>,
    /// Folders in which a name may appear, disappear, or be given to another file.
    pub(super) folders: BTreeSet<PathBuf>,
}

/// The paths to watch for all source files.
pub(super) fn watch_targets(sources: &SourceFiles) -> WatchTargets {
    let mut targets = WatchTargets::default();
    for (path, _) in sources.iter() {
        let kind = if path.is_dir() { &mut targets.folders } else { &mut targets.files };
        kind.insert(path.to_owned());
        folders_towards(path, &mut targets.folders);
    }
    targets
}

/// Adds the folder that holds the target of `path`, and those that hold a symbolic link on the way. If a part is
/// missing, it adds the folder in which it is missing.
fn folders_towards(path: &Path, folders: &mut BTreeSet<PathBuf>) {
    let parts = |path: &Path| -> Vec<OsString> {
        path.components().rev().map(|part| part.as_os_str().to_owned()).collect()
    };
    let mut rest = parts(path);
    let mut links = 0;
    // This path holds no symbolic link, so `..` after it means its parent folder.
    let mut at = PathBuf::from(".");
    while let Some(part) = rest.pop() {
        let next = at.join(&part);
        match fs::read_link(&next) {
            Ok(target) if links < LINKS_MAX => {
                links += 1;
                rest.extend(parts(&target));
                folders.insert(at.clone());
            }
            Ok(_) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                folders.insert(at);
                return;
            }
            Err(_) => {
                let is_name = matches!(Path::new(&part).components().next(), Some(Component::Normal(_)));
                if rest.is_empty() && is_name {
                    folders.insert(at);
                    return;
                }
                at = next;
            }
        }
    }
}
