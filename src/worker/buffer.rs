//! Buffers, lent by the worker while bytes are on their way and given back when they have gone.
//!
//! A connection that waits owns none. So a worker needs as many as it has messages in transit, the
//! same few again and again, which is also what keeps them in the processor's cache.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use super::executor::Worker;

/// Size of a buffer, in bytes. A larger head makes one grow, see [`Buffer::reserve`].
pub const BUFFER_BYTES: usize = 16 * 1024;

/// Size of a large buffer, in bytes: for bodies that fill one of the others in one read.
pub const LARGE_BUFFER_BYTES: usize = 64 * 1024;

/// Free buffers a worker keeps; more are given back to the system.
const FREE_MAX: usize = 64;

/// Free large buffers a worker keeps.
const LARGE_FREE_MAX: usize = 8;

/// The free buffers of a worker.
#[derive(Default)]
pub(super) struct Buffers {
    free: RefCell<Vec<Box<[u8]>>>,
    large: RefCell<Vec<Box<[u8]>>>,
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
    /// Lends an empty buffer of [`BUFFER_BYTES`].
    pub fn buffer(&self) -> Buffer {
        let bytes = self.inner.buffers.free.borrow_mut().pop();
        self.lend(bytes.unwrap_or_else(|| vec![0; BUFFER_BYTES].into_boxed_slice()))
    }

    /// Lends an empty buffer of [`LARGE_BUFFER_BYTES`].
    pub fn large_buffer(&self) -> Buffer {
        let bytes = self.inner.buffers.large.borrow_mut().pop();
        self.lend(bytes.unwrap_or_else(|| vec![0; LARGE_BUFFER_BYTES].into_boxed_slice()))
    }

    fn lend(&self, bytes: Box<[u8]>) -> Buffer {
        Buffer { bytes, start: 0, end: 0, buffers: self.inner.buffers.clone() }
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
            None => self.extend_by_more_than_there_is_room_for(bytes),
        }
    }

    #[cold]
    fn extend_by_more_than_there_is_room_for(&mut self, bytes: &[u8]) {
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

    /// To at least `least` bytes and at most `most`, doubling.
    fn grow(&mut self, least: usize, most: usize) {
        let size = (self.bytes.len() * 2).max(least).min(most);
        let mut larger = vec![0; size].into_boxed_slice();
        larger[..self.end].copy_from_slice(&self.bytes[..self.end]);
        self.bytes = larger;
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
        let (free, most) = match self.bytes.len() {
            BUFFER_BYTES => (&self.buffers.free, FREE_MAX),
            LARGE_BUFFER_BYTES => (&self.buffers.large, LARGE_FREE_MAX),
            _ => return,
        };
        let mut free = free.borrow_mut();
        if free.len() < most {
            free.push(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(test)]
impl Buffers {
    pub(super) fn kept(&self) -> usize {
        self.free.borrow().len()
    }
}
