//! Moving bytes from one socket to another inside the kernel.
//!
//! A pipe stands between the two: socket to pipe, pipe to socket, and no byte is copied to us. It
//! pays for bytes that nobody needs to look at: raw TCP, tunnels, large bodies of known length.

use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::executor::Worker;
use super::platform;
use super::source::{BYTES_PER_CALL, Direction};
use super::spare::Spare;
use super::stream::TcpStream;

/// Bytes asked for in one call, and what a pipe should hold: four times what Linux gives it, since a
/// call costs the same for more. CPU per byte: 0.9 for bodies, 0.85 for raw TCP; 1 MiB gave no more.
const PIPE_BYTES: usize = 256 * 1024;

/// Bytes copied at once past an urgent byte: no more than an empty pipe takes in one write (`PIPE_BUF`).
const COPIED_MAX: usize = 512;

/// Empty pipes a worker keeps. No more than this are made large: Linux counts them against what a user
/// may have in pipes (64 MiB by default), and whoever has it all gets very small ones.
const FREE_MAX: usize = 32;

/// Empty pipes, used again: making and closing one costs four system calls.
#[derive(Default)]
pub(super) struct Pipes {
    pub(super) free: Rc<Spare<(OwnedFd, OwnedFd)>>,
}

/// A pipe between two sockets. Between calls it is empty.
pub struct Pipe {
    /// Reading end, writing end; `Some` until dropped.
    pub(super) ends: Option<(OwnedFd, OwnedFd)>,
    /// Bytes in the pipe.
    filled: usize,
    free: Rc<Spare<(OwnedFd, OwnedFd)>>,
}

impl Worker {
    /// Lends a pipe.
    ///
    /// # Errors
    /// `Unsupported` where the system has no `splice`, or no file descriptor is left: then copy.
    pub fn pipe(&self) -> io::Result<Pipe> {
        let free = &self.inner.pipes.free;
        let make = || {
            let ends = platform::pipe()?;
            // Each that is lent holds the list.
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
    /// Reads up to `most` bytes (not 0) from `stream` into the pipe. 0 is the end.
    ///
    /// # Errors
    /// What reading the socket fails with.
    pub fn poll_fill(
        &mut self,
        stream: &TcpStream,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let moved = ready!(stream.source().read.poll_with(cx, || self.take(stream, most)))?;
        Poll::Ready(Ok(self.filled_with(moved, &stream.source().read)))
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing to read in this turn, and what reading the socket fails with.
    pub fn try_fill_from(&mut self, stream: &TcpStream, most: usize) -> io::Result<usize> {
        let moved = stream.source().read.try_with(|| self.take(stream, most));
        let moved = moved.unwrap_or(Err(io::ErrorKind::WouldBlock.into()))?;
        Ok(self.filled_with(moved, &stream.source().read))
    }

    fn take(&self, stream: &TcpStream, most: usize) -> io::Result<usize> {
        let (_, writing) = self.ends.as_ref().expect("invariant: open until dropped");
        let moved = platform::splice(stream.as_fd(), writing.as_fd(), most.min(PIPE_BYTES));
        // In front of an urgent byte `splice` finds nothing, for ever, or an end if the peer has finished. A read
        // goes past it, and knows whether that is the end.
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

    /// Writes some of what the pipe holds to `stream`; how many bytes are left in it.
    ///
    /// # Errors
    /// What writing the socket fails with.
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

/// Counts what a call moved beyond the bytes that every call may.
fn spend(direction: &Direction, moved: usize) {
    direction.spend(u8::try_from(moved.saturating_sub(1) / BYTES_PER_CALL).unwrap_or(u8::MAX));
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // A pipe with bytes in it would give them to the next connection.
        if let Some(ends) = self.ends.take().filter(|_| self.filled == 0) {
            self.free.keep(ends, FREE_MAX);
        }
    }
}
