//! Empty pipes, kept for the next transfer.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::spare::Spare;

/// Empty pipes for reuse, because creating and closing a pipe costs four system calls.
#[derive(Default)]
pub(super) struct Pipes {
    pub(super) free: Rc<Spare<(OwnedFd, OwnedFd)>>,
}
