//! The protocol of plugins: bytes in, values out. No socket, no clock, no await.
//!
//! `lines` are those over standard input and output. `frame` and `messages` are those on the socket, in `msgpack` or `json`.

pub mod lines;

pub mod messages;

pub mod frame;

mod json;
mod msgpack;

pub mod value;

#[cfg(test)]
mod messages_tests;
