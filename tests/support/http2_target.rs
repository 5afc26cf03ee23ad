//! A target that speaks HTTP/2 and follows a script. It writes exactly the given frames, and records every request.

use std::collections::HashMap;
use std::fmt;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use smolgate::http2::{Decoder, PREFACE};

use super::http2::{
    ACK, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    block, frame,
};
use super::tls::{Leaf, Tls};
use super::wire::{End, Transport, Wire};
use super::{DEADLINE, until};

/// A request, as far as it came.
#[derive(Clone, Debug, Default)]
pub struct Request {
    pub stream: u32,
    /// The number of its connection.
    pub connection: usize,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    pub has_ended: bool,
    /// The code with which the gate reset the stream.
    pub reset: Option<u32>,
}

impl Request {
    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    pub fn path(&self) -> &str {
        self.get(":path").unwrap_or_default()
    }
}

/// A target on a free port. `Display` shows its address.
pub struct Target {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

impl Target {
    /// Runs `script` for each connection, which gets the number of the connection too. The preface was read then, and
    /// empty SETTINGS were sent.
    pub fn scripted(script: impl Fn(&mut Peer, usize) + Send + Sync + 'static) -> Target {
        Target::wrapped(|stream| Some(Box::new(stream)), &[], script)
    }

    /// Like [`Target::scripted`], with these settings and over the transport that `wrap` makes.
    pub fn wrapped(
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Transport>> + Send + Sync + 'static,
        settings: &[(u16, u32)],
        script: impl Fn(&mut Peer, usize) + Send + Sync + 'static,
    ) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let target = Target { address, connections: connections.clone(), requests: Arc::clone(&requests) };
        let (work, settings) = (Arc::new((wrap, script)), settings.to_vec());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let number = connections.fetch_add(1, Ordering::SeqCst);
                let (work, requests, settings) = (work.clone(), Arc::clone(&requests), settings.clone());
                thread::spawn(move || {
                    let Some(transport) = (work.0)(stream.unwrap()) else { return };
                    let mut peer = Peer::new(transport, number, requests);
                    if peer.begin(&settings).is_ok() {
                        (work.1)(&mut peer, number);
                    }
                });
            }
        });
        target
    }

    /// A target over TLS that takes both versions. A connection that wants HTTP/1.1 is given to `http1`.
    pub fn of_both(
        leaf: &Leaf,
        settings: &[(u16, u32)],
        http1: impl Fn(&mut Wire) + Send + Sync + 'static,
        script: impl Fn(&mut Peer, usize) + Send + Sync + 'static,
    ) -> Target {
        let mut server = (*leaf.server()).clone();
        server.alpn_protocols = [&b"h2"[..], b"http/1.1"].map(<[u8]>::to_vec).to_vec();
        let server = Arc::new(server);
        let wrap = move |socket| -> Option<Box<dyn Transport>> {
            let tls = Tls::accept(socket, &server).ok()?;
            if tls.0.conn.alpn_protocol() == Some(b"h2") {
                return Some(Box::new(tls));
            }
            assert_eq!(tls.0.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
            http1(&mut Wire::new(Box::new(tls), DEADLINE, None));
            None
        };
        Target::wrapped(wrap, settings, script)
    }

    /// Calls `answer` for each request that is complete, until the connection ends.
    pub fn each(answer: impl Fn(&mut Peer, &Request) + Send + Sync + 'static) -> Target {
        Target::scripted(move |peer, _| peer.serve(&answer))
    }

    /// Answers each request with 200 and this body.
    pub fn says(body: &'static str) -> Target {
        Target::each(move |peer, request| peer.respond(request.stream, &[(":status", "200")], body))
    }

    /// The number of connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// The requests that were complete or were reset, in this order.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The only request, once it is there.
    #[track_caller]
    pub fn request(&self) -> Request {
        until("the target has a request", || !self.requests().is_empty());
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }
}

