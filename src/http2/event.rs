//! The events of a connection.

use std::ops::Range;

use super::error::ErrorCode;
use super::stream::StreamKey;
use crate::reason::Reason;

/// The result of received bytes: how many are used up, and what they were.
#[derive(Debug)]
pub struct Received {
    /// Bytes that are used up.
    pub bytes: usize,
    /// The event in them.
    pub event: Event,
}

/// An event.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The engine has dealt with the bytes; a reply, if any, is in the output.
    Handled,
    /// A head, whose HTTP/1.1 form is in the workspace. On a server the stream is new. On a client it is a response,
    /// or an interim one.
    Head {
        /// The stream.
        stream: StreamKey,
        /// Whether there is no body.
        ended: bool,
        /// Whether the sender forbids to compress a field of it.
        never_indexed: bool,
    },
    /// A request that is well-formed and not served, or a response that is too large.
    Refused {
        /// The stream.
        stream: StreamKey,
        /// The reason.
        reason: Reason,
        /// Whether there is no body.
        ended: bool,
    },
    /// Data. A frame may come in several pieces.
    Data {
        /// The stream.
        stream: StreamKey,
        /// The place of the data in the received bytes.
        data: Range<usize>,
        /// Whether the message is complete.
        ended: bool,
    },
    /// Trailers, whose field lines are in the workspace. The message is complete.
    Trailers {
        /// The stream.
        stream: StreamKey,
    },
    /// The peer reset a stream.
    Reset {
        /// The stream.
        stream: StreamKey,
        /// The peer's reason.
        code: ErrorCode,
    },
    /// The engine reset or refused a stream, because its peer is at fault.
    Fault {
        /// The stream, if the application knows it.
        stream: Option<StreamKey>,
        /// The number of the stream.
        id: u32,
        /// The code that was sent.
        code: ErrorCode,
        /// The rule that the peer broke, for the log.
        detail: &'static str,
    },
    /// A window is larger: that of a stream whose sender waits, or that of the connection.
    Capacity(Option<StreamKey>),
    /// The peer's settings came. Windows may be larger, and more streams allowed.
    Settings,
    /// The peer takes no streams beyond `last`.
    GoAway {
        /// The last stream that the peer may have processed.
        last: u32,
        /// The peer's reason.
        code: ErrorCode,
    },
    /// The answer to a PING.
    Pong([u8; 8]),
}
