//! Moving bytes from one socket to another, or from a file to a socket, inside the kernel.
//!
//! A pipe connects the two sockets: bytes go from socket to pipe and from pipe to socket, and none is copied
//! to this process. That pays for bytes that smolgate need not see: raw TCP, tunnels, large bodies of known
//! length.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::stream::TcpStream;
use crate::worker::platform;
use crate::worker::source::{BYTES_PER_CALL, Direction};
use crate::worker::spare::Spare;
use crate::worker::worker::Worker;

/// Bytes requested in one call, and the wanted size of a pipe. It is four times the default of Linux, because
/// a larger call costs no more. Compared with the default, CPU per byte is 0.9 for bodies and 0.85 for raw
/// TCP. 1 MiB gave no more.
const PIPE_BYTES: usize = 256 * 1024;

/// Bytes copied at once past an urgent byte. An empty pipe takes that many in one write (`PIPE_BUF`).
const COPIED_MAX: usize = 512;

/// Empty pipes that a worker keeps. It makes no more pipes large than this, because Linux counts them against
/// a limit per user (64 MiB by default). A user at that limit gets very small pipes.
const FREE_MAX: usize = 32;

/// A pipe between two sockets. It is empty between calls.
pub struct Pipe {
    /// The reading end and the writing end. `Some` until the pipe is dropped.
    pub(in crate::worker) ends: Option<(OwnedFd, OwnedFd)>,
    /// Bytes in the pipe.
    filled: usize,
    free: Rc<Spare<(OwnedFd, OwnedFd)>>,
}

impl Worker {
    /// Lends a pipe.
    ///
    /// # Errors
    /// `Unsupported` if the system has no `splice`, or an error if no file descriptor is left. The caller
    /// then copies.
    pub fn pipe(&self) -> io::Result<Pipe> {
        let free = &self.inner.pipes.free;
        let make = || {
            let ends = platform::pipe()?;
            // The strong count is the number of lent pipes plus one, because each holds the list.
            if Rc::strong_count(free) <= FREE_MAX {
                platform::enlarge(ends.1.as_fd(), PIPE_BYTES);
            }
            io::Result::Ok(ends)
        };
        let ends = free.take().map_or_else(make, Ok)?;
        Ok(Pipe { ends: Some(ends), filled: 0, free: free.clone() })
    }
}

impl Pipe {
    /// Reads up to `most` bytes (not 0) from `stream` into the pipe. 0 means that the peer has finished
    /// sending.
    ///
    /// # Errors
    /// Any error of reading the socket.
    pub fn poll_fill(
        &mut self,
        stream: &TcpStream,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let moved = ready!(stream.source().read.poll_with(cx, || self.take(stream, most)))?;
        Poll::Ready(Ok(self.filled_with(moved, &stream.source().read)))
    }

    /// Reads up to `most` bytes from `stream` into the pipe without waiting.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing to read in this turn, and any error of reading the socket.
    pub fn try_fill_from(&mut self, stream: &TcpStream, most: usize) -> io::Result<usize> {
        let moved = stream.source().read.try_with(|| self.take(stream, most));
        let moved = moved.unwrap_or(Err(io::ErrorKind::WouldBlock.into()))?;
        Ok(self.filled_with(moved, &stream.source().read))
    }

    fn take(&self, stream: &TcpStream, most: usize) -> io::Result<usize> {
        let (_, writing) = self.ends.as_ref().expect("invariant: open until dropped");
        let moved = platform::splice(stream.as_fd(), writing.as_fd(), most.min(PIPE_BYTES));
        // In front of an urgent byte, `splice` finds nothing for ever, or an end if the peer has finished. A
        // read goes past that byte and tells whether the end has come.
        let may_be_urgent = match &moved {
            Ok(0) => true,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock && stream.source().may_have_ended.get(),
            Ok(_) => false,
        };
        if !may_be_urgent || self.filled > 0 {
            return moved;
        }
        let mut bytes = [0; COPIED_MAX];
        let read = platform::read(stream.as_fd(), &mut bytes[..most.min(COPIED_MAX)])?;
        if read == 0 { Ok(0) } else { platform::write_pipe(writing.as_fd(), &bytes[..read]) }
    }

    fn filled_with(&mut self, moved: usize, direction: &Direction) -> usize {
        spend(direction, moved);
        self.filled += moved;
        moved
    }

    /// Writes some bytes of the pipe to `stream`. Returns how many are left in the pipe.
    ///
    /// # Errors
    /// Any error of writing the socket.
    pub async fn drain_into(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let (reading, _) = self.ends.as_ref().expect("invariant: open until dropped");
        let filled = self.filled;
        let direction = &stream.source().write;
        let call = || platform::splice(reading.as_fd(), stream.as_fd(), filled);
        let moved = poll_fn(|cx| direction.poll_with(cx, call)).await?;
        spend(direction, moved);
        self.filled -= moved;
        Ok(self.filled)
    }
}

impl TcpStream {
    /// Sends up to `most` bytes of a file from `offset` on, and moves `offset` behind them. 0 means that the file ends
    /// there. Bytes that are not in memory keep the whole worker waiting, so the caller makes sure that they are.
    pub fn poll_send_file(
        &self,
        cx: &mut Context<'_>,
        file: BorrowedFd<'_>,
        offset: &mut u64,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        let direction = &self.source().write;
        let call = || platform::send_file(self.as_fd(), file, offset, most);
        let moved = ready!(direction.poll_with(cx, call))?;
        spend(direction, moved);
        Poll::Ready(Ok(moved))
    }
}

/// Counts the bytes that a call moved beyond [`BYTES_PER_CALL`] as further calls.
fn spend(direction: &Direction, moved: usize) {
    direction.spend(u8::try_from(moved.saturating_sub(1) / BYTES_PER_CALL).unwrap_or(u8::MAX));
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // Keep only an empty pipe, because the next connection would get the bytes that are left in it.
        if let Some(ends) = self.ends.take().filter(|_| self.filled == 0) {
            self.free.keep(ends, FREE_MAX);
        }
    }
}
