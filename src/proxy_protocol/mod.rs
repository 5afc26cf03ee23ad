//! The PROXY protocol: who the client is, said before its first byte.
//!
//! Versions 1 (a line of text) and 2 (binary) of HAProxy's `proxy-protocol.txt`; the sections named
//! in `header.rs` are of that document. Bytes in, facts out, and back: "not yet" is `None`. It opens
//! no socket and believes nobody: whether a peer may say who its client is, is for the caller to
//! know. For connections that are passed on as they are.

mod header;
#[cfg(test)]
mod tests;

pub use header::{HEADER_BYTES_MAX, Header, HeaderError, Version, parse, write};
