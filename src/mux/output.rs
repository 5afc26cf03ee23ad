//! The order in which streams write: by urgency, and those of one urgency in turn, a frame each (RFC 9218).

use std::time::Instant;

use super::shared::State;
use super::slot::{OUTPUT_BYTES_MAX, OUTPUT_BYTES_MIN, Slot};
use crate::http2::{Connection, StreamKey};
use crate::worker::LARGE_BUFFER_BYTES;

/// Bytes that are gathered for one write.
const WRITE_BYTES: usize = LARGE_BUFFER_BYTES;

/// The result of a turn.
enum Turn {
    /// It has more to send.
    Again,
    /// It has sent all, or waits for its window.
    Done,
}

impl State {
    /// Fills the output, which is empty: control frames first, then one frame of each stream in turn.
    pub(super) fn fill_output(&mut self, now: Instant) {
        self.written = 0;
        self.output.clear();
        std::mem::swap(&mut self.output, &mut self.control);
        while self.output.len() < WRITE_BYTES
            && let Some(index) = self.next_ready()
        {
            let slot = &mut self.slots[index];
            let Some(key) = slot.key else { continue };
            let before = self.output.len();
            let turn = slot.send(&mut self.engine, key, &mut self.output);
            if self.output.len() > before {
                slot.progress = Some(now);
            }
            match turn {
                Turn::Again => self.ready.push_back(index),
                Turn::Done => {
                    slot.is_queued = false;
                    if slot.is_detached && slot.end_was_sent {
                        self.close(index);
                    }
                }
            }
        }
    }
}

impl State {
    /// Bytes of a response that may wait in a slot: as many as its windows let go, and a few more. The window of the
    /// connection is shared with the bytes that wait in other slots.
    pub(super) fn output_bytes_max(&mut self, index: usize) -> usize {
        let Some(key) = self.slots[index].key else { return OUTPUT_BYTES_MIN };
        let (stream, connection) = self.engine.send_windows(key);
        let is_plenty = connection >= OUTPUT_BYTES_MAX * self.open;
        let others = || {
            let all: usize = self.slots.iter().map(Slot::waiting).sum();
            all - self.slots[index].waiting()
        };
        let connection = if is_plenty { connection } else { connection.saturating_sub(others()) };
        stream.min(connection).clamp(OUTPUT_BYTES_MIN, OUTPUT_BYTES_MAX)
    }

    /// Takes the next stream that has something to send. A stream waits for more urgent ones only as long as they have
    /// something to send, and their slots hold little.
    fn next_ready(&mut self) -> Option<usize> {
        if !self.engine.has_priorities() {
            return self.ready.pop_front();
        }
        let State { engine, slots, ready, .. } = self;
        let order = |index: usize| {
            let key = slots[index].key?;
            let priority = engine.priority(key);
            // Responses that are of use only as a whole come one after the other, as they were asked for.
            let turn = if priority.incremental { 0 } else { key.id() };
            Some((priority.urgency, priority.incremental, turn))
        };
        let next = ready.iter().copied().map(order).enumerate().min_by_key(|(_, order)| *order)?;
        ready.remove(next.0)
    }
}

impl Slot {
    /// Sends one frame: the head, with data behind it, or data.
    fn send(&mut self, engine: &mut Connection, key: StreamKey, out: &mut Vec<u8>) -> Turn {
        let has_trailers = !self.trailer_block.is_empty();
        let block = std::mem::take(&mut self.block);
        if block > 0 {
            let ends = self.is_complete && !has_trailers && self.waiting() == block;
            let bytes = self.output.as_ref().map_or(&[][..], |output| &output.unread()[..block]);
            engine.send_head(key, bytes, ends, out);
            self.consume(block);
            self.end_was_sent = ends;
        }
        let waiting = self.waiting();
        if waiting > 0 {
            let ends = self.is_complete && !has_trailers;
            let Some((bytes, head)) = engine.send_data(key, waiting, ends) else { return Turn::Done };
            let data = self.output.as_ref().map_or(&[][..], |output| &output.unread()[..bytes]);
            out.extend_from_slice(&head);
            out.extend_from_slice(data);
            self.consume(bytes);
            self.end_was_sent = ends && bytes == waiting;
            self.wake_writer();
            if bytes < waiting {
                return Turn::Again;
            }
        }
        if self.is_complete && !self.end_was_sent {
            self.end_was_sent = true;
            if has_trailers {
                engine.send_head(key, &self.trailer_block, true, out);
                self.trailer_block.clear();
            } else if let Some((_, head)) = engine.send_data(key, 0, true) {
                out.extend_from_slice(&head);
            }
        }
        Turn::Done
    }
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
