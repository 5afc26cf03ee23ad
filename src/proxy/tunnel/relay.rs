//! Bytes both ways that nobody looks at: raw TCP, and connections after 101.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_lite::future::{or, try_zip};

use crate::generation::TunnelContext;
use crate::proxy::client::Client;
use crate::proxy::record::{ConnectionRecord, Meter};
use crate::reason::Reason;
use crate::tls::{Input, Stream};
use crate::upstream::TargetConnection;
use crate::worker::{BUFFER_BYTES, TcpStream, Worker};

/// Moves bytes both ways, beginning with those that were read of the client, until both sides have finished.
pub(super) async fn relay_connection(
    client: &mut Client,
    context: &Rc<TunnelContext>,
    mut target: Box<TargetConnection>,
    timeout: Duration,
    mut record: ConnectionRecord<'_>,
) {
    client.handle.mark_as_tunnel(context, client.stream.admission());
    record.is_tunnel_to(target.address);
    let Client { stream, input, .. } = client;
    let near = Peer { stream, gone: Reason::ClientGone };
    let far = Peer { stream: &target.stream, gone: Reason::UpstreamReset };
    let (worker, last) = (context.worker(), Cell::new(context.worker().now()));
    let up = Direction {
        worker,
        from: near,
        input,
        to: far,
        meter: &record.received,
        counts_reads: true,
        last: &last,
    };
    let down = Direction {
        worker,
        from: far,
        input: &mut target.input,
        to: near,
        meter: &record.sent,
        counts_reads: false,
        last: &last,
    };
    let both = async { try_zip(up.run(), down.run()).await.map(|_| ()) };
    let ended = or(both, or(cut([near, far]), silence(worker, &last, timeout))).await;
    // A reset of one side is a reset for the other: a clean end would make it take what it has for everything.
    match ended {
        Err(Reason::ClientGone) => far.stream.close_with_reset(true),
        Err(Reason::UpstreamReset) => near.stream.close_with_reset(true),
        _ => {}
    }
    record.end(ended);
}

/// One end of a tunnel.
#[derive(Clone, Copy)]
struct Peer<'a> {
    stream: &'a Stream,
    /// Why the tunnel ends when this connection fails.
    gone: Reason,
}

/// Waits until a side resets its connection. A way that waits for the other side, or has ended, reads nothing
/// and so would not see it.
async fn cut(sides: [Peer<'_>; 2]) -> Result<(), Reason> {
    poll_fn(|cx| {
        let reset = sides.iter().find(|side| side.stream.poll_reset(cx).is_ready());
        reset.map_or(Poll::Pending, |side| Poll::Ready(Err(side.gone)))
    })
    .await
}

/// Waits until no byte has moved either way for `timeout`. This is the only deadline of a tunnel: a way that
/// waits to read, to write or to pass an end on may wait as long as the other way moves.
async fn silence(worker: &Worker, last: &Cell<Instant>, timeout: Duration) -> Result<(), Reason> {
    let timer = worker.timer();
    loop {
        let left = timeout.saturating_sub(worker.now().saturating_duration_since(last.get()));
        if left.is_zero() {
            return Err(Reason::TunnelIdle);
        }
        timer.arm(left);
        timer.expired().await;
    }
}

/// One way through a tunnel.
struct Direction<'a> {
    worker: &'a Worker,
    from: Peer<'a>,
    /// Bytes of `from` that are still to be written.
    input: &'a mut Input,
    to: Peer<'a>,
    meter: &'a Meter<'a>,
    /// The meter counts what is read of the client; else what is written to it.
    counts_reads: bool,
    /// When a byte, or an end, last came or went, either way.
    last: &'a Cell<Instant>,
}

impl Direction<'_> {
    /// Moves bytes until `from` has finished, and then finishes `to`, which may go on sending (TCP half-close).
    ///
    /// # Errors
    /// The reason, when the connection to one of the sides fails.
    async fn run(mut self) -> Result<(), Reason> {
        // What was read before this became a tunnel.
        let mut read = self.input.unread().len();
        loop {
            self.has_read(read);
            self.write().await?;
            // A buffer that came full is the beginning of more than messages.
            if read >= BUFFER_BYTES
                && let (Some(source), Some(sink)) = (self.from.stream.plain(), self.to.stream.plain())
            {
                self.splice(source, sink).await?;
            }
            let filled = self.input.fill(self.from.stream, BUFFER_BYTES).await;
            read = filled.map_err(|_| self.from.gone)?;
            if read == 0 {
                // An end is heard too: the other side has all its time for the answer.
                self.has_read(0);
                // Should it fail, the other side is gone, and the way back will say so.
                let _ = poll_fn(|cx| self.to.stream.poll_shutdown(cx)).await;
                return Ok(());
            }
        }
    }

    /// Writes all that was read.
    async fn write(&mut self) -> Result<(), Reason> {
        let Peer { stream, gone } = self.to;
        while !self.input.is_empty() {
            let slices = [IoSlice::new(self.input.unread())];
            let written = poll_fn(|cx| stream.poll_write_vectored(cx, &slices)).await.map_err(|_| gone)?;
            if written == 0 {
                return Err(gone);
            }
            self.input.consume(written);
            self.has_written(written);
        }
        poll_fn(|cx| stream.poll_flush(cx)).await.map_err(|_| gone)
    }

    /// Moves bytes inside the kernel, as long as more come each time than a buffer would hold: messages cost
    /// less copied. A copy at the beginning of each time would be an eighth of the CPU.
    async fn splice(&self, source: &TcpStream, sink: &TcpStream) -> Result<(), Reason> {
        loop {
            if self.splice_now(source, sink).await? < BUFFER_BYTES {
                return Ok(());
            }
            source.readable().await;
        }
    }

    /// Moves what is there until nothing is, or the turn is over, so that a silent tunnel holds no pipe.
    async fn splice_now(&self, source: &TcpStream, sink: &TcpStream) -> Result<usize, Reason> {
        // No pipe to be had is no failure: the bytes are copied then.
        let Ok(mut pipe) = self.worker.pipe() else { return Ok(0) };
        let mut moved = 0;
        loop {
            match pipe.try_fill_from(source, usize::MAX) {
                // The end is seen again by the next read, which knows what to do.
                Ok(0) => break,
                Ok(bytes) => {
                    self.has_read(bytes);
                    moved += bytes;
                    let mut left = bytes;
                    while left > 0 {
                        let before = left;
                        left = pipe.drain_into(sink).await.map_err(|_| self.to.gone)?;
                        self.has_written(before - left);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return Err(self.from.gone),
            }
        }
        Ok(moved)
    }

    fn has_read(&self, bytes: usize) {
        self.note(if self.counts_reads { bytes } else { 0 });
    }

    fn has_written(&self, bytes: usize) {
        self.note(if self.counts_reads { 0 } else { bytes });
    }

    /// Notes that bytes have moved, and counts so many.
    fn note(&self, bytes: usize) {
        self.last.set(self.worker.now());
        self.meter.add(bytes, self.worker.now());
    }
}
