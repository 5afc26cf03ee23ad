//! HEADERS and its CONTINUATION frames as one block (RFC 9113, section 4.3).

use super::super::error::ConnectionError;
use super::kind::{END_HEADERS, END_STREAM, FrameHead};

/// CONTINUATION frames behind one HEADERS frame. A block of 64 KiB needs three.
pub const CONTINUATIONS_MAX: u8 = 8;

/// Bytes of a block, as it is compressed.
pub const BLOCK_BYTES_MAX: usize = 64 * 1024;

/// A block that is not complete. It owns memory only between a HEADERS frame without END_HEADERS and the last
/// CONTINUATION frame.
#[derive(Debug, Default)]
pub(crate) struct HeaderBlock {
    /// The stream; 0 if no block is open.
    stream: u32,
    ended: bool,
    continuations: u8,
    bytes: Vec<u8>,
}

/// A complete block.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) stream: u32,
    /// Whether its HEADERS frame had END_STREAM.
    pub(crate) ended: bool,
    pub(crate) bytes: Vec<u8>,
}

impl HeaderBlock {
    /// The stream whose block is open. No other frame may come before its end (RFC 9113, section 6.10).
    pub(crate) fn open(&self) -> Option<u32> {
        (self.stream != 0).then_some(self.stream)
    }

    /// Bytes that are held.
    pub(crate) fn held(&self) -> usize {
        self.bytes.capacity()
    }

    /// Begins a block whose HEADERS frame has no END_HEADERS.
    pub(crate) fn begin(&mut self, head: &FrameHead, fragment: &[u8]) {
        let (stream, ended) = (head.stream, head.has(END_STREAM));
        *self = HeaderBlock { stream, ended, continuations: 0, bytes: fragment.to_vec() };
    }

    /// Adds a CONTINUATION frame; the block, if it is complete.
    ///
    /// # Errors
    /// There are too many frames or bytes, or a frame adds nothing (CVE-2024-27316 and its kin).
    pub(crate) fn add(
        &mut self,
        head: &FrameHead,
        fragment: &[u8],
    ) -> Result<Option<Block>, ConnectionError> {
        let ends = head.has(END_HEADERS);
        self.continuations += 1;
        if self.continuations > CONTINUATIONS_MAX {
            return Err(ConnectionError::flood("more than 8 CONTINUATION frames in a block"));
        }
        if self.bytes.len() + fragment.len() > BLOCK_BYTES_MAX {
            return Err(ConnectionError::flood("a header block has more than 64 KiB"));
        }
        if fragment.is_empty() && !ends {
            return Err(ConnectionError::flood("an empty CONTINUATION frame"));
        }
        self.bytes.extend_from_slice(fragment);
        if !ends {
            return Ok(None);
        }
        let HeaderBlock { stream, ended, bytes, .. } = std::mem::take(self);
        Ok(Some(Block { stream, ended, bytes }))
    }
}
