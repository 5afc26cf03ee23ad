//! Files that the program which started this one has left open for it.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use rustix::fd::BorrowedFd;
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// Takes over the open file with this number, and closes it in programs that this one starts. Each number may be taken
/// once.
///
/// # Errors
/// No file with this number is open, or it is one of the three standard ones.
#[expect(unsafe_code, reason = "a number has no owner")]
pub fn inherited_file(number: RawFd) -> io::Result<OwnedFd> {
    if number < 3 {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    // SAFETY: the number is not -1, and it is used for calls that fail if no such file is open.
    fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) })?;
    // SAFETY: the file is open, and its number came from outside of this program, so nothing here owns it.
    let file = unsafe { OwnedFd::from_raw_fd(number) };
    fcntl_setfd(&file, FdFlags::CLOEXEC)?;
    Ok(file)
}
