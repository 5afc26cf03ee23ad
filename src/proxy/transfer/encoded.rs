//! A body that goes through an encoder on its way to the client.

use std::cell::Cell;
use std::io::IoSlice;
use std::time::Duration;

use super::pace::room;
use super::write::write_message;
use crate::encoding::{Encoder, Progress, Step};
use crate::http1::{CHUNK_END, ChunkPrefix, LAST_CHUNK};
use crate::mux::Transport;
use crate::policy::Pace;
use crate::proxy::record::{Meter, TransferError};
use crate::worker::{Buffer, BufferSize, Timer, Worker};

/// Bytes that are encoded at once, which takes about a tenth of a millisecond. After that other tasks go on.
const SLICE_BYTES: usize = 8 * 1024;

/// Bytes of a body that are encoded at most before the client gets them, even if more keep coming.
const HELD_MAX: usize = 256 * 1024;

/// Room that an encoder is given at least.
const ROOM_LEAST: usize = 64;

/// The way of an encoded body to the client.
pub(in crate::proxy) struct EncodedBody<'a> {
    pub(in crate::proxy) worker: &'a Worker,
    pub(in crate::proxy) to: &'a Transport,
    pub(in crate::proxy) timer: &'a Timer,
    /// How long a write may make no progress.
    pub(in crate::proxy) timeout: Duration,
    pub(in crate::proxy) meter: &'a Meter<'a>,
    pub(in crate::proxy) encoder: Encoder,
    /// The head, until it is written.
    head: Option<Buffer>,
    /// Encoded bytes that are not written yet.
    out: Buffer,
    /// Bytes of the body since the last flush.
    held: usize,
    /// The pace of the encoded bytes, if they have one.
    pace: Option<&'a Pace>,
}

/// The end of an encoded body.
struct End<'a> {
    trailers: &'a [u8],
    /// The connection ends with this message.
    is_last: bool,
}

impl<'a> EncodedBody<'a> {
    /// A body behind a head. Nothing of either is written yet.
    pub(in crate::proxy) fn new(
        (worker, to, timer): (&'a Worker, &'a Transport, &'a Timer),
        timeout: Duration,
        meter: &'a Meter<'a>,
        encoder: Encoder,
        head: Buffer,
    ) -> Self {
        let out = worker.buffer_of(BufferSize::Medium);
        Self { worker, to, timer, timeout, meter, encoder, head: Some(head), out, held: 0, pace: None }
    }

    /// Gives the encoded bytes a pace.
    pub(in crate::proxy) fn at_pace(self, pace: Option<&'a Pace>) -> Self {
        Self { pace, ..self }
    }

    /// Encodes bytes, and writes as many as fill the buffer.
    ///
    /// # Errors
    /// When the client does not take them.
    pub(in crate::proxy) async fn add(
        &mut self,
        data: &[u8],
        begun: &Cell<bool>,
    ) -> Result<(), TransferError> {
        for slice in data.chunks(SLICE_BYTES) {
            self.held += slice.len();
            self.encode(slice, Step::More, begun).await?;
            if self.held >= HELD_MAX {
                self.flush(begun).await?;
            }
            if slice.len() == SLICE_BYTES {
                self.worker.yield_now().await;
            }
        }
        Ok(())
    }

    /// Writes everything that was added, so that the client has it while further bytes are awaited.
    ///
    /// # Errors
    /// When the client does not take it.
    pub(in crate::proxy) async fn flush(&mut self, begun: &Cell<bool>) -> Result<(), TransferError> {
        if std::mem::take(&mut self.held) > 0 {
            self.encode(&[], Step::Flush, begun).await?;
        }
        self.write(None, begun).await
    }

    /// Writes the end of the body, with trailers. With `is_last`, no message follows on the connection.
    ///
    /// # Errors
    /// When the client does not take it.
    pub(in crate::proxy) async fn end(
        mut self,
        trailers: &[u8],
        is_last: bool,
        begun: &Cell<bool>,
    ) -> Result<(), TransferError> {
        self.encode(&[], Step::Finish, begun).await?;
        self.write(Some(End { trailers, is_last }), begun).await
    }

    async fn encode(&mut self, mut data: &[u8], step: Step, begun: &Cell<bool>) -> Result<(), TransferError> {
        loop {
            if self.out.spare_mut().len() < ROOM_LEAST {
                self.write(None, begun).await?;
            }
            let progress = self.encoder.step(data, self.out.spare_mut(), step);
            let Progress { read, written, is_done } = progress.map_err(TransferError::Encoding)?;
            self.out.commit(written);
            data = &data[read..];
            if is_done {
                return Ok(());
            }
        }
    }

    /// Writes the head, if it is left, and the encoded bytes, in parts that may move now.
    async fn write(&mut self, end: Option<End<'_>>, begun: &Cell<bool>) -> Result<(), TransferError> {
        loop {
            let left = self.out.unread().len();
            let part = match self.pace {
                Some(pace) if left > 0 => room(pace, self.worker, self.timer, left).await,
                _ => left,
            };
            self.write_part(part, end.as_ref().filter(|_| part == left), begun).await?;
            if part == left {
                return Ok(());
            }
        }
    }

    /// Writes the head, if it is left, and so many encoded bytes, in one chunk if the connection has chunks.
    async fn write_part(
        &mut self,
        part: usize,
        end: Option<&End<'_>>,
        begun: &Cell<bool>,
    ) -> Result<(), TransferError> {
        let data = &self.out.unread()[..part];
        // The frames of a stream are its framing, and its end and trailers follow when the message has ended.
        let has_chunks = !self.to.is_stream();
        let prefix = (has_chunks && part > 0).then(|| ChunkPrefix::new(part));
        let chunk = prefix.as_ref().map_or([&[], data, &[]], |prefix| [prefix.as_bytes(), data, CHUNK_END]);
        let last = end.filter(|_| has_chunks);
        let last = last.map_or([&[][..]; 3], |end| [LAST_CHUNK, end.trailers, CHUNK_END]);
        let head = self.head.as_ref().map_or(&[][..], Buffer::unread);
        let slices = [head, chunk[0], chunk[1], chunk[2], last[0], last[1], last[2]];
        let bytes = slices.iter().map(|slice| slice.len()).sum();
        if bytes == 0 {
            return Ok(());
        }
        begun.set(true);
        let ends = end.is_some_and(|end| end.is_last);
        let written =
            write_message(self.to, &mut slices.map(IoSlice::new), ends, self.timer, self.timeout).await;
        written.map_err(TransferError::Write)?;
        self.meter.add(bytes, self.worker.moment());
        self.head = None;
        self.out.consume(part);
        Ok(())
    }
}
