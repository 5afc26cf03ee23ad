//! Encoders of gzip (RFC 1952), which are used again and again.

use std::cell::{Cell, RefCell};
use std::io;

use flate2::{Compress, Compression, FlushCompress, Status};

/// Encoders that a worker uses at once. Each has a quarter of a megabyte of memory. Further bodies are sent as they are.
const IN_USE_MAX: usize = 64;

/// Encoders that a worker keeps for further bodies.
const SPARE_MAX: usize = 4;

/// Bits of the window, of which gzip has 15 at most.
const WINDOW_BITS: u8 = 15;

thread_local! {
    /// Encoders of this worker that are in use.
    static IN_USE: Cell<usize> = const { Cell::new(0) };
    /// Free encoders, each with its level.
    static SPARE: RefCell<Vec<(u32, Compress)>> = const { RefCell::new(Vec::new()) };
}

/// An encoder of one body.
pub struct Encoder {
    level: u32,
    /// `None` while the encoder is dropped.
    state: Option<Compress>,
}

/// The next step with the bytes that an encoder has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// More bytes follow.
    More,
    /// All bytes go out now.
    Flush,
    /// The body ends.
    Finish,
}

/// How far one call of an encoder has come.
pub struct Progress {
    /// Bytes that were taken.
    pub read: usize,
    /// Bytes that were written.
    pub written: usize,
    /// Nothing is left to do. Else there was too little room.
    pub is_done: bool,
}

impl Encoder {
    /// Takes a free encoder, or makes one. `None` if this worker uses too many.
    pub(super) fn take(level: u32) -> Option<Encoder> {
        let in_use = IN_USE.get();
        if in_use >= IN_USE_MAX {
            return None;
        }
        IN_USE.set(in_use + 1);
        let spare = SPARE.with_borrow_mut(|spare| {
            let at = spare.iter().position(|(own, _)| *own == level)?;
            Some(spare.swap_remove(at).1)
        });
        let state = spare.unwrap_or_else(|| Compress::new_gzip(Compression::new(level), WINDOW_BITS));
        Some(Encoder { level, state: Some(state) })
    }

    /// Takes bytes of `data` and writes to `out`, as far as there is room. `out` has room for at least 16 bytes.
    ///
    /// # Errors
    /// When the state of the encoder is broken.
    pub fn step(&mut self, data: &[u8], out: &mut [u8], step: Step) -> io::Result<Progress> {
        let state = self.state.as_mut().ok_or(io::ErrorKind::InvalidInput)?;
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

impl Drop for Encoder {
    fn drop(&mut self) {
        // At the end of a thread there may be no list any more.
        let _ = IN_USE.try_with(|in_use| in_use.set(in_use.get() - 1));
        let Some(mut state) = self.state.take() else { return };
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_MAX {
                state.reset();
                spare.push((self.level, state));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    /// Encodes pieces with very little room, with a flush after each.
    fn encoded(encoder: &mut Encoder, pieces: &[&[u8]]) -> Vec<u8> {
        let mut all = Vec::new();
        let mut step = |mut data: &[u8], step| {
            loop {
                let mut out = [0; 16];
                let Progress { read, written, is_done } = encoder.step(data, &mut out, step).unwrap();
                all.extend(&out[..written]);
                data = &data[read..];
                if is_done {
                    return;
                }
            }
        };
        for piece in pieces {
            step(piece, Step::More);
            step(&[], Step::Flush);
        }
        step(&[], Step::Finish);
        all
    }

    fn decoded(bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut all).unwrap();
        all
    }

    #[test]
    fn an_encoder_that_is_used_again_has_forgotten_the_body_before() {
        let long: Vec<u8> = (0..100_000u32).flat_map(|number| (number % 777).to_le_bytes()).collect();
        for round in 0..3 {
            let mut encoder = Encoder::take(3).unwrap();
            let bytes = encoded(&mut encoder, &[b"a", &long, b"", b"b"]);
            assert!(bytes.len() < long.len());
            assert_eq!(decoded(&bytes), [b"a", &long[..], b"b"].concat(), "{round}");
            // The next one is in the middle of a body.
            let mut encoder = Encoder::take(3).unwrap();
            encoder.step(&long, &mut [0; 1_000], Step::More).unwrap();
        }
    }

    #[test]
    fn a_worker_uses_so_many_at_once() {
        std::thread::spawn(|| {
            let mut all: Vec<Encoder> = (0..IN_USE_MAX).map(|_| Encoder::take(1).unwrap()).collect();
            assert!(Encoder::take(1).is_none());
            all.pop();
            assert!(Encoder::take(9).is_some());
            drop(all);
            assert_eq!(SPARE.with_borrow(Vec::len), SPARE_MAX);
            assert_eq!(IN_USE.get(), 0);
        })
        .join()
        .unwrap();
    }
}
