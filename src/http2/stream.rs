//! Streams of a connection and their states (RFC 9113, section 5.1).
//!
//! Without push, a state is two halves: each side may still send, or has ended. A stream that was reset stays in
//! its slot until the application closes it, because its work goes on until then.

use super::priority::Priority;
use super::window::{ReceiveWindow, SendWindow};

/// The handle of a stream. It is never valid for another stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamKey {
    slot: u32,
    id: u32,
}

impl StreamKey {
    /// The number of the stream on the wire.
    pub fn id(self) -> u32 {
        self.id
    }

    /// The number of its slot. No two open streams of a connection have the same, and slots are used again.
    pub fn slot(self) -> usize {
        self.slot as usize
    }
}

/// One direction of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Open,
    Ended,
}

/// The next head that a stream may receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// A response, maybe an interim one.
    Response,
    /// Trailers, after the final head.
    Trailers,
}

/// The side that reset a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Own,
    Peer,
}

/// A stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: u32,
    pub(super) receive: Half,
    pub(super) send: Half,
    /// The side that reset it, if one did.
    pub(super) reset: Option<Side>,
    /// Whether a sender waits for a larger window.
    pub(super) waits: bool,
    pub(super) expected: Expected,
    /// Interim responses so far.
    pub(super) interims: u8,
    /// Whether the request was HEAD, so that the response has no body whatever its length says.
    pub(super) is_head_request: bool,
    /// Whether the request is an extended CONNECT (RFC 8441).
    pub(super) is_connect: bool,
    /// Whether it was answered with success, so that both halves are those of a tunnel.
    pub(super) is_tunnel: bool,
    pub(super) priority: Priority,
    pub(super) receive_window: ReceiveWindow,
    pub(super) send_window: SendWindow,
    /// Bytes that `content-length` still promises.
    pub(super) length_left: Option<u64>,
    /// Bytes of the decoded head that the application holds.
    pub(super) head_bytes: usize,
}

impl Stream {
    pub(super) fn new(id: u32, expected: Expected, send_window: u32) -> Stream {
        Stream {
            id,
            receive: Half::Open,
            send: Half::Open,
            reset: None,
            waits: false,
            expected,
            interims: 0,
            is_head_request: false,
            is_connect: false,
            is_tunnel: false,
            priority: Priority::UNKNOWN,
            receive_window: ReceiveWindow::new(),
            send_window: SendWindow::new(send_window),
            length_left: None,
            head_bytes: 0,
        }
    }

    /// Counts `bytes` of data, and the end of the stream, against `content-length`. `false`: they contradict it
    /// (RFC 9113, section 8.1.1).
    pub(super) fn count_body(&mut self, bytes: u64, ends: bool) -> bool {
        let Some(left) = self.length_left else { return true };
        let Some(left) = left.checked_sub(bytes) else { return false };
        self.length_left = Some(left);
        !ends || left == 0
    }

    /// Whether the peer may still send, so that its window matters.
    pub(super) fn may_receive(&self) -> bool {
        self.receive == Half::Open && self.reset.is_none()
    }

    /// Whether it is closed, so that no frame of it has an effect.
    pub(super) fn is_closed(&self) -> bool {
        self.reset.is_some() || (self.receive == Half::Ended && self.send == Half::Ended)
    }

    /// Whether we may still send.
    pub(super) fn may_send(&self) -> bool {
        self.send == Half::Open && self.reset.is_none()
    }
}

/// Numbers of streams that were closed lately.
#[derive(Debug)]
struct Ring<const N: usize> {
    ids: [u32; N],
    next: usize,
}

impl<const N: usize> Ring<N> {
    fn new() -> Self {
        Ring { ids: [0; N], next: 0 }
    }

    fn push(&mut self, id: u32) {
        self.ids[self.next] = id;
        self.next = (self.next + 1) % N;
    }

    fn contains(&self, id: u32) -> bool {
        self.ids.contains(&id)
    }
}

/// Streams that are remembered after we reset them. Frames for them may be on the way.
const RESETS_REMEMBERED: usize = 32;

/// Streams that are remembered after both sides ended them, or the peer reset them.
const ENDS_REMEMBERED: usize = 16;

/// How a stream ended that has no slot any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// We reset it lately.
    Reset,
    /// It ended lately, or the peer reset it.
    Ended,
    /// It is not remembered.
    Forgotten,
}

