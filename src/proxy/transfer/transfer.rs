//! A message on its way from one connection to another.
//!
//! Each direction has one buffer, and reading stops while writing cannot go on. Bytes that arrive are decoded, so
//! that framing is checked and never copied, and sent on at once: nothing waits for a buffer to fill. Only inside a
//! burst the next read comes a little later, so that it finds more bytes.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::time::Duration;

use super::body::{Incoming, Piece};
use super::pace::room;
use super::slices::{COPIED_MAX, Slices};
use super::write::write_message;
use crate::http1::{BodyError, CHUNK_END, ChunkPrefix, LAST_CHUNK};
use crate::mux::Transport;
use crate::policy::Pace;
use crate::proxy::record::{Meter, TransferError};
use crate::worker::{Buffer, Timer, Worker};

/// A body of a known length of at least this many bytes is moved inside the kernel, if that is possible.
const SPLICE_FROM: u64 = 128 * 1024;

/// Pieces of a body with at most this time between them are a burst: the next one is about to come. A body of 8 KiB
/// in chunks of 1 KiB takes half of the CPU if pieces are coalesced (docs/benchmarks.md). Tokens and events come
/// milliseconds apart, so they are never delayed.
const BURST: Duration = Duration::from_millis(1);

/// How long to wait for more pieces of a burst before the next read. Linux timer slack makes it about 60 us.
const COALESCE_TIME: Duration = Duration::from_micros(10);

/// One direction of an exchange.
pub(in crate::proxy) struct Transfer<'a> {
    pub(in crate::proxy) worker: &'a Worker,
    pub(in crate::proxy) from: Incoming<'a>,
    pub(in crate::proxy) to: &'a Transport,
    pub(in crate::proxy) timer: &'a Timer,
    /// How long a read or a write may make no progress.
    pub(in crate::proxy) timeout: Duration,
    /// The body goes out in chunks.
    pub(in crate::proxy) chunked: bool,
    /// Trailers are forwarded.
    pub(in crate::proxy) trailers: bool,
    /// The largest number of data bytes; `u64::MAX` if there is no limit.
    pub(in crate::proxy) most: u64,
    /// The pace of its data, if there is one.
    pub(in crate::proxy) pace: Option<&'a Pace>,
    /// Counts the bytes of the client: those that are read in an upload, those that are written in a download.
    pub(in crate::proxy) meter: &'a Meter<'a>,
    /// It is an upload.
    pub(in crate::proxy) counts_reads: bool,
    /// The connection ends with this message. Its end goes out in one packet with the last bytes, which saves a tenth
    /// of the cost of a connection with one request.
    pub(in crate::proxy) end_follows: bool,
    /// At least a part of the head was written.
    pub(in crate::proxy) begun: Cell<bool>,
}

