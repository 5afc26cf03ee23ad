//! Content codings where the feature is left out. The key `compress` is an error then, so nothing is ever encoded.

mod types;

pub use types::{EncodedHead, EncodingRequest, Progress, Step};

use std::io;

use crate::config::plan::Coding;

/// An encoder, of which there is none.
pub struct Encoder(());

impl Encoder {
    /// Does nothing.
    ///
    /// # Errors
    /// Always.
    pub fn step(&mut self, _data: &[u8], _out: &mut [u8], _step: Step) -> io::Result<Progress> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Chooses no coding.
pub fn choose_coding(_accept_encoding: &[u8]) -> Option<Coding> {
    None
}

/// Leaves the head as it is.
pub fn encode_head(
    _fields: &[u8],
    _request: &EncodingRequest<'_>,
    _out: impl FnMut(&[u8]),
) -> EncodedHead<Encoder> {
    EncodedHead::Same
}
