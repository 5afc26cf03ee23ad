//! Encoders of bodies, which are used again and again.

use std::cell::{Cell, RefCell};
use std::io;

use super::gzip::Gzip;
use super::types::{Progress, Step};
use super::zstd::Zstd;
use crate::config::plan::Coding;

/// Encoders that a worker uses at once. Further bodies are sent as they are.
const IN_USE_MAX: usize = 64;

/// Encoders that a worker keeps for further bodies.
const SPARE_MAX: usize = 4;

thread_local! {
    /// Encoders of this worker that are in use.
    static IN_USE: Cell<usize> = const { Cell::new(0) };
    /// Free encoders.
    static SPARE: RefCell<Vec<Made>> = const { RefCell::new(Vec::new()) };
}

/// An encoder of one body.
pub struct Encoder {
    /// `None` while the encoder is dropped.
    made: Option<Made>,
}

/// An encoder that was made, for bodies of one coding.
struct Made {
    coding: Coding,
    level: u32,
    state: State,
}

enum State {
    Gzip(Gzip),
    Zstd(Zstd),
}

impl Encoder {
    /// Takes a free encoder, or makes one. `None` if this worker uses too many, or if the coding is not made here.
    pub(super) fn take(coding: Coding, level: u32) -> Option<Encoder> {
        let in_use = IN_USE.get();
        if in_use >= IN_USE_MAX {
            return None;
        }
        let spare = SPARE.with_borrow_mut(|spare| {
            let at = spare.iter().position(|own| (own.coding, own.level) == (coding, level))?;
            Some(spare.swap_remove(at))
        });
        let made = match spare {
            Some(made) => made,
            None => Made { coding, level, state: State::new(coding, level)? },
        };
        IN_USE.set(in_use + 1);
        Some(Encoder { made: Some(made) })
    }

    /// Takes bytes of `data` and writes to `out`, as far as there is room. `out` has room for at least 16 bytes.
    ///
    /// # Errors
    /// When the state of the encoder is broken.
    pub fn step(&mut self, data: &[u8], out: &mut [u8], step: Step) -> io::Result<Progress> {
        let made = self.made.as_mut().ok_or(io::ErrorKind::InvalidInput)?;
        match &mut made.state {
            State::Gzip(gzip) => gzip.step(data, out, step),
            State::Zstd(zstd) => zstd.step(data, out, step),
        }
    }
}

impl State {
    fn new(coding: Coding, level: u32) -> Option<State> {
        match coding {
            Coding::Gzip => Some(State::Gzip(Gzip::new(level))),
            Coding::Zstd => Zstd::new(level).map(State::Zstd),
            Coding::Brotli => None,
        }
    }

    /// Forgets the body. Returns whether the encoder can be used again.
    fn reset(&mut self) -> bool {
        match self {
            State::Gzip(gzip) => gzip.reset(),
            State::Zstd(zstd) => zstd.reset(),
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // At the end of a thread there may be no list any more.
        let _ = IN_USE.try_with(|in_use| in_use.set(in_use.get() - 1));
        let Some(mut made) = self.made.take() else { return };
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < SPARE_MAX && made.state.reset() {
                spare.push(made);
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

    fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        match coding {
            #[cfg(feature = "zstd")]
            Coding::Zstd => {
                all.resize(1 << 20, 0);
                let length = zstd_safe::decompress(&mut all[..], bytes).expect("a whole frame");
                all.truncate(length);
            }
            _ => drop(GzDecoder::new(bytes).read_to_end(&mut all).unwrap()),
        }
        all
    }

    /// The codings that are made here.
    fn codings() -> impl Iterator<Item = Coding> {
        Coding::ALL.into_iter().filter(|coding| Encoder::take(*coding, 3).is_some())
    }

    #[test]
    fn an_encoder_that_is_used_again_has_forgotten_the_body_before() {
        let long: Vec<u8> = (0..100_000u32).flat_map(|number| (number % 777).to_le_bytes()).collect();
        for (coding, round) in codings().flat_map(|coding| (0..3).map(move |round| (coding, round))) {
            let mut encoder = Encoder::take(coding, 3).unwrap();
            let bytes = encoded(&mut encoder, &[b"a", &long, b"", b"b"]);
            assert!(bytes.len() < long.len());
            assert_eq!(decoded(coding, &bytes), [b"a", &long[..], b"b"].concat(), "{coding:?} {round}");
            // The next one is in the middle of a body.
            let mut encoder = Encoder::take(coding, 3).unwrap();
            encoder.step(&long, &mut [0; 1_000], Step::More).unwrap();
        }
    }

    #[test]
    fn a_worker_uses_so_many_at_once() {
        std::thread::spawn(|| {
            let mut all: Vec<Encoder> =
                (0..IN_USE_MAX).map(|_| Encoder::take(Coding::Gzip, 1).unwrap()).collect();
            assert!(Encoder::take(Coding::Gzip, 1).is_none());
            all.pop();
            assert!(Encoder::take(Coding::Gzip, 9).is_some());
            drop(all);
            assert_eq!(SPARE.with_borrow(Vec::len), SPARE_MAX);
            assert_eq!(IN_USE.get(), 0);
        })
        .join()
        .unwrap();
    }
}
