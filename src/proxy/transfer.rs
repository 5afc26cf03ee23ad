//! A body on its way from one connection to another.
//!
//! One buffer each way, and reading stops when writing does. What arrives is decoded, so that framing
//! is understood and never copied, and sent on at once: nothing waits for a buffer to fill. Only in the
//! middle of a burst is the next read a moment later, so that it finds more.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::failure::{Broken, Failure};
use crate::http::{BodyReader, CHUNK_END, ChunkPrefix, Framing, LAST_CHUNK};
use crate::log::Reason;
use crate::log::counters::Count;
use crate::tls::{Input, Stream};
use crate::worker::{Buffer, Timer, Worker};

/// From this many bytes on, a body of known length is moved inside the kernel where that is possible.
const SPLICE_FROM: u64 = 128 * 1024;

/// A piece of a body of at most this many bytes is copied behind the head it goes out with: the kernel
/// takes one stretch of memory faster than a list of them.
const COPIED_MAX: usize = 1024;

/// Pieces of a body that follow each other as fast as this are a burst, and the next one is about to come. 8 KiB in
/// chunks of 1 KiB take half of the CPU if they may gather (docs/benchmarks.md); tokens and events, milliseconds
/// apart, never do.
const BURST: Duration = Duration::from_millis(1);

/// How long the pieces of a burst may gather. With what Linux adds to it, some 60 us.
const GATHERING: Duration = Duration::from_micros(10);

/// A body that is being read.
pub(super) struct Body {
    reader: BodyReader,
    /// Bytes of the input that `reader` has seen and that are still there: when a transfer is given
    /// up in the middle of a write, this is where draining goes on.
    seen: usize,
    /// Data bytes so far.
    bytes: u64,
}

impl Body {
    pub(super) fn new(framing: Framing) -> Self {
        Self { reader: BodyReader::new(framing), seen: 0, bytes: 0 }
    }

    /// Whether all of it was read.
    pub(super) fn is_done(&self) -> bool {
        self.reader.is_done() && self.seen == 0
    }

    /// Whether its end is near enough to be read for nothing; of chunks nobody knows.
    pub(super) fn is_short(&self, most: usize) -> bool {
        self.reader.is_done() || self.reader.remaining().is_none_or(|left| left <= most as u64)
    }

    /// Reads and forgets the rest, up to `most` bytes. Whether the end was reached.
    pub(super) async fn drain(
        &mut self,
        stream: &Stream,
        input: &mut Input,
        most: usize,
    ) -> io::Result<bool> {
        let mut drained = 0;
        loop {
            input.consume(std::mem::take(&mut self.seen));
            if self.reader.is_done() {
                return Ok(true);
            }
            let Ok(decoded) = self.reader.decode(input.unread_mut()) else { return Ok(false) };
            drained += decoded.consumed;
            input.consume(decoded.consumed);
            if self.reader.is_done() {
                return Ok(true);
            }
            if drained > most || input.fill(stream, usize::MAX).await? == 0 {
                return Ok(false);
            }
        }
    }
}

/// What passes one way during an exchange: for the log, the metrics, and whoever waits for progress.
pub(super) struct Meter<'a> {
    bytes: Cell<u64>,
    last: Cell<Instant>,
    total: &'a Count,
}

impl<'a> Meter<'a> {
    pub(super) fn new(total: &'a Count, now: Instant) -> Self {
        Self { bytes: Cell::new(0), last: Cell::new(now), total }
    }

    /// One that goes on where another ended; what that one saw is in `total` already.
    pub(super) fn after(bytes: u64, total: &'a Count, now: Instant) -> Self {
        Self { bytes: Cell::new(bytes), ..Self::new(total, now) }
    }

