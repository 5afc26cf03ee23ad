//! The PROXY protocol: a header before the first byte of a connection that gives the client's address.
//!
//! The module reads and writes versions 1 (a line of text) and 2 (binary) of HAProxy's `proxy-protocol.txt`.
//! Sections named in `header.rs` are of that document. Bytes go in and values come out, and the other way
//! round; "not yet" is `None`. The module opens no socket and trusts no peer: the caller decides whether a
//! peer may name its client. smolgate uses it for connections that it passes on unchanged.

mod header;
#[cfg(test)]
mod tests;

pub use header::{HEADER_BYTES_MAX, Header, HeaderError, Version, parse, write};
