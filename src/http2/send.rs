//! The sending half of a connection, and the end of its streams.

use super::connection::{Connection, Role, Shutdown};
use super::error::ErrorCode;
use super::frame::{self, FRAME_HEAD_BYTES, PAYLOAD_BYTES_MAX};
use super::hpack::NO_DYNAMIC_TABLE;
use super::priority::Priority;
use super::stream::{Closed, Expected, Half, Side, Stream, StreamKey};

/// The number of a stream beyond which a connection takes no more. Two thirds of all numbers are left for
/// streams that begin during the shutdown.
pub(super) const STREAM_NUMBER_MAX: u32 = 1 << 30;

/// The reason why a client cannot open a stream on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The peer allows no more streams at once. A stream must end first.
    Full,
    /// The connection takes no more streams at all.
    Closing,
}

/// The part of a request that decides what its response may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// A request whose response may have a body.
    Plain,
    /// HEAD, whose response has no body.
    Head,
    /// An extended CONNECT, whose response may begin a tunnel.
    Connect,
}

impl Connection {
    /// Opens a stream with the block of a request.
    ///
    /// # Errors
    /// The connection takes no further stream, for now or at all.
    pub fn open(
        &mut self,
        block: &[u8],
        kind: RequestKind,
        ended: bool,
        out: &mut Vec<u8>,
    ) -> Result<StreamKey, OpenError> {
        let may_open = self.role == Role::Client;
        if !may_open || !self.takes_streams() {
            return Err(OpenError::Closing);
        }
        if self.room() == 0 {
            return Err(OpenError::Full);
        }
        let mut stream = Stream::new(self.next_own, Expected::Response, self.peer.initial_window);
        stream.is_head_request = kind == RequestKind::Head;
        stream.is_connect = kind == RequestKind::Connect;
        self.next_own += 2;
        self.flood.stream_opened();
        let key = self.streams.insert(stream);
        self.send_head(key, block, ended, out);
        Ok(key)
    }

    /// Sends a head or trailers. `false`: the stream may not send any more.
    pub fn send_head(&mut self, key: StreamKey, block: &[u8], ended: bool, out: &mut Vec<u8>) -> bool {
        let Some(stream) = self.streams.get(key).filter(|stream| stream.may_send()) else { return false };
        if ended {
            stream.send = Half::Ended;
        }
        let prefix: &[u8] = if self.has_sent_block { &[] } else { &[NO_DYNAMIC_TABLE] };
        self.has_sent_block = true;
        frame::headers(out, key.id(), prefix, block, ended);
        true
    }

    /// The number of bytes that may be sent now of `wanted`, and the head of their frame. `ends`: the message ends
    /// with the last of the bytes.
    ///
    /// `None`: nothing may be sent. If the stream is not at its end, [`Event::Capacity`](super::Event::Capacity) or
    /// [`Event::Settings`](super::Event::Settings) says when to ask again.
    pub fn send_data(
        &mut self,
        key: StreamKey,
        wanted: usize,
        ends: bool,
    ) -> Option<(usize, [u8; FRAME_HEAD_BYTES])> {
        let stream = self.streams.get(key).filter(|stream| stream.may_send())?;
        let window = stream.send_window.left().min(self.send_window.left());
        let bytes = wanted.min(window).min(PAYLOAD_BYTES_MAX);
        stream.waits = bytes < wanted && bytes < PAYLOAD_BYTES_MAX;
        let is_end = ends && bytes == wanted;
        if bytes == 0 && !is_end {
            return None;
        }
        stream.send_window.take(bytes);
        self.send_window.take(bytes);
        self.flood.data_sent(bytes, wanted);
        if is_end {
            stream.send = Half::Ended;
        }
        Some((bytes, frame::data_head(key.id(), bytes, is_end)))
    }

    /// The bytes that the windows of a stream and of the connection let go.
    pub fn send_windows(&mut self, key: StreamKey) -> (usize, usize) {
        let stream = self.streams.get(key).map_or(0, |stream| stream.send_window.left());
        (stream, self.send_window.left())
    }

    /// Counts `bytes` of received data as taken by the application. Credit goes back when it is worth a frame.
    pub fn release_capacity(&mut self, key: StreamKey, bytes: usize, out: &mut Vec<u8>) {
        let Some(stream) = self.streams.get(key) else { return };
        let bytes = stream.receive_window.unread().min(u32::try_from(bytes).unwrap_or(u32::MAX));
        stream.receive_window.release(bytes);
        if stream.may_receive() {
            stream.receive_window.grow_stream(&self.budget);
            if let Some(credit) = stream.receive_window.credit() {
                frame::window_update(out, key.id(), credit);
            }
        }
        self.receive_window.release(bytes);
        self.credit_connection(out);
    }

