//! The types by which the rest of the proxy uses content codings. They are the same if the feature is left out.

use crate::config::plan::{Coding, Compress};
use crate::http::Version;

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

/// The parts of a request and its rule that decide about the coding of the response.
#[derive(Clone, Copy)]
pub struct EncodingRequest<'a> {
    /// The policy of the rule.
    pub compress: &'a Compress,
    /// The coding that the client prefers, if it accepts one.
    pub coding: Option<Coding>,
    /// The version of the request, on which the framing of the body depends.
    pub version: Version,
    /// Whether the method is HEAD, so that no body follows.
    pub is_head: bool,
    /// Whether `If-None-Match` has a weak tag, as encoded responses have.
    pub names_weak_tag: bool,
    /// The head of the 200 in whose place a 304 stands, if it is known.
    pub full: Option<&'a [u8]>,
}

/// The result for a head. `E` is the encoder.
pub enum EncodedHead<E> {
    /// Nothing was written: the head stays as it is.
    Same,
    /// The head was written with changes. The body stays as it is.
    Changed,
    /// The head was written with changes. The body goes through the encoder.
    Encoded(E),
}
