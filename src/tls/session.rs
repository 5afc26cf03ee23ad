//! A TLS session over one TCP connection, on either side: rustls, and the bytes that it reads and writes.
//!
//! No call waits by itself: one that cannot go on returns, and the socket wakes the task. Bytes on the socket
//! are not yet data of the peer, because a record may be incomplete and a session ticket is no data. So this
//! module asks both rustls and the socket about a connection.

use std::io::{self, IoSlice, Read, Write};
use std::task::{Context, Poll, ready};

use rustls::Connection;

use crate::worker::TcpStream;

/// Reads of the socket after which bytes are taken for data. A read takes 4 KiB at least, and all session
/// tickets that servers send have less.
const TICKET_READS_MAX: usize = 8;

/// A TLS session over TCP.
pub(super) struct Session {
    tcp: TcpStream,
    tls: Connection,
    records: Records,
    /// Whether no message is cut off if the connection ends now. Then `close_notify` is sent.
    whole: bool,
    /// Whether rustls has `close_notify` to send. No data follows it (RFC 8446, section 6.1).
    closed: bool,
}

impl Session {
    pub(super) fn new(tcp: TcpStream, tls: Connection) -> Self {
        Self { tcp, tls, records: Records::default(), whole: true, closed: false }
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    pub(super) fn tls(&self) -> &Connection {
        &self.tls
    }

    /// Takes in the client hello, which was read before there was a session.
    pub(super) fn feed_client_hello(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.take_in(|_, space| bytes.read(space))?;
        }
        Ok(())
    }

    /// Performs the handshake. Calls `answered` whenever all messages so far are sent and the wait for the
    /// peer begins. Ready when the handshake is done and all its messages are sent.
    pub(super) fn poll_handshake(
        &mut self,
        cx: &mut Context<'_>,
        mut answered: impl FnMut(),
    ) -> Poll<io::Result<()>> {
        loop {
            if self.tls.wants_write() {
                ready!(self.poll_send(cx))?;
                answered();
            }
            if !self.tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            if !self.tls.wants_read() || ready!(self.poll_take_in(cx))? == 0 {
                let why = "the connection was closed during the TLS handshake";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
            }
        }
    }

