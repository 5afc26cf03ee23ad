//! The state of a stream that its task and the driver share.

use std::io;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::http1::BodyReader;
use crate::http2::{ACCEPT_BYTES, StreamKey};
use crate::reason::Reason;
use crate::tls::StreamEnd;
use crate::worker::{Buffer, LARGE_BUFFER_BYTES, Worker};

/// Bytes of a response that wait in a slot, beyond which its writer waits.
pub(super) const OUTPUT_BYTES_MAX: usize = LARGE_BUFFER_BYTES;

/// The same while the window is shut. Each stream of a client that reads nothing holds so much.
pub(super) const OUTPUT_BYTES_MIN: usize = 4 * 1024;

/// Bytes of a request that are kept to be sent again. Calls of gRPC are mostly shorter.
const KEPT_BYTES_MAX: usize = 16 * 1024;

/// The body of a message that comes, as the HTTP/1.1 form frames it.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(super) enum IncomingBody {
    /// There is none, or its length was announced. The engine has checked it.
    #[default]
    Plain,
    /// Its length is unknown, so it comes in chunks.
    Chunked,
}

/// A slot of a stream. Slots are used again.
#[derive(Default)]
pub(super) struct Slot {
    /// The stream; `None` if the slot is free.
    pub(super) key: Option<StreamKey>,
    /// Whether this side has opened it: a request goes out, and a response comes.
    pub(super) is_own: bool,
    /// The body of a request that goes out, by which its end is found.
    pub(super) upload: Option<BodyReader>,
    /// The answer that the client of a WebSocket waits for, if the request is an extended CONNECT.
    pub(super) accept: Option<Box<[u8; ACCEPT_BYTES]>>,
    /// The request as it was written, head and body, as long as its target may say that it did not process it. Only of a
    /// short one that has a body.
    pub(super) kept: Option<Buffer>,
    /// Whether both messages are those of a tunnel, behind their heads.
    pub(super) is_tunnel: bool,
    /// The reason why it is gone, if its connection is not the reason.
    pub(super) gone: Option<StreamEnd>,
    /// The head in the HTTP/1.1 form, until the task of the stream takes it. Of an own stream: the heads that came.
    pub(super) head: Option<Buffer>,
    /// The reason why the request is refused, if the engine refuses it.
    pub(super) refusal: Option<Reason>,
    pub(super) body: IncomingBody,
    /// Data that came and were not read.
    pub(super) input: Option<Buffer>,
    /// Trailers in the HTTP/1.1 form.
    pub(super) trailers: Vec<u8>,
    /// Whether all of the message came.
    pub(super) has_ended: bool,
    /// Whether the end of a chunked body was read.
    pub(super) end_was_read: bool,
    /// Whether the peer or the engine has reset the stream, or the connection is gone.
    pub(super) is_gone: bool,
    /// Whether nothing can be sent any more.
    pub(super) is_stopped: bool,
    /// Whether the final head was written.
    pub(super) is_answered: bool,
    /// Bytes of the block of the final head, at the front of the output.
    pub(super) block: usize,
    pub(super) output: Option<Buffer>,
    /// A block of trailers.
    pub(super) trailer_block: Vec<u8>,
    /// Whether the response is complete.
    pub(super) is_complete: bool,
    /// Whether its end was sent.
    pub(super) end_was_sent: bool,
    /// Whether it is in the queue of those that have something to send.
    pub(super) is_queued: bool,
    /// Whether the task has let go of it. The driver sends the rest of the output and frees the slot.
    pub(super) is_detached: bool,
    /// When a byte of the output was sent.
    pub(super) progress: Option<Instant>,
    /// Whether its task waits until there is room in the output.
    pub(super) awaits_room: bool,
    /// The time for which its messages may be silent, if it is not that of other messages.
    pub(super) patience: Option<Duration>,
    waker: Option<Waker>,
}

impl Slot {
    /// Wakes the task of the stream.
    pub(super) fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Wakes the task of `cx` at the next change. All futures of a stream run in one task.
    pub(super) fn wait<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Wakes the task of the stream if it waits for room.
    pub(super) fn wake_writer(&mut self) {
        if std::mem::take(&mut self.awaits_room) {
            self.wake();
        }
    }

    /// Forgets the task of the stream, which has ended. The driver sends the rest of the output.
    pub(super) fn detach(&mut self) {
        self.is_detached = true;
        (self.input, self.head, self.waker) = (None, None, None);
    }

    /// Marks the stream as gone, and drops what it was to send. A whole response stays: a target may end the request
    /// behind it (RFC 9113, section 8.1). A tunnel goes as a whole.
    pub(super) fn lose(&mut self) {
        self.is_gone = self.is_tunnel || !(self.is_own && self.has_ended);
        self.is_stopped = true;
        (self.block, self.output) = (0, None);
        self.trailer_block.clear();
        self.wake();
    }

    /// The error of a stream that is gone.
    pub(super) fn error(&self) -> io::Error {
        self.gone.map_or_else(|| io::ErrorKind::ConnectionReset.into(), io::Error::from)
    }

    /// Whether a read returns something.
    pub(super) fn is_readable(&self) -> bool {
        self.is_gone || self.has_ended || self.input.is_some() || self.is_own && self.head.is_some()
    }

    /// Bytes that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.output.as_ref().map_or(0, |output| output.unread().len())
    }

    /// Whether it has something to send.
    pub(super) fn has_output(&self) -> bool {
        !self.is_stopped && (self.waiting() > 0 || self.is_complete && !self.end_was_sent)
    }

    /// Appends to the output.
    pub(super) fn put(&mut self, bytes: &[u8], worker: &Worker) {
        if !bytes.is_empty() {
            self.output.get_or_insert_with(|| worker.buffer()).extend(bytes);
        }
    }

    /// Removes bytes from the front of the output.
    pub(super) fn consume(&mut self, bytes: usize) {
        if let Some(output) = &mut self.output {
            output.consume(bytes);
            if output.is_empty() {
                self.output = None;
            }
        }
    }

    /// Keeps a part of the request that was written, unless that becomes too much.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        match &mut self.kept {
            Some(kept) if kept.unread().len() + bytes.len() <= KEPT_BYTES_MAX => kept.extend(bytes),
            kept => *kept = None,
        }
    }

    /// Appends data of the request.
    pub(super) fn receive(&mut self, data: &[u8], worker: &Worker) {
        if !data.is_empty() {
            self.input.get_or_insert_with(|| worker.buffer()).extend(data);
        }
    }

    /// Frees the slot. Its memory for trailers stays.
    pub(super) fn free(&mut self) {
        let (mut trailers, mut trailer_block) =
            (std::mem::take(&mut self.trailers), std::mem::take(&mut self.trailer_block));
        trailers.clear();
        trailer_block.clear();
        *self = Slot { trailers, trailer_block, ..Slot::default() };
    }
}