/// The target's side of a connection.
pub struct Peer {
    transport: Box<dyn Transport>,
    input: Vec<u8>,
    decoder: Decoder,
    number: usize,
    open: HashMap<u32, Request>,
    requests: Arc<Mutex<Vec<Request>>>,
    /// Whether WINDOW_UPDATE follows each DATA frame.
    pub takes_data: bool,
    /// Whether PINGs are answered.
    pub answers_pings: bool,
    /// Bytes that the gate takes beyond the first 65,535, of the connection (0) and of each stream; less what was sent.
    windows: HashMap<u32, i64>,
    /// PINGs so far.
    pub pings: usize,
    /// Whether the gate has sent GOAWAY.
    pub has_left: bool,
}

impl Peer {
    fn new(transport: Box<dyn Transport>, number: usize, requests: Arc<Mutex<Vec<Request>>>) -> Peer {
        transport.socket().set_nodelay(true).unwrap();
        transport.socket().set_read_timeout(Some(DEADLINE)).unwrap();
        let (input, open, windows) = Default::default();
        let decoder = Decoder::default();
        let (takes_data, answers_pings, pings, has_left) = (true, true, 0, false);
        Peer {
            transport,
            input,
            decoder,
            number,
            open,
            requests,
            takes_data,
            answers_pings,
            windows,
            pings,
            has_left,
        }
    }

    fn begin(&mut self, settings: &[(u16, u32)]) -> Result<(), End> {
        assert_eq!(self.take(PREFACE.len())?, PREFACE, "the gate begins with the preface");
        let setting = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        let payload: Vec<u8> = settings.iter().flat_map(setting).collect();
        self.raw(frame(SETTINGS, 0, 0, &payload));
        Ok(())
    }

    /// Calls `answer` for each request that is complete, until the connection ends.
    pub fn serve(&mut self, answer: impl Fn(&mut Peer, &Request)) {
        while let Some(request) = self.next_request() {
            answer(self, &request);
        }
    }

    /// Reads until a request is complete. `None`: the gate has closed the connection.
    pub fn next_request(&mut self) -> Option<Request> {
        loop {
            let frame = self.next().ok()?;
            if self.open.get(&frame.stream).is_some_and(|request| request.has_ended) {
                return self.finish(frame.stream);
            }
        }
    }

    /// Reads until the head of a request is there. `None`: the gate has closed the connection.
    pub fn next_head(&mut self) -> Option<Request> {
        loop {
            let frame = self.next().ok()?;
            if frame.kind == HEADERS {
                return self.open.get(&frame.stream).cloned();
            }
        }
    }

    /// The request on a stream, as far as it was read.
    pub fn seen(&self, stream: u32) -> Request {
        self.open.get(&stream).cloned().unwrap_or_default()
    }

    /// Reads until the gate has closed the connection.
    pub fn wait_closed(&mut self) {
        while self.next().is_ok() {}
    }

    fn finish(&mut self, stream: u32) -> Option<Request> {
        let request = self.open.remove(&stream)?;
        self.requests.lock().unwrap().push(request.clone());
        Some(request)
    }

