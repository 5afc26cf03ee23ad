//! A client of HTTP/2 that sends exactly the given frames. It writes frames and header blocks by hand, without Huffman
//! codes and without a table. It reads blocks with the decoder of the engine, which has vectors of other encoders.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use smolgate::http2::{Decoder, PREFACE};

use super::DEADLINE;
use super::wire::{End, Transport};

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// INITIAL_WINDOW_SIZE.
pub const INITIAL_WINDOW: u16 = 4;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The number at `at` in the payload.
    pub fn number(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// The answer to a request, as far as it came.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    /// The statuses of interim responses.
    pub interim: Vec<u16>,
    pub has_ended: bool,
    /// The code with which the gate reset the stream.
    pub reset: Option<u32>,
}

impl Answer {
    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    #[track_caller]
    pub fn expect(&self, status: u16, body: impl AsRef<[u8]>) {
        assert_eq!((self.status, self.reset, self.has_ended), (status, None, true), "{self:?}");
        assert!(self.body == body.as_ref(), "{}", super::show(&self.body));
    }

    /// Expects a response of the gate's own, with this reason.
    #[track_caller]
    pub fn expect_own(&self, status: u16, reason: &str) {
        assert_eq!((self.status, self.reset), (status, None), "{self:?}");
        let details = format!("details=\"{reason}\"");
        assert!(self.get("proxy-status").is_some_and(|value| value.ends_with(&details)), "{self:?}");
    }
}

/// A client.
pub struct Http2 {
    transport: Box<dyn Transport>,
    input: Vec<u8>,
    decoder: Decoder,
    answers: HashMap<u32, Answer>,
    next: u32,
    /// GOAWAY frames so far: the last stream, and the code.
    pub go_aways: Vec<(u32, u32)>,
    /// Whether WINDOW_UPDATE follows each DATA frame.
    pub takes_data: bool,
    /// Whether PINGs are answered.
    pub answers_pings: bool,
}

impl Http2 {
    /// Connects, and sends the preface and empty SETTINGS.
    #[track_caller]
    pub fn connect(address: SocketAddr) -> Http2 {
        Http2::connect_with(address, &[])
    }

    /// Connects, with these settings.
    #[track_caller]
    pub fn connect_with(address: SocketAddr, settings: &[(u16, u32)]) -> Http2 {
        let socket = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
        socket.set_nodelay(true).unwrap();
        Http2::over(Box::new(socket), settings)
    }

    /// Speaks over an open connection.
    #[track_caller]
    pub fn over(transport: Box<dyn Transport>, settings: &[(u16, u32)]) -> Http2 {
        transport.socket().set_read_timeout(Some(DEADLINE)).unwrap();
        transport.socket().set_write_timeout(Some(DEADLINE)).unwrap();
        let mut client = Http2 {
            transport,
            input: Vec::new(),
            decoder: Decoder::default(),
            answers: HashMap::new(),
            next: 1,
            go_aways: Vec::new(),
            takes_data: true,
            answers_pings: true,
        };
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        client.raw([PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat());
        client
    }

    /// Sends these bytes.
    #[track_caller]
    pub fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        assert!(self.try_raw(bytes), "the gate has closed");
    }

    /// Sends these bytes, unless the gate has closed.
    pub fn try_raw(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.transport.write_all(bytes.as_ref()).and_then(|()| self.transport.flush()).is_ok()
    }

    /// Gives up a write that makes no progress for `time`.
    pub fn stall_after(&self, time: Duration) {
        self.transport.socket().set_write_timeout(Some(time)).unwrap();
    }