    pub(super) fn add(&self, bytes: usize, now: Instant) {
        self.bytes.set(self.bytes.get() + bytes as u64);
        self.last.set(now);
        self.total.add(bytes as u64);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    pub(super) fn last(&self) -> Instant {
        self.last.get()
    }
}

/// One way of an exchange.
pub(super) struct Transfer<'a> {
    pub(super) worker: &'a Worker,
    pub(super) from: &'a Stream,
    pub(super) input: &'a mut Input,
    pub(super) to: &'a Stream,
    pub(super) timer: &'a Timer,
    /// How long neither reading nor writing may make progress.
    pub(super) patience: Duration,
    /// The body goes out in chunks.
    pub(super) chunked: bool,
    /// Trailers may go along.
    pub(super) trailers: bool,
    /// Data bytes allowed.
    pub(super) most: Option<u64>,
    /// Counts what is read (uploads) or written (downloads): what the client sends or gets.
    pub(super) meter: &'a Meter<'a>,
    pub(super) counts_reads: bool,
    /// The connection ends with this message: the end goes out in one packet with its last bytes, which
    /// saves a connection of one request a tenth of its cost.
    pub(super) end_follows: bool,
    /// The head is out, or part of it.
    pub(super) begun: Cell<bool>,
}

impl Transfer<'_> {
    /// Sends a short message that is all here, if the connection takes it at once. So go nearly all of them,
    /// and nothing that could wait is made for those. Else `false`: then it is to be [run](Self::run) with what
    /// is left in `head`.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(super) fn send_short(&mut self, head: &mut Buffer, body: &mut Body) -> io::Result<bool> {
        let here = self.input.unread();
        let data = match body.reader.remaining() {
            Some(length) if !self.end_follows && length <= COPIED_MAX as u64 => here.get(..length as usize),
            _ => None,
        };
        let Some(data) = data else { return Ok(false) };
        let length = data.len();
        head.extend(data);
        self.input.consume(length);
        body.reader.skip(length as u64);
        body.bytes += length as u64;
        self.begun.set(true);
        let written = self.to.write_at_once(&[IoSlice::new(head.unread())])?;
        head.consume(written);
        self.meter.add(if self.counts_reads { length } else { written }, self.worker.now());
        Ok(head.is_empty())
    }

    /// Sends `head`, together with what is there of `body`, then the rest of it as it comes.
    pub(super) async fn run(&mut self, head: Buffer, body: &mut Body) -> Result<(), Broken> {
        let mut head = Some(head);
        let mut follows = false;
        loop {
            let last = self.meter.last();
            let decoded = body.reader.decode(self.input.unread_mut()).map_err(Broken::Body)?;
            body.seen = decoded.consumed;
            body.bytes += decoded.data.len() as u64;
            if self.most.is_some_and(|most| body.bytes > most) {
                return Err(Broken::TooLarge);
            }
            if self.counts_reads {
                self.meter.add(decoded.consumed, self.worker.now());
            }
            let data = &self.input.unread()[decoded.data.clone()];
            self.write(head.as_mut(), data, decoded.done.then_some(body)).await?;
            drop(head.take());
            self.input.consume(std::mem::take(&mut body.seen));
            if body.reader.is_done() {
                return Ok(());
            }
            self.splice(body).await?;
            if body.reader.is_done() {
                return Ok(());
            }
            if std::mem::replace(&mut follows, true) && self.worker.now() - last < BURST {
                self.worker.gather(GATHERING);
            }
            self.fill(body).await?;
            if body.reader.is_done() {
                // The peer has closed, and that was the end of the body.
                return self.write(None, &[], Some(body)).await;
            }
        }
    }

    /// The same for a response, with what can go wrong in the words of one.
    pub(super) async fn run_as_response(&mut self, head: Buffer, body: &mut Body) -> Result<(), Failure> {
        self.run(head, body).await.map_err(Failure::of_download)
    }

    async fn fill(&mut self, body: &mut Body) -> Result<(), Broken> {
        let fill = self.input.fill(self.from, usize::MAX);
        match self.timer.within(self.patience, fill).await {
            Ok(0) => body.reader.finish().map_err(Broken::Body),
            Ok(_) => Ok(()),
            Err(error) => Err(Broken::From(error)),
        }
    }

    /// Writes a head, a piece of the body, and its end when `ended` has one, in one go.
    async fn write(
        &self,
        head: Option<&mut Buffer>,
        data: &[u8],
        ended: Option<&mut Body>,
    ) -> Result<(), Broken> {
        let ends = ended.is_some() && self.end_follows;
        let prefix = (self.chunked && !data.is_empty()).then(|| ChunkPrefix::new(data.len()));
        let mut pieces = Pieces::new();
        if let Some(prefix) = &prefix {
            pieces.add(prefix.as_bytes());
        }
        pieces.add(data);
        if prefix.is_some() {
            pieces.add(CHUNK_END);
        }
        if let Some(body) = ended.filter(|_| self.chunked) {
            pieces.add(LAST_CHUNK);
            pieces.add(if self.trailers { body.reader.trailers() } else { &[] });
            pieces.add(CHUNK_END);
        }
        let slices = match head {
            Some(head) => pieces.behind(head),
            None => pieces.slices(),
        };
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        if bytes == 0 {
            return Ok(());
        }
        self.begun.set(true);
        write_message(self.to, slices, ends, self.timer, self.patience).await.map_err(Broken::To)?;
        if !self.counts_reads {
            self.meter.add(bytes, self.worker.now());
        }
        Ok(())
    }

    /// Moves a large body of known length inside the kernel, as far as that goes.
    async fn splice(&mut self, body: &mut Body) -> Result<(), Broken> {
        let (Some(from), Some(to)) = (self.from.plain(), self.to.plain()) else { return Ok(()) };
        let mut left = body.reader.remaining().unwrap_or(0);
        if self.chunked || !self.input.is_empty() || left < SPLICE_FROM {
            return Ok(());
        }
        // No pipe to be had is no failure: the body is copied then.
        let Ok(mut pipe) = self.worker.pipe() else { return Ok(()) };
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let moved =
                self.timer.within(self.patience, pipe.fill(from, most)).await.map_err(Broken::From)?;
            if moved == 0 {
                return Err(Broken::Body(crate::http::BodyError::Truncated));
            }
            while self.timer.within(self.patience, pipe.empty(to)).await.map_err(Broken::To)? > 0 {}
            self.meter.add(moved, self.worker.now());
            body.reader.skip(moved as u64);
            left -= moved as u64;
        }
        Ok(())
    }
}

