//! Without HTTP/2, each message is sent over a connection of its own.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::tls::{self, NoStream};

/// A connection.
pub type Transport = crate::tls::Stream;

/// Whether clients and targets can speak HTTP/2.
pub const SERVES_HTTP2: bool = false;

/// The part of a worker that streams share: there is none.
#[derive(Default)]
pub struct WorkerSpace;

/// Deadlines of a connection that is shared.
#[expect(dead_code, reason = "no connection is shared here")]
pub struct Timeouts {
    pub header: Duration,
    pub idle: Duration,
    pub ends_with_peer: bool,
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

    pub fn streams(&self) -> usize {
        match *self {}
    }

    pub fn is_closing(&self) -> bool {
        match *self {}
    }

    pub fn has_room(&self) -> bool {
        match *self {}
    }

    pub fn stream(&self) -> Option<NoStream> {
        match *self {}
    }

    pub fn shut_down(&self) {
        match *self {}
    }
}
