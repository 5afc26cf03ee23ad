//! Opens one part of a path after the other, and follows links by hand. So the kernel never walks a path in which
//! another process may put a link between the check and the opening.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags, open, openat, readlinkat};
use rustix::io::{Errno, Result};

use super::opening::FILE;
use crate::config::plan::Symlinks;

/// Links that are followed on the way to one file, as many as Linux follows.
const LINKS_MAX: usize = 40;

pub(super) fn open_root(path: &Path) -> Result<OwnedFd> {
    open(path, FILE | OFlags::DIRECTORY, Mode::empty())
}

pub(super) fn open_below(root: BorrowedFd<'_>, path: &[u8], links: Symlinks) -> Result<OwnedFd> {
    match links {
        Symlinks::Anywhere => openat(root, path, FILE, Mode::empty()),
        Symlinks::Inside => walk(root, path, LINKS_MAX),
        Symlinks::Never => walk(root, path, 0),
    }
}

/// Walks below `root`, along at most `links_max` links.
fn walk(root: BorrowedFd<'_>, path: &[u8], links_max: usize) -> Result<OwnedFd> {
    let mut links = 0;
    // The folders below the root on the way to here.
    let mut folders: Vec<OwnedFd> = Vec::new();
    // The parts that are left, the next one last.
    let mut parts = Vec::new();
    push_parts(&mut parts, path);
    loop {
        let here = folders.last().map_or(root, AsFd::as_fd);
        let Some(part) = parts.pop() else {
            return openat(here, c".", FILE | OFlags::DIRECTORY, Mode::empty());
        };
        match &part[..] {
            b"" | b"." => continue,
            b".." => {
                folders.pop().ok_or(Errno::XDEV)?;
                continue;
            }
            _ => {}
        }
        let is_last = parts.is_empty();
        let kind = if is_last { OFlags::empty() } else { OFlags::DIRECTORY };
        match openat(here, &part[..], FILE | OFlags::NOFOLLOW | kind, Mode::empty()) {
            Ok(file) if is_last => return Ok(file),
            Ok(folder) => folders.push(folder),
            // Systems have several errors for a link that is not to be followed, so the link itself is asked.
            Err(error) => {
                let target = readlinkat(here, &part[..], Vec::new()).map_err(|_| error)?;
                links += 1;
                if links > links_max {
                    return Err(Errno::LOOP);
                }
                if target.as_bytes().starts_with(b"/") {
                    return Err(Errno::XDEV);
                }
                push_parts(&mut parts, target.as_bytes());
            }
        }
    }
}

/// Puts the parts of a path in front of those that are left.
fn push_parts(parts: &mut Vec<Vec<u8>>, path: &[u8]) {
    parts.extend(path.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with a root in it, and links of all kinds.
    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(dir.path().join("secret"), "secret").unwrap();
        fs::write(root.join("a/b/file"), "file").unwrap();
        for (target, link) in [
            ("a/b/file", "to_file"),
            ("a", "to_folder"),
            ("a/b/", "to_folder_with_slash"),
            ("../a/b/file", "a/up"),
            ("../secret", "out"),
            ("a/../../secret", "out_by_dots"),
            ("a/b/../../../root/a", "out_and_in"),
            ("/etc/passwd", "absolute"),
            ("self", "self"),
            ("to_file", "to_link"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        dir
    }

    fn text(path: &str, links: Symlinks) -> std::result::Result<String, Errno> {
        let dir = tree();
        let root = open_root(&dir.path().join("root"))?;
        let mut text = String::new();
        let mut file = File::from(open_below(root.as_fd(), path.as_bytes(), links)?);
        file.read_to_string(&mut text).map_err(|error| Errno::from_io_error(&error).unwrap())?;
        Ok(text)
    }

    #[test]
    fn links_inside_are_followed() {
        for path in [
            "a/b/file",
            "to_file",
            "to_folder/b/file",
            "to_folder_with_slash/file",
            "to_folder/up",
            "to_link",
        ] {
            assert_eq!(text(path, Symlinks::Inside).as_deref(), Ok("file"), "{path}");
            let without = text(path, Symlinks::Never);
            assert_eq!(without.is_ok(), path == "a/b/file", "{path}: {without:?}");
        }
    }

    #[test]
    fn nothing_leads_out() {
        for (path, error) in [
            ("out", Errno::XDEV),
            ("out_by_dots", Errno::XDEV),
            ("out_and_in/b/file", Errno::XDEV),
            ("absolute", Errno::XDEV),
            ("..", Errno::XDEV),
            ("../secret", Errno::XDEV),
            ("a/../../secret", Errno::XDEV),
            ("self", Errno::LOOP),
            ("none", Errno::NOENT),
            ("a/b/file/x", Errno::NOTDIR),
            ("to_file/x", Errno::NOTDIR),
        ] {
            assert_eq!(text(path, Symlinks::Inside), Err(error), "{path}");
        }
        assert_eq!(text("out", Symlinks::Anywhere).as_deref(), Ok("secret"));
    }

    #[test]
    fn a_folder_is_opened_too() {
        for path in ["", ".", "a", "a/b", "to_folder", "to_folder_with_slash", "a/.."] {
            assert_eq!(text(path, Symlinks::Inside), Err(Errno::ISDIR), "{path}");
        }
    }
}
