//! Without HTTP/2, each message is sent over a connection of its own.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::http::RequestHead;
use crate::tls::{self, NoStream};

/// A connection.
pub type Transport = crate::tls::Stream;

/// Whether clients and targets can speak HTTP/2.
pub const SERVES_HTTP2: bool = false;

/// The answer to the key of a WebSocket.
pub type WebSocketAccept = [u8; 0];

/// Every client compares the answer to its key itself.
pub fn expected_accept(_: &RequestHead<'_>) -> Option<WebSocketAccept> {
    None
}

/// The part of a worker that streams share: there is none.
#[derive(Default)]
pub struct WorkerSpace;

/// Deadlines of a connection that is shared.
pub struct Timeouts {
    /// The time for a frame that has begun.
    pub header: Duration,
    /// The time without a stream.
    pub idle: Duration,
    /// The end of the peer's side ends every stream.
    pub ends_with_peer: bool,
    /// The time for an answer to a PING.
    pub answer: Option<Duration>,
}

/// A connection to a target that streams share: there are none.
pub enum SharedConnection {}

#[expect(clippy::unused_async, reason = "connections that are shared are made so")]
impl SharedConnection {
    /// No target is spoken to in HTTP/2.
    pub async fn new(_: tls::Stream, _: Timeouts, _: &Rc<WorkerSpace>) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Streams that are open: there are none.
    pub fn streams(&self) -> usize {
        match *self {}
    }

    /// Whether no more streams can be opened.
    pub fn is_closing(&self) -> bool {
        match *self {}
    }

    /// Whether a stream can be opened now.
    pub fn has_room(&self) -> bool {
        match *self {}
    }

    /// A stream for one request.
    pub fn stream(&self) -> Option<NoStream> {
        match *self {}
    }

    /// Opens no more streams.
    pub fn shut_down(&self) {
        match *self {}
    }
}
