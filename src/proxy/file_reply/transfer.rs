//! The bytes of a file on their way to the client.
//!
//! The length was announced, so nothing else is sent: if the file has become shorter, the connection is cut.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::os::fd::AsFd;
use std::time::Duration;

use crate::encoding::Encoder;
use crate::file_server::Content;
use crate::proxy::client::{Client, Exchange, KeepAlive};
use crate::proxy::edits::encode_response;
use crate::proxy::local_reply::Reply;
use crate::proxy::record::{Detail, Failure};
use crate::proxy::transfer::{self, EncodedBody, write_all};
use crate::reason::Reason;
use crate::worker::{Buffer, BufferSize, LARGE_BUFFER_BYTES, TcpStream, Timer};

/// Bytes that one call moves from the file to the socket, which takes some 100 microseconds. They count as more than the
/// share of a socket in one turn, so the next call waits for other connections.
const SENT_AT_ONCE: u64 = 1024 * 1024;

/// How long a disk may take. A file system of the network may hang for ever.
pub(super) const DISK_TIMEOUT: Duration = Duration::from_secs(30);

/// Appends bytes of the file to a buffer. `timer` is for waits for a disk.
///
/// # Errors
/// If the file ends before them, or cannot be read.
pub(super) async fn append(
    content: &Content,
    bytes: Range<u64>,
    to: &mut Buffer,
    timer: &Timer,
) -> Result<(), Failure> {
    let Range { start: mut at, end } = bytes;
    while at < end {
        let left = (end - at) as usize;
        let read = match content.read_cached(at, &mut to.room(left)[..left]) {
            Ok(read) => {
                to.commit(read);
                read
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let read = timer.within(DISK_TIMEOUT, content.read(at, left));
                let bytes = read.await.map_err(unreadable)?;
                to.extend(&bytes);
                bytes.len()
            }
            Err(error) => return Err(unreadable(error)),
        };
        if read == 0 {
            return Err(Failure::new(Reason::FileShrunk));
        }
        at += read as u64;
    }
    Ok(())
}

fn unreadable(error: io::Error) -> Failure {
    Failure { reason: Reason::FileFailed, detail: Detail::Io(error) }
}

/// Sends a head and bytes of the file that do not fit into one buffer with it: inside the kernel, if the connection is
/// plain TCP. `timeout` is how long the client may take nothing.
///
/// # Errors
/// If the file cannot be read as it was announced, or the client does not take it. Then the response is cut off.
pub(super) async fn send_long(
    exchange: &mut Exchange<'_>,
    mut reply: Reply<'_>,
    content: &Content,
    bytes: Range<u64>,
    timeout: Duration,
) -> Result<KeepAlive, Failure> {
    let encoder = encode_response(&exchange.record, &exchange.request, &mut reply.head, None);
    exchange.record.status.set(Some(reply.status));
    let Reply { head, keep, .. } = reply;
    let mut sending = Sending { exchange: &*exchange, content, bytes, timeout };
    if let Some((encoder, _)) = encoder {
        sending.encode(head, encoder, keep != KeepAlive::Keep).await?;
        exchange.client.stream.message_ended();
        return Ok(keep);
    }
    let rest = match exchange.client.stream.plain() {
        Some(stream) => sending.send_inside_kernel(stream, head).await?,
        None => Some(head),
    };
    if let Some(rest) = rest {
        sending.copy(rest).await?;
    }
    exchange.client.stream.message_ended();
    Ok(keep)
}

/// A response that is being sent.
struct Sending<'a, 'b> {
    exchange: &'a Exchange<'b>,
    content: &'a Content,
    /// The bytes of the file that are left.
    bytes: Range<u64>,
    timeout: Duration,
}

