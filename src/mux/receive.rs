//! Events of the engine change the slots of streams.

use super::shared::{Shared, State};
use super::slot::{IncomingBody, Slot};
use super::space::Memory;
use crate::http2::{ACCEPT_BYTES, ConnectionError, ErrorCode, Event, StreamKey, new_key};
use crate::reason::Reason;
use crate::tls::StreamEnd;
use crate::worker::{Buffer, Worker};

/// Frames that are taken in one turn. Then other connections have theirs.
pub(super) const FRAMES_PER_TURN: usize = 256;

/// The head of a stream that was refused before its line was known. No parser takes its version.
const UNKNOWN_LINE: &[u8] = b"- - HTTP/2.1\r\n\r\n";

/// The name of the field that says how long a body is, in the HTTP/1.1 form.
const CONTENT_LENGTH: &[u8] = b"content-length:";

/// The line by which a head asks for a body in chunks.
const CHUNKED: &[u8] = b"transfer-encoding: chunked\r\n\r\n";

/// The line of a response that ends with its head.
const NO_BODY: &[u8] = b"content-length: 0\r\n\r\n";

/// The beginning of the form of an interim response.
const INTERIM: &[u8] = b"HTTP/1.1 1";

/// The beginning of the form of a response of success.
const SUCCESS: &[u8] = b"HTTP/1.1 2";

/// The beginning of the form of a response that begins a tunnel.
const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: ";

/// Bytes of heads of one response that wait for their reader: interim ones and the final one.
const HELD_RESPONSES_MAX: usize = 256 * 1024;

/// The end of a stream that was reset with `code`.
fn end_of(code: ErrorCode) -> StreamEnd {
    match code {
        ErrorCode::RefusedStream => StreamEnd::Unprocessed,
        ErrorCode::Http11Required => StreamEnd::NeedsHttp1,
        code => StreamEnd::Reset(code.label()),
    }
}

impl Shared {
    /// Takes frames from the front of `bytes`, at most [`FRAMES_PER_TURN`]. Returns how many bytes and frames it took.
    ///
    /// # Errors
    /// The peer broke the protocol.
    pub(super) fn receive(&self, bytes: &[u8]) -> Result<(usize, usize), ConnectionError> {
        let (state, memory) = (&mut *self.state.borrow_mut(), &mut *self.space.memory.borrow_mut());
        let (mut taken, mut frames) = (0, 0);
        let now = self.worker.now();
        while frames < FRAMES_PER_TURN {
            let rest = &bytes[taken..];
            let received = state.engine.receive(rest, now, &mut memory.workspace, &mut state.control)?;
            let Some(received) = received else { break };
            state.apply(received.event, rest, memory, &self.worker);
            taken += received.bytes;
            frames += 1;
        }
        Ok((taken, frames))
    }
}

impl State {
    pub(super) fn apply(&mut self, event: Event, bytes: &[u8], memory: &Memory, worker: &Worker) {
        match event {
            Event::Head { stream, ended, .. } if self.is_own(stream) => {
                self.take_response(stream, ended, memory, worker);
            }
            Event::Refused { stream, .. } if self.is_own(stream) => {
                self.lose(stream, Some(StreamEnd::TooLarge))
            }
            Event::Head { stream, ended, .. } => self.begin(stream, ended, None, memory, worker),
            Event::Refused { stream, reason, ended } => {
                self.begin(stream, ended, Some(reason), memory, worker);
            }
            Event::Data { stream, data, ended } => {
                self.has_stream_frame = true;
                if let Some(slot) = self.slot(stream) {
                    slot.receive(&bytes[data], worker);
                    slot.has_ended |= ended;
                    slot.wake();
                    self.close_left(stream);
                }
            }
            Event::Trailers { stream } => {
                if let Some(slot) = self.slot(stream) {
                    slot.trailers.extend_from_slice(memory.workspace.head());
                    slot.has_ended = true;
                    slot.wake();
                    self.close_left(stream);
                }
            }
            Event::Reset { stream, code } => self.lose(stream, Some(end_of(code))),
            Event::Fault { stream: Some(stream), detail, .. } => {
                self.lose(stream, Some(StreamEnd::Malformed(detail)));
            }
            Event::Capacity(Some(stream)) => self.queue(stream.slot()),
            Event::Settings => {
                self.has_settings = true;
                self.wake_opener();
                self.queue_all();
            }
            Event::Capacity(None) => self.queue_all(),
            Event::GoAway { .. } => self.leave(),
            Event::Fault { stream: None, .. } | Event::Handled | Event::Pong(_) => {}
        }
    }

