//! HTTP/2 with clients: when a connection becomes one, and the exchanges of its streams.
//!
//! A stream is served like a connection that has one request: same phases, same records, same limits. Its request has
//! the version 2.0, which no request of HTTP/1.1 may have.
//!
//! Not here: frames (`http2`), and how streams share a connection (`mux`).

mod serve;

mod head;

mod fault;
mod tasks;

pub(super) use head::{Next, next};
pub(super) use serve::{begins, serve};
pub(super) use tasks::StreamTasks;
