//! The portable form: nothing tells what would wait, so everything may.

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::{Errno, Result};

use super::opening::Opening;
use crate::config::plan::Symlinks;

pub(super) fn open_root(_path: &Path, _opening: Opening) -> Result<OwnedFd> {
    Err(Errno::NOSYS)
}

pub(super) fn open_below(
    _root: BorrowedFd<'_>,
    _path: &[u8],
    _links: Symlinks,
    _opening: Opening,
) -> Result<OwnedFd> {
    Err(Errno::NOSYS)
}

/// Reads nothing.
pub(in crate::file_server) fn read_cached(_file: &File, _at: u64, _bytes: &mut [u8]) -> Result<usize> {
    Err(Errno::AGAIN)
}