    /// Fills the slot of a new stream. Its task begins when all that came was read, so that a stream that is reset in
    /// the same read never begins.
    fn begin(
        &mut self,
        key: StreamKey,
        ended: bool,
        refusal: Option<Reason>,
        memory: &Memory,
        worker: &Worker,
    ) {
        let index = key.slot();
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, Default::default);
        }
        let form = memory.workspace.head();
        let slot = &mut self.slots[index];
        slot.key = Some(key);
        slot.refusal = refusal;
        slot.has_ended = ended;
        let is_connect = self.engine.is_connect(key);
        let has_length = self.engine.announces_length(key) && !has_trailers(form);
        // Data behind an extended CONNECT are those of a tunnel.
        let is_plain = ended || has_length || is_connect;
        slot.body = if is_plain { IncomingBody::Plain } else { IncomingBody::Chunked };
        let key = is_connect.then(websocket_key_line);
        let end = key.as_ref().map(|line| &line[..]);
        let end = end.or((slot.body == IncomingBody::Chunked).then_some(CHUNKED));
        slot.head = Some(head_of(form, end, refusal.is_some(), worker));
        self.open += 1;
        self.begun.push_back(index);
    }

    /// Whether this side has opened the stream.
    fn is_own(&mut self, key: StreamKey) -> bool {
        self.slot(key).is_some_and(|slot| slot.is_own)
    }

    /// Takes the head of a response, or of an interim one. The length of its body must be known by the form.
    fn take_response(&mut self, key: StreamKey, ended: bool, memory: &Memory, worker: &Worker) {
        self.has_stream_frame = true;
        let form = memory.workspace.head();
        let has_length = self.engine.announces_length(key) && (ended || !has_trailers(form));
        let Some(slot) = self.slot(key) else { return };
        let held = slot.head.as_ref().map_or(0, |head| head.unread().len());
        if held + form.len() > HELD_RESPONSES_MAX {
            return self.lose(key, Some(StreamEnd::TooLarge));
        }
        if let Some(accept) = slot.accept.as_deref().filter(|_| form.starts_with(SUCCESS)) {
            (slot.is_tunnel, slot.has_ended) = (true, ended);
            let head = slot.head.get_or_insert_with(|| worker.buffer());
            extend_switch(head, form, accept);
            return slot.wake();
        }
        let line = if form.starts_with(INTERIM) || has_length {
            &b"\r\n"[..]
        } else if ended && !has_trailers(form) {
            NO_BODY
        } else {
            slot.body = IncomingBody::Chunked;
            CHUNKED
        };
        slot.has_ended = ended;
        slot.kept = None;
        let head = slot.head.get_or_insert_with(|| worker.buffer());
        let form = form.strip_suffix(b"\r\n").unwrap_or(form);
        extend_lines(head, form, line == CHUNKED);
        head.extend(line);
        slot.wake();
    }

    /// Ends the connection for new streams, because the peer takes no more. Those that it does not process are gone.
    fn leave(&mut self) {
        let is_unprocessed =
            |slot: &Slot, last: u32| slot.is_own && slot.key.is_some_and(|key| key.id() > last);
        if let Some(last) = self.engine.last_processed() {
            for index in 0..self.slots.len() {
                let slot = &mut self.slots[index];
                if is_unprocessed(slot, last) {
                    slot.gone = Some(StreamEnd::Unprocessed);
                    slot.lose();
                }
            }
            self.engine.shut_down_at_once(&mut self.control);
        }
    }

    /// Closes a stream of ours that has ended, if its task has let go of it.
    fn close_left(&mut self, key: StreamKey) {
        if self.slot(key).is_some_and(|slot| slot.is_own && slot.is_detached && slot.has_ended) {
            self.close(key.slot());
        }
    }

    /// Lets every stream that has something to send try again.
    fn queue_all(&mut self) {
        (0..self.slots.len()).for_each(|slot| self.queue(slot));
    }

    /// Marks a stream as gone. One that has no task yet never gets one.
    fn lose(&mut self, key: StreamKey, end: Option<StreamEnd>) {
        let index = key.slot();
        let Some(slot) = self.slot(key) else { return };
        // A target that has begun to answer has processed the request, whatever it says.
        let end = match end {
            Some(StreamEnd::Unprocessed) if slot.head.is_some() => Some(end_of(ErrorCode::ProtocolError)),
            end => end,
        };
        slot.gone = end.filter(|_| slot.is_own);
        slot.lose();
        let (was_detached, had_begun) = (slot.is_detached, self.begun.contains(&index));
        if had_begun {
            self.begun.retain(|begun| *begun != index);
        }
        if was_detached || had_begun {
            self.close(index);
        }
    }
}

