//! Buffers that the worker lends while bytes are in transit, and takes back afterwards.
//!
//! A connection that waits owns no buffer. So a worker needs only as many buffers as it has messages in
//! transit. It uses the same few again and again, which keeps them in the processor's cache. Most messages
//! are small, but a busy connection holds the head of its request until the target answers. So the size of
//! the smallest buffer is the cost of each busy connection.

use std::io;
use std::rc::Rc;

use super::spare::Spare;

/// Size of the buffers that messages begin with, in bytes. It has room for nearly every head.
pub const SMALL_BUFFER_BYTES: usize = 2 * 1024;

/// Size of the medium buffers, in bytes.
pub const BUFFER_BYTES: usize = 16 * 1024;

/// Size of the largest buffers that are lent, in bytes. Bodies use them; only a head grows a buffer further.
pub const LARGE_BUFFER_BYTES: usize = 64 * 1024;

/// Limit on the free buffers of one size that a worker keeps, in bytes. The system gets back all others.
const FREE_BYTES_MAX: usize = 1024 * 1024;

/// Size class of a lent buffer.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub enum BufferSize {
    /// A buffer of [`SMALL_BUFFER_BYTES`].
    #[default]
    Small,
    /// A buffer of [`BUFFER_BYTES`].
    Medium,
    /// A buffer of [`LARGE_BUFFER_BYTES`].
    Large,
}

impl BufferSize {
    const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// The size in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Small => SMALL_BUFFER_BYTES,
            Self::Medium => BUFFER_BYTES,
            Self::Large => LARGE_BUFFER_BYTES,
        }
    }

    /// The next larger size. `Large` returns itself.
    pub fn larger(self) -> Self {
        match self {
            Self::Small => Self::Medium,
            Self::Medium | Self::Large => Self::Large,
        }
    }
}

/// The free buffers of a worker, by size.
#[derive(Default)]
pub(super) struct Buffers {
    free: [Spare<Box<[u8]>>; BufferSize::ALL.len()],
}

impl Buffers {
    fn take(&self, size: BufferSize) -> Box<[u8]> {
        self.free[size as usize].take().unwrap_or_else(|| vec![0; size.bytes()].into_boxed_slice())
    }

    /// Keeps `bytes` for the next use if they have a size that is lent.
    fn keep(&self, bytes: Box<[u8]>) {
        let (size, most) = match bytes.len() {
            SMALL_BUFFER_BYTES => (BufferSize::Small, const { FREE_BYTES_MAX / SMALL_BUFFER_BYTES }),
            BUFFER_BYTES => (BufferSize::Medium, const { FREE_BYTES_MAX / BUFFER_BYTES }),
            LARGE_BUFFER_BYTES => (BufferSize::Large, const { FREE_BYTES_MAX / LARGE_BUFFER_BYTES }),
            _ => return,
        };
        self.free[size as usize].keep(bytes, most);
    }

    /// Frees the buffers that were not needed since the last call.
    pub(super) fn tidy(&self) {
        self.free.iter().for_each(|free| _ = free.tidy());
    }
}

/// Bytes that were read and not yet consumed, and room for more behind them.
pub struct Buffer {
    bytes: Box<[u8]>,
    /// `start <= end <= bytes.len()`. The bytes between `start` and `end` are unread.
    start: usize,
    end: usize,
    buffers: Rc<Buffers>,
}

impl Buffer {
    /// An empty buffer of `buffers`.
    pub(super) fn new(buffers: &Rc<Buffers>, size: BufferSize) -> Self {
        Self { bytes: buffers.take(size), start: 0, end: 0, buffers: buffers.clone() }
    }

    /// The bytes that were read and not yet consumed.
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The unread bytes, to be changed in place.
    pub fn unread_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Whether all bytes were consumed.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Forgets the first `count` unread bytes.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.end - self.start, "invariant: nobody consumes what was not read");
        self.start += count;
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
        }
    }

    /// The room behind the unread bytes. The caller reports the bytes that it filled with [`Buffer::commit`].
    pub fn spare_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// Room for at least `least` bytes behind the unread bytes, as [`Buffer::spare_mut`]. Grows if needed.
    pub fn room(&mut self, least: usize) -> &mut [u8] {
        let end = self.end + least;
        if end > self.bytes.len() {
            self.grow(end, usize::MAX);
        }
        self.spare_mut()
    }

    /// Counts `count` more bytes as unread.
    pub fn commit(&mut self, count: usize) {
        assert!(count <= self.bytes.len() - self.end, "invariant: nobody fills more than there is room for");
        self.end += count;
    }

    /// Makes room for at least one byte: moves the unread bytes to the front, or grows up to `most` bytes.
    /// Returns `false` if there is no room and the buffer may not grow.
    pub fn reserve(&mut self, most: usize) -> bool {
        if self.end < self.bytes.len() {
            return true;
        }
        if self.start > 0 {
            self.move_to_front();
            return true;
        }
        if self.bytes.len() >= most {
            return false;
        }
        self.grow(self.bytes.len() + 1, most);
        true
    }

    /// Appends `bytes` and grows if needed.
    #[inline]
    pub fn extend(&mut self, bytes: &[u8]) {
        match self.bytes.get_mut(self.end..self.end + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.end += bytes.len();
            }
            None => self.extend_slow(bytes),
        }
    }

    #[cold]
    fn extend_slow(&mut self, bytes: &[u8]) {
        let mut end = self.end + bytes.len();
        if end > self.bytes.len() && self.start > 0 {
            end -= self.start;
            self.move_to_front();
        }
        if end > self.bytes.len() {
            self.grow(end, usize::MAX);
        }
        self.bytes[self.end..end].copy_from_slice(bytes);
        self.end = end;
    }

    fn move_to_front(&mut self) {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
    }

    /// Grows to at least `least` and at most `most` bytes: to the next size that is lent, or, beyond the
    /// largest of them, to twice the size.
    fn grow(&mut self, least: usize, most: usize) {
        let lent = BufferSize::ALL.into_iter().find(|size| (least..=most).contains(&size.bytes()));
        let mut larger = match lent {
            Some(size) => self.buffers.take(size),
            None => vec![0; (self.bytes.len() * 2).max(least).min(most)].into_boxed_slice(),
        };
        larger[..self.end].copy_from_slice(&self.bytes[..self.end]);
        self.buffers.keep(std::mem::replace(&mut self.bytes, larger));
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.buffers.keep(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
impl Buffers {
    /// The number of free buffers of `size`.
    pub(super) fn kept(&self, size: BufferSize) -> usize {
        self.free[size as usize].len()
    }
}
