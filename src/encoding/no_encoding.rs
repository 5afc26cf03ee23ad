//! Content codings where the feature is left out. The key `compress` is an error then, so nothing is ever encoded.

use std::io;

use crate::config::plan::Compress;

/// An encoder, of which there is none.
pub struct Encoder(());

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
    /// Nothing is left to do.
    pub is_done: bool,
}

impl Encoder {
    /// Does nothing.
    ///
    /// # Errors
    /// Always.
    pub fn step(&mut self, _data: &[u8], _out: &mut [u8], _step: Step) -> io::Result<Progress> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The parts of a request and its rule that decide about the coding of the response.
pub struct EncodingRequest<'a> {
    /// The policy of the rule.
    pub compress: &'a Compress,
    /// Whether the client accepts gzip.
    pub accepts_gzip: bool,
    /// Whether the client takes a body in chunks.
    pub takes_chunks: bool,
    /// Whether the method is HEAD, so that no body follows.
    pub is_head: bool,
}

/// The result for a head.
pub enum EncodedHead {
    /// Nothing was written: the head stays as it is.
    Same,
    /// The head was written with changes. The body stays as it is.
    Changed,
    /// The head was written with changes. The body goes through the encoder.
    Encoded(Encoder),
}

/// Leaves the head as it is.
pub fn encode_head(_fields: &[u8], _request: &EncodingRequest<'_>, _out: impl FnMut(&[u8])) -> EncodedHead {
    EncodedHead::Same
}
