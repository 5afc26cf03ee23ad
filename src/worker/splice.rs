//! Moving bytes from one socket to another inside the kernel.
//!
//! A pipe stands between the two: socket to pipe, pipe to socket, and no byte is copied to us. It
//! pays for bytes that nobody needs to look at: raw TCP, tunnels, large bodies of known length.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::executor::Worker;
use super::platform;
use super::stream::TcpStream;

/// Bytes asked for in one call, and what a pipe should hold: four times what Linux gives it, since a
/// call costs the same for more. CPU per byte: 0.9 for bodies, 0.85 for raw TCP; 1 MiB gave no more.
const PIPE_BYTES: usize = 256 * 1024;

/// Empty pipes a worker keeps. No more than this are made large: Linux counts them against what a user
/// may have in pipes (64 MiB by default), and whoever has it all gets very small ones.
const FREE_MAX: usize = 32;

/// Empty pipes, used again: making and closing one costs four system calls.
#[derive(Default)]
pub(super) struct Pipes {
    pub(super) free: Rc<RefCell<Vec<(OwnedFd, OwnedFd)>>>,
}

/// A pipe between two sockets. Between calls it is empty.
pub struct Pipe {
    /// Reading end, writing end; `Some` until dropped.
    pub(super) ends: Option<(OwnedFd, OwnedFd)>,
    /// Bytes in the pipe.
    filled: usize,
    free: Rc<RefCell<Vec<(OwnedFd, OwnedFd)>>>,
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
        let kept = free.borrow_mut().pop();
        let ends = kept.map_or_else(make, Ok)?;
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
        let (_, writing) = self.ends.as_ref().expect("invariant: open until dropped");
        let most = most.min(PIPE_BYTES);
        let call = || platform::splice(stream.as_fd(), writing.as_fd(), most);
        let moved = ready!(stream.source().read.poll_with(cx, call))?;
        self.filled += moved;
        Poll::Ready(Ok(moved))
    }

    /// The same without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing to read, and what reading the socket fails with.
    pub fn fill_now(&mut self, stream: &TcpStream, most: usize) -> io::Result<usize> {
        let (_, writing) = self.ends.as_ref().expect("invariant: open until dropped");
        let source = stream.source();
        if !source.read.is_ready() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let moved = platform::splice(stream.as_fd(), writing.as_fd(), most.min(PIPE_BYTES));
        match &moved {
            Ok(bytes) => self.filled += bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => source.read.set_ready(false),
            Err(_) => {}
        }
        moved
    }

    /// Writes some of what the pipe holds to `stream`; how many bytes are left in it.
    ///
    /// # Errors
    /// What writing the socket fails with.
    pub async fn empty(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let (reading, _) = self.ends.as_ref().expect("invariant: open until dropped");
        let filled = self.filled;
        let source = stream.source();
        let call = || platform::splice(reading.as_fd(), stream.as_fd(), filled);
        let moved = poll_fn(|cx| {
            let moved = ready!(source.write.poll_with(cx, call))?;
            Poll::Ready(io::Result::Ok(moved))
        })
        .await?;
        self.filled -= moved;
        Ok(self.filled)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        // A pipe with bytes in it would give them to the next connection.
        let mut free = self.free.borrow_mut();
        if self.filled == 0 && free.len() < FREE_MAX {
            free.extend(self.ends.take());
        }
    }
}
