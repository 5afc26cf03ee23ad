//! Header blocks of a connection: requests, responses and trailers.

use super::control::Turn;
use crate::http2::connection::{Connection, HELD_HEAD_BYTES_MAX, Role, Shutdown};
use crate::http2::error::{ConnectionError, ErrorCode, StreamError};
use crate::http2::event::Event;
use crate::http2::frame::{END_HEADERS, END_STREAM, FrameHead, unpad};
use crate::http2::head::{Decoded, HeadDecoder, HeadKind};
use crate::http2::send::STREAM_NUMBER_MAX;
use crate::http2::stream::{Closed, Expected, Half, Side, Stream, StreamKey};
use crate::reason::Reason;

/// Interim responses before the final one.
pub const INTERIM_RESPONSES_MAX: u8 = 16;

/// The use of a header block. Every block is decoded, whatever its use.
#[derive(Clone, Copy)]
enum Use {
    /// It begins a stream.
    New,
    /// It is the next head of a stream.
    Next(StreamKey, Expected),
    /// It came after we reset the stream.
    Late,
    /// The stream may not have it.
    Fault(StreamError),
}

impl Connection {
    pub(super) fn receive_headers(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Event, ConnectionError> {
        self.flood.stream_frame();
        let fragment = unpad(head, payload)?;
        if head.has(END_HEADERS) {
            return self.receive_block(head.stream, head.has(END_STREAM), fragment, turn);
        }
        self.block.begin(head, fragment);
        Ok(Event::Handled)
    }

    pub(super) fn receive_continuation(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Event, ConnectionError> {
        match self.block.add(head, payload)? {
            Some(block) => self.receive_block(block.stream, block.ended, &block.bytes, turn),
            None => Ok(Event::Handled),
        }
    }

    fn receive_block(
        &mut self,
        id: u32,
        ended: bool,
        block: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Event, ConnectionError> {
        let wanted = self.use_of_block(id)?;
        let kind = match wanted {
            Use::New => HeadKind::Request { extended_connect: self.limits.extended_connect },
            Use::Next(_, Expected::Response) => HeadKind::Response,
            Use::Next(_, Expected::Trailers) => HeadKind::Trailers,
            Use::Late | Use::Fault(_) => HeadKind::Dropped,
        };
        let mut decoder = HeadDecoder::new(kind, &self.limits.head, &mut turn.workspace.space);
        let strings = &mut turn.workspace.strings;
        self.decoder.decode(block, strings, |field| decoder.field(&field))?;
        let decoded = decoder.finish().map_err(StreamError::malformed);
        let event = match (wanted, decoded) {
            (Use::Late, _) => {
                self.flood.late_frame(turn.now)?;
                Ok(Event::Handled)
            }
            (Use::Fault(error), _) | (_, Err(error)) => Err(error),
            (Use::New, Ok(decoded)) => self.begin_request(id, ended, decoded, turn),
            (Use::Next(key, Expected::Response), Ok(decoded)) => self.take_response(key, ended, decoded),
            (Use::Next(key, Expected::Trailers), Ok(decoded)) => self.take_trailers(key, ended, decoded),
        };
        event.or_else(|error| self.fault(id, error, turn))
    }

    /// Finds the use of a block for the stream `id` (RFC 9113, section 5.1).
    fn use_of_block(&mut self, id: u32) -> Result<Use, ConnectionError> {
        if let Some(key) = self.streams.find(id) {
            let stream = self.streams.get(key);
            let state = stream.map(|stream| (stream.reset, stream.receive, stream.expected));
            return Ok(match state {
                None | Some((Some(Side::Own), ..)) => Use::Late,
                Some((Some(Side::Peer), ..) | (None, Half::Ended, _)) => Use::Fault(behind_end()),
                Some((None, Half::Open, expected)) => Use::Next(key, expected),
            });
        }
        if self.is_idle(id) {
            return self.use_of_new(id);
        }
        match (self.streams.closed(id), self.role) {
            (Closed::Reset, _) | (Closed::Forgotten, Role::Client) => Ok(Use::Late),
            (Closed::Ended, _) => Err(closed("HEADERS for a stream that has ended")),
            (Closed::Forgotten, Role::Server) => {
                Err(ConnectionError::protocol("HEADERS for a number below that of an earlier stream"))
            }
        }
    }

    fn use_of_new(&mut self, id: u32) -> Result<Use, ConnectionError> {
        if self.role == Role::Client || id.is_multiple_of(2) {
            return Err(ConnectionError::protocol("HEADERS for a stream that its sender may not open"));
        }
        self.last_peer = id;
        self.flood.stream_opened();
        let detail = if self.shutdown == Shutdown::Final {
            "a stream after the shutdown"
        } else if self.streams.len() >= self.limits.streams as usize {
            "more streams than allowed"
        } else {
            return Ok(Use::New);
        };
        Ok(Use::Fault(StreamError::new(ErrorCode::RefusedStream, detail)))
    }

    fn begin_request(
        &mut self,
        id: u32,
        ended: bool,
        decoded: Decoded,
        turn: &mut Turn<'_>,
    ) -> Result<Event, StreamError> {
        let mut stream = Stream::new(id, Expected::Trailers, self.peer.initial_window);
        stream.length_left = decoded.content_length;
        if !stream.count_body(0, ended) {
            return Err(wrong_length());
        }
        stream.is_connect = decoded.is_websocket;
        stream.head_bytes = turn.workspace.space.head.len();
        if self.head_bytes + stream.head_bytes > HELD_HEAD_BYTES_MAX {
            return Err(StreamError::new(
                ErrorCode::RefusedStream,
                "the heads of streams take too much memory",
            ));
        }
        self.head_bytes += stream.head_bytes;
        if let Some(priority) = decoded.priority {
            (stream.priority, self.has_priorities) = (priority, true);
        }
        if ended {
            stream.receive = Half::Ended;
        }
        let stream = self.streams.insert(stream);
        if id >= STREAM_NUMBER_MAX {
            self.shut_down(turn.now, turn.out);
        }
        let reason = match decoded {
            Decoded { is_too_large: true, .. } => Reason::HeadTooLarge,
            Decoded { is_plain_connect: true, .. } => Reason::RequestMethod,
            Decoded { is_unknown_protocol: true, .. } => Reason::ProtocolUnknown,
            Decoded { never_indexed, .. } => return Ok(Event::Head { stream, ended, never_indexed }),
        };
        Ok(Event::Refused { stream, reason, ended })
    }

    fn take_response(&mut self, key: StreamKey, ended: bool, decoded: Decoded) -> Result<Event, StreamError> {
        let Some(stream) = self.streams.get(key) else { return Ok(Event::Handled) };
        if decoded.is_too_large {
            stream.expected = Expected::Trailers;
            stream.receive = if ended { Half::Ended } else { Half::Open };
            return Ok(Event::Refused { stream: key, reason: Reason::ResponseTooLarge, ended });
        }
        let head = Event::Head { stream: key, ended, never_indexed: decoded.never_indexed };
        if decoded.status < 200 {
            stream.interims += 1;
            if ended {
                return Err(StreamError::malformed("an interim response ends the stream"));
            }
            if stream.interims > INTERIM_RESPONSES_MAX {
                return Err(StreamError::new(ErrorCode::EnhanceYourCalm, "too many interim responses"));
            }
            return Ok(head);
        }
        stream.expected = Expected::Trailers;
        // These responses may have a length, and have no body (RFC 9113, section 8.1.1).
        let has_no_body = stream.is_head_request || matches!(decoded.status, 204 | 304);
        stream.length_left = if has_no_body { Some(0) } else { decoded.content_length };
        if stream.is_connect && decoded.status < 300 {
            // A length has no meaning in front of a tunnel (RFC 9110, section 9.3.6).
            (stream.is_tunnel, stream.length_left) = (true, None);
        }
        if !stream.count_body(0, ended) {
            return Err(wrong_length());
        }
        if ended {
            stream.receive = Half::Ended;
        }
        Ok(head)
    }

    fn take_trailers(&mut self, key: StreamKey, ended: bool, decoded: Decoded) -> Result<Event, StreamError> {
        let is_server = self.role == Role::Server;
        let Some(stream) = self.streams.get(key) else { return Ok(Event::Handled) };
        if stream.is_tunnel || is_server && stream.is_connect {
            // RFC 9113, section 8.5: only DATA may come.
            return Err(StreamError::malformed("HEADERS inside a tunnel"));
        }
        if !ended {
            return Err(StreamError::malformed("trailers that do not end the stream"));
        }
        if decoded.is_too_large {
            return Err(StreamError::new(
                ErrorCode::EnhanceYourCalm,
                "more than 64 trailers or 8 KiB of them",
            ));
        }
        if !stream.count_body(0, true) {
            return Err(wrong_length());
        }
        stream.receive = Half::Ended;
        Ok(Event::Trailers { stream: key })
    }
}

/// The error for a frame behind END_STREAM or behind RST_STREAM of the peer (RFC 9113, section 5.1).
#[cold]
pub(super) fn behind_end() -> StreamError {
    StreamError::new(ErrorCode::StreamClosed, "a frame for a stream that its sender has ended")
}

#[cold]
pub(super) fn wrong_length() -> StreamError {
    StreamError::malformed("the data contradict content-length")
}

#[cold]
pub(super) fn closed(detail: &'static str) -> ConnectionError {
    ConnectionError::new(ErrorCode::StreamClosed, detail)
}
