//! An engine under test, and frames by hand for it.

use std::time::Instant;

use super::super::*;
use crate::http::HeadLimits;

/// The limits of the engines under test.
pub(super) const LIMITS: Limits = Limits {
    streams: 100,
    head: HeadLimits { bytes: 64 * 1024, fields: 128, target: 8 * 1024 },
    extended_connect: false,
};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;
pub(super) const PRIORITY_UPDATE: u8 = 0x10;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;
/// END_HEADERS and END_STREAM.
pub(super) const WHOLE: u8 = 5;

/// The fields of a plain request.
pub(super) const GET: &[(&str, &str)] =
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")];

pub(super) const POST: &[(&str, &str)] =
    &[(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "a.test")];

/// A frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A block of literals without indexing. Names are as they are given.
pub(super) fn block<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let string = |text: &[u8], bytes: &mut Vec<u8>| {
        if text.len() < 127 {
            bytes.push(text.len() as u8);
        } else {
            bytes.push(127);
            let mut rest = text.len() - 127;
            while rest >= 128 {
                bytes.push(rest as u8 | 128);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
        bytes.extend(text);
    };
    for (name, value) in fields {
        bytes.push(0);
        string(name.as_ref(), &mut bytes);
        string(value.as_ref(), &mut bytes);
    }
    bytes
}

/// HEADERS with the given flags besides END_HEADERS.
pub(super) fn headers(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, &block(fields))
}

/// A whole GET.
pub(super) fn get(stream: u32) -> Vec<u8> {
    headers(stream, END_STREAM, GET)
}

/// The head of a POST, whose body follows.
pub(super) fn post(stream: u32) -> Vec<u8> {
    headers(stream, 0, POST)
}

pub(super) fn data(stream: u32, flags: u8, bytes: usize) -> Vec<u8> {
    frame(DATA, flags, stream, &vec![b'x'; bytes])
}

pub(super) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8u32.to_be_bytes())
}

pub(super) fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

pub(super) fn setting(id: u16, value: u32) -> Vec<u8> {
    let mut payload = id.to_be_bytes().to_vec();
    payload.extend(value.to_be_bytes());
    frame(SETTINGS, 0, 0, &payload)
}

/// A frame that the engine wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

/// The frames in `bytes`, behind the preface if it is there.
pub(super) fn written(bytes: &[u8]) -> Vec<Written> {
    let mut bytes = bytes.strip_prefix(PREFACE).unwrap_or(bytes);
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        assert!(length <= PAYLOAD_BYTES_MAX);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let (payload, behind) = rest.split_at(length);
        frames.push(Written { kind: head[3], flags: head[4], stream, payload: payload.to_vec() });
        bytes = behind;
    }
    assert!(bytes.is_empty());
    frames
}

/// An engine, its output, and the streams that it knows.
pub(super) struct Peer {
    pub(super) connection: Connection,
    pub(super) workspace: Workspace,
    pub(super) out: Vec<u8>,
    pub(super) now: Instant,
    pub(super) budget: WindowBudget,
    /// Bytes that came and are not used up.
    input: Vec<u8>,
    pub(super) keys: Vec<StreamKey>,
}

impl Peer {
    /// A server that has received nothing.
    pub(super) fn fresh(limits: &Limits) -> Peer {
        let (now, budget) = (Instant::now(), WindowBudget::new(32 * 1024 * 1024));
        let mut out = Vec::new();
        let connection = Connection::server(limits, &budget, now, &mut out);
        let workspace = Workspace::default();
        Peer { connection, workspace, out, now, budget, input: Vec::new(), keys: Vec::new() }
    }

    /// A server that has received preface, SETTINGS and their acknowledgement.
    pub(super) fn server() -> Peer {
        Peer::server_with(&LIMITS)
    }

