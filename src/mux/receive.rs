//! Events of the engine change the slots of streams.

use super::shared::{Shared, State};
use super::slot::RequestBody;
use super::space::Memory;
use crate::http2::{ConnectionError, Event, StreamKey};
use crate::reason::Reason;
use crate::worker::{Buffer, Worker};

/// Frames that are taken in one turn. Then other connections have theirs.
pub(super) const FRAMES_PER_TURN: usize = 256;

/// The head of a stream that was refused before its line was known. No parser takes its version.
const UNKNOWN_LINE: &[u8] = b"- - HTTP/2.1\r\n\r\n";

/// The line by which a head asks for a body in chunks.
const CHUNKED: &[u8] = b"transfer-encoding: chunked\r\n\r\n";

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
    fn apply(&mut self, event: Event, bytes: &[u8], memory: &Memory, worker: &Worker) {
        match event {
            Event::Head { stream, ended, .. } => self.begin(stream, ended, None, memory, worker),
            Event::Refused { stream, reason, ended } => {
                self.begin(stream, ended, Some(reason), memory, worker);
            }
            Event::Data { stream, data, ended } => {
                if let Some(slot) = self.slot(stream) {
                    slot.receive(&bytes[data], worker);
                    slot.has_ended |= ended;
                    slot.wake();
                }
            }
            Event::Trailers { stream } => {
                if let Some(slot) = self.slot(stream) {
                    slot.trailers.extend_from_slice(memory.workspace.head());
                    slot.has_ended = true;
                    slot.wake();
                }
            }
            Event::Reset { stream, .. } | Event::Fault { stream: Some(stream), .. } => self.lose(stream),
            Event::Capacity(Some(stream)) => self.queue(stream.slot()),
            Event::Capacity(None) | Event::Settings => {
                (0..self.slots.len()).for_each(|slot| self.queue(slot))
            }
            Event::Fault { stream: None, .. } | Event::Handled | Event::GoAway { .. } | Event::Pong(_) => {}
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
        let has_length = self.engine.announces_length(key);
        slot.body = if ended || has_length { RequestBody::Plain } else { RequestBody::Chunked };
        slot.head = Some(head_of(form, slot.body, refusal.is_some(), worker));
        self.open += 1;
        self.begun.push_back(index);
    }

    /// Marks a stream as gone. One that has no task yet never gets one.
    fn lose(&mut self, key: StreamKey) {
        let index = key.slot();
        let Some(slot) = self.slot(key) else { return };
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

/// The head of a stream in the HTTP/1.1 form, with the version that no head of HTTP/1.1 can have. It asks for chunks if
/// the body has no length.
fn head_of(form: &[u8], body: RequestBody, is_refused: bool, worker: &Worker) -> Buffer {
    let mut head = worker.buffer();
    let line = memchr::memchr(b'\n', form).map_or(0, |end| end + 1);
    let (line, fields) = form.split_at(line);
    match line.strip_suffix(b"1.1\r\n") {
        Some(start) => {
            head.extend(start);
            head.extend(if is_refused { b"2.1\r\n" } else { b"2.0\r\n" });
            match fields.strip_suffix(b"\r\n").filter(|_| body == RequestBody::Chunked && !is_refused) {
                Some(lines) => {
                    head.extend(lines);
                    head.extend(CHUNKED);
                }
                None => head.extend(fields),
            }
        }
        None => head.extend(UNKNOWN_LINE),
    }
    head
}