/// What goes out in one write: maybe a head, and pieces of a body.
struct Pieces<'a> {
    /// The first is for the head.
    slices: [IoSlice<'a>; 7],
    /// Pieces, without the head.
    count: usize,
    /// Bytes of them.
    bytes: usize,
}

impl<'a> Pieces<'a> {
    fn new() -> Self {
        Self { slices: [IoSlice::new(&[]); 7], count: 0, bytes: 0 }
    }

    fn add(&mut self, piece: &'a [u8]) {
        if !piece.is_empty() {
            self.count += 1;
            self.slices[self.count] = IoSlice::new(piece);
            self.bytes += piece.len();
        }
    }

    fn slices(&mut self) -> &mut [IoSlice<'a>] {
        &mut self.slices[1..=self.count]
    }

    /// The same behind a head, which takes in what is short.
    fn behind(&mut self, head: &'a mut Buffer) -> &mut [IoSlice<'a>] {
        if self.bytes <= COPIED_MAX {
            self.slices().iter().for_each(|piece| head.extend(piece));
            self.count = 0;
        }
        self.slices[0] = IoSlice::new(head.unread());
        &mut self.slices[..=self.count]
    }
}

/// How to write: [`Stream::poll_write_vectored`] or its like.
type PollWrite = fn(&Stream, &mut Context<'_>, &[IoSlice<'_>]) -> Poll<io::Result<usize>>;

