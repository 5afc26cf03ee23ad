//! Without HTTP/2, each message is sent over a connection of its own.

/// A connection.
pub type Transport = crate::tls::Stream;

/// Whether clients can speak HTTP/2.
pub const SERVES_HTTP2: bool = false;

/// The part of a worker that streams share: there is none.
#[derive(Default)]
pub struct WorkerSpace;
