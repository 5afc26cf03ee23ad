//! Requests of ours on a stream to a target: written in the HTTP/1.1 form, sent as a header block and DATA.

use std::io::{self, IoSlice};

use super::shared::State;
use super::slot::{OUTPUT_BYTES_MAX, Slot};
use super::space::Memory;
use super::stream::{LITERALS, NOT_OPEN, Stream};
use crate::http::{HeadLimits, Method, Name, RequestHead, Version, upgrade_protocols};
use crate::http1::{BodyReader, HeadScan, parse_request};
use crate::http2::{ACCEPT_BYTES, RequestKind, WEBSOCKET, accept_of, encode_lines, encode_request};
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
        if let Some(end) = self.refused() {
            return Err(end.into());
        }
        let state = &mut *self.connection.state.borrow_mut();
        let memory = &mut *self.connection.space.memory.borrow_mut();
        if state.control.capacity() == 0 {
            // The connection was idle.
            state.control = memory.take();
        }
        let mut written = 0;
        for slice in slices {
            let mut bytes = &slice[..];
            if self.index.get() == NOT_OPEN && !bytes.is_empty() {
                let scheme: &[u8] = if self.connection.io.is_encrypted() { b"https" } else { b"http" };
                let opened = state.open(bytes, scheme, memory, &self.connection.worker);
                let (index, head) = opened.inspect_err(|error| self.note_refused(error))?;
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
        if self.index.get() != NOT_OPEN {
            state.queue(self.index.get());
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
    /// connection takes no more streams, and [`StreamEnd::NoWebSocket`] if it takes none of those.
    fn open(
        &mut self,
        bytes: &[u8],
        scheme: &[u8],
        memory: &mut Memory,
        worker: &Worker,
    ) -> io::Result<(usize, usize)> {
        let Memory { table, block, .. } = memory;
        let head = parse_request(bytes, &mut HeadScan::default(), &HEAD_LIMITS, table).ok().flatten();
        let head = head.ok_or(io::ErrorKind::InvalidData)?;
        let host = head.host.as_ref().map_or(&b""[..], |host| host.as_bytes());
        let accept = if head.upgrade { websocket_accept(&head) } else { None };
        if accept.is_some() && !self.engine.allows_connect() {
            return Err(StreamEnd::NoWebSocket.into());
        }
        block.clear();
        let keep = |name| accept.is_none() || name != Name::SecWebSocketKey;
        let protocol = accept.as_ref().map(|_| WEBSOCKET);
        encode_request(&head, scheme, host, protocol, LITERALS, |field| keep(field.known()), block);
        let upload = BodyReader::new(head.framing);
        let upload_is_done = upload.is_done();
        let is_complete = upload_is_done && accept.is_none();
        let kind = match (&accept, head.known_method) {
            (Some(_), _) => RequestKind::Connect,
            (None, Method::Head) => RequestKind::Head,
            (None, _) => RequestKind::Plain,
        };
        let opened = self.engine.open(block, kind, is_complete, &mut self.control);
        let key = opened.ok().filter(|_| !self.is_lost).ok_or(StreamEnd::Unprocessed)?;
        let index = key.slot();
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, Default::default);
        }
        let slot = &mut self.slots[index];
        (slot.key, slot.is_own, slot.is_answered) = (Some(key), true, true);
        (slot.upload, slot.is_complete, slot.end_was_sent) = (Some(upload), is_complete, is_complete);
        slot.accept = accept;
        if !upload_is_done {
            slot.kept = Some(worker.buffer());
            slot.keep(&bytes[..head.len]);
        }
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
        let waiting = self.waiting();
        let upload = self.upload.as_mut().filter(|_| !self.is_stopped);
        let Some(upload) = upload else { return Err(self.error()) };
        let bytes = &bytes[..bytes.len().min(OUTPUT_BYTES_MAX.saturating_sub(waiting))];
        if self.is_tunnel {
            self.put(bytes, worker);
            return Ok(bytes.len());
        }
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
        self.keep(bytes);
        Ok(bytes.len())
    }
}

/// The answer that the client of a WebSocket waits for. `None`: the request has no handshake of RFC 6455, section 4.1, so
/// that it goes on without an upgrade.
#[cold]
fn websocket_accept(head: &RequestHead<'_>) -> Option<Box<WebSocketAccept>> {
    let asks = upgrade_protocols(head.fields).any(|protocol| protocol.eq_ignore_ascii_case(WEBSOCKET));
    let is_handshake = asks && head.known_method == Method::Get && head.framing.is_empty();
    head.fields.get(Name::SecWebSocketKey).filter(|_| is_handshake).map(|key| Box::new(accept_of(key)))
}

/// The value of `Sec-WebSocket-Accept`.
pub type WebSocketAccept = [u8; ACCEPT_BYTES];

/// The answer that a target must give to the key in the form of an extended CONNECT: the client neither sends a key nor gets
/// an answer (RFC 8441, section 5). `None` for a client that has sent a key of its own, and compares the answer itself.
pub fn expected_accept(head: &RequestHead<'_>) -> Option<WebSocketAccept> {
    let key = head.fields.get(Name::SecWebSocketKey).filter(|_| head.version == Version::Http2);
    key.map(accept_of)
}
