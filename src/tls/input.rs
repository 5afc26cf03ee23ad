//! The bytes that were read from a connection and are not consumed yet.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::shared_stream::{NoStream, Readable, SharedStream};
use super::stream::Stream;
use crate::worker::{Buffer, BufferSize, SMALL_BUFFER_BYTES};

/// The unread bytes of one connection. It owns a buffer only while there are some.
#[derive(Default)]
pub struct Input {
    buffer: Option<Buffer>,
    size_estimate: SizeEstimate,
}

/// The size of a connection's next buffer, estimated from its reads. A read that fills its buffer makes the
/// next one larger. The largest serves only one read after a full one. The bytes of all other reads should
/// stay in the processor's nearest cache (64 KiB responses: 12 % of the CPU). The smallest comes back after
/// two small reads, because a message that is a little larger than a buffer ends with one.
#[derive(Default)]
struct SizeEstimate {
    size: BufferSize,
    /// Whether the smallest buffer would have been enough for the last read.
    small: bool,
}

impl SizeEstimate {
    /// Takes a read into account. Then `unread` bytes are there, and the buffer has no room left if `full`.
    fn update(&mut self, unread: usize, full: bool) {
        let small = !full && unread < SMALL_BUFFER_BYTES;
        self.size = match self.size {
            size if full => size.larger(),
            BufferSize::Large => BufferSize::Medium,
            _ if small && self.small => BufferSize::Small,
            size => size,
        };
        self.small = small;
    }
}

impl From<Buffer> for Input {
    fn from(buffer: Buffer) -> Self {
        Self { buffer: Some(buffer), size_estimate: SizeEstimate::default() }
    }
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

    /// Whether there are no unread bytes.
    pub fn is_empty(&self) -> bool {
        self.unread().is_empty()
    }

    /// Drops the first `count` unread bytes. The buffer goes back when none are left.
    pub fn consume(&mut self, count: usize) {
        if let Some(buffer) = &mut self.buffer {
            buffer.consume(count);
            if buffer.is_empty() {
                self.buffer = None;
            }
        }
    }

    /// Reads more, until at most `most` bytes are unread. 0 means the end. It has no deadline of its own.
    ///
    /// # Errors
    /// `OutOfMemory` if `most` bytes are unread already, or the error of the connection.
    pub async fn fill(&mut self, stream: &impl Readable, most: usize) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(stream, most, cx)).await
    }

    /// See [`Input::fill`].
    ///
    /// # Errors
    /// The same.
    pub fn poll_fill(
        &mut self,
        stream: &impl Readable,
        most: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.buffer.is_none() {
            ready!(stream.poll_readable(cx));
        }
        let Self { buffer: lent, size_estimate } = self;
        let buffer = lent.get_or_insert_with(|| stream.lend(size_estimate.size));
        if !buffer.reserve(most) {
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        let result = stream.poll_read_into(cx, buffer);
        if let Poll::Ready(Ok(_)) = result {
            size_estimate.update(buffer.unread().len(), buffer.spare_mut().is_empty());
        }
        if buffer.is_empty() {
            *lent = None;
        }
        result
    }
}

impl<S: SharedStream<Connection = Stream>> Readable for Stream<S> {
    #[inline]
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_readable(cx)
    }

    #[inline]
    fn poll_read_into(&self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
        if let Self::Shared(stream) = self {
            return stream.poll_read_into(cx, buffer);
        }
        let read = self.poll_read(cx, buffer.spare_mut());
        if let Poll::Ready(Ok(count)) = read {
            buffer.commit(count);
        }
        read
    }

    #[inline]
    fn lend(&self, size: BufferSize) -> Buffer {
        self.worker().buffer_of(size)
    }
}

/// A connection that is not shared has no streams to ask.
impl SharedStream for NoStream {
    type Connection = Stream;

    fn connection(&self) -> &Stream {
        match *self {}
    }

    fn poll_readable(&self, _: &mut Context<'_>) -> Poll<()> {
        match *self {}
    }

    fn poll_read_into(&self, _: &mut Context<'_>, _: &mut Buffer) -> Poll<io::Result<usize>> {
        match *self {}
    }

    fn try_write(&self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        match *self {}
    }

    fn poll_write(&self, _: &mut Context<'_>, _: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match *self {}
    }

    fn poll_gone(&self, _: &mut Context<'_>) -> Poll<()> {
        match *self {}
    }

    fn end(&self, _: &[u8]) {
        match *self {}
    }

    fn shut_down(&self) {
        match *self {}
    }

    fn take_back(&self) -> Option<Buffer> {
        match *self {}
    }

    fn is_spent(&self) -> bool {
        match *self {}
    }

    fn set_patience(&self, _: Duration) {
        match *self {}
    }

    fn patience(&self) -> Option<Duration> {
        match *self {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The buffer's size and the number of reads for each of `messages` messages of `bytes`.
    fn lent(size_estimate: &mut SizeEstimate, messages: usize, bytes: usize) -> Vec<(BufferSize, usize)> {
        let message = |_| {
            let (first, mut left, mut reads) = (size_estimate.size, bytes, 0);
            while left > 0 {
                let room = size_estimate.size.bytes();
                let read = left.min(room);
                size_estimate.update(read, read == room);
                (left, reads) = (left - read, reads + 1);
            }
            (first, reads)
        };
        (0..messages).map(message).collect()
    }

    #[test]
    fn a_buffer_is_as_large_as_what_the_connection_sends() {
        let mut size_estimate = SizeEstimate::default();
        assert_eq!(lent(&mut size_estimate, 2, 300), [(BufferSize::Small, 1); 2]);
        assert_eq!(
            lent(&mut size_estimate, 3, 10_300),
            [(BufferSize::Small, 2), (BufferSize::Medium, 1), (BufferSize::Medium, 1)]
        );
        assert_eq!(lent(&mut size_estimate, 3, 65_700), [(BufferSize::Medium, 2); 3]);
        let small = lent(&mut size_estimate, 6, 300);
        assert_eq!(small.last(), Some(&(BufferSize::Small, 1)), "{small:?}");
    }

    #[test]
    fn messages_that_end_with_a_small_read_keep_their_buffer_size() {
        for bytes in [2_100, 16_500, 18_500, 81_000, 82_000, 150_000] {
            let mut size_estimate = SizeEstimate::default();
            lent(&mut size_estimate, 3, bytes);
            let settled = lent(&mut size_estimate, 10, bytes);
            assert!(settled.windows(2).all(|pair| pair[0] == pair[1]), "{bytes}: {settled:?}");
        }
    }
}