/// Writes all of `slices`; `patience` counts anew with every part of it that is taken.
pub(super) fn write_all(
    to: &Stream,
    slices: &mut [IoSlice<'_>],
    timer: &Timer,
    patience: Duration,
) -> impl Future<Output = io::Result<()>> {
    write_all_by(Stream::poll_write_vectored, to, slices, timer, patience)
}

/// The same; with `ends`, which nothing follows, the end of the connection goes out in one packet with the
/// last bytes where nothing stands between us and TCP.
pub(super) async fn write_message(
    to: &Stream,
    mut slices: &mut [IoSlice<'_>],
    ends: bool,
    timer: &Timer,
    patience: Duration,
) -> io::Result<()> {
    if !ends {
        // Nearly every message is taken at once, and what may wait is not even made for it.
        let written = to.write_at_once(slices)?;
        IoSlice::advance_slices(&mut slices, written);
        return if slices.is_empty() { Ok(()) } else { write_all(to, slices, timer, patience).await };
    }
    write_all_by(Stream::poll_write_last, to, slices, timer, patience).await?;
    if let Some(to) = to.plain() {
        // Should it fail, the connection is dead already.
        let _ = to.shutdown_write();
    }
    Ok(())
}

async fn write_all_by(
    poll_write: PollWrite,
    to: &Stream,
    mut slices: &mut [IoSlice<'_>],
    timer: &Timer,
    patience: Duration,
) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let written = timer.within(patience, poll_fn(|cx| poll_write(to, cx, slices))).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut slices, written);
    }
    timer.within(patience, poll_fn(|cx| to.poll_flush(cx))).await
}

/// An upload that goes on while something else is awaited.
pub(super) struct Alongside<'a, F> {
    future: Option<F>,
    /// Whose upload it is: when he is gone, nothing is awaited any more.
    client: &'a Stream,
    /// How it failed, when that was the target's doing: the target may have answered all the same.
    failed: bool,
}

impl<'a, F: Future<Output = Result<(), Broken>>> Alongside<'a, Pin<&mut F>> {
    /// No `future`: the upload has ended already, and how is known.
    pub(super) fn new(
        client: &'a Stream,
        future: Option<Pin<&'a mut F>>,
        failed: bool,
    ) -> Alongside<'a, Pin<&'a mut F>> {
        Alongside { future, client, failed }
    }

    /// Whether it ended well.
    pub(super) fn is_complete(&self) -> bool {
        self.future.is_none() && !self.failed
    }

