//! Bytes both ways that nobody looks at: raw TCP, and connections after 101.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::connection::Client;
use super::ground::Ground;
use super::record::{Prelude, Visit};
use super::transfer::{Meter, write_all};
use crate::log::Reason;
use crate::tls::{Input, Stream};
use crate::upstream::Link;
use crate::worker::{BUFFER_BYTES, TcpStream, Timer, Worker};

/// One end of a tunnel.
struct Side<'a> {
    stream: &'a Stream,
    /// What was read from it before it became a tunnel.
    input: &'a mut Input,
}

impl<'a> Side<'a> {
    fn new(stream: &'a Stream, input: &'a mut Input) -> Self {
        Self { stream, input }
    }

    fn of_client(client: &'a mut Client) -> Self {
        Self::new(&client.stream, &mut client.input)
    }
}

/// A way for bytes that is open, and what is to be said of it at its end.
pub(super) struct Tunnel {
    pub(super) ground: Rc<Ground>,
    pub(super) link: Box<Link>,
    /// How long neither side may say anything.
    pub(super) patience: Duration,
    pub(super) prelude: Prelude,
}

impl Tunnel {
    /// Bytes both ways, what was read of the client first, until both sides have finished.
    pub(super) async fn run(self: Box<Self>, client: &mut Client) {
        let Self { ground, link, patience, prelude } = *self;
        let visit = Visit::new(&ground, client, prelude);
        keep(client, &ground, link, patience, visit).await;
    }
}

/// The same, of a visit that has begun.
pub(super) async fn keep(
    client: &mut Client,
    ground: &Rc<Ground>,
    mut link: Box<Link>,
    patience: Duration,
    mut visit: Visit<'_>,
) {
    client.guest.is_tunnel(ground);
    visit.is_tunnel_to(link.address);
    let target = Side::new(&link.stream, &mut link.input);
    let meters = (&visit.received, &visit.sent);
    let ended = relay(ground.worker(), Side::of_client(client), target, meters, patience).await;
    visit.end(ended);
}

/// Relays until both sides have finished. An end on one side is passed on to the other, which may go
/// on sending (TCP half-close).
///
/// # Errors
/// The reason, when a side resets the connection, or neither says anything for `patience`.
async fn relay(
    worker: &Worker,
    client: Side<'_>,
    target: Side<'_>,
    meters: (&Meter<'_>, &Meter<'_>),
    patience: Duration,
) -> Result<(), Reason> {
    let last = Cell::new(worker.now());
    let up =
        Way { worker, from: client.stream, to: target.stream, timer: worker.timer(), patience, last: &last };
    let down =
        Way { worker, from: target.stream, to: client.stream, timer: worker.timer(), patience, last: &last };
    let up = up.run(client.input, meters.0, Reason::ClientGone, Reason::UpstreamReset);
    let down = down.run(target.input, meters.1, Reason::UpstreamReset, Reason::ClientGone);
    futures_lite::future::try_zip(up, down).await.map(|_| ())
}

/// One way through a tunnel.
struct Way<'a> {
    worker: &'a Worker,
    from: &'a Stream,
    to: &'a Stream,
    timer: Timer,
    patience: Duration,
    /// When anything last moved, either way.
    last: &'a Cell<Instant>,
}

impl Way<'_> {
    async fn run(
        &self,
        input: &mut Input,
        meter: &Meter<'_>,
        from: Reason,
        to: Reason,
    ) -> Result<(), Reason> {
        loop {
            let bytes = input.unread().len();
            if bytes > 0 {
                let mut slices = [IoSlice::new(input.unread())];
                write_all(self.to, &mut slices, &self.timer, self.patience)
                    .await
                    .map_err(|error| named(&error, to))?;
                input.consume(bytes);
                self.note(meter, bytes);
            }
            // A buffer that came full is the beginning of more than messages.
            if bytes >= BUFFER_BYTES
                && let (Some(source), Some(sink)) = (self.from.plain(), self.to.plain())
            {
                self.splice(source, sink, meter).await.map_err(|error| named(&error, from))?;
            }
            let filled = self.wait(async || input.fill(self.from, BUFFER_BYTES).await).await;
            if filled.map_err(|error| named(&error, from))? == 0 {
                // The other side may be gone already; then there is nobody to tell.
                let _ = poll_fn(|cx| self.to.poll_shutdown(cx)).await;
                return Ok(());
            }
        }
    }

    /// Waits for what is to come, as long as either way is alive.
    async fn wait<T>(&self, mut coming: impl AsyncFnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            let left = (self.last.get() + self.patience).saturating_duration_since(self.worker.now());
            match self.timer.within(left, coming()).await {
                Err(error) if error.kind() == io::ErrorKind::TimedOut && self.is_alive() => {}
                result => return result,
            }
        }
    }

    fn is_alive(&self) -> bool {
        self.last.get() + self.patience > self.worker.now()
    }

    fn note(&self, meter: &Meter<'_>, bytes: usize) {
        self.last.set(self.worker.now());
        meter.add(bytes, self.worker.now());
    }

    /// Moves bytes inside the kernel, as long as more come each time than a buffer would hold: messages cost
    /// less copied. A copy at the beginning of each time would be an eighth of the CPU.
    async fn splice(&self, source: &TcpStream, sink: &TcpStream, meter: &Meter<'_>) -> io::Result<()> {
        loop {
            if self.splice_now(source, sink, meter).await? < BUFFER_BYTES {
                return Ok(());
            }
            let more = async || {
                source.readable().await;
                Ok(())
            };
            self.wait(more).await?;
        }
    }

    /// Moves what is there until nothing is, or the turn is over, so that a silent tunnel holds no pipe.
    async fn splice_now(&self, source: &TcpStream, sink: &TcpStream, meter: &Meter<'_>) -> io::Result<usize> {
        // No pipe to be had is no failure: the bytes are copied then.
        let Ok(mut pipe) = self.worker.pipe() else { return Ok(0) };
        let mut moved = 0;
        loop {
            match pipe.fill_now(source, usize::MAX) {
                // The end is seen again by the next read, which knows what to do.
                Ok(0) => break,
                Ok(bytes) => {
                    while self.timer.within(self.patience, pipe.empty(sink)).await? > 0 {}
                    self.note(meter, bytes);
                    moved += bytes;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(moved)
    }
}

fn named(error: &io::Error, otherwise: Reason) -> Reason {
    if error.kind() == io::ErrorKind::TimedOut { Reason::TunnelIdle } else { otherwise }
}
