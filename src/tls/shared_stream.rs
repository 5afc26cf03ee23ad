//! Streams that share a connection: what they must be able to do to stand in for one of their own.

use std::fmt;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::worker::{Buffer, BufferSize};

/// A source of bytes for an [`Input`](super::Input).
pub trait Readable {
    /// Ready when a read may return something; reads nothing.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Reads behind the unread bytes of `buffer`, which has room; 0 means the end.
    fn poll_read_into(&self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>>;

    /// Lends an empty buffer.
    fn lend(&self, size: BufferSize) -> Buffer;
}

/// One of several streams that share a connection. A message is sent over it as over a connection of its own.
pub trait SharedStream {
    /// The type of the connection.
    type Connection;

    /// The connection that it shares.
    fn connection(&self) -> &Self::Connection;

    /// See [`Readable::poll_readable`].
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// See [`Readable::poll_read_into`].
    fn poll_read_into(&self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>>;

    /// See [`Stream::try_write`](super::Stream::try_write).
    ///
    /// # Errors
    /// If the stream is gone.
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// See [`Stream::poll_write_vectored`](super::Stream::poll_write_vectored).
    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

    /// Ready once the peer has reset the stream, or the connection is gone.
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Ends the message, and the stream with it.
    fn end(&self, trailers: &[u8]);

    /// Ends this side of a tunnel.
    fn shut_down(&self);

    /// The request as it was written to a target, if it is kept to be sent again.
    fn take_back(&self) -> Option<Buffer>;

    /// Whether it carries no further message.
    fn is_spent(&self) -> bool;

    /// See [`Stream::set_patience`](super::Stream::set_patience).
    fn set_patience(&self, time: Duration);

    /// The time for which its messages may be silent, if it was set.
    fn patience(&self) -> Option<Duration>;
}

/// The reason why a stream to a target is gone, if its connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The target did not process the request, so that it may be sent again (RFC 9113, section 8.7).
    Unprocessed,
    /// The target takes this request over HTTP/1.1 alone (RFC 9113, section 7: HTTP_1_1_REQUIRED).
    NeedsHttp1,
    /// The target takes no WebSocket over HTTP/2: its SETTINGS do not allow extended CONNECT (RFC 8441, section 3).
    NoWebSocket,
    /// The target reset the stream, with this code.
    Reset(&'static str),
    /// The response breaks this rule.
    Malformed(&'static str),
    /// The head of the response is too large.
    TooLarge,
}

impl StreamEnd {
    /// The end of the stream that an error tells of.
    pub fn of(error: &io::Error) -> Option<StreamEnd> {
        error.get_ref().and_then(|inner| inner.downcast_ref()).copied()
    }
}

impl fmt::Display for StreamEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unprocessed => f.write_str("the target did not process the request"),
            Self::NeedsHttp1 => f.write_str("the target takes this request over HTTP/1.1 alone"),
            Self::NoWebSocket => {
                f.write_str("the target takes no WebSocket over HTTP/2 (SETTINGS_ENABLE_CONNECT_PROTOCOL)")
            }
            Self::Reset(code) => write!(f, "the target reset the stream: {code}"),
            Self::Malformed(rule) => write!(f, "the response of the target is malformed: {rule}"),
            Self::TooLarge => f.write_str("the head of the response is too large"),
        }
    }
}

impl std::error::Error for StreamEnd {}

impl From<StreamEnd> for io::Error {
    fn from(end: StreamEnd) -> Self {
        io::Error::new(io::ErrorKind::ConnectionReset, end)
    }
}

/// The streams of a connection that is not shared: there are none.
pub enum NoStream {}