    /// Ready when a read may return something, which may still be no data.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // The socket does not show decrypted data or its end.
        if self.tls.wants_read() { self.tcp.poll_readable(cx) } else { Poll::Ready(()) }
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.tls.reader().read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            ready!(self.poll_take_in(cx))?;
        }
    }

    /// Writes from all of `slices` at once. With `last`, `close_notify` goes out with their last bytes.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        last: bool,
    ) -> Poll<io::Result<usize>> {
        if self.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let bytes: usize = slices.iter().map(|slice| slice.len()).sum();
        if bytes == 0 {
            return Poll::Ready(Ok(0));
        }
        loop {
            self.whole = false;
            let written = self.tls.writer().write_vectored(slices)?;
            if last && written == bytes {
                self.say_end();
            }
            // rustls keeps the bytes that TCP does not take for the next write or flush.
            match (self.poll_send(cx)?, written) {
                (Poll::Pending, 0) => return Poll::Pending,
                (Poll::Ready(()), 0) => {}
                (_, written) => return Poll::Ready(Ok(written)),
            }
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_send(cx)
    }

    /// Ends the writing side of TLS, then that of TCP.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.say_end();
        ready!(self.poll_send(cx))?;
        Poll::Ready(self.tcp.shutdown_write())
    }

    /// Sets whether each message that was begun is complete, so that an end is a clean one.
    pub(super) fn set_whole(&mut self, whole: bool) {
        self.whole = whole;
    }

    /// Whether nothing has come that no read has taken. `is_open_and_idle` answers that for TCP. Bytes on the
    /// socket are taken in, because they may be a session ticket.
    pub(super) fn is_silent(&mut self, is_open_and_idle: impl Fn(&TcpStream) -> bool) -> bool {
        for _ in 0..TICKET_READS_MAX {
            if !self.tls.wants_read() {
                return false;
            }
            if is_open_and_idle(&self.tcp) {
                return !self.records.is_inside_one();
            }
            if !matches!(self.take_in(TcpStream::read_now), Ok(1..)) {
                return false;
            }
        }
        false
    }

    fn say_end(&mut self) {
        if !self.closed {
            self.closed = true;
            self.tls.send_close_notify();
        }
    }

    fn poll_take_in(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = |tcp: &TcpStream, bytes: &mut [u8]| or_would_block(tcp.poll_read(cx, bytes));
        or_pending(self.take_in(read))
    }

    /// Reads from the peer once, and decrypts the complete records. 0 means the end.
    fn take_in(
        &mut self,
        mut read: impl FnMut(&TcpStream, &mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let Self { tcp, tls, records, .. } = self;
        let count = tls.read_tls(&mut From(|bytes: &mut [u8]| {
            let count = read(tcp, bytes)?;
            records.pass(&bytes[..count]);
            Ok(count)
        }))?;
        if let Err(error) = self.tls.process_new_packets() {
            self.send_now();
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(count)
    }

    /// Sends all that rustls has to send.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tcp = &self.tcp;
        let mut to = To(|slices: &[IoSlice<'_>]| or_would_block(tcp.poll_write_vectored(cx, slices)));
        while self.tls.wants_write() {
            if ready!(or_pending(self.tls.write_tls(&mut to)))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends the last bytes, an alert, as far as TCP takes them at once.
    fn send_now(&mut self) {
        let tcp = &self.tcp;
        let mut to = To(|slices: &[IoSlice<'_>]| tcp.try_write(slices));
        while self.tls.wants_write() && matches!(self.tls.write_tls(&mut to), Ok(1..)) {}
    }
}

impl Drop for Session {
    /// Sends `close_notify` if the end cuts nothing off and TCP takes it at once. An end that cuts a message
    /// off sends none, so that the peer can tell the difference (RFC 8446, section 6.1).
    fn drop(&mut self) {
        if self.whole && !self.tls.is_handshaking() {
            self.say_end();
            self.send_now();
        }
    }
}

/// Finds the ends of the peer's records by their lengths in the clear (RFC 8446, section 5.1). rustls does
/// not tell whether it holds a part of a record.
#[derive(Default)]
struct Records {
    /// Bytes of the current record's header that have come.
    header: usize,
    /// The last two bytes of the header, which are the length of the payload.
    length: u16,
    /// Bytes of the payload that have not come yet.
    left: usize,
}

impl Records {
    const HEADER_BYTES: usize = 5;

    fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((byte, rest)) = bytes.split_first() {
            if self.left > 0 {
                let count = self.left.min(bytes.len());
                self.left -= count;
                bytes = &bytes[count..];
                continue;
            }
            self.length = self.length << 8 | u16::from(*byte);
            self.header += 1;
            if self.header == Self::HEADER_BYTES {
                (self.header, self.left) = (0, usize::from(self.length));
            }
            bytes = rest;
        }
    }

    fn is_inside_one(&self) -> bool {
        self.header > 0 || self.left > 0
    }
}

fn or_would_block<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

fn or_pending<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

/// A source that rustls reads from.
struct From<R>(R);

impl<R: FnMut(&mut [u8]) -> io::Result<usize>> Read for From<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        (self.0)(bytes)
    }
}

/// A sink that rustls writes to.
struct To<W>(W);

impl<W: FnMut(&[IoSlice<'_>]) -> io::Result<usize>> Write for To<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        (self.0)(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_records_are_known_however_they_are_cut() {
        let lengths = [0, 1, 255, 256, 16_384];
        let record =
            |length: &u16| [&[23, 3, 3][..], &length.to_be_bytes(), &vec![0; *length as usize]].concat();
        let bytes = lengths.iter().flat_map(record).collect::<Vec<u8>>();
        let mut ends: Vec<usize> = lengths.iter().map(|length| usize::from(*length) + 5).collect();
        (1..ends.len()).for_each(|index| ends[index] += ends[index - 1]);
        for step in [1, 2, 3, 5, 7, 4096, bytes.len()] {
            let (mut records, mut at) = (Records::default(), 0);
            for piece in bytes.chunks(step) {
                records.pass(piece);
                at += piece.len();
                assert_eq!(records.is_inside_one(), !ends.contains(&at), "at {at} in steps of {step}");
            }
        }
    }
}
