//! A byte stream with a buffer and a deadline, used by clients and upstreams.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::message::{Body, Framing, Head};

/// The end of a stream, as seen by its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer closed after its last byte.
    Clean,
    /// The peer reset the connection, or the transport broke.
    Reset,
    /// Nothing was received in time.
    Deadline,
}

/// The transport of a [`Wire`]: TCP, or TLS over TCP.
pub trait Transport: Read + Write + Send {
    /// The socket below.
    fn socket(&self) -> &TcpStream;

    /// Shuts down the sending half.
    fn finish(&mut self) {
        // An error means that the peer is gone, which the next read reports.
        let _ = self.socket().shutdown(Shutdown::Write);
    }
}

impl Transport for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

/// A byte stream with a buffer and a deadline.
pub struct Wire {
    transport: Box<dyn Transport>,
    /// Bytes that were read and not yet taken.
    pub buffer: Vec<u8>,
    /// A copy of every byte read.
    record: Option<Arc<Mutex<Vec<u8>>>>,
}

impl Wire {
    /// Creates a stream whose reads and writes fail after `deadline`.
    pub fn new(
        transport: Box<dyn Transport>,
        deadline: Duration,
        record: Option<Arc<Mutex<Vec<u8>>>>,
    ) -> Wire {
        let socket = transport.socket();
        socket.set_read_timeout(Some(deadline)).unwrap();
        socket.set_write_timeout(Some(deadline)).unwrap();
        socket.set_nodelay(true).unwrap();
        Wire { transport, buffer: Vec::new(), record }
    }

    /// The socket below.
    pub fn socket(&self) -> &TcpStream {
        self.transport.socket()
    }

    /// Writes all bytes.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), End> {
        self.transport.write_all(bytes).and_then(|()| self.transport.flush()).map_err(|error| {
            match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => End::Deadline,
                _ => End::Reset,
            }
        })
    }

    /// Shuts down the sending half.
    pub fn finish(&mut self) {
        self.transport.finish();
    }

    /// Closes with a reset instead of an orderly end.
    pub fn reset(self) {
        // With linger at zero, the drop below sends a reset and discards unsent bytes.
        let _ = socket2::SockRef::from(self.transport.socket()).set_linger(Some(Duration::ZERO));
    }

    /// Reads more bytes into the buffer, at least one.
    pub fn fill(&mut self) -> Result<usize, End> {
        let mut chunk = [0; 64 * 1024];
        loop {
            match self.transport.read(&mut chunk) {
                Ok(0) => return Err(End::Clean),
                Ok(count) => {
                    if let Some(record) = &self.record {
                        record.lock().unwrap().extend_from_slice(&chunk[..count]);
                    }
                    self.buffer.extend_from_slice(&chunk[..count]);
                    return Ok(count);
                }
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Err(End::Deadline),
                    _ => return Err(End::Reset),
                },
            }
        }
    }

    /// Takes exactly `count` bytes. After an early end they stay in the buffer.
    pub fn take(&mut self, count: usize) -> Result<Vec<u8>, End> {
        while self.buffer.len() < count {
            self.fill()?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    /// Takes everything up to `mark`, included.
    pub fn take_through(&mut self, mark: &[u8]) -> Result<Vec<u8>, End> {
        let mut from = 0;
        loop {
            if let Some(at) = self.buffer[from..].windows(mark.len()).position(|window| window == mark) {
                return Ok(self.buffer.drain(..from + at + mark.len()).collect());
            }
            from = self.buffer.len().saturating_sub(mark.len() - 1);
            self.fill()?;
        }
    }

    /// Takes everything until the stream ends.
    pub fn take_rest(&mut self) -> (Vec<u8>, End) {
        loop {
            if let Err(end) = self.fill() {
                return (std::mem::take(&mut self.buffer), end);
            }
        }
    }

    /// Takes a head, from the start line to the empty line.
    pub fn take_head(&mut self) -> Result<Head, End> {
        self.take_through(b"\r\n\r\n").map(Head::parse)
    }

    /// Takes a body with this framing. Never fails: [`Body::fault`] has the error.
    pub fn take_body(&mut self, framing: Framing) -> Body {
        let mut body = Body { framing, ..Body::default() };
        let result = match framing {
            Framing::None => Ok(()),
            Framing::Length(length) => self.take_length(length, &mut body),
            Framing::Chunked => self.take_chunks(&mut body),
            Framing::UntilClose => {
                let (bytes, end) = self.take_rest();
                body.bytes = bytes;
                if end == End::Clean { Ok(()) } else { Err(format!("the body ended with {end:?}")) }
            }
        };
        body.fault = result.err();
        body
    }

    fn take_length(&mut self, length: usize, body: &mut Body) -> Result<(), String> {
        match self.take(length) {
            Ok(bytes) => body.bytes = bytes,
            Err(end) => {
                body.bytes = std::mem::take(&mut self.buffer);
                return Err(format!("{} of {length} bytes, then {end:?}", body.bytes.len()));
            }
        }
        Ok(())
    }

    fn take_chunks(&mut self, body: &mut Body) -> Result<(), String> {
        let ended = |end: End| format!("no last chunk, then {end:?}");
        loop {
            let line = self.take_through(b"\r\n").map_err(ended)?;
            let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
            let text = String::from_utf8_lossy(&line[..digits]).into_owned();
            let size =
                usize::from_str_radix(&text, 16).map_err(|_| format!("chunk line {}", super::show(&line)))?;
            if &line[digits..] != b"\r\n" {
                body.extensions.push(String::from_utf8_lossy(&line[digits..line.len() - 2]).into_owned());
            }
            if size == 0 {
                break;
            }
            match self.take(size) {
                Ok(bytes) => body.bytes.extend(bytes),
                Err(end) => {
                    body.bytes.append(&mut self.buffer);
                    return Err(ended(end));
                }
            }
            if self.take(2).map_err(ended)? != b"\r\n" {
                return Err("a chunk without CRLF after it".to_owned());
            }
        }
        loop {
            let line = self.take_through(b"\r\n").map_err(ended)?;
            match Head::field(&line[..line.len() - 2]) {
                None => return Ok(()),
                Some(field) => body.trailers.push(field),
            }
        }
    }
}