    /// Sends a frame.
    #[track_caller]
    pub fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) {
        self.raw(frame(kind, flags, stream, payload.as_ref()));
    }

    /// Sends a request with these fields, and returns its stream.
    #[track_caller]
    pub fn request(&mut self, fields: &[(&str, &str)], ends: bool) -> u32 {
        let stream = self.new_stream();
        self.raw(headers(stream, fields, ends));
        stream
    }

    /// The number of the next stream.
    pub fn new_stream(&mut self) -> u32 {
        self.next += 2;
        self.next - 2
    }

    /// Sends a GET for a path at `a.test`, and returns its stream.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> u32 {
        self.request(&get(path), true)
    }

    /// Sends a GET, and reads the answer.
    #[track_caller]
    pub fn exchange(&mut self, path: &str) -> Answer {
        let stream = self.get(path);
        self.answer(stream)
    }

    /// Sends data.
    #[track_caller]
    pub fn data(&mut self, stream: u32, bytes: impl AsRef<[u8]>, ends: bool) {
        self.frame(DATA, u8::from(ends), stream, bytes);
    }

    #[track_caller]
    pub fn reset(&mut self, stream: u32, code: u32) {
        self.frame(RST_STREAM, 0, stream, code.to_be_bytes());
    }

    /// Makes a window larger. Stream 0 is the connection.
    #[track_caller]
    pub fn window(&mut self, stream: u32, bytes: u32) {
        self.frame(WINDOW_UPDATE, 0, stream, bytes.to_be_bytes());
    }

    /// Reads the next frame, and notes what it says. SETTINGS and PINGs are answered.
    pub fn next(&mut self) -> Result<Frame, End> {
        let head = self.take(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        let (kind, flags, payload) = (head[3], head[4], self.take(length)?);
        let frame = Frame { kind, flags, stream, payload };
        self.note(&frame);
        Ok(frame)
    }

    fn note(&mut self, frame: &Frame) {
        let ends = frame.flags & END_STREAM != 0;
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => _ = self.try_raw(self::frame(SETTINGS, ACK, 0, &[])),
            PING if frame.flags & ACK == 0 && self.answers_pings => {
                _ = self.try_raw(self::frame(PING, ACK, 0, &frame.payload));
            }
            GOAWAY => self.go_aways.push((frame.number(0), frame.number(4))),
            RST_STREAM => self.answers.entry(frame.stream).or_default().reset = Some(frame.number(0)),
            HEADERS => {
                assert!(frame.flags & END_HEADERS != 0, "a long head");
                self.note_head(frame, ends);
            }
            DATA => {
                let answer = self.answers.entry(frame.stream).or_default();
                answer.body.extend(&frame.payload);
                answer.has_ended = ends;
                if self.takes_data && !frame.payload.is_empty() {
                    let bytes = (frame.payload.len() as u32).to_be_bytes();
                    let streams = if ends { &[0][..] } else { &[0, frame.stream] };
                    let updates =
                        streams.iter().flat_map(|stream| self::frame(WINDOW_UPDATE, 0, *stream, &bytes));
                    let updates: Vec<u8> = updates.collect();
                    self.try_raw(updates);
                }
            }
            _ => {}
        }
    }

    fn note_head(&mut self, frame: &Frame, ends: bool) {
        let mut fields = Vec::new();
        let keep = |field: smolgate::http2::Field<'_>| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            fields.push((text(field.name), text(field.value)));
            Ok(())
        };
        self.decoder.decode(&frame.payload, &mut Vec::new(), keep).unwrap();
        let answer = self.answers.entry(frame.stream).or_default();
        answer.has_ended = ends;
        let status =
            fields.iter().find(|(name, _)| name == ":status").map(|(_, value)| value.parse().unwrap());
        match status {
            None => answer.trailers = fields,
            Some(status @ 100..200) => answer.interim.push(status),
            Some(status) => (answer.status, answer.fields) = (status, fields),
        }
    }

    /// Reads until a stream has ended or was reset.
    #[track_caller]
    pub fn answer(&mut self, stream: u32) -> Answer {
        self.until(|client| {
            client.answers.get(&stream).is_some_and(|answer| answer.has_ended || answer.reset.is_some())
        });
        self.answers.remove(&stream).unwrap()
    }

    /// Bytes of a body, as far as it was read.
    pub fn received(&self, stream: u32) -> usize {
        self.answers.get(&stream).map_or(0, |answer| answer.body.len())
    }

    /// Reads until a stream has a status.
    #[track_caller]
    pub fn status(&mut self, stream: u32) -> u16 {
        let status = |client: &Http2| client.answers.get(&stream).map_or(0, |answer| answer.status);
        self.until(|client| status(client) != 0);
        status(self)
    }

    /// The answer on a stream, as far as it was read.
    pub fn seen(&self, stream: u32) -> Answer {
        self.answers.get(&stream).cloned().unwrap_or_default()
    }

    /// Reads frames until a condition holds.
    #[track_caller]
    pub fn until(&mut self, condition: impl Fn(&Http2) -> bool) {
        while !condition(self) {
            let frame = self.next();
            assert!(frame.is_ok(), "{frame:?}, and before it {:?}, {:?}", self.answers, self.go_aways);
        }
    }

    /// Reads until the gate has closed the connection. Returns the last code of GOAWAY.
    pub fn wait_closed(&mut self) -> Option<u32> {
        while self.next().is_ok() {}
        self.go_aways.last().map(|(_, code)| *code)
    }

    /// Sends a PING, and reads until its answer. So the gate has taken everything that was sent before.
    #[track_caller]
    pub fn ping(&mut self) {
        self.frame(PING, 0, 0, b"12345678");
        while self.next().expect("the gate answers a PING").kind != PING {}
    }

    /// Ends the side of the client.
    pub fn half_close(&mut self) {
        self.transport.socket().shutdown(Shutdown::Write).unwrap();
    }

    fn take(&mut self, count: usize) -> Result<Vec<u8>, End> {
        let mut buffer = [0; 16 * 1024];
        while self.input.len() < count {
            match self.transport.read(&mut buffer) {
                Ok(0) => return Err(End::Clean),
                Ok(read) => self.input.extend(&buffer[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Err(End::Deadline);
                }
                Err(_) => return Err(End::Reset),
            }
        }
        Ok(self.input.drain(..count).collect())
    }
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The fields of a GET at `a.test`.
pub fn get(path: &str) -> [(&str, &str); 4] {
    [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a.test")]
}

/// HEADERS with these fields, and CONTINUATION frames if they are long.
pub fn headers(stream: u32, fields: &[(&str, &str)], ends: bool) -> Vec<u8> {
    let block = block(fields);
    let mut pieces = block.chunks(16_384).peekable();
    let mut bytes = Vec::new();
    while let Some(piece) = pieces.next() {
        let (kind, end_stream) = if bytes.is_empty() { (HEADERS, u8::from(ends)) } else { (CONTINUATION, 0) };
        let end_headers = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        bytes.extend(frame(kind, end_headers | end_stream, stream, piece));
    }
    bytes
}

/// A header block of literals.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            string(text.as_bytes(), &mut block);
        }
    }
    block
}

fn string(text: &[u8], block: &mut Vec<u8>) {
    match text.len().checked_sub(127) {
        None => block.push(text.len() as u8),
        Some(mut rest) => {
            block.push(127);
            while rest >= 128 {
                block.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            block.push(rest as u8);
        }
    }
    block.extend(text);
}