/// The head of a stream in the HTTP/1.1 form, with the version that no head of HTTP/1.1 can have. `end` is its last line
/// and its end, if they are not those of the form.
fn head_of(form: &[u8], end: Option<&[u8]>, is_refused: bool, worker: &Worker) -> Buffer {
    let mut head = worker.buffer();
    let line = memchr::memchr(b'\n', form).map_or(0, |end| end + 1);
    let (line, fields) = form.split_at(line);
    match line.strip_suffix(b"1.1\r\n") {
        Some(start) => {
            head.extend(start);
            head.extend(if is_refused { b"2.1\r\n" } else { b"2.0\r\n" });
            match (fields.strip_suffix(b"\r\n"), end.filter(|_| !is_refused)) {
                (Some(lines), Some(end)) => {
                    extend_lines(&mut head, lines, true);
                    head.extend(end);
                }
                _ => head.extend(fields),
            }
        }
        None => head.extend(UNKNOWN_LINE),
    }
    head
}

/// Whether trailers end a message, as in every call of gRPC. Its form is in chunks then, even if it says its length:
/// HTTP/1.1 has trailers behind chunks alone (RFC 9112, section 7.1.2). The engine compares the length with the data.
fn has_trailers(form: &[u8]) -> bool {
    let kind = form
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"content-type: application/grpc"));
    matches!(kind, Some([b'\r' | b'+' | b';', ..]))
}

/// Appends lines of a head. `in_chunks` leaves out the length.
fn extend_lines(head: &mut Buffer, lines: &[u8], in_chunks: bool) {
    let kept = lines.split_inclusive(|byte| *byte == b'\n');
    match in_chunks {
        true => kept.filter(|line| !line.starts_with(CONTENT_LENGTH)).for_each(|line| head.extend(line)),
        false => head.extend(lines),
    }
}

/// The line with a key that makes the form of an extended CONNECT a handshake of RFC 6455, and the end of its head. The
/// answer of the target is compared with `expected_accept`.
#[cold]
fn websocket_key_line() -> [u8; 47] {
    let mut line = *b"sec-websocket-key: 0123456789abcdef01234567\r\n\r\n";
    line[19..43].copy_from_slice(&new_key());
    line
}

/// Appends the form of a response that accepts an extended CONNECT: 101, with the answer for which the client of the
/// WebSocket waits. A length has no meaning in front of a tunnel.
#[cold]
fn extend_switch(head: &mut Buffer, form: &[u8], accept: &[u8; ACCEPT_BYTES]) {
    let line = memchr::memchr(b'\n', form).map_or(0, |end| end + 1);
    head.extend(SWITCH);
    head.extend(accept);
    head.extend(b"\r\n");
    extend_lines(head, &form[line..], true);
}
