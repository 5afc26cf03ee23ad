//! The relay of bytes both ways.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures_lite::future::{or, try_zip};

use crate::generation::TunnelContext;
use crate::mux::Transport;
use crate::policy::{Pace, PolicyState};
use crate::proxy::client::Client;
use crate::proxy::record::{ConnectionRecord, Meter};
use crate::proxy::transfer::room;
use crate::reason::Reason;
use crate::tls::Input;
use crate::upstream::TargetConnection;
use crate::worker::{BUFFER_BYTES, Moment, TcpStream, Worker};

/// Relays bytes both ways until both sides have finished, or the tunnel is silent for `timeout`. Bytes of the client
/// that are in the input already go first. `policies` have the paces.
pub(super) async fn relay_connection(
    client: &mut Client,
    context: &Rc<TunnelContext>,
    mut target: Box<TargetConnection>,
    timeout: Duration,
    mut record: ConnectionRecord<'_>,
    policies: &PolicyState,
) {
    client.handle.mark_as_tunnel(context, client.stream.admission());
    record.is_tunnel_to(target.address.clone());
    let Client { stream, input, .. } = client;
    let near = Peer { stream, gone: Reason::ClientGone };
    let far = Peer { stream: &target.stream, gone: Reason::UpstreamReset };
    let (worker, last) = (context.worker(), Cell::new(context.worker().moment()));
    let up = Direction {
        worker,
        from: near,
        input,
        to: far,
        meter: &record.received,
        pace: policies.upload(),
        counts_reads: true,
        last: &last,
    };
    let down = Direction {
        worker,
        from: far,
        input: &mut target.input,
        to: near,
        meter: &record.sent,
        pace: policies.download(),
        counts_reads: false,
        last: &last,
    };
    let both = async { try_zip(up.run(), down.run()).await.map(|_| ()) };
    let ended = or(both, or(until_reset([near, far]), until_silent(worker, &last, timeout))).await;
    // Pass a reset on to the other side: after a clean end that side would believe that it has got all bytes.
    match ended {
        Err(Reason::ClientGone) => far.stream.close_with_reset(true),
        Err(Reason::UpstreamReset) => near.stream.close_with_reset(true),
        _ => {}
    }
    record.end(ended);
}

/// One side of a tunnel.
#[derive(Clone, Copy)]
struct Peer<'a> {
    stream: &'a Transport,
    /// Why the tunnel ends when this connection fails.
    gone: Reason,
}

/// Waits until a side resets its connection. A direction that waits to write, or has ended, does not read and so
/// cannot see a reset.
async fn until_reset(sides: [Peer<'_>; 2]) -> Result<(), Reason> {
    poll_fn(|cx| {
        let reset = sides.iter().find(|side| side.stream.poll_reset(cx).is_ready());
        reset.map_or(Poll::Pending, |side| Poll::Ready(Err(side.gone)))
    })
    .await
}

/// Waits until no byte has moved in either direction for `timeout`. A tunnel has no other deadline. One direction may
/// wait to read, to write or to pass an end on, as long as bytes move in the other.
async fn until_silent(worker: &Worker, last: &Cell<Moment>, timeout: Duration) -> Result<(), Reason> {
    let timer = worker.timer();
    loop {
        let left = timeout.saturating_sub(worker.moment() - last.get());
        if left.is_zero() {
            return Err(Reason::TunnelIdle);
        }
        timer.arm(left);
        timer.expired().await;
    }
}

/// One direction of a tunnel.
struct Direction<'a> {
    worker: &'a Worker,
    from: Peer<'a>,
    /// Bytes of `from` that are to be written.
    input: &'a mut Input,
    to: Peer<'a>,
    meter: &'a Meter<'a>,
    pace: Option<&'a Pace>,
    /// Whether the meter counts bytes that are read from the client; else it counts bytes that are written to it.
    counts_reads: bool,
    /// When the last byte or end was read or written, in either direction.
    last: &'a Cell<Moment>,
}