    /// Runs `main` to its end, and the upload as far as it gets meanwhile. `main` is pinned by the
    /// caller: moved in here it would be stored twice and copied for each request (2 KB of them).
    ///
    /// # Errors
    /// The upload's, when it is the client's doing: then there is nobody to answer to, or a request
    /// that must not go on. `ClientGone` when the client reset its connection.
    pub(super) async fn run<T>(
        &mut self,
        mut main: Pin<&mut impl Future<Output = Result<T, Failure>>>,
    ) -> Result<T, Failure> {
        poll_fn(|cx| {
            if let Some(upload) = &mut self.future
                && let Poll::Ready(result) = upload.as_mut().poll(cx)
            {
                self.future = None;
                match result {
                    Ok(()) => {}
                    Err(Broken::To(_)) => self.failed = true,
                    Err(broken) => return Poll::Ready(Err(Failure::of_upload(broken))),
                }
            }
            match main.as_mut().poll(cx) {
                Poll::Pending if self.client.poll_gone(cx).is_ready() => {
                    Poll::Ready(Err(Failure::new(Reason::ClientGone)))
                }
                result => result,
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream as Peer};

    use crate::worker::{self, TcpStream};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Two connections, and what comes on the first goes out on the second.
    struct Way {
        worker: Worker,
        from: Stream,
        to: Stream,
        timer: Timer,
        total: Count,
    }

    impl Way {
        /// It, and the other ends of both connections.
        fn new(worker: Worker) -> (Self, Peer, Peer) {
            let ((from, source), (to, sink), timer) = (pair(&worker), pair(&worker), worker.timer());
            (Self { worker, from, to, timer, total: Count::default() }, source, sink)
        }

        fn transfer<'a>(&'a self, input: &'a mut Input, meter: &'a Meter<'a>) -> Transfer<'a> {
            Transfer {
                worker: &self.worker,
                from: &self.from,
                input,
                to: &self.to,
                timer: &self.timer,
                patience: PATIENCE,
                chunked: false,
                trailers: false,
                most: None,
                meter,
                counts_reads: false,
                end_follows: false,
                begun: Cell::default(),
            }
        }
    }

    fn pair(worker: &Worker) -> (Stream, Peer) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let peer = Peer::connect(listener.local_addr().unwrap()).unwrap();
        let (ours, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        peer.set_read_timeout(Some(PATIENCE)).unwrap();
        (Stream::Plain(TcpStream::new(worker, ours).unwrap()), peer)
    }

    /// One message after the other to a peer that reads only when nothing more is taken, and then slowly: some
    /// are taken at once, some in part, some not.
    #[test]
    fn short_messages_arrive_whole_however_little_is_taken_at_once() {
        let ended = worker::run(|worker| async move {
            let (way, mut source, sink) = Way::new(worker);
            let mut input = Input::default();
            let (mut sent, mut reading, mut at_once) = (Vec::new(), None, 0);
            for number in 0..20_000 {
                source.write_all(b"body and the next message").unwrap();
                input.fill(&way.from, usize::MAX).await.unwrap();
                let mut head = way.worker.buffer();
                head.extend(format!("{number:0600}").as_bytes());
                sent.extend([head.unread(), b"body"].concat());
                let meter = Meter::new(&way.total, way.worker.now());
                let mut body = Body::new(Framing::Length(4));
                let mut transfer = way.transfer(&mut input, &meter);
                if transfer.send_short(&mut head, &mut body).unwrap() {
                    at_once += 1;
                } else {
                    let mut reader = sink.try_clone().unwrap();
                    reading
                        .get_or_insert_with(|| std::thread::spawn(move || read_in_odd_pieces(&mut reader)));
                    transfer.run(head, &mut body).await.unwrap();
                }
                assert!(body.is_done() && meter.bytes() == 604);
                assert_eq!(input.unread(), b" and the next message");
                input.consume(input.unread().len());
            }
            assert!((1..20_000).contains(&at_once), "{at_once}");
            assert_eq!(way.total.get(), sent.len() as u64);
            drop(way);
            let reading = reading.expect("not all was taken at once");
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
    fn what_is_not_short_or_not_here_yet_is_left_to_run() {
        let ended = worker::run(|worker| async move {
            let (way, mut source, _sink) = Way::new(worker);
            let meter = Meter::new(&way.total, way.worker.now());
            source.write_all(&[b'x'; 1025]).unwrap();
            let mut input = Input::default();
            while input.unread().len() < 1025 {
                input.fill(&way.from, usize::MAX).await.unwrap();
            }
            let (ends, long, late) = (Framing::Length(1024), Framing::Length(1025), Framing::Length(1026));
            for framing in [ends, long, late, Framing::Chunked, Framing::UntilClose] {
                let end_follows = framing == ends;
                let (mut head, mut body) = (way.worker.buffer(), Body::new(framing));
                head.extend(b"head");
                let mut transfer = Transfer { end_follows, ..way.transfer(&mut input, &meter) };
                assert!(!transfer.send_short(&mut head, &mut body).unwrap());
                assert!(!transfer.begun.get() && head.unread() == b"head", "{framing:?}");
                assert_eq!(input.unread().len(), 1025);
            }
        });
        ended.unwrap();
    }
}
