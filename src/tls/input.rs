//! What was read from a connection and not yet consumed.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use super::stream::Stream;
use crate::worker::{Buffer, Worker};

/// Unread bytes of one connection. Owns a buffer only while there are some.
#[derive(Default)]
pub struct Input {
    buffer: Option<Buffer>,
    /// The last read filled all the room it had: the next one gets more of it.
    flooded: bool,
}

impl Input {
    /// The unread bytes.
    pub fn unread(&self) -> &[u8] {
        self.buffer.as_ref().map_or(&[], Buffer::unread)
    }

    /// The unread bytes, to be decoded in place.
    pub fn unread_mut(&mut self) -> &mut [u8] {
        self.buffer.as_mut().map_or(&mut [], Buffer::unread_mut)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.unread().is_empty()
    }

    /// Forgets the first `count` unread bytes; gives the buffer back when none are left.
    pub fn consume(&mut self, count: usize) {
        if let Some(buffer) = &mut self.buffer {
            buffer.consume(count);
            if buffer.is_empty() {
                self.buffer = None;
            }
        }
    }

    /// Reads more, at most so that `most` bytes are unread. 0 is the end. Has no deadline of its own.
    ///
    /// # Errors
    /// `OutOfMemory` when `most` bytes are unread already, and what the connection fails with.
    pub async fn fill(&mut self, stream: &Stream, most: usize) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(stream, most, cx)).await
    }

    fn poll_fill(&mut self, stream: &Stream, most: usize, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.buffer.is_none() {
            ready!(stream.poll_readable(cx));
        }
        let lend = if self.flooded { Worker::large_buffer } else { Worker::buffer };
        let buffer = self.buffer.get_or_insert_with(|| lend(&stream.worker()));
        if !buffer.reserve(most) {
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        let result = stream.poll_read(cx, buffer.spare_mut());
        if let Poll::Ready(Ok(count)) = result {
            self.flooded = count == buffer.spare_mut().len();
            buffer.commit(count);
        }
        if buffer.is_empty() {
            self.buffer = None;
        }
        result
    }
}
