//! Looks a file up: the file itself, the index of a folder, the fallback, or the compressed form of one of them.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, statat};
use rustix::io::Errno;

use super::content::Content;
use super::file_path::FilePath;
use super::media_types::media_type;
use super::precompressed::Accepted;
use super::system::{self, Opening, open_below};
use super::validators::Validators;
use crate::config::plan::{Coding, Files, Symlinks};

/// Entries of a folder that are listed.
const ENTRIES_MAX: usize = 10_000;

/// A file that a client asks for.
#[derive(Debug)]
pub struct Wanted {
    /// The action of the rule.
    pub files: Arc<Files>,
    /// The path below the root; `None` if no file has such a path.
    pub path: Option<FilePath>,
    /// The codings that the client accepts.
    pub accepted: Accepted,
    /// Whether a browser asks for a page, to which the fallback is an answer.
    pub is_navigation: bool,
}

/// Something that was found.
#[derive(Debug)]
pub enum Found {
    /// A file.
    File(FoundFile),
    /// A folder, and the path has no slash at its end.
    Folder,
    /// The entries of a folder, and whether there are more of them.
    Listing(Vec<Entry>, bool),
}

/// An open file, and what the head of the response says of it.
#[derive(Debug)]
pub struct FoundFile {
    /// The bytes, of which `length` are sent, whatever becomes of the file meanwhile.
    pub content: Content,
    /// Their number.
    pub length: u64,
    /// When and by what to know whether it has changed.
    pub validators: Validators,
    /// `Content-Type`.
    pub media_type: &'static str,
    /// The coding of the bytes; `None` if it is the plain file.
    pub coding: Option<Coding>,
    /// Whether caches have to ask before each use: it is an index or the fallback, which name the files of a release.
    pub is_entrance: bool,
    /// Whether it is the fallback, which only browsers get.
    pub is_fallback: bool,
    /// Whether the file never changes.
    pub is_immutable: bool,
}

/// An entry of a folder.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name, of any bytes but NUL and `/`.
    pub name: Vec<u8>,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Bytes of a file.
    pub length: u64,
    /// Seconds since 1970.
    pub modified: i64,
}

/// Why there is nothing to send.
#[derive(Debug)]
pub enum Missing {
    /// There is no such file, or it is none that is served.
    NotFound,
    /// There may be one, and it is kept from clients.
    Forbidden(&'static str),
    /// The disk would have to be asked.
    Waits,
    /// The system failed.
    Failed(io::Error),
}

/// Opens the root of the files. A link leads where it leads now, so one that was swapped is seen.
///
/// # Errors
/// If it cannot be opened, which is no fault of the client, or if it may not wait and would have to.
pub fn open_root(files: &Files, opening: Opening) -> Result<OwnedFd, Missing> {
    system::open_root(&files.root, opening).map_err(|error| match Missing::of(error) {
        Missing::Waits => Missing::Waits,
        _ => Missing::Failed(io::Error::new(
            io::Error::from(error).kind(),
            format!("the root {}: {}", files.root.display(), io::Error::from(error)),
        )),
    })
}

/// Looks up what a client asks for below an open root.
///
/// # Errors
/// If there is nothing to send, or if it may not wait and would have to.
pub fn find(wanted: &Wanted, root: BorrowedFd<'_>, opening: Opening) -> Result<Found, Missing> {
    let Wanted { files, path, is_navigation, .. } = wanted;
    let search = Search { wanted, root, opening };
    let found = path.as_ref().ok_or(Missing::NotFound).and_then(|path| search.at(path));
    match (found, &files.fallback) {
        // A file that is kept from clients is answered as one that is missing, here too.
        (Err(Missing::NotFound | Missing::Forbidden(_)), Some(fallback)) if *is_navigation => {
            let path = fallback.trim_matches('/').as_bytes();
            search.file(path, true).map(|file| Found::File(FoundFile { is_fallback: true, ..file }))
        }
        (found, _) => found,
    }
}

struct Search<'a> {
    wanted: &'a Wanted,
    root: BorrowedFd<'a>,
    opening: Opening,
}

