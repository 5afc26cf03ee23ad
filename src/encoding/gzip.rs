//! Gzip (RFC 1952).

use std::io;

use flate2::{Compress, Compression, FlushCompress, Status};

use super::types::{Progress, Step};

/// Bits of the window, of which gzip has 15 at most. With them an encoder has a quarter of a megabyte.
const WINDOW_BITS: u8 = 15;

/// An encoder of gzip.
pub(super) struct Gzip(Compress);

impl Gzip {
    pub(super) fn new(level: u32) -> Self {
        Self(Compress::new_gzip(Compression::new(level), WINDOW_BITS))
    }

    /// Forgets the body. Returns whether the encoder can be used again.
    pub(super) fn reset(&mut self) -> bool {
        self.0.reset();
        true
    }

    pub(super) fn step(&mut self, data: &[u8], out: &mut [u8], step: Step) -> io::Result<Progress> {
        let state = &mut self.0;
        let (read, written) = (state.total_in(), state.total_out());
        let flush = match step {
            Step::More => FlushCompress::None,
            Step::Flush => FlushCompress::Sync,
            Step::Finish => FlushCompress::Finish,
        };
        let status = state.compress(data, out, flush).map_err(io::Error::other)?;
        let (read, written) = ((state.total_in() - read) as usize, (state.total_out() - written) as usize);
        let is_done = match step {
            Step::More => read == data.len(),
            Step::Flush => written < out.len(),
            Step::Finish => status == Status::StreamEnd,
        };
        Ok(Progress { read, written, is_done })
    }
}