impl Transfer<'_> {
    /// Sends a short message that is completely in the input, if the connection takes it at once. Nearly all messages
    /// go this way, which needs no future. `false`: call [`run`](Self::run) with the rest of `head`.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(in crate::proxy) fn send_short(&mut self, head: &mut Buffer) -> io::Result<bool> {
        if self.end_follows || self.pace.is_some() {
            return Ok(false);
        }
        let Some(data) = self.from.take_short(COPIED_MAX) else { return Ok(false) };
        let length = data.len();
        head.extend(data);
        if length > 0 {
            self.from.release();
        }
        self.begun.set(true);
        let written = self.to.try_write(&[IoSlice::new(head.unread())])?;
        head.consume(written);
        self.meter.add(if self.counts_reads { length } else { written }, self.worker.moment());
        Ok(head.is_empty())
    }

    /// Sends `head` together with the bytes of the body that are here, then the rest of the body as it comes.
    ///
    /// # Errors
    /// The first error of either side.
    pub(in crate::proxy) async fn run(&mut self, head: Buffer) -> Result<(), TransferError> {
        if self.chunked && self.from.body.is_complete() {
            // A request that is sent again has its whole body behind its head.
            let mut slices = [IoSlice::new(head.unread())];
            let sent = write_message(self.to, &mut slices, false, self.timer, self.timeout).await;
            return sent.map_err(TransferError::Write);
        }
        let mut head = Some(head);
        let mut follows = false;
        loop {
            let last = self.meter.last();
            let piece = self.from.decode().map_err(TransferError::Body)?;
            if self.counts_reads {
                self.meter.add(piece.consumed, self.worker.moment());
            }
            if self.from.body.bytes() > self.most {
                return Err(TransferError::TooLarge);
            }
            match self.pace {
                None => self.write(head.as_mut(), self.from.data(&piece), piece.is_last).await?,
                // Boxed, because few transfers have a pace, and the future of all would have room for it.
                Some(pace) => Box::pin(self.write_at_pace(pace, &mut head, &piece)).await?,
            }
            drop(head.take());
            if piece.consumed > 0 {
                self.from.release();
            }
            if piece.is_last {
                return Ok(());
            }
            self.splice().await?;
            if self.from.body.is_complete() {
                return Ok(());
            }
            if std::mem::replace(&mut follows, true) && self.worker.moment() - last < BURST {
                self.worker.coalesce(COALESCE_TIME);
            }
            self.read().await?;
            if self.from.body.is_complete() {
                // The peer has closed, and that was the end of the body.
                return self.write(None, &[], true).await;
            }
        }
    }

    async fn read(&mut self) -> Result<(), TransferError> {
        let mut read = self.timer.within(self.timeout, self.from.read()).await;
        if is_late(&read) {
            // Both sides of the exchange are asked, because only a client sets it.
            let patience = self.from.stream.patience().or_else(|| self.to.patience());
            if let Some(more) = patience.and_then(|patience| patience.checked_sub(self.timeout)) {
                read = self.timer.within(more, self.from.read()).await;
            }
        }
        read.map_err(TransferError::Read)?.map_err(TransferError::Body)
    }

    /// Writes a head, a piece of the body, and after the last piece the end of the body, in one system call.
    async fn write(
        &self,
        head: Option<&mut Buffer>,
        data: &[u8],
        is_last: bool,
    ) -> Result<(), TransferError> {
        let ends = is_last && self.end_follows;
        let prefix = (self.chunked && !data.is_empty()).then(|| ChunkPrefix::new(data.len()));
        let mut slices = Slices::new();
        if let Some(prefix) = &prefix {
            slices.add(prefix.as_bytes());
        }
        slices.add(data);
        if prefix.is_some() {
            slices.add(CHUNK_END);
        }
        if is_last && self.chunked {
            slices.add(LAST_CHUNK);
            slices.add(if self.trailers { self.from.body.trailers() } else { &[] });
            slices.add(CHUNK_END);
        }
        let slices = match head {
            Some(head) => slices.after_head(head),
            None => slices.body(),
        };
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        if bytes == 0 {
            return Ok(());
        }
        self.begun.set(true);
        write_message(self.to, slices, ends, self.timer, self.timeout).await.map_err(TransferError::Write)?;
        if !self.counts_reads {
            self.meter.add(bytes, self.worker.moment());
        }
        Ok(())
    }

    /// As [`write`](Self::write), in parts that may move now.
    async fn write_at_pace(
        &self,
        pace: &Pace,
        head: &mut Option<Buffer>,
        piece: &Piece,
    ) -> Result<(), TransferError> {
        let mut data = self.from.data(piece);
        loop {
            let part = match data.len() {
                0 => 0,
                length => room(pace, self.worker, self.timer, length).await,
            };
            let (now, later) = data.split_at(part);
            self.write(head.as_mut(), now, piece.is_last && later.is_empty()).await?;
            *head = None;
            if later.is_empty() {
                return Ok(());
            }
            data = later;
        }
    }

    /// Moves the rest of a large body of known length inside the kernel, if both connections are plain TCP.
    async fn splice(&mut self) -> Result<(), TransferError> {
        let (from, to) = (self.from.stream, self.to);
        let (Some(from), Some(to)) = (from.plain(), to.plain()) else { return Ok(()) };
        if self.chunked || !self.from.is_worth_splicing(SPLICE_FROM) {
            return Ok(());
        }
        // Without a pipe the body is copied.
        let Ok(mut pipe) = self.worker.pipe() else { return Ok(()) };
        while !self.from.body.is_complete() {
            let room = match self.pace {
                None => usize::MAX,
                Some(pace) => Box::pin(room(pace, self.worker, self.timer, self.from.left())).await,
            };
            let moving = self.from.move_into(&mut pipe, from, room);
            let moved = self.timer.within(self.timeout, moving).await.map_err(TransferError::Read)?;
            if let Some(pace) = self.pace {
                pace.give_back(room - moved);
            }
            if moved == 0 {
                return Err(TransferError::Body(BodyError::Truncated));
            }
            if self.counts_reads {
                self.meter.add(moved, self.worker.moment());
            }
            while self.timer.within(self.timeout, pipe.drain_into(to)).await.map_err(TransferError::Write)?
                > 0
            {}
            if !self.counts_reads {
                self.meter.add(moved, self.worker.moment());
            }
        }
        Ok(())
    }
}

