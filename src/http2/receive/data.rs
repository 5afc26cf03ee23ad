//! DATA of a connection, counted against both windows and against `content-length`.

use super::control::Turn;
use super::head::{behind_end, closed, wrong_length};
use crate::http2::connection::{Connection, DataFrame, Role};
use crate::http2::error::{ConnectionError, ErrorCode, StreamError};
use crate::http2::event::{Event, Received};
use crate::http2::frame::{END_STREAM, FRAME_HEAD_BYTES, FrameHead, PADDED};
use crate::http2::stream::{Closed, Expected, Half, Side, StreamKey};

/// The use of the data in a frame.
enum Use {
    Stream(StreamKey),
    /// The frame came after we reset the stream.
    Late,
    /// The stream may not have it.
    Fault(StreamError),
}

impl Connection {
    /// Takes the head of a DATA frame and the data behind it, as far as they came.
    pub(super) fn receive_data(
        &mut self,
        head: &FrameHead,
        bytes: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<Option<Received>, ConnectionError> {
        let (mut start, mut padding) = (FRAME_HEAD_BYTES, 0);
        if head.has(PADDED) {
            let Some(&length) = bytes.get(start) else { return Ok(None) };
            (start, padding) = (start + 1, usize::from(length));
        }
        let Some(left) = head.length.checked_sub(start - FRAME_HEAD_BYTES + padding) else {
            return Err(ConnectionError::protocol("the padding of a frame is longer than its payload"));
        };
        if !self.receive_window.take(head.length as u32) {
            let detail = "more data than the window of the connection allows";
            return Err(ConnectionError::new(ErrorCode::FlowControlError, detail));
        }
        let ends = head.has(END_STREAM);
        self.flood.stream_frame();
        if left == 0 && !ends {
            self.flood.charge(turn.now, "too many empty DATA frames")?;
        }
        let fault = match self.use_of_data(head, left, ends)? {
            Use::Stream(key) => {
                self.data = Some(DataFrame { stream: Some(key), left, padding, ends });
                self.receive_window.hold(left as u32);
                None
            }
            Use::Late => {
                self.flood.late_frame(turn.now)?;
                None
            }
            Use::Fault(error) => Some(self.fault(head.stream, error, turn)?),
        };
        // Padding and dropped data are not held, so their credit goes back at once.
        self.credit_connection(turn.out);
        if self.data.is_some() {
            return Ok(self.receive_piece(bytes, start));
        }
        self.data = Some(DataFrame { stream: None, left: 0, padding: left + padding, ends: false });
        self.end_frame();
        Ok(Some(Received { bytes: start, event: fault.unwrap_or(Event::Handled) }))
    }

    /// Takes the next piece of the frame, from `start` on.
    pub(super) fn receive_piece(&mut self, bytes: &[u8], start: usize) -> Option<Received> {
        let frame = self.data.as_mut()?;
        let has_data = frame.left > 0 || start > 0;
        let rest = if has_data { &mut frame.left } else { &mut frame.padding };
        let length = (*rest).min(bytes.len() - start);
        *rest -= length;
        let frame = *frame;
        self.end_frame();
        let end = start + length;
        let ended = frame.ends && frame.left == 0;
        let is_event = has_data && (length > 0 || ended);
        let stream = frame.stream.filter(|_| is_event).filter(|key| {
            // The stream may have been reset in the middle of the frame.
            self.streams.get(*key).is_some_and(|stream| stream.reset.is_none())
        });
        let event = stream.map_or(Event::Handled, |stream| Event::Data { stream, data: start..end, ended });
        (end > 0).then_some(Received { bytes: end, event })
    }

    /// Forgets the frame if nothing of it is left.
    fn end_frame(&mut self) {
        self.data = self.data.filter(|frame| frame.left + frame.padding > 0);
    }

    /// Finds the use of `bytes` of data, and counts them.
    fn use_of_data(&mut self, head: &FrameHead, bytes: usize, ends: bool) -> Result<Use, ConnectionError> {
        let id = head.stream;
        if self.is_idle(id) {
            return Err(ConnectionError::protocol("DATA for a stream that has not begun"));
        }
        let Some(key) = self.streams.find(id) else {
            return match (self.streams.closed(id), self.role) {
                (Closed::Reset, _) | (Closed::Forgotten, Role::Client) => Ok(Use::Late),
                (Closed::Ended, _) => Err(closed("DATA for a stream that has ended")),
                (Closed::Forgotten, Role::Server) => Ok(Use::Fault(behind_end())),
            };
        };
        let Some(stream) = self.streams.get(key) else { return Ok(Use::Late) };
        match (stream.reset, stream.receive, stream.expected) {
            (Some(Side::Own), ..) => return Ok(Use::Late),
            (Some(Side::Peer), ..) | (None, Half::Ended, _) => return Ok(Use::Fault(behind_end())),
            (None, Half::Open, Expected::Response) => {
                return Ok(Use::Fault(StreamError::malformed("DATA before the head of a response")));
            }
            (None, Half::Open, Expected::Trailers) => {}
        }
        if !stream.receive_window.take(head.length as u32) {
            let detail = "more data than the window of the stream allows";
            return Ok(Use::Fault(StreamError::new(ErrorCode::FlowControlError, detail)));
        }
        if !stream.count_body(bytes as u64, ends) {
            return Ok(Use::Fault(wrong_length()));
        }
        stream.receive_window.hold(bytes as u32);
        if ends {
            stream.receive = Half::Ended;
        }
        Ok(Use::Stream(key))
    }
}
