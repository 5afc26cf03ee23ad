//! A stream as a transport: a request is read in the HTTP/1.1 form, and a response is written in it.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::shared::{Shared, State};
use super::slot::{IncomingBody, Slot};
use super::space::Memory;
use crate::http::{HeadLimits, Name};
use crate::http1::{CHUNK_END, ChunkPrefix, HeadScan, LAST_CHUNK, parse_response};
use crate::http2::{Connection, ErrorCode, Literals, StreamKey, encode_lines, encode_response};
use crate::reason::Reason;
use crate::tls::{self, SharedStream, StreamEnd};
use crate::worker::{Buffer, LARGE_BUFFER_BYTES, Worker};

/// Limits on the head of a response. Those of targets were checked before, and rules may have added fields.
const HEAD_LIMITS: HeadLimits = HeadLimits { bytes: 512 * 1024, fields: 512, target: 0 };

/// Literals of responses. Huffman codes save bytes, and cost more CPU than most networks are worth.
pub(super) const LITERALS: Literals = Literals { huffman: false, never_indexed: false };

/// The index of a stream of ours whose request has not begun. Numbers must rise in the order in which requests are sent
/// (RFC 9113, section 5.1.1), so it gets its number, and its slot, with its head.
pub(super) const NOT_OPEN: usize = usize::MAX;

/// The index of a stream of ours that its connection did not take.
const REFUSED: usize = usize::MAX - 1;

/// The index of a stream of ours that its connection did not take because it is for a WebSocket.
const NO_WEBSOCKET: usize = usize::MAX - 2;

/// A stream with one exchange: one that a client has opened, or one of ours at a target. Dropping it ends it: a message
/// that is not complete is reset.
pub struct Stream {
    pub(super) connection: Rc<Shared>,
    /// The index of its slot.
    pub(super) index: Cell<usize>,
}

impl Stream {
    pub(super) fn new(connection: &Rc<Shared>, index: usize) -> Stream {
        Stream { connection: connection.clone(), index: Cell::new(index) }
    }

    /// The worker of the connection.
    pub fn worker(&self) -> &Worker {
        &self.connection.worker
    }

    /// The head of the request, in the HTTP/1.1 form. Its version is 2.0.
    pub fn take_head(&self) -> Option<Buffer> {
        self.with(|slot| slot.head.take())
    }

    /// The reason for which the request is refused, if it is.
    pub fn refusal(&self) -> Option<Reason> {
        self.with(|slot| slot.refusal)
    }

    /// Refuses the stream: the request is not processed, so the client may send it again.
    pub fn refuse(self) {
        let state = &mut *self.connection.state.borrow_mut();
        let State { engine, control, slots, .. } = state;
        let slot = &mut slots[self.index.get()];
        if let Some(key) = slot.key {
            engine.reset(key, ErrorCode::RefusedStream, control);
            slot.lose();
        }
    }

    /// Notes that a stream of ours was not taken, so that its reader does not wait for a response.
    pub(super) fn note_refused(&self, error: &io::Error) {
        let is_websocket = StreamEnd::of(error) == Some(StreamEnd::NoWebSocket);
        self.index.set(if is_websocket { NO_WEBSOCKET } else { REFUSED });
    }

    /// The reason why a stream of ours was not taken, if it was not.
    pub(super) fn refused(&self) -> Option<StreamEnd> {
        match self.index.get() {
            REFUSED => Some(StreamEnd::Unprocessed),
            NO_WEBSOCKET => Some(StreamEnd::NoWebSocket),
            _ => None,
        }
    }

    fn with<T>(&self, ask: impl FnOnce(&mut Slot) -> T) -> T {
        ask(&mut self.connection.state.borrow_mut().slots[self.index.get()])
    }
}

/// None of these is inlined: connections of HTTP/1.1 go through the same functions, and would save registers for them.
impl SharedStream for Stream {
    type Connection = tls::Stream;

    fn connection(&self) -> &tls::Stream {
        &self.connection.io
    }