impl Sending<'_, '_> {
    /// Reads the bytes and writes them, with the head before the first of them.
    async fn copy(&mut self, mut buffer: Buffer) -> Result<(), Failure> {
        let Client { stream, timer, .. } = &*self.exchange.client;
        while !self.bytes.is_empty() || !buffer.is_empty() {
            let room = (LARGE_BUFFER_BYTES - buffer.unread().len()) as u64;
            let part = self.part(self.bytes.end.min(self.bytes.start + room) - self.bytes.start).await;
            let end = self.bytes.start + part;
            append(self.content, self.bytes.start..end, &mut buffer, self.exchange.timer).await?;
            self.bytes.start = end;
            let slices = &mut [IoSlice::new(buffer.unread())];
            write_all(stream, slices, timer, self.timeout).await.map_err(Failure::of_client)?;
            self.count(buffer.unread().len());
            buffer.consume(buffer.unread().len());
        }
        Ok(())
    }

    /// Reads the bytes and sends them through an encoder. With `is_last`, no message follows.
    async fn encode(&mut self, head: Buffer, encoder: Encoder, is_last: bool) -> Result<(), Failure> {
        let Exchange { client, snapshot, record, .. } = self.exchange;
        let (begun, worker) = (Cell::new(true), snapshot.worker());
        let way = (worker, &client.stream, &client.timer);
        let encoded = EncodedBody::new(way, self.timeout, &record.sent, encoder, head);
        let mut encoded = encoded.at_pace(record.policies.download());
        let mut buffer = worker.buffer_of(BufferSize::Large);
        while !self.bytes.is_empty() {
            let end = self.bytes.end.min(self.bytes.start + LARGE_BUFFER_BYTES as u64);
            append(self.content, self.bytes.start..end, &mut buffer, self.exchange.timer).await?;
            self.bytes.start = end;
            encoded.add(buffer.unread(), &begun).await.map_err(Failure::of_download)?;
            buffer.consume(buffer.unread().len());
        }
        encoded.end(&[], is_last, &begun).await.map_err(Failure::of_download)
    }

    /// Moves the bytes inside the kernel. Returns a buffer with what is left to write before the rest is copied, if the
    /// system cannot do it.
    async fn send_inside_kernel(
        &mut self,
        stream: &TcpStream,
        mut head: Buffer,
    ) -> Result<Option<Buffer>, Failure> {
        let timer = &self.exchange.client.timer;
        // Without `MSG_MORE`: with the head in one packet, pages of the file are shifted in all packets behind it. That costs
        // the kernel 40 % more for a file of 1 MiB, measured with wrk over loopback.
        let slices = &mut [IoSlice::new(head.unread())];
        write_all(&self.exchange.client.stream, slices, timer, self.timeout)
            .await
            .map_err(Failure::of_client)?;
        self.count(head.unread().len());
        head.consume(head.unread().len());
        while !self.bytes.is_empty() {
            let most = self.part((self.bytes.end - self.bytes.start).min(SENT_AT_ONCE)).await as usize;
            if !self.content.is_cached(self.bytes.start, most) {
                let load = self.content.load(self.bytes.start, most);
                self.exchange.timer.within(DISK_TIMEOUT, load).await.map_err(unreadable)?;
            }
            let Range { start, .. } = &mut self.bytes;
            let send = poll_fn(|cx| stream.poll_send_file(cx, self.content.as_fd(), start, most));
            match timer.within(self.timeout, send).await {
                Ok(0) => return Err(Failure::new(Reason::FileShrunk)),
                Ok(sent) => {
                    self.give_back(most - sent);
                    self.count(sent);
                }
                // Some file systems cannot do it.
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput) =>
                {
                    self.give_back(most);
                    return Ok(Some(head));
                }
                Err(error) => return Err(Failure::of_client(error)),
            }
        }
        Ok(None)
    }

    /// Bytes that may be sent now, at most `most`.
    async fn part(&self, most: u64) -> u64 {
        let Exchange { record, timer, .. } = self.exchange;
        match record.policies.download() {
            Some(pace) if most > 0 => {
                transfer::room(pace, self.exchange.snapshot.worker(), timer, most as usize).await as u64
            }
            _ => most,
        }
    }

    /// Gives bytes back that may be sent and were not.
    fn give_back(&self, bytes: usize) {
        self.exchange.record.policies.download().into_iter().for_each(|pace| pace.give_back(bytes));
    }

    fn count(&self, bytes: usize) {
        self.exchange.record.sent.add(bytes, self.exchange.client.stream.worker().moment());
    }
}
