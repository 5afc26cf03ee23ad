//! Requests of ours on a stream to a target: written in the HTTP/1.1 form, sent as a header block and DATA.

use std::io::{self, IoSlice};

use super::shared::State;
use super::slot::{OUTPUT_BYTES_MAX, Slot};
use super::space::Memory;
use super::stream::{LITERALS, NOT_OPEN, Stream};
use crate::http::{HeadLimits, Method};
use crate::http1::{BodyReader, HeadScan, parse_request};
use crate::http2::{encode_lines, encode_request};
use crate::tls::StreamEnd;
use crate::worker::Worker;

/// Limits on the head of a request. Those of clients were checked before, and rules may have added fields.
const HEAD_LIMITS: HeadLimits = HeadLimits { bytes: 512 * 1024, fields: 512, target: 512 * 1024 };

impl Stream {
    /// Takes a part of a request, which begins with a whole head. Returns how many bytes were taken.
    ///
    /// # Errors
    /// The stream is gone, or the connection takes no more streams.
    pub(super) fn try_send(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let state = &mut *self.connection.state.borrow_mut();
        let memory = &mut *self.connection.space.memory.borrow_mut();
        let mut written = 0;
        for slice in slices {
            let mut bytes = &slice[..];
            if self.index.get() == NOT_OPEN && !bytes.is_empty() {
                let scheme: &[u8] = if self.connection.io.is_encrypted() { b"https" } else { b"http" };
                let (index, head) = state.open(bytes, scheme, memory)?;
                self.index.set(index);
                (bytes, written) = (&bytes[head..], written + head);
            }
            if bytes.is_empty() {
                continue;
            }
            let taken =
                state.slots[self.index.get()].put_part(bytes, &mut memory.body, &self.connection.worker)?;
            written += taken;
            if taken < bytes.len() {
                break;
            }
        }
        if let Some(index) = Some(self.index.get()).filter(|index| *index != NOT_OPEN) {
            state.queue(index);
        }
        self.connection.wake_driver();
        Ok(written)
    }
}

impl State {
    /// Opens a stream with the head at the front of `bytes`. Returns the index of its slot, and the bytes of the head.
    ///
    /// # Errors
    /// `InvalidData` if there is no whole head, which none of the callers writes. [`StreamEnd::Unprocessed`] if the
    /// connection takes no more streams.
    fn open(&mut self, bytes: &[u8], scheme: &[u8], memory: &mut Memory) -> io::Result<(usize, usize)> {
        let Memory { table, block, .. } = memory;
        let head = parse_request(bytes, &mut HeadScan::default(), &HEAD_LIMITS, table).ok().flatten();
        let head = head.ok_or(io::ErrorKind::InvalidData)?;
        let host = head.host.as_ref().map_or(&b""[..], |host| host.as_bytes());
        block.clear();
        encode_request(&head, scheme, host, LITERALS, |_| true, block);
        let (upload, is_head) = (BodyReader::new(head.framing), head.known_method == Method::Head);
        let is_complete = upload.is_done();
        let opened = self.engine.open(block, is_head, is_complete, &mut self.control);
        let key = opened.ok().filter(|_| !self.is_lost).ok_or(StreamEnd::Unprocessed)?;
        let index = key.slot();
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, Default::default);
        }
        let slot = &mut self.slots[index];
        (slot.key, slot.is_own, slot.is_answered) = (Some(key), true, true);
        (slot.upload, slot.is_complete, slot.end_was_sent) = (Some(upload), is_complete, is_complete);
        self.open += 1;
        self.reserved -= 1;
        Ok((index, head.len))
    }
}

impl Slot {
    /// Takes a part of the body of a request, and removes its framing. Returns how many bytes were taken.
    ///
    /// # Errors
    /// The stream is gone, or there are bytes behind the body.
    fn put_part(&mut self, bytes: &[u8], space: &mut Vec<u8>, worker: &Worker) -> io::Result<usize> {
        let upload = self.upload.as_mut().filter(|_| !self.is_stopped);
        let Some(upload) = upload else { return Err(self.error()) };
        let waiting = self.output.as_ref().map_or(0, |output| output.unread().len());
        let bytes = &bytes[..bytes.len().min(OUTPUT_BYTES_MAX.saturating_sub(waiting))];
        space.clear();
        space.extend_from_slice(bytes);
        let decoded = upload.decode(space).map_err(|_| io::ErrorKind::InvalidData)?;
        if decoded.consumed < bytes.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if decoded.done {
            self.is_complete = true;
            encode_lines(upload.trailers(), LITERALS, &mut self.trailer_block);
        }
        self.put(&space[decoded.data], worker);
        Ok(bytes.len())
    }
}