    /// Announces credit of the connection's window.
    pub(super) fn credit_connection(&mut self, out: &mut Vec<u8>) {
        self.receive_window.grow_connection(&self.budget);
        if let Some(credit) = self.receive_window.credit() {
            frame::window_update(out, 0, credit);
        }
    }

    /// Notes that the application has let go of the decoded head.
    pub fn release_head(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get(key) {
            self.head_bytes -= std::mem::take(&mut stream.head_bytes);
        }
    }

    /// Resets a stream, unless it is closed (RFC 9113, section 5.1: then no frame may follow). Its slot stays until [`Connection::close`].
    pub fn reset(&mut self, key: StreamKey, code: ErrorCode, out: &mut Vec<u8>) {
        let Some(stream) = self.streams.get(key).filter(|stream| !stream.is_closed()) else { return };
        stream.reset = Some(Side::Own);
        self.flood.stream_reset();
        frame::reset_stream(out, key.id(), code);
    }

    /// Frees a stream: the application has ended its work on it. A stream that has not ended is reset, without an
    /// error if the response is complete (RFC 9113, section 8.1). A client cancels its request; a server has failed to
    /// send its response, which CANCEL would blame on the client.
    pub fn close(&mut self, key: StreamKey, out: &mut Vec<u8>) {
        self.release_head(key);
        let Some(stream) = self.streams.get(key) else { return };
        let answer = if self.role == Role::Server { stream.send } else { stream.receive };
        let is_answered = answer == Half::Ended;
        let was_reset = stream.reset.is_some();
        let code = match self.role {
            // RFC 8441, section 5: the end of a WebSocket that is not orderly.
            _ if stream.is_tunnel => ErrorCode::Cancel,
            _ if is_answered => ErrorCode::NoError,
            Role::Server => ErrorCode::InternalError,
            Role::Client => ErrorCode::Cancel,
        };
        self.reset(key, code, out);
        if is_answered && !was_reset {
            self.flood.stream_ended();
        }
        let Some(stream) = self.streams.get(key) else { return };
        let unread = stream.receive_window.unread();
        let closed = if stream.reset == Some(Side::Own) { Closed::Reset } else { Closed::Ended };
        stream.receive_window.give_back(&self.budget);
        self.streams.remove(key, closed);
        self.receive_window.release(unread);
        self.credit_connection(out);
    }

    /// Whether the request of a stream is an extended CONNECT.
    pub fn is_connect(&mut self, key: StreamKey) -> bool {
        self.streams.get(key).is_some_and(|stream| stream.is_connect)
    }

    /// Notes that a server accepts an extended CONNECT with its next head.
    pub fn begin_tunnel(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get(key) {
            stream.is_tunnel = stream.is_connect;
        }
    }

    /// Whether the peer, a server, takes extended CONNECT.
    pub fn allows_connect(&self) -> bool {
        self.peer.extended_connect
    }

    /// Whether a client has all of a response whose length was announced. Only the end of its stream may follow.
    pub fn has_whole_length(&mut self, key: StreamKey) -> bool {
        self.streams.get(key).is_some_and(|stream| {
            stream.expected == Expected::Trailers && stream.length_left == Some(0) && stream.may_receive()
        })
    }

    /// Sends a PING.
    pub fn ping(&mut self, payload: &[u8; 8], out: &mut Vec<u8>) {
        frame::ping(out, payload, false);
    }

    /// The priority of a stream's response.
    pub fn priority(&mut self, key: StreamKey) -> Priority {
        self.streams.get(key).map_or(Priority::UNKNOWN, |stream| stream.priority)
    }

    /// Whether the peer has told a priority, so that the order of responses is not all one to it.
    pub fn has_priorities(&self) -> bool {
        self.has_priorities
    }

    /// Whether a client can still open streams, now or when others have ended.
    pub fn takes_streams(&self) -> bool {
        self.peer_last.is_none() && self.shutdown == Shutdown::No && self.next_own <= STREAM_NUMBER_MAX
    }

    /// The number of streams that a client can open now.
    pub fn room(&self) -> usize {
        let most = self.peer.concurrent_streams.min(self.limits.streams) as usize;
        if self.takes_streams() { most.saturating_sub(self.streams.len()) } else { 0 }
    }

    /// The last stream that the peer processes, once it has sent GOAWAY.
    pub fn last_processed(&self) -> Option<u32> {
        self.peer_last
    }

    /// The streams beyond the last one that the peer's GOAWAY names. Their requests were not processed, so they
    /// may be sent again.
    pub fn unprocessed(&mut self) -> impl Iterator<Item = StreamKey> {
        let last = self.peer_last.unwrap_or(u32::MAX);
        self.streams.iter_mut().map(|(key, _)| key).filter(move |key| key.id() > last)
    }
}
