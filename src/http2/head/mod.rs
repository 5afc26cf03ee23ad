//! Heads: a decoded header block becomes the HTTP/1.1 form of a head, and heads become blocks.
//!
//! Everything that HTTP/2 forbids in a message (RFC 9113, section 8) is refused here, before a byte is
//! written. The HTTP/1.1 form is then read by the parser that reads every other head. So a fault has to pass two
//! readers before it can reach a target.

mod decode;
mod encode;

mod pseudo;

pub(super) use decode::{Decoded, HeadDecoder, HeadKind};
pub use encode::{encode_lines, encode_request, encode_response};
