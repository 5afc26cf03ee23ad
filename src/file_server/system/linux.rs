//! The Linux form: `openat2` keeps below a folder by itself, and tells what would wait (openat2(2), preadv2(2)).

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, ReadWriteFlags, Result, preadv2};

use super::opening::{FILE, Opening};
use crate::config::plan::Symlinks;

/// Tries to open a path with `..` in a link, while another process renames a folder in it.
const TRIES: usize = 16;

pub(super) fn open_root(path: &Path, opening: Opening) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat2(CWD, path, flags, Mode::empty(), cached(opening))
}

pub(super) fn open_below(
    root: BorrowedFd<'_>,
    path: &[u8],
    links: Symlinks,
    opening: Opening,
) -> Result<OwnedFd> {
    // A link in /proc leads to a file without a path, which may be anything.
    let links = ResolveFlags::NO_MAGICLINKS
        | match links {
            Symlinks::Inside => ResolveFlags::BENEATH,
            Symlinks::Never => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
            Symlinks::Anywhere => ResolveFlags::empty(),
        };
    let open = || openat2(root, path, FILE, Mode::empty(), links | cached(opening));
    match opening {
        Opening::Cached => open(),
        // Here EAGAIN says that a `..` might have led out, because of a rename at that moment.
        Opening::Waiting => {
            let tries = (0..TRIES).map(|_| open());
            tries.into_iter().find(|opened| !matches!(opened, Err(Errno::AGAIN))).unwrap_or(Err(Errno::BUSY))
        }
    }
}

fn cached(opening: Opening) -> ResolveFlags {
    match opening {
        Opening::Cached => ResolveFlags::CACHED,
        Opening::Waiting => ResolveFlags::empty(),
    }
}

/// Reads bytes that are in memory. `EAGAIN` if the first of them is not.
pub(in crate::file_server) fn read_cached(file: &File, at: u64, bytes: &mut [u8]) -> Result<usize> {
    match preadv2(file, &mut [IoSliceMut::new(bytes)], at, ReadWriteFlags::NOWAIT) {
        // Some file systems cannot tell, and old kernels do not know the call.
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Err(Errno::AGAIN),
        read => read,
    }
}