impl Search<'_> {
    fn at(&self, path: &FilePath) -> Result<Found, Missing> {
        let files = &self.wanted.files;
        if is_hidden(path, files) {
            return Err(Missing::Forbidden("the name is hidden"));
        }
        let (file, found) = self.open(path.as_bytes())?;
        match (found.is_dir(), path.is_folder()) {
            (true, false) => Ok(Found::Folder),
            (true, true) => self.index(path, file),
            (false, true) => Err(Missing::NotFound),
            (false, false) => {
                let name = path.segments().last().unwrap_or_default();
                let is_entrance = files.index.iter().any(|index| index.as_bytes() == name);
                self.with(path.as_bytes(), file, &found, is_entrance).map(Found::File)
            }
        }
    }

    /// The index of a folder, or its entries.
    fn index(&self, path: &FilePath, folder: File) -> Result<Found, Missing> {
        for name in &self.wanted.files.index {
            match self.file(&path.child(name.as_bytes()), true) {
                Err(Missing::NotFound) => {}
                found => return found.map(Found::File),
            }
        }
        match (self.wanted.files.list, self.opening) {
            (false, _) => Err(Missing::NotFound),
            // No call tells whether reading a folder would wait.
            (true, Opening::Cached) => Err(Missing::Waits),
            (true, Opening::Waiting) => self.entries(path, &folder),
        }
    }

    fn file(&self, path: &[u8], is_entrance: bool) -> Result<FoundFile, Missing> {
        let (file, found) = self.open(path)?;
        self.with(path, file, &found, is_entrance)
    }

    fn open(&self, path: &[u8]) -> Result<(File, Metadata), Missing> {
        let links = self.wanted.files.symlinks;
        let file = open_below(self.root, path, links, self.opening).map_err(Missing::of)?;
        let found = file.metadata().map_err(Missing::Failed)?;
        Ok((file, found))
    }

    /// The file that was opened, or a compressed form of it that stands beside it.
    fn with(
        &self,
        path: &[u8],
        file: File,
        found: &Metadata,
        is_entrance: bool,
    ) -> Result<FoundFile, Missing> {
        // A FIFO, a device and a socket have no length, and a folder is no index.
        if !found.is_file() {
            return Err(Missing::NotFound);
        }
        let Wanted { files, accepted, .. } = self.wanted;
        let mut chosen = (file, Validators::of(found, None), found.len(), None);
        for coding in files.precompressed.iter().copied().filter(|coding| accepted.has(*coding)) {
            let beside = [path, b".", coding.word().as_bytes()].concat();
            match self.open(&beside) {
                // A form that is older than the file was made of an earlier one.
                Ok((file, form)) if form.is_file() && !is_older(&form, found) => {
                    chosen = (file, Validators::of(&form, Some(coding)), form.len(), Some(coding));
                    break;
                }
                Err(Missing::Waits) => return Err(Missing::Waits),
                _ => {}
            }
        }
        let (file, validators, length, coding) = chosen;
        Ok(FoundFile {
            content: Content::new(file),
            length,
            validators,
            media_type: media_type(path),
            coding,
            is_entrance,
            is_fallback: false,
            is_immutable: !is_entrance && is_immutable(path, files),
        })
    }

    /// The entries of a folder that a client may ask for, folders first, by name.
    fn entries(&self, path: &FilePath, folder: &File) -> Result<Found, Missing> {
        let files = &self.wanted.files;
        let (mut entries, mut is_cut) = (Vec::new(), false);
        for entry in Dir::read_from(folder).map_err(Missing::of)? {
            let entry = entry.map_err(Missing::of)?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || is_hidden_name(path, name, files) {
                continue;
            }
            if entries.len() == ENTRIES_MAX {
                is_cut = true;
                break;
            }
            entries.extend(self.entry(path, folder, name));
        }
        entries.sort_by(|one, other| (!one.is_folder, &one.name).cmp(&(!other.is_folder, &other.name)));
        Ok(Found::Listing(entries, is_cut))
    }

    /// `None` if the entry is none that is served.
    fn entry(&self, path: &FilePath, folder: &File, name: &[u8]) -> Option<Entry> {
        let entry = |is_folder, length, modified| Entry { name: name.to_vec(), is_folder, length, modified };
        let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let kind = FileType::from_raw_mode(found.st_mode);
        if kind.is_file() || kind.is_dir() {
            let length = u64::try_from(found.st_size).unwrap_or(0);
            return Some(entry(kind.is_dir(), length, found.st_mtime));
        }
        if !kind.is_symlink() || self.wanted.files.symlinks == Symlinks::Never {
            return None;
        }
        let (_, found) = self.open(&path.child(name)).ok()?;
        let is_served = found.is_dir() || found.is_file();
        is_served.then(|| entry(found.is_dir(), found.len(), found.mtime()))
    }
}

/// Whether one of the names on the path is hidden.
fn is_hidden(path: &FilePath, files: &Files) -> bool {
    let is_known = |(at, name): &(usize, &[u8])| *at == 0 && *name == WELL_KNOWN;
    path.segments().enumerate().filter(|segment| !is_known(segment)).any(|(_, name)| takes(files, name))
}

fn is_hidden_name(folder: &FilePath, name: &[u8], files: &Files) -> bool {
    let is_known = folder.as_bytes().is_empty() && name == WELL_KNOWN;
    !is_known && takes(files, name)
}

/// The folder of well-known URIs (RFC 8615), which is for everyone to read.
const WELL_KNOWN: &[u8] = b".well-known";

fn takes(files: &Files, name: &[u8]) -> bool {
    files.hidden.iter().any(|hidden| hidden.matches(name))
}

fn is_immutable(path: &[u8], files: &Files) -> bool {
    !files.immutable.is_empty() && {
        let path = [b"/", path].concat();
        files.immutable.iter().any(|glob| glob.matches(&path))
    }
}

fn is_older(form: &Metadata, file: &Metadata) -> bool {
    matches!((form.modified(), file.modified()), (Ok(form), Ok(file)) if form < file)
}

impl Missing {
    fn of(error: Errno) -> Missing {
        match error {
            Errno::AGAIN => Missing::Waits,
            Errno::XDEV => Missing::Forbidden("a link leads out of the root"),
            Errno::LOOP => Missing::Forbidden("a link is not followed"),
            Errno::ACCESS | Errno::PERM => Missing::Forbidden("the system does not permit to read it"),
            Errno::NOENT
            | Errno::NOTDIR
            | Errno::NAMETOOLONG
            | Errno::INVAL
            | Errno::ILSEQ
            | Errno::NXIO
            | Errno::NODEV => Missing::NotFound,
            error => Missing::Failed(error.into()),
        }
    }
}
