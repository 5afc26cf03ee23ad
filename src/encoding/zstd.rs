//! Zstandard (RFC 8878).

use std::io;

use zstd_safe::zstd_sys::ZSTD_EndDirective as EndDirective;
use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective, get_error_name};

use super::types::{Progress, Step};

/// Whether this coding is made here.
pub(super) const IS_BUILT: bool = true;

/// The binary logarithm of the window. A block is encoded at once, and is as long as the window: 64 KiB take half a
/// millisecond. Clients may refuse more than 23 (RFC 9659).
const WINDOW_LOG: u32 = 16;

/// The binary logarithm of the entries of both tables. By default a high level has tables of megabytes, which make bodies
/// no shorter with this window.
const TABLE_LOG: u32 = 16;

/// An encoder of Zstandard.
pub(super) struct Zstd(CCtx<'static>);

impl Zstd {
    /// An encoder. `None` if there is no memory for it.
    pub(super) fn new(level: u32) -> Option<Self> {
        let mut context = CCtx::try_create()?;
        let parameters = [
            CParameter::CompressionLevel(level as i32),
            CParameter::WindowLog(WINDOW_LOG),
            CParameter::HashLog(TABLE_LOG),
            CParameter::ChainLog(TABLE_LOG),
        ];
        parameters.into_iter().try_for_each(|parameter| context.set_parameter(parameter).map(drop)).ok()?;
        Some(Self(context))
    }

    /// Forgets the body. Returns whether the encoder can be used again.
    pub(super) fn reset(&mut self) -> bool {
        self.0.reset(ResetDirective::SessionOnly).is_ok()
    }

    pub(super) fn step(&mut self, data: &[u8], out: &mut [u8], step: Step) -> io::Result<Progress> {
        let end = match step {
            Step::More => EndDirective::ZSTD_e_continue,
            Step::Flush => EndDirective::ZSTD_e_flush,
            Step::Finish => EndDirective::ZSTD_e_end,
        };
        let (mut input, mut output) = (InBuffer::around(data), OutBuffer::around(out));
        let left = self.0.compress_stream2(&mut output, &mut input, end);
        let left = left.map_err(|code| io::Error::other(get_error_name(code)))?;
        let (read, written) = (input.pos(), output.pos());
        let is_done = match step {
            Step::More => read == data.len(),
            Step::Flush | Step::Finish => left == 0,
        };
        Ok(Progress { read, written, is_done })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of memory that an encoder may have at most, since a worker uses up to 64.
    const MEMORY_MAX: usize = 1 << 20;

    #[test]
    fn an_encoder_of_zstd_has_little_memory() {
        let data: Vec<u8> = (0..200_000u32).flat_map(|number| (number % 7_777).to_le_bytes()).collect();
        for level in 1..=9 {
            let mut encoder = Zstd::new(level).unwrap();
            let (mut rest, mut out) = (&data[..], [0; 10_000]);
            while !rest.is_empty() {
                let progress = encoder.step(rest, &mut out, Step::More).unwrap();
                rest = &rest[progress.read..];
            }
            assert!(encoder.0.sizeof() < MEMORY_MAX, "{level}: {}", encoder.0.sizeof());
        }
    }
}
