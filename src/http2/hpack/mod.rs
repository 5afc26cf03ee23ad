//! HPACK (RFC 7541): a header block becomes fields, and fields become a block.
//!
//! ```text
//! block -> Decoder -> integer, huffman, static table -> Field -> the caller
//!             |  ^
//!             v  | DynamicTable: the last fields that the peer asked to keep, at most 4,096 bytes
//!
//! fields -> BlockEncoder: static table and literals; it keeps nothing between blocks
//! ```
//!
//! The encoder has no dynamic table. So blocks need no order, a connection needs no memory for them, and
//! clients that share a connection to a target cannot guess each other's fields by their compressed size.

mod decoder;
mod encoder;

mod dynamic_table;
mod static_table;

mod huffman;
mod integer;

pub use decoder::{Decoder, Field};
pub use dynamic_table::TABLE_BYTES_MAX;
pub(super) use encoder::NO_DYNAMIC_TABLE;
pub use encoder::{BlockEncoder, Literals};