    pub(super) fn server_with(limits: &Limits) -> Peer {
        let mut peer = Peer::fresh(limits);
        let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &frame(SETTINGS, 1, 0, &[])].concat();
        assert_eq!(peer.feed(&hello).unwrap(), ["settings"]);
        peer.out.clear();
        peer
    }

    /// A client that has opened nothing and has received nothing.
    pub(super) fn fresh_client() -> Peer {
        let mut peer = Peer::fresh(&LIMITS);
        peer.out.clear();
        peer.connection = Connection::client(&LIMITS, &peer.budget, peer.now, &mut peer.out);
        peer
    }

    /// A client with an open stream 1, and the server's SETTINGS.
    pub(super) fn client(is_head: bool) -> Peer {
        let mut peer = Peer::fresh_client();
        peer.feed(&[frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, 1, 0, &[])].concat()).unwrap();
        let kind = if is_head { RequestKind::Head } else { RequestKind::Plain };
        let key = peer.connection.open(&block(GET), kind, true, &mut peer.out).unwrap();
        peer.keys.push(key);
        peer.out.clear();
        peer
    }

    /// Feeds bytes, and gives the events as text.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, ConnectionError> {
        let mut events = Vec::new();
        self.feed_into(bytes, &mut events).map(|()| events)
    }

    /// Feeds bytes, and adds the events up to an error.
    pub(super) fn feed_into(
        &mut self,
        bytes: &[u8],
        events: &mut Vec<String>,
    ) -> Result<(), ConnectionError> {
        self.input.extend(bytes);
        loop {
            let Peer { connection, workspace, out, now, input, .. } = self;
            let Some(received) = connection.receive(input, *now, workspace, out)? else { return Ok(()) };
            assert!(received.bytes > 0);
            events.extend(self.told(&received));
            self.input.drain(..received.bytes);
        }
    }

    /// Feeds bytes whose order and content the protocol allows.
    pub(super) fn accept(&mut self, bytes: &[u8]) -> Vec<String> {
        self.feed(bytes).unwrap()
    }

    fn told(&mut self, received: &Received) -> Option<String> {
        let head = String::from_utf8_lossy(self.workspace.head()).replace("\r\n", "|");
        let end = |ended: bool| if ended { " end" } else { "" };
        Some(match &received.event {
            Event::Handled => return None,
            Event::Head { stream, ended, .. } => {
                self.keys.push(*stream);
                format!("head {}{} {head}", stream.id(), end(*ended))
            }
            Event::Refused { stream, reason, ended } => {
                self.keys.push(*stream);
                format!("refused {}{} {}", stream.id(), end(*ended), reason.code())
            }
            Event::Data { stream, data, ended } => {
                let data = String::from_utf8_lossy(&self.input[data.clone()]);
                format!("data {}{} {data}", stream.id(), end(*ended))
            }
            Event::Trailers { stream } => format!("trailers {} {head}", stream.id()),
            Event::Reset { stream, code } => format!("reset {} {}", stream.id(), code.label()),
            Event::Fault { id, code, .. } => format!("fault {id} {}", code.label()),
            Event::Capacity(stream) => format!("capacity {:?}", stream.map(StreamKey::id)),
            Event::Settings => "settings".to_owned(),
            Event::GoAway { last, code } => format!("goaway {last} {}", code.label()),
            Event::Pong(payload) => format!("pong {}", payload.escape_ascii()),
        })
    }

    /// The handle of the last stream that came.
    pub(super) fn last(&self) -> StreamKey {
        *self.keys.last().unwrap()
    }

    /// The frames that the engine wrote since the last call.
    pub(super) fn sent(&mut self) -> Vec<Written> {
        written(&std::mem::take(&mut self.out))
    }

    /// The kinds of these frames.
    pub(super) fn sent_kinds(&mut self) -> Vec<u8> {
        self.sent().iter().map(|frame| frame.kind).collect()
    }

    /// Answers a stream with a response without a body, and closes it.
    pub(super) fn answer(&mut self, key: StreamKey) {
        let block = block(&[(":status", "200")]);
        assert!(self.connection.send_head(key, &block, true, &mut self.out));
        self.connection.close(key, &mut self.out);
    }
}
