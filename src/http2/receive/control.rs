//! Frames one after the other. Heads and data have files of their own.

use std::time::Instant;

use crate::http2::connection::{Connection, OUTPUT_BYTES_MAX, PREFACE, Role};
use crate::http2::error::{ConnectionError, ErrorCode, StreamError};
use crate::http2::event::{Event, Received};
use crate::http2::frame::{self, ACK, FRAME_HEAD_BYTES, FrameHead, Kind, number};
use crate::http2::priority::Priority;
use crate::http2::shutdown::SHUTDOWN_PING;
use crate::http2::stream::{Closed, Side, StreamKey};
use crate::http2::workspace::Workspace;

/// The rest of a call of [`Connection::receive`]: the instant, and the places for what comes out.
pub(super) struct Turn<'t> {
    pub(super) now: Instant,
    pub(super) workspace: &'t mut Workspace,
    pub(super) out: &'t mut Vec<u8>,
}

impl Connection {
    /// Takes the bytes at the start of `bytes`: a frame, or a piece of DATA. `None`: more bytes are needed, or `out`
    /// has more than [`OUTPUT_BYTES_MAX`] bytes and must be written first.
    ///
    /// # Errors
    /// The peer broke the protocol: [`Connection::fail`], write, close.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        now: Instant,
        workspace: &mut Workspace,
        out: &mut Vec<u8>,
    ) -> Result<Option<Received>, ConnectionError> {
        if out.len() > OUTPUT_BYTES_MAX {
            return Ok(None);
        }
        if self.preface < PREFACE.len() {
            return self.receive_preface(bytes);
        }
        if self.data.is_some() {
            return Ok(self.receive_piece(bytes, 0));
        }
        let Some(head) = bytes.first_chunk::<FRAME_HEAD_BYTES>() else { return Ok(None) };
        let head = FrameHead::read(head)?;
        self.check_order(&head)?;
        let mut turn = Turn { now, workspace, out };
        if head.kind == Kind::Data {
            return self.receive_data(&head, bytes, &mut turn);
        }
        let Some(payload) = bytes[FRAME_HEAD_BYTES..].get(..head.length) else { return Ok(None) };
        let event = self.receive_frame(&head, payload, &mut turn)?;
        Ok(Some(Received { bytes: FRAME_HEAD_BYTES + head.length, event }))
    }

    fn receive_preface(&mut self, bytes: &[u8]) -> Result<Option<Received>, ConnectionError> {
        let rest = &PREFACE[self.preface..];
        let length = rest.len().min(bytes.len());
        if bytes[..length] != rest[..length] {
            return Err(ConnectionError::protocol("the preface of HTTP/2 is wrong"));
        }
        self.preface += length;
        Ok((length > 0).then_some(Received { bytes: length, event: Event::Handled }))
    }

    /// Refuses a frame that may not come now: before SETTINGS (RFC 9113, section 3.4), or inside a header block.
    fn check_order(&self, head: &FrameHead) -> Result<(), ConnectionError> {
        if !self.has_settings && (head.kind != Kind::Settings || head.has(ACK)) {
            return Err(ConnectionError::protocol("the first frame is not SETTINGS"));
        }
        match self.block.open() {
            Some(stream) if head.kind != Kind::Continuation || head.stream != stream => {
                Err(ConnectionError::protocol("a frame inside a header block"))
            }
            None if head.kind == Kind::Continuation => {
                Err(ConnectionError::protocol("CONTINUATION without a header block"))
            }
            _ => Ok(()),
        }
    }

    fn receive_frame(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Event, ConnectionError> {
        match head.kind {
            Kind::Headers => self.receive_headers(head, payload, turn),
            Kind::Continuation => self.receive_continuation(head, payload, turn),
            Kind::Priority => {
                self.flood.priority(turn.now)?;
                if number(payload) == head.stream {
                    return Err(ConnectionError::protocol("a stream depends on itself"));
                }
                Ok(Event::Handled)
            }
            Kind::PriorityUpdate => self.receive_priority_update(payload, turn),
            Kind::ResetStream => self.receive_reset(head, payload, turn),
            Kind::Settings => self.receive_settings(head, payload, turn),
            Kind::Ping => self.receive_ping(head, payload, turn),
            Kind::GoAway => self.receive_go_away(payload, turn),
            Kind::WindowUpdate => self.receive_window_update(head, payload, turn),
            Kind::PushPromise => Err(ConnectionError::protocol("push is not allowed here")),
            Kind::Data | Kind::Unknown => self.flood.control(turn.now).map(|()| Event::Handled),
        }
    }

    /// Resets a stream whose peer is at fault. It costs as much as a reset of the peer's own, so a peer gains nothing
    /// by causing ours instead (CVE-2025-8671).
    pub(super) fn fault(
        &mut self,
        id: u32,
        error: StreamError,
        turn: &mut Turn<'_>,
    ) -> Result<Event, ConnectionError> {
        self.flood.charge(turn.now, "too many streams that were reset or refused")?;
        let key = self.streams.find(id);
        match key.and_then(|key| self.streams.get(key)) {
            Some(stream) => stream.reset = Some(Side::Own),
            None => self.streams.remember(id, Closed::Reset),
        }
        self.flood.stream_reset();
        frame::reset_stream(turn.out, id, error.code);
        Ok(Event::Fault { stream: key, id, code: error.code, detail: error.detail })
    }

    /// The stream of a frame, if it has a slot. No frame may come before the head of its stream.
    fn begun(&self, id: u32) -> Result<Option<StreamKey>, ConnectionError> {
        if self.is_idle(id) {
            return Err(ConnectionError::protocol("a frame for a stream that has not begun"));
        }
        Ok(self.streams.find(id))
    }

    fn receive_reset(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Event, ConnectionError> {
        let key = self.begun(head.stream)?;
        // A target may reset as it likes: its streams are ours.
        if self.role == Role::Server {
            self.flood.charge(turn.now, "too many streams that were reset or refused")?;
        }
        let Some(key) = key else { return Ok(Event::Handled) };
        let Some(stream) = self.streams.get(key).filter(|stream| stream.reset.is_none()) else {
            return Ok(Event::Handled);
        };
        stream.reset = Some(Side::Peer);
        let code = payload.first_chunk().copied().unwrap_or_default();
        Ok(Event::Reset { stream: key, code: ErrorCode::from_number(u32::from_be_bytes(code)) })
    }

    fn receive_settings(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Event, ConnectionError> {
        if head.has(ACK) {
            if !payload.is_empty() {
                let detail = "an acknowledgement of SETTINGS with a payload";
                return Err(ConnectionError::new(ErrorCode::FrameSizeError, detail));
            }
            if self.settings_sent.take().is_none() {
                self.flood.control(turn.now)?;
            }
            return Ok(Event::Handled);
        }
        self.flood.control(turn.now)?;
        self.has_settings = true;
        let peer = self.peer.update(payload, self.role == Role::Client)?;
        let by = i64::from(peer.initial_window) - i64::from(self.peer.initial_window);
        self.peer = peer;
        if !self.streams.iter_mut().all(|(_, stream)| stream.send_window.shift(by)) {
            let detail = "INITIAL_WINDOW_SIZE makes a window too large";
            return Err(ConnectionError::new(ErrorCode::FlowControlError, detail));
        }
        frame::settings_ack(turn.out);
        Ok(Event::Settings)
    }

    fn receive_ping(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Event, ConnectionError> {
        self.flood.control(turn.now)?;
        let payload = payload.first_chunk().copied().unwrap_or_default();
        if !head.has(ACK) {
            frame::ping(turn.out, &payload, true);
            return Ok(Event::Handled);
        }
        if payload == SHUTDOWN_PING && self.shutdown.deadline().is_some() {
            self.finish_shutdown(turn.out);
        }
        Ok(Event::Pong(payload))
    }

    fn receive_go_away(&mut self, payload: &[u8], turn: &mut Turn<'_>) -> Result<Event, ConnectionError> {
        self.flood.control(turn.now)?;
        let last = number(payload);
        if self.peer_last.is_some_and(|earlier| last > earlier) {
            return Err(ConnectionError::protocol("a GOAWAY takes more streams than the one before"));
        }
        self.peer_last = Some(last);
        Ok(Event::GoAway { last, code: ErrorCode::from_number(number_of_code(payload)) })
    }

    fn receive_window_update(
        &mut self,
        head: &FrameHead,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Event, ConnectionError> {
        self.flood.window_update(turn.now)?;
        self.flood.check_dribbles()?;
        let increment = number(payload);
        if head.stream == 0 {
            return self.widen_connection(increment);
        }
        let Some(key) = self.begun(head.stream)? else { return Ok(Event::Handled) };
        let Some(stream) = self.streams.get(key).filter(|stream| !stream.is_closed()) else {
            return Ok(Event::Handled);
        };
        if increment == 0 {
            return self.fault(key.id(), StreamError::malformed("WINDOW_UPDATE of 0"), turn);
        }
        if !stream.send_window.shift(i64::from(increment)) {
            let error = StreamError::new(ErrorCode::FlowControlError, "a window over 2^31-1");
            return self.fault(key.id(), error, turn);
        }
        let has_capacity = stream.waits && stream.send_window.left() > 0;
        Ok(if has_capacity { Event::Capacity(Some(key)) } else { Event::Handled })
    }

    fn widen_connection(&mut self, increment: u32) -> Result<Event, ConnectionError> {
        if increment == 0 {
            return Err(ConnectionError::protocol("WINDOW_UPDATE of 0"));
        }
        let was_shut = self.send_window.left() == 0;
        if !self.send_window.shift(i64::from(increment)) {
            return Err(ConnectionError::new(ErrorCode::FlowControlError, "a window over 2^31-1"));
        }
        Ok(if was_shut { Event::Capacity(None) } else { Event::Handled })
    }

    /// Takes PRIORITY_UPDATE (RFC 9218, section 7.1). One that comes before its stream is forgotten, because a client
    /// can send the field instead.
    fn receive_priority_update(
        &mut self,
        payload: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Event, ConnectionError> {
        self.flood.priority(turn.now)?;
        let id = number(payload);
        if self.role == Role::Client || id.is_multiple_of(2) {
            return Err(ConnectionError::protocol("PRIORITY_UPDATE for a stream that has no request"));
        }
        if let Some(stream) = self.streams.find(id).and_then(|key| self.streams.get(key)) {
            stream.priority = Priority::parse(&payload[4..]);
            self.has_priorities = true;
        }
        Ok(Event::Handled)
    }
}

/// The error code in a GOAWAY frame.
fn number_of_code(payload: &[u8]) -> u32 {
    let code = payload.get(4..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
    u32::from_be_bytes(code)
}