    /// Reads a part of the body behind the unread bytes of `buffer`. 0 means that the request has ended.
    #[inline(never)]
    fn poll_read_into(&self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
        let (state, before) = (&mut *self.connection.state.borrow_mut(), buffer.unread().len());
        let State { engine, control, slots, .. } = state;
        // Without a request there is nothing to read. Its writer is polled before.
        let Some(slot) = slots.get_mut(self.index.get()) else {
            return self.refused().map_or(Poll::Pending, |end| Poll::Ready(Err(end.into())));
        };
        if slot.is_gone {
            return Poll::Ready(Err(slot.error()));
        }
        if let Some(head) = slot.head.take() {
            buffer.extend(head.unread());
            return Poll::Ready(Ok(head.unread().len()));
        }
        let data = slot.read_data(buffer);
        if data == 0 && !slot.has_ended {
            return slot.wait(cx);
        }
        if slot.has_ended && slot.input.is_none() {
            slot.read_end(buffer);
        }
        if let Some(key) = slot.key.filter(|_| data > 0) {
            engine.release_capacity(key, data, control);
            if !control.is_empty() {
                self.connection.wake_driver();
            }
        }
        Poll::Ready(Ok(buffer.unread().len() - before))
    }

    /// Ready when a read returns something.
    #[inline(never)]
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let slots = &mut self.connection.state.borrow_mut().slots;
        let Some(slot) = slots.get_mut(self.index.get()) else {
            return self.refused().map_or(Poll::Pending, |_| Poll::Ready(()));
        };
        if slot.is_readable() { Poll::Ready(()) } else { slot.wait(cx) }
    }

    /// Ready when the peer has reset the stream, or the connection is gone.
    #[inline(never)]
    fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let slots = &mut self.connection.state.borrow_mut().slots;
        let Some(slot) = slots.get_mut(self.index.get()) else { return Poll::Pending };
        if slot.is_gone { Poll::Ready(()) } else { slot.wait(cx) }
    }

    /// Takes a part of a message, which begins with a whole head. Returns how many bytes were taken.
    ///
    /// # Errors
    /// The stream is gone.
    #[inline(never)]
    fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.connection.is_client {
            return self.try_send(slices);
        }
        let state = &mut *self.connection.state.borrow_mut();
        let memory = &mut *self.connection.space.memory.borrow_mut();
        let most = state.output_bytes_max(self.index.get());
        let State { engine, control, slots, .. } = state;
        let slot = &mut slots[self.index.get()];
        let Some(key) = slot.key.filter(|_| !slot.is_gone) else {
            return Err(io::ErrorKind::ConnectionReset.into());
        };
        let mut written = 0;
        for slice in slices {
            let mut bytes = &slice[..];
            while !slot.is_answered && !bytes.is_empty() {
                let head = slot.write_head(bytes, (engine, key, control), memory, &self.connection.worker)?;
                (bytes, written) = (&bytes[head..], written + head);
            }
            let room = most.saturating_sub(slot.waiting());
            let taken = bytes.len().min(room);
            slot.put(&bytes[..taken], &self.connection.worker);
            written += taken;
            if taken < bytes.len() {
                break;
            }
        }
        state.queue(self.index.get());
        self.connection.wake_driver();
        Ok(written)
    }

    /// Takes a part of a message as soon as there is room.
    #[inline(never)]
    fn poll_write(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        match self.try_write(slices) {
            Ok(0) if slices.iter().any(|slice| !slice.is_empty()) => self.with(|slot| {
                slot.awaits_room = true;
                slot.wait(cx)
            }),
            written => Poll::Ready(written),
        }
    }

    /// Ends the response, with `trailers` in the HTTP/1.1 form. A request has ended by its form, and a tunnel goes on
    /// behind the head that began it.
    #[inline(never)]
    fn end(&self, trailers: &[u8]) {
        let state = &mut *self.connection.state.borrow_mut();
        let Some(slot) = state.slots.get_mut(self.index.get()) else { return };
        if slot.is_own || slot.is_tunnel || slot.is_gone || !slot.is_answered || slot.is_complete {
            return;
        }
        slot.is_complete = true;
        if !trailers.is_empty() {
            encode_lines(trailers, LITERALS, &mut slot.trailer_block);
        }
        state.queue(self.index.get());
        self.connection.wake_driver();
    }

    /// Ends this side of a tunnel.
    #[inline(never)]
    fn shut_down(&self) {
        let state = &mut *self.connection.state.borrow_mut();
        let Some(slot) = state.slots.get_mut(self.index.get()) else { return };
        if slot.is_tunnel && !slot.is_gone {
            slot.is_complete = true;
            state.queue(self.index.get());
            self.connection.wake_driver();
        }
    }

    fn take_back(&self) -> Option<Buffer> {
        self.connection.state.borrow_mut().slots.get_mut(self.index.get())?.kept.take()
    }

    fn is_spent(&self) -> bool {
        self.connection.is_client
    }

    fn set_patience(&self, time: Duration) {
        self.with(|slot| slot.patience = Some(time));
    }

    fn patience(&self) -> Option<Duration> {
        self.connection.state.borrow().slots.get(self.index.get()).and_then(|slot| slot.patience)
    }
}

