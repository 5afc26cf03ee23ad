//! The nine bytes before each payload, and the rules for each type of frame.

use super::super::error::{ConnectionError, ErrorCode};

/// Bytes of a frame's head (RFC 9113, section 4.1).
pub const FRAME_HEAD_BYTES: usize = 9;

/// Bytes of a payload. It is the size that every peer accepts and that every peer may use before SETTINGS (RFC
/// 9113, section 4.2), so no setting changes it.
pub const PAYLOAD_BYTES_MAX: usize = 16_384;

/// END_STREAM of DATA and HEADERS.
pub(crate) const END_STREAM: u8 = 0x1;
/// ACK of SETTINGS and PING.
pub(crate) const ACK: u8 = 0x1;
/// END_HEADERS of HEADERS and CONTINUATION.
pub(crate) const END_HEADERS: u8 = 0x4;
/// PADDED of DATA and HEADERS.
pub(crate) const PADDED: u8 = 0x8;
/// PRIORITY of HEADERS.
pub(crate) const PRIORITY: u8 = 0x20;

/// A type of frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Data,
    Headers,
    Priority,
    ResetStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// PRIORITY_UPDATE (RFC 9218, section 7.1).
    PriorityUpdate,
    /// Any other type, which is ignored (RFC 9113, section 5.5).
    Unknown,
}

/// The streams on which a type of frame may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Connection,
    Stream,
    Both,
}

/// A row of the table: the type, its place, and its shortest and longest payload.
type Rule = (Kind, Place, usize, usize);

/// The rules, in the order of the numbers of the types.
const RULES: [Rule; 10] = [
    (Kind::Data, Place::Stream, 0, PAYLOAD_BYTES_MAX),
    (Kind::Headers, Place::Stream, 0, PAYLOAD_BYTES_MAX),
    (Kind::Priority, Place::Stream, 5, 5),
    (Kind::ResetStream, Place::Stream, 4, 4),
    (Kind::Settings, Place::Connection, 0, PAYLOAD_BYTES_MAX),
    (Kind::PushPromise, Place::Stream, 4, PAYLOAD_BYTES_MAX),
    (Kind::Ping, Place::Connection, 8, 8),
    (Kind::GoAway, Place::Connection, 8, PAYLOAD_BYTES_MAX),
    (Kind::WindowUpdate, Place::Both, 4, 4),
    (Kind::Continuation, Place::Stream, 0, PAYLOAD_BYTES_MAX),
];

const PRIORITY_UPDATE_RULE: Rule = (Kind::PriorityUpdate, Place::Connection, 4, PAYLOAD_BYTES_MAX);
const UNKNOWN_RULE: Rule = (Kind::Unknown, Place::Both, 0, PAYLOAD_BYTES_MAX);

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    /// The stream without the reserved bit; 0 is the connection.
    pub(crate) stream: u32,
    /// Bytes of the payload.
    pub(crate) length: usize,
}

impl FrameHead {
    /// Reads a head and checks it by the table.
    ///
    /// # Errors
    /// The length or the stream is not one that this type may have. Some of these faults concern one stream
    /// only, and may be treated as faults of the connection (RFC 9113, section 5.4).
    pub(crate) fn read(bytes: &[u8; FRAME_HEAD_BYTES]) -> Result<FrameHead, ConnectionError> {
        let [l0, l1, l2, kind, flags, stream @ ..] = *bytes;
        let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        // The reserved bit has no meaning (RFC 9113, section 4.1).
        let stream = u32::from_be_bytes(stream) & 0x7fff_ffff;
        let rule = RULES.get(usize::from(kind)).copied();
        let unlisted = if kind == 0x10 { PRIORITY_UPDATE_RULE } else { UNKNOWN_RULE };
        let (kind, place, shortest, longest) = rule.unwrap_or(unlisted);
        if !(shortest..=longest).contains(&length) {
            return Err(ConnectionError::new(
                ErrorCode::FrameSizeError,
                "a frame has a length that its type may not have",
            ));
        }
        match (place, stream) {
            (Place::Connection, 1..) => {
                Err(ConnectionError::protocol("a frame of the connection on a stream"))
            }
            (Place::Stream, 0) => Err(ConnectionError::protocol("a frame of a stream on the connection")),
            _ => Ok(FrameHead { kind, flags, stream, length }),
        }
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: u8, length: u32, stream: u32) -> Result<FrameHead, ErrorCode> {
        let [_, l0, l1, l2] = length.to_be_bytes();
        let [s0, s1, s2, s3] = stream.to_be_bytes();
        FrameHead::read(&[l0, l1, l2, kind, 0, s0, s1, s2, s3]).map_err(|error| error.code)
    }

    #[test]
    fn each_type_has_its_lengths_and_its_place() {
        use ErrorCode::{FrameSizeError, ProtocolError};
        for (kind, length, stream, want) in [
            (0x0, 0, 1, Ok(Kind::Data)),
            (0x0, 16_384, 1, Ok(Kind::Data)),
            (0x0, 16_385, 1, Err(FrameSizeError)),
            (0x0, 1, 0, Err(ProtocolError)),
            (0x1, 0, 1, Ok(Kind::Headers)),
            (0x1, 1, 0, Err(ProtocolError)),
            (0x1, 16_385, 1, Err(FrameSizeError)),
            (0x2, 5, 1, Ok(Kind::Priority)),
            (0x2, 4, 1, Err(FrameSizeError)),
            (0x2, 6, 1, Err(FrameSizeError)),
            (0x2, 5, 0, Err(ProtocolError)),
            (0x3, 4, 1, Ok(Kind::ResetStream)),
            (0x3, 3, 1, Err(FrameSizeError)),
            (0x3, 5, 1, Err(FrameSizeError)),
            (0x3, 4, 0, Err(ProtocolError)),
            (0x4, 6, 0, Ok(Kind::Settings)),
            (0x4, 6, 1, Err(ProtocolError)),
            (0x5, 4, 1, Ok(Kind::PushPromise)),
            (0x5, 4, 0, Err(ProtocolError)),
            (0x6, 8, 0, Ok(Kind::Ping)),
            (0x6, 7, 0, Err(FrameSizeError)),
            (0x6, 8, 1, Err(ProtocolError)),
            (0x7, 8, 0, Ok(Kind::GoAway)),
            (0x7, 7, 0, Err(FrameSizeError)),
            (0x7, 8, 1, Err(ProtocolError)),
            (0x8, 4, 0, Ok(Kind::WindowUpdate)),
            (0x8, 4, 9, Ok(Kind::WindowUpdate)),
            (0x8, 5, 0, Err(FrameSizeError)),
            (0x9, 0, 1, Ok(Kind::Continuation)),
            (0x9, 0, 0, Err(ProtocolError)),
            (0x10, 4, 0, Ok(Kind::PriorityUpdate)),
            (0x10, 3, 0, Err(FrameSizeError)),
            (0x10, 4, 1, Err(ProtocolError)),
            (0xa, 100, 0, Ok(Kind::Unknown)),
            (0xff, 0, 77, Ok(Kind::Unknown)),
            (0xff, 16_385, 77, Err(FrameSizeError)),
        ] {
            assert_eq!(read(kind, length, stream).map(|head| head.kind), want, "{kind:#x} {length} {stream}");
        }
    }

    #[test]
    fn the_reserved_bit_of_a_stream_is_ignored() {
        assert_eq!(read(0, 0, 0x8000_0003).unwrap().stream, 3);
        assert_eq!(read(0, 0, 0x8000_0000), Err(ErrorCode::ProtocolError));
    }
}
