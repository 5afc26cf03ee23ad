//! The slices of one write.

use std::io::IoSlice;

use crate::worker::Buffer;

/// A piece of a body of at most this many bytes is copied behind its head, because the kernel takes one slice faster
/// than several.
pub(in crate::proxy) const COPIED_MAX: usize = 1024;

/// The slices of one write: maybe a head, and pieces of a body.
pub(super) struct Slices<'a> {
    /// The first slice is for the head.
    slices: [IoSlice<'a>; 7],
    /// The number of slices, without the head.
    count: usize,
    /// Their bytes.
    bytes: usize,
}

impl<'a> Slices<'a> {
    pub(super) fn new() -> Self {
        Self { slices: [IoSlice::new(&[]); 7], count: 0, bytes: 0 }
    }

    pub(super) fn add(&mut self, piece: &'a [u8]) {
        if !piece.is_empty() {
            self.count += 1;
            self.slices[self.count] = IoSlice::new(piece);
            self.bytes += piece.len();
        }
    }

    pub(super) fn body(&mut self) -> &mut [IoSlice<'a>] {
        &mut self.slices[1..=self.count]
    }

    /// The slices behind a head. Short pieces are copied into the head.
    pub(super) fn after_head(&mut self, head: &'a mut Buffer) -> &mut [IoSlice<'a>] {
        if self.bytes <= COPIED_MAX {
            self.body().iter().for_each(|piece| head.extend(piece));
            self.count = 0;
        }
        self.slices[0] = IoSlice::new(head.unread());
        &mut self.slices[..=self.count]
    }
}
