//! Opening a file below a folder, and reading what is in memory. `cfg` chooses a file and never a line in it.
//!
//! Linux does both in one system call, [`each_part`] opens one part of a path after the other.

mod each_part;
#[cfg_attr(all(target_os = "linux", not(portable)), path = "linux.rs")]
#[cfg_attr(any(not(target_os = "linux"), portable), path = "portable.rs")]
mod open;

mod opening;

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::{Errno, Result};

use crate::config::plan::Symlinks;

pub(super) use open::read_cached;
pub use opening::Opening;

/// Opens the root. A link leads where it leads now, so a swapped one is seen.
///
/// # Errors
/// Those of the system.
pub(super) fn open_root(path: &Path, opening: Opening) -> Result<OwnedFd> {
    match open::open_root(path, opening) {
        Err(error) if is_unknown_call(error) => otherwise(opening, || each_part::open_root(path)),
        opened => opened,
    }
}

/// Opens a file or a folder below `root`. The path has no slash at either end, and is empty for the root itself.
///
/// # Errors
/// `EXDEV` if a link leads out of the root, `ELOOP` if one is not to be followed, and those of the system.
pub(super) fn open_below(
    root: BorrowedFd<'_>,
    path: &[u8],
    links: Symlinks,
    opening: Opening,
) -> Result<File> {
    let path = if path.is_empty() { b"." } else { path };
    let opened = match open::open_below(root, path, links, opening) {
        Err(error) if is_unknown_call(error) => {
            otherwise(opening, || each_part::open_below(root, path, links))
        }
        opened => opened,
    };
    opened.map(File::from)
}

/// Whether the kernel, or a filter of system calls, does not know the call or its flags.
fn is_unknown_call(error: Errno) -> bool {
    matches!(error, Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP)
}

/// The way of older systems. It may wait.
fn otherwise(opening: Opening, open: impl FnOnce() -> Result<OwnedFd>) -> Result<OwnedFd> {
    match opening {
        Opening::Cached => Err(Errno::AGAIN),
        Opening::Waiting => open(),
    }
}