impl Drop for Stream {
    /// Leaves a complete response to the driver, or the end of the stream behind one. Everything else ends here.
    fn drop(&mut self) {
        let state = &mut *self.connection.state.borrow_mut();
        let Some(slot) = state.slots.get_mut(self.index.get()) else {
            state.reserved -= 1;
            return;
        };
        let is_left = match slot.key {
            // A reset would look like a response that is not wanted.
            Some(key) if slot.is_own && !slot.is_tunnel => {
                slot.end_was_sent && !slot.is_stopped && state.engine.has_whole_length(key)
            }
            _ => slot.is_complete && slot.has_output(),
        };
        if is_left {
            return slot.detach();
        }
        state.close(self.index.get());
        self.connection.wake_driver();
    }
}

impl Slot {
    /// Parses a head of the HTTP/1.1 form at the front of `bytes`, and writes its block. Returns the bytes of the head.
    ///
    /// # Errors
    /// `InvalidData` if there is no whole head, which none of the callers writes.
    fn write_head(
        &mut self,
        bytes: &[u8],
        (engine, key, control): (&mut Connection, StreamKey, &mut Vec<u8>),
        memory: &mut Memory,
        worker: &Worker,
    ) -> io::Result<usize> {
        let Memory { table, block, .. } = memory;
        let head = parse_response(bytes, &mut HeadScan::default(), &HEAD_LIMITS, table).ok().flatten();
        let mut head = head.ok_or(io::ErrorKind::InvalidData)?;
        let switches = head.status == 101;
        if engine.is_connect(key) {
            head.status = status_of_connect(head.status);
        }
        if switches {
            engine.begin_tunnel(key);
            self.is_tunnel = true;
        }
        block.clear();
        let keep = |name| !switches || name != Name::SecWebSocketAccept;
        encode_response(&head, LITERALS, |field| keep(field.known()), block);
        if head.status < 200 {
            engine.send_head(key, block, false, control);
        } else {
            self.is_answered = true;
            self.block = block.len();
            self.put(block, worker);
        }
        Ok(head.len)
    }

    /// Moves data of the request behind the unread bytes of `buffer`, in a chunk if the form says so. Returns their
    /// number.
    fn read_data(&mut self, buffer: &mut Buffer) -> usize {
        let Some(input) = &mut self.input else { return 0 };
        let room = LARGE_BUFFER_BYTES.saturating_sub(buffer.unread().len()).max(1);
        let data = &input.unread()[..input.unread().len().min(room)];
        let length = data.len();
        match self.body {
            IncomingBody::Plain => buffer.extend(data),
            IncomingBody::Chunked => {
                buffer.extend(ChunkPrefix::new(length).as_bytes());
                buffer.extend(data);
                buffer.extend(CHUNK_END);
            }
        }
        input.consume(length);
        if input.is_empty() {
            self.input = None;
        }
        length
    }

    /// Writes the end of a chunked body behind the unread bytes of `buffer`, once.
    fn read_end(&mut self, buffer: &mut Buffer) {
        if self.body == IncomingBody::Chunked && !std::mem::replace(&mut self.end_was_read, true) {
            buffer.extend(LAST_CHUNK);
            buffer.extend(&self.trailers);
            buffer.extend(CHUNK_END);
        }
    }
}

/// The status of a response to an extended CONNECT. 101 is success. Success without a switch would begin a tunnel for the
/// client (RFC 8441, section 4), so it becomes 501: nothing here speaks the protocol.
fn status_of_connect(status: u16) -> u16 {
    match status {
        101 => 200,
        200..=299 => 501,
        status => status,
    }
}
