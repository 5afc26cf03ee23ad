//! The pieces around a chunk that smolgate writes, each ready for a vectored write.
//!
//! A body has prefix, data and [`CHUNK_END`] for every piece. Then come [`LAST_CHUNK`], trailer lines if any,
//! and an empty line (RFC 9112, section 7.1). smolgate never writes chunk extensions.

/// The end of a chunk's data, and also the empty line that ends the body.
pub const CHUNK_END: &[u8] = b"\r\n";

/// The chunk of no bytes. Trailer lines and the final CRLF follow it.
pub const LAST_CHUNK: &[u8] = b"0\r\n";

/// The line before the data of a chunk: its size in hex, and CRLF.
#[derive(Clone, Copy, Debug)]
pub struct ChunkPrefix {
    /// The line, at the end of the array.
    bytes: [u8; Self::BYTES_MAX],
    start: u8,
}

impl ChunkPrefix {
    /// Digits of the largest size, and CRLF.
    const BYTES_MAX: usize = usize::BITS as usize / 4 + 2;

    /// Creates the prefix of a chunk of `len` bytes. `len` must not be 0, because an empty chunk ends the
    /// body.
    pub fn new(len: usize) -> ChunkPrefix {
        debug_assert_ne!(len, 0, "an empty chunk ends the body");
        let mut bytes = [0; Self::BYTES_MAX];
        let mut start = Self::BYTES_MAX - 2;
        bytes[start..].copy_from_slice(b"\r\n");
        let mut rest = len;
        while rest > 0 || start == Self::BYTES_MAX - 2 {
            start -= 1;
            bytes[start] = b"0123456789abcdef"[rest & 0xf];
            rest >>= 4;
        }
        ChunkPrefix { bytes, start: start as u8 }
    }

    /// The line, for example `1f\r\n`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..]
    }
}

#[cfg(test)]
mod tests {
    use super::ChunkPrefix;

    #[test]
    fn sizes_are_written_in_hex() {
        for len in [1, 9, 10, 15, 16, 255, 256, 65535, 65536, usize::MAX] {
            assert_eq!(ChunkPrefix::new(len).as_bytes(), format!("{len:x}\r\n").as_bytes());
        }
    }
}