    /// Reads the next frame, and notes what it says.
    pub fn next(&mut self) -> Result<Frame, End> {
        let head = self.take(9)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap());
        let frame = Frame { kind: head[3], flags: head[4], stream, payload: self.take(length)? };
        self.note(&frame);
        Ok(frame)
    }

    fn note(&mut self, frame: &Frame) {
        let ends = frame.flags & END_STREAM != 0;
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => self.raw(self::frame(SETTINGS, ACK, 0, &[])),
            PING if frame.flags & ACK == 0 => {
                self.pings += 1;
                if self.answers_pings {
                    self.raw(self::frame(PING, ACK, 0, &frame.payload));
                }
            }
            GOAWAY => self.has_left = true,
            WINDOW_UPDATE => *self.windows.entry(frame.stream).or_default() += i64::from(frame.number(0)),
            RST_STREAM => {
                if let Some(request) = self.open.get_mut(&frame.stream) {
                    request.reset = Some(frame.number(0));
                    self.finish(frame.stream);
                }
            }
            HEADERS => {
                assert!(frame.flags & END_HEADERS != 0, "a long head");
                let fields = self.decode(&frame.payload);
                let is_new = !self.open.contains_key(&frame.stream);
                let (stream, connection) = (frame.stream, self.number);
                let new = Request { stream, connection, ..Request::default() };
                let request = self.open.entry(frame.stream).or_insert(new);
                if is_new {
                    request.fields = fields
                } else {
                    request.trailers = fields
                }
                request.has_ended = ends;
            }
            DATA => {
                let bytes = (frame.payload.len() as u32).to_be_bytes();
                if let Some(request) = self.open.get_mut(&frame.stream) {
                    request.body.extend(&frame.payload);
                    request.has_ended = ends;
                }
                if self.takes_data && !frame.payload.is_empty() {
                    let streams = if ends { &[0][..] } else { &[0, frame.stream] };
                    let update = |stream: &u32| self::frame(WINDOW_UPDATE, 0, *stream, &bytes);
                    self.raw(streams.iter().flat_map(update).collect::<Vec<u8>>());
                }
            }
            _ => {}
        }
    }

    fn decode(&mut self, block: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        let keep = |field: smolgate::http2::Field<'_>| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            fields.push((text(field.name), text(field.value)));
            Ok(())
        };
        self.decoder.decode(block, &mut Vec::new(), keep).unwrap();
        fields
    }

    /// Sends these bytes, unless the gate has closed.
    pub fn raw(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.transport.write_all(bytes.as_ref()).and_then(|()| self.transport.flush());
    }

    pub fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) {
        self.raw(frame(kind, flags, stream, payload.as_ref()));
    }

    /// Sends a head, or trailers.
    pub fn head(&mut self, stream: u32, fields: &[(&str, &str)], ends: bool) {
        self.frame(HEADERS, END_HEADERS | u8::from(ends), stream, block(fields));
    }

    pub fn data(&mut self, stream: u32, bytes: impl AsRef<[u8]>, ends: bool) {
        self.frame(DATA, u8::from(ends), stream, bytes);
    }

    /// Sends a body as the windows allow it, without an end.
    pub fn body(&mut self, stream: u32, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let left = |peer: &Peer, id: u32| 65_535 + peer.windows.get(&id).copied().unwrap_or(0);
            let room = left(self, 0).min(left(self, stream)).min(16_384) as usize;
            let (piece, rest) = bytes.split_at(room.min(bytes.len()));
            if piece.is_empty() && self.next().is_err() {
                return;
            }
            [0, stream].iter().for_each(|id| *self.windows.entry(*id).or_default() -= piece.len() as i64);
            if !piece.is_empty() {
                self.data(stream, piece, false);
            }
            bytes = rest;
        }
    }

    pub fn reset(&mut self, stream: u32, code: u32) {
        self.frame(RST_STREAM, 0, stream, code.to_be_bytes());
    }

    /// Sends a response without a length.
    pub fn respond(&mut self, stream: u32, fields: &[(&str, &str)], body: impl AsRef<[u8]>) {
        self.head(stream, fields, false);
        self.data(stream, body, true);
    }

    /// Takes no stream beyond `last`.
    pub fn go_away(&mut self, last: u32) {
        self.frame(GOAWAY, 0, 0, [last.to_be_bytes(), [0; 4]].concat());
    }

    fn take(&mut self, count: usize) -> Result<Vec<u8>, End> {
        let mut buffer = [0; 16 * 1024];
        while self.input.len() < count {
            match self.transport.read(&mut buffer) {
                Ok(0) => return Err(End::Clean),
                Ok(read) => self.input.extend(&buffer[..read]),
                Err(_) => return Err(End::Reset),
            }
        }
        Ok(self.input.drain(..count).collect())
    }
}
