//! HTTP/1.1 messages (RFC 9112) become offsets into their bytes, and bodies become data. Sans-IO: bytes in,
//! a value or "not yet" out.
//!
//! ```text
//! bytes -> HeadScan -> request line / status line -> FieldTable + HeadFacts -> RequestHead / ResponseHead
//!                                                                                 | framing
//! bytes ----------------------------------------------------------------> BodyReader -> data, trailers
//! ```
//!
//! Parsing a valid head allocates nothing once the [`crate::http::FieldTable`] has grown to its size.

mod partial;
mod request;
mod response;

mod scan;
mod target;

mod body;
mod chunk;
mod chunk_reader;

mod field_lines;

mod body_error;
mod facts;

#[cfg(test)]
mod tests;

pub use body::{BodyReader, Decoded};
pub use body_error::BodyError;
pub use chunk::{CHUNK_END, ChunkPrefix, LAST_CHUNK};
pub use chunk_reader::{
    CHUNK_EXTENSION_BYTES_MAX, CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX,
};
pub use facts::CONNECTION_OPTIONS_MAX;
pub use partial::PartialHead;
pub use request::{EMPTY_LINES_MAX, METHOD_BYTES_MAX, parse_request};
pub use response::parse_response;
pub use scan::HeadScan;
