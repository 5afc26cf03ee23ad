//! Buffers, lent by the worker while bytes are on their way and given back when they have gone.
//!
//! A connection that waits owns none. So a worker needs as many as it has messages in transit, the
//! same few again and again, which is also what keeps them in the processor's cache. And most
//! messages are small: a busy connection holds the head of its request until the target answers,
//! so that the size of the smallest buffer is what hundreds of busy connections cost.

use std::io;
use std::rc::Rc;

use super::executor::Worker;
use super::spare::Spare;

/// Size of the buffers that messages begin with, in bytes: room for nearly every head.
pub const SMALL_BUFFER_BYTES: usize = 2 * 1024;

/// Size of the next larger ones, in bytes.
pub const BUFFER_BYTES: usize = 16 * 1024;

/// Size of the largest that are lent, in bytes: for bodies. Only a head makes one grow further.
pub const LARGE_BUFFER_BYTES: usize = 64 * 1024;

/// Free buffers of one size that a worker keeps, in bytes; more are given back to the system.
const FREE_BYTES_MAX: usize = 1024 * 1024;

/// How large a buffer is lent.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub enum BufferSize {
    /// [`SMALL_BUFFER_BYTES`].
    #[default]
    Small,
    /// [`BUFFER_BYTES`].
    Medium,
    /// [`LARGE_BUFFER_BYTES`].
    Large,
}

impl BufferSize {
    const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// In bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Small => SMALL_BUFFER_BYTES,
            Self::Medium => BUFFER_BYTES,
            Self::Large => LARGE_BUFFER_BYTES,
        }
    }

    /// The next larger one; of the largest itself.
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

    /// Keeps `bytes` for the next one, if they have a size that is lent.
    fn keep(&self, bytes: Box<[u8]>) {
        let size = match bytes.len() {
            SMALL_BUFFER_BYTES => BufferSize::Small,
            BUFFER_BYTES => BufferSize::Medium,
            LARGE_BUFFER_BYTES => BufferSize::Large,
            _ => return,
        };
        self.free[size as usize].keep(bytes, FREE_BYTES_MAX / size.bytes());
    }

    /// Gives up those that were not needed since the last time.
    pub(super) fn tidy(&self) {
        self.free.iter().for_each(|free| _ = free.tidy());
    }
}

/// Bytes that were read and not yet consumed, and room for more behind them.
pub struct Buffer {
    bytes: Box<[u8]>,
    /// `start <= end <= bytes.len()`; what stands between is unread.
    start: usize,
    end: usize,
    buffers: Rc<Buffers>,
}

impl Worker {
    /// Lends an empty buffer of [`SMALL_BUFFER_BYTES`].
    pub fn buffer(&self) -> Buffer {
        self.buffer_of(BufferSize::Small)
    }

    /// Lends an empty buffer.
    pub fn buffer_of(&self, size: BufferSize) -> Buffer {
        let buffers = &self.inner.buffers;
        Buffer { bytes: buffers.take(size), start: 0, end: 0, buffers: buffers.clone() }
    }
}

impl Buffer {
    /// What was read and not yet consumed.
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The same, to be changed in place.
    pub fn unread_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Whether everything was consumed.
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

    /// The room behind the unread bytes; [`Buffer::commit`] says how much of it was filled.
    pub fn spare_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// Counts `count` more bytes as unread.
    pub fn commit(&mut self, count: usize) {
        assert!(count <= self.bytes.len() - self.end, "invariant: nobody fills more than there is room for");
        self.end += count;
    }

    /// Makes room for one byte at least: moves the unread bytes to the front, then grows up to `most`
    /// bytes. `false` when there is no room and it may not grow.
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

    /// Appends `bytes`, growing where needed.
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

    /// To at least `least` bytes and at most `most`: to the next size that is lent, behind the largest
    /// of them doubling.
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
    /// Free buffers of that size.
    pub(super) fn kept(&self, size: BufferSize) -> usize {
        self.free[size as usize].len()
    }
}