impl Direction<'_> {
    /// Moves bytes until `from` has ended its side, then ends the side of `to` (TCP half-close). `to` may go on
    /// sending.
    ///
    /// # Errors
    /// The reason, when a connection fails.
    async fn run(mut self) -> Result<(), Reason> {
        // Bytes that were read before the tunnel began.
        let mut read = self.input.unread().len();
        loop {
            self.has_read(read);
            self.write().await?;
            // A full buffer is the beginning of a bulk transfer, and not of messages.
            if read >= BUFFER_BYTES
                && let (Some(source), Some(sink)) = (self.from.stream.plain(), self.to.stream.plain())
            {
                self.splice(source, sink).await?;
            }
            let filled = self.input.fill(self.from.stream, BUFFER_BYTES).await;
            read = filled.map_err(|_| self.from.gone)?;
            if read == 0 {
                // An end counts as progress: the other side has the whole timeout for its answer.
                self.has_read(0);
                // If it fails, the other side is gone, and the other direction reports that.
                let _ = poll_fn(|cx| self.to.stream.poll_shutdown(cx)).await;
                return Ok(());
            }
        }
    }

    /// Writes all bytes that were read.
    async fn write(&mut self) -> Result<(), Reason> {
        let Peer { stream, gone } = self.to;
        match self.pace {
            None => self.write_down_to(0).await?,
            // Boxed, because few tunnels have a pace, and the future of all would have room for it.
            Some(pace) => Box::pin(self.write_at_pace(pace)).await?,
        }
        poll_fn(|cx| stream.poll_flush(cx)).await.map_err(|_| gone)
    }

    /// Writes bytes that were read, in parts that may move now.
    async fn write_at_pace(&mut self, pace: &Pace) -> Result<(), Reason> {
        let timer = self.worker.timer();
        while !self.input.is_empty() {
            let length = self.input.unread().len();
            let part = room(pace, self.worker, &timer, length).await;
            self.write_down_to(length - part).await?;
        }
        Ok(())
    }

    /// Writes bytes that were read, until `left` of them are left.
    async fn write_down_to(&mut self, left: usize) -> Result<(), Reason> {
        let Peer { stream, gone } = self.to;
        while self.input.unread().len() > left {
            let unread = self.input.unread();
            let slices = [IoSlice::new(&unread[..unread.len() - left])];
            let written = poll_fn(|cx| stream.poll_write_vectored(cx, &slices)).await.map_err(|_| gone)?;
            if written == 0 {
                return Err(gone);
            }
            self.input.consume(written);
            self.has_written(written);
        }
        Ok(())
    }

    /// Moves bytes inside the kernel, as long as each turn moves more than a buffer holds. Short messages cost less
    /// when they are copied. A copy at the beginning of each turn would be an eighth of the CPU.
    async fn splice(&self, source: &TcpStream, sink: &TcpStream) -> Result<(), Reason> {
        loop {
            if let Some(pace) = self.pace {
                let timer = self.worker.timer();
                pace.give_back(Box::pin(room(pace, self.worker, &timer, usize::MAX)).await);
            }
            if self.splice_now(source, sink).await? < BUFFER_BYTES {
                return Ok(());
            }
            source.readable().await;
        }
    }

    /// Moves the bytes that are here, until there are none, or no more may move now, or the turn is over. So a silent tunnel holds no pipe.
    /// Returns their number.
    async fn splice_now(&self, source: &TcpStream, sink: &TcpStream) -> Result<usize, Reason> {
        // Without a pipe the bytes are copied.
        let Ok(mut pipe) = self.worker.pipe() else { return Ok(0) };
        let mut moved = 0;
        while let Some(most) = self.room_now() {
            let filled = pipe.try_fill_from(source, most);
            if let Some(pace) = self.pace {
                pace.give_back(most - filled.as_ref().map_or(0, |bytes| *bytes));
            }
            match filled {
                // The next read sees the end again, and handles it.
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

    /// Takes the bytes that may move now. `None` if there are none.
    fn room_now(&self) -> Option<usize> {
        self.pace.map_or(Some(usize::MAX), |pace| pace.take(usize::MAX, self.worker.now()).ok())
    }

    fn has_read(&self, bytes: usize) {
        self.moved(if self.counts_reads { bytes } else { 0 });
    }

    fn has_written(&self, bytes: usize) {
        self.moved(if self.counts_reads { 0 } else { bytes });
    }

    /// Records progress, and counts so many bytes.
    fn moved(&self, bytes: usize) {
        self.last.set(self.worker.moment());
        self.meter.add(bytes, self.worker.moment());
    }
}
