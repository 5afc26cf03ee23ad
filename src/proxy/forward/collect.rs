//! The collection of chunked request bodies, for targets that know only `Content-Length`.

use std::io::IoSlice;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::http::Framing;
use crate::proxy::client::{Client, Exchange};
use crate::proxy::record::{Failure, TransferError};
use crate::proxy::transfer::{Incoming, room, write_all};
use crate::reason::Reason;

/// Bytes that all collected bodies of the process may have together.
const BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes that are reserved now.
static RESERVED: AtomicUsize = AtomicUsize::new(0);

/// A chunked body that was collected, and the head of its request.
pub(super) struct Collected {
    /// The head as the client has sent it.
    pub(super) head: Box<[u8]>,
    /// The data of the body.
    pub(super) body: Vec<u8>,
    room: Room,
}

/// The room for one body, reserved until it is dropped.
#[derive(Default)]
struct Room(usize);

impl Room {
    /// Reserves more, up to `bytes` in all.
    fn grow_to(&mut self, bytes: usize) -> Result<(), Failure> {
        let more = bytes - self.0;
        let fits = |reserved: usize| reserved.checked_add(more).filter(|sum| *sum <= BYTES_MAX);
        match RESERVED.fetch_update(Relaxed, Relaxed, fits) {
            Ok(_) => self.0 = bytes,
            Err(_) => return Err(Failure::new(Reason::BuffersFull)),
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        RESERVED.fetch_sub(self.0, Relaxed);
    }
}

/// Collects the body of the request, of at most `most` bytes. From then on it is a request with a length. Each read
/// may take up to `timeout`.
///
/// # Errors
/// When the body is too large, not valid, or does not come. When there is no room for it.
pub(super) async fn collect(
    exchange: &mut Exchange<'_>,
    most: u64,
    timeout: Duration,
) -> Result<Box<Collected>, Failure> {
    let Exchange { client, snapshot, record, request, body, .. } = exchange;
    let Client { stream, input, timer, .. } = &mut **client;
    let worker = snapshot.worker();
    let head: Box<[u8]> = input.unread()[..request.len].into();
    let mut collected = Collected { head, body: Vec::new(), room: Room::default() };
    let mut from = Incoming { stream, input, body };
    let mut waits = request.expects;
    loop {
        let piece = from.decode().map_err(|error| Failure::of_upload(TransferError::Body(error)))?;
        record.received.add(piece.consumed, worker.moment());
        if from.body.bytes() > most {
            return Err(Failure::new(Reason::BodyTooLarge));
        }
        collected.push(from.data(&piece))?;
        if let Some(pace) = record.policies.upload() {
            let mut left = from.data(&piece).len();
            while left > 0 {
                left -= room(pace, worker, timer, left).await;
            }
        }
        from.release();
        if piece.is_last {
            request.framing = Framing::Length(collected.body.len() as u64);
            return Ok(Box::new(collected));
        }
        // No target is asked before the body is here, so smolgate itself tells the client to send it.
        if std::mem::take(&mut waits) && piece.consumed == 0 {
            let head = b"HTTP/1.1 100 Continue\r\n\r\n";
            let written = write_all(from.stream, &mut [IoSlice::new(head)], timer, timeout).await;
            written.map_err(Failure::of_client)?;
            record.sent.add(head.len(), worker.moment());
        }
        let read = timer.within(timeout, from.read()).await;
        let read = read.map_err(TransferError::Read).and_then(|read| read.map_err(TransferError::Body));
        read.map_err(Failure::of_upload)?;
    }
}

impl Collected {
    fn push(&mut self, data: &[u8]) -> Result<(), Failure> {
        let Self { body, room, .. } = self;
        let length = body.len() + data.len();
        if length > body.capacity() {
            let capacity = length.max(body.capacity() * 2);
            room.grow_to(capacity)?;
            body.reserve_exact(capacity - body.len());
        }
        body.extend_from_slice(data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bodies_together_are_bounded_and_leave_room_when_they_end() {
        let mut rooms: Vec<Room> = (0..4).map(|_| Room::default()).collect();
        for room in &mut rooms {
            room.grow_to(1).unwrap();
            room.grow_to(BYTES_MAX / 4).unwrap();
        }
        let mut more = Room::default();
        assert_eq!(more.grow_to(1).unwrap_err().reason, Reason::BuffersFull);
        rooms.pop();
        more.grow_to(BYTES_MAX / 4).unwrap();
        assert!(more.grow_to(BYTES_MAX / 4 + 1).is_err());
        drop((rooms, more));
        assert_eq!(RESERVED.load(Relaxed), 0);
    }
}