fn is_late<T>(read: &io::Result<T>) -> bool {
    read.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream as Peer};

    use crate::http::Framing;
    use crate::metrics::Counter;
    use crate::proxy::transfer::body::Body;
    use crate::tls::{Input, Stream};
    use crate::worker::{self, TcpStream};

    const TIMEOUT: Duration = Duration::from_secs(60);

    /// Two connections. Bytes of the first one are sent on the second.
    struct Direction {
        worker: Worker,
        from: Transport,
        to: Transport,
        timer: Timer,
        total: Counter,
    }

    impl Direction {
        /// A direction, and the other ends of both connections.
        fn new(worker: Worker) -> (Self, Peer, Peer) {
            let ((from, source), (to, sink), timer) = (pair(&worker), pair(&worker), worker.timer());
            (Self { worker, from, to, timer, total: Counter::default() }, source, sink)
        }

        fn transfer<'a>(
            &'a self,
            input: &'a mut Input,
            body: &'a mut Body,
            meter: &'a Meter<'a>,
        ) -> Transfer<'a> {
            Transfer {
                worker: &self.worker,
                from: Incoming { stream: &self.from, input, body },
                to: &self.to,
                timer: &self.timer,
                timeout: TIMEOUT,
                chunked: false,
                trailers: false,
                most: u64::MAX,
                pace: None,
                meter,
                counts_reads: false,
                end_follows: false,
                begun: Cell::default(),
            }
        }
    }

    fn pair(worker: &Worker) -> (Transport, Peer) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        peer.set_read_timeout(Some(TIMEOUT)).unwrap();
        (Stream::Plain(TcpStream::new(worker, ours).unwrap()), peer)
    }

    /// Sends messages to a peer that begins to read when no more bytes are taken, and reads slowly. So some messages
    /// are taken at once, some in part, some not.
    #[test]
    fn short_messages_arrive_whole_if_few_bytes_are_taken_at_once() {
        let ended = worker::run(|worker| async move {
            let (direction, mut source, sink) = Direction::new(worker);
            let mut input = Input::default();
            let (mut sent, mut reading, mut at_once) = (Vec::new(), None, 0);
            for number in 0..20_000 {
                source.write_all(b"body and the next message").unwrap();
                input.fill(&direction.from, usize::MAX).await.unwrap();
                let mut head = direction.worker.buffer();
                head.extend(format!("{number:0600}").as_bytes());
                sent.extend([head.unread(), b"body"].concat());
                let meter = Meter::new(&direction.total, direction.worker.moment());
                let mut body = Body::new(Framing::Length(4), 0);
                let mut transfer = direction.transfer(&mut input, &mut body, &meter);
                if transfer.send_short(&mut head).unwrap() {
                    at_once += 1;
                } else {
                    let mut reader = sink.try_clone().unwrap();
                    reading
                        .get_or_insert_with(|| std::thread::spawn(move || read_in_odd_pieces(&mut reader)));
                    transfer.run(head).await.unwrap();
                }
                assert!(body.is_complete() && meter.bytes() == 604);
                assert_eq!(input.unread(), b" and the next message");
                input.consume(input.unread().len());
            }
            assert!((1..20_000).contains(&at_once), "{at_once}");
            assert_eq!(direction.total.get(), sent.len() as u64);
            drop(direction);
            let reading = reading.expect("some messages were not taken at once");
            assert!(smol::unblock(|| reading.join().unwrap()).await == sent);
        });
        ended.unwrap();
    }

    fn read_in_odd_pieces(peer: &mut Peer) -> Vec<u8> {
        let (mut seen, mut piece) = (Vec::new(), [0; 12_345]);
        loop {
            match peer.read(&mut piece).unwrap() {
                0 => return seen,
                read => seen.extend(&piece[..read]),
            }
        }
    }

    #[test]
    fn messages_that_are_long_or_incomplete_are_left_to_run() {
        let ended = worker::run(|worker| async move {
            let (direction, mut source, _sink) = Direction::new(worker);
            let meter = Meter::new(&direction.total, direction.worker.moment());
            source.write_all(&[b'x'; 1025]).unwrap();
            let mut input = Input::default();
            while input.unread().len() < 1025 {
                input.fill(&direction.from, usize::MAX).await.unwrap();
            }
            let (ends, long, late) = (Framing::Length(1024), Framing::Length(1025), Framing::Length(1026));
            for framing in [ends, long, late, Framing::Chunked, Framing::UntilClose] {
                let end_follows = framing == ends;
                let (mut head, mut body) = (direction.worker.buffer(), Body::new(framing, 0));
                head.extend(b"head");
                let mut transfer =
                    Transfer { end_follows, ..direction.transfer(&mut input, &mut body, &meter) };
                assert!(!transfer.send_short(&mut head).unwrap());
                assert!(!transfer.begun.get() && head.unread() == b"head", "{framing:?}");
                assert_eq!(input.unread().len(), 1025);
            }
        });
        ended.unwrap();
    }
}
