//! HTTP/1.1 messages become offsets into their bytes, and bodies become data. Sans-IO: bytes in,
//! a value or "not yet" out; nothing here opens a socket, awaits, or knows a configuration file.
//!
//! ```text
//! bytes -> HeadScan -> request line / status line -> FieldTable + Facts -> RequestHead / ResponseHead
//!                                                                             | framing
//! bytes ------------------------------------------------------------> BodyReader -> data, trailers
//! ```
//!
//! It is strict on purpose: two programs that read the same bytes differently are how requests are
//! smuggled, so what is not plainly valid is a [`Refusal`], never a guess. Parsing a head that is
//! valid allocates nothing once the [`FieldTable`] has grown to its size. What is *done* with a
//! message (which fields are dropped, what is added) is the business of the caller, `proxy`.

mod authority;
mod body;
mod chunk;
mod chunk_reader;
mod class;
mod facts;
mod fields;
mod limits;
mod message;
mod name;
mod partial;
mod path;
mod refusal;
mod request;
mod response;
mod scan;
mod status;
mod target;

#[cfg(test)]
mod tests;

pub use authority::{HOST_BYTES_MAX, HostKey};
pub use body::{BodyError, BodyReader, Decoded};
pub use chunk::{CHUNK_END, ChunkPrefix, LAST_CHUNK};
pub use chunk_reader::{
    CHUNK_EXTENSION_BYTES_MAX, CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX,
};
pub use class::is_token;
pub use facts::CONNECTION_OPTIONS_MAX;
pub use fields::{Field, FieldTable, Fields, list_items};
pub use limits::HeadLimits;
pub use message::{Framing, Method, Version};
pub use name::Name;
pub use partial::PartialHead;
pub use path::{has_dot_segments, loose_path, match_path};
pub use refusal::Refusal;
pub use request::{EMPTY_LINES_MAX, METHOD_BYTES_MAX, RequestHead, parse_request};
pub use response::{ResponseHead, parse_response};
pub use scan::HeadScan;
pub use status::status_phrase;