/// The streams of a connection.
#[derive(Debug)]
pub(super) struct Streams {
    /// The number of the stream in each slot; 0 if the slot is free. It is apart from the slots so that a search
    /// touches few cache lines.
    ids: Vec<u32>,
    slots: Vec<Stream>,
    open: usize,
    reset: Ring<RESETS_REMEMBERED>,
    ended: Ring<ENDS_REMEMBERED>,
}

impl Streams {
    pub(super) fn new() -> Streams {
        Streams { ids: Vec::new(), slots: Vec::new(), open: 0, reset: Ring::new(), ended: Ring::new() }
    }

    /// Streams that have a slot.
    pub(super) fn len(&self) -> usize {
        self.open
    }

    /// Slots, used or free.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn insert(&mut self, stream: Stream) -> StreamKey {
        let id = stream.id;
        self.open += 1;
        let slot = match self.ids.iter().position(|&id| id == 0) {
            Some(slot) => {
                (self.ids[slot], self.slots[slot]) = (id, stream);
                slot
            }
            None => {
                self.ids.push(id);
                self.slots.push(stream);
                self.slots.len() - 1
            }
        };
        StreamKey { slot: slot as u32, id }
    }

    /// The handle of the stream with this number.
    pub(super) fn find(&self, id: u32) -> Option<StreamKey> {
        let slot = self.ids.iter().position(|&used| used == id)?;
        Some(StreamKey { slot: slot as u32, id })
    }

    pub(super) fn get(&mut self, key: StreamKey) -> Option<&mut Stream> {
        self.slots.get_mut(key.slot as usize).filter(|stream| stream.id == key.id)
    }

    /// Frees the slot of a stream, which is remembered as `closed`.
    pub(super) fn remove(&mut self, key: StreamKey, closed: Closed) {
        let slot = key.slot as usize;
        if self.ids.get(slot) == Some(&key.id) {
            (self.ids[slot], self.slots[slot].id) = (0, 0);
            self.open -= 1;
            self.remember(key.id, closed);
        }
    }

    /// Remembers a stream without a slot.
    pub(super) fn remember(&mut self, id: u32, closed: Closed) {
        match closed {
            Closed::Reset => self.reset.push(id),
            Closed::Ended => self.ended.push(id),
            Closed::Forgotten => {}
        }
    }

    pub(super) fn closed(&self, id: u32) -> Closed {
        match (self.reset.contains(id), self.ended.contains(id)) {
            (true, _) => Closed::Reset,
            (false, true) => Closed::Ended,
            (false, false) => Closed::Forgotten,
        }
    }

    /// The streams that have a slot.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (StreamKey, &mut Stream)> {
        let slots = self.slots.iter_mut().enumerate().filter(|(_, stream)| stream.id != 0);
        slots.map(|(slot, stream)| (StreamKey { slot: slot as u32, id: stream.id }, stream))
    }

    /// Gives back the memory of free slots if no stream is open.
    pub(super) fn shrink(&mut self) {
        if self.open == 0 {
            (self.ids, self.slots) = (Vec::new(), Vec::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_used_again_and_its_old_handle_is_not_valid() {
        let mut streams = Streams::new();
        let one = streams.insert(Stream::new(1, Expected::Trailers, 0));
        let three = streams.insert(Stream::new(3, Expected::Trailers, 0));
        streams.remove(one, Closed::Ended);
        streams.remove(one, Closed::Ended);
        let five = streams.insert(Stream::new(5, Expected::Trailers, 0));
        assert_eq!((streams.len(), streams.slots()), (2, 2));
        assert!(streams.get(one).is_none());
        assert_eq!((streams.find(3), streams.find(5), streams.find(1)), (Some(three), Some(five), None));
        assert_eq!(streams.closed(1), Closed::Ended);
        assert_eq!(streams.closed(7), Closed::Forgotten);
    }

    #[test]
    fn the_oldest_end_is_forgotten_first() {
        let mut streams = Streams::new();
        (1..=RESETS_REMEMBERED as u32 + 1).for_each(|id| streams.remember(id, Closed::Reset));
        assert_eq!(streams.closed(1), Closed::Forgotten);
        assert_eq!(streams.closed(2), Closed::Reset);
    }

    #[test]
    fn a_length_must_be_met_exactly() {
        let mut stream = Stream::new(1, Expected::Trailers, 0);
        assert!(stream.count_body(u64::MAX, true));
        stream.length_left = Some(5);
        assert!(stream.count_body(3, false));
        assert!(!stream.count_body(3, false));
        assert!(!stream.count_body(1, true));
        assert!(stream.count_body(1, true));
    }
}
