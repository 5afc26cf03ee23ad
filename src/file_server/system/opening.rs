//! How a file is opened.

use rustix::fs::OFlags;

/// Whether opening may wait for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It may not. `EAGAIN` if it would.
    Cached,
    /// It may.
    Waiting,
}

/// Flags to open a file of any kind: without waiting for the other end of a FIFO, and without a terminal that
/// becomes that of this process.
pub(super) const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);
