//! A client engine and a server engine against each other, in memory.

use std::time::Instant;

use super::super::*;
use super::peer::{GET, LIMITS};
use crate::http::{FieldTable, Method};
use crate::http1::{HeadScan, parse_request, parse_response};

/// One end: an engine, the bytes for it, and what came of the streams.
struct End {
    connection: Connection,
    workspace: Workspace,
    input: Vec<u8>,
    out: Vec<u8>,
    heads: Vec<(StreamKey, Vec<u8>)>,
    bodies: Vec<(u32, Vec<u8>)>,
    ended: Vec<u32>,
}

impl End {
    fn new(is_server: bool, now: Instant) -> End {
        let (mut out, budget) = (Vec::new(), WindowBudget::new(1 << 20));
        let make = if is_server { Connection::server } else { Connection::client };
        let connection = make(&LIMITS, &budget, now, &mut out);
        let (heads, bodies, ended) = Default::default();
        End { connection, workspace: Workspace::default(), input: Vec::new(), out, heads, bodies, ended }
    }

    /// Takes all bytes that came.
    fn run(&mut self, now: Instant) {
        let mut used = 0;
        while let Some(received) =
            self.connection.receive(&self.input[used..], now, &mut self.workspace, &mut self.out).unwrap()
        {
            let mut end = |stream: StreamKey, ended: bool| self.ended.extend(ended.then_some(stream.id()));
            match received.event {
                Event::Head { stream, ended, .. } => {
                    self.heads.push((stream, self.workspace.head().to_vec()));
                    end(stream, ended);
                }
                Event::Data { stream, data, ended } => {
                    end(stream, ended);
                    let bytes = &self.input[used..][data];
                    match self.bodies.iter_mut().find(|(id, _)| *id == stream.id()) {
                        Some((_, body)) => body.extend(bytes),
                        None => self.bodies.push((stream.id(), bytes.to_vec())),
                    }
                    self.connection.release_capacity(stream, bytes.len(), &mut self.out);
                }
                Event::Trailers { stream } => {
                    end(stream, true);
                    self.heads.push((stream, self.workspace.head().to_vec()));
                }
                Event::Handled | Event::Settings | Event::Capacity(_) => {}
                other => panic!("{other:?}"),
            }
            used += received.bytes;
        }
        self.input.drain(..used);
    }
}

/// Moves bytes until both ends are still.
fn exchange(one: &mut End, two: &mut End, now: Instant) {
    while !one.out.is_empty() || !two.out.is_empty() {
        two.input.append(&mut one.out);
        two.run(now);
        one.input.append(&mut two.out);
        one.run(now);
    }
}

/// Sends `body` on a stream, and moves bytes whenever the windows are shut.
fn send(from: &mut End, to: &mut End, key: StreamKey, mut body: &[u8], now: Instant) {
    loop {
        while let Some((bytes, head)) = from.connection.send_data(key, body.len(), true) {
            from.out.extend(head);
            from.out.extend(&body[..bytes]);
            body = &body[bytes..];
            if head[4] & 1 == 1 {
                return exchange(from, to, now);
            }
        }
        exchange(from, to, now);
    }
}

#[test]
fn requests_and_responses_of_any_size_arrive_whole() {
    let now = Instant::now();
    let (mut client, mut server) = (End::new(false, now), End::new(true, now));
    exchange(&mut client, &mut server, now);
    for (round, size) in [0, 1, 100, 16_384, 65_535, 65_536, 1_000_000, 5_000_000].into_iter().enumerate() {
        let body: Vec<u8> = (0..size).map(|at| (at * 7 + round) as u8).collect();
        let mut block = Vec::new();
        let text = b"POST /up?x=y HTTP/1.1\r\nHost: a.test\r\nX-Custom: 1\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n\r\n";
        let (mut scan, mut table) = (HeadScan::default(), FieldTable::default());
        let head = parse_request(text, &mut scan, &LIMITS.head, &mut table).unwrap().unwrap();
        let literals = Literals { huffman: round % 2 == 1, never_indexed: false };
        encode_request(&head, b"http", b"b.test", None, literals, |_| true, &mut block);
        let key = client.connection.open(&block, RequestKind::Plain, false, &mut client.out).unwrap();
        send(&mut client, &mut server, key, &body, now);
        let (stream, form) = server.heads.pop().unwrap();
        assert_eq!(form, b"POST /up?x=y HTTP/1.1\r\nhost: b.test\r\nx-custom: 1\r\n\r\n");
        assert_eq!(server.ended.pop(), Some(stream.id()));

        let response = b"HTTP/1.1 200 Fine\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (mut scan, mut table) = (HeadScan::default(), FieldTable::default());
        let head = parse_response(response, &mut scan, &LIMITS.head, &mut table).unwrap().unwrap();
        let mut block = Vec::new();
        encode_response(&head, literals, |_| true, &mut block);
        encode_lines(b"x-more: 1\r\nkeep-alive: no\r\n", literals, &mut block);
        server.connection.send_head(stream, &block, false, &mut server.out);
        send(&mut server, &mut client, stream, &body, now);
        let (_, form) = client.heads.pop().unwrap();
        assert_eq!(form, b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nx-more: 1\r\n\r\n");
        for end in [&mut client, &mut server] {
            let got = end.bodies.pop().map_or(Vec::new(), |(_, got)| got);
            assert!(got == body, "{} bytes of {size}", got.len());
        }
        server.connection.close(stream, &mut server.out);
        client.connection.close(key, &mut client.out);
        exchange(&mut client, &mut server, now);
        assert_eq!(client.ended.pop(), Some(key.id()));
    }
    let (held, other) = (client.connection.held(), server.connection.held());
    assert_eq!((held.streams, held.unread, held.tokens), (0, 0, TOKENS_MAX));
    assert_eq!((other.streams, other.unread, other.tokens), (0, 0, TOKENS_MAX));
}

#[test]
fn trailers_and_interim_responses_arrive_in_their_order() {
    let now = Instant::now();
    let (mut client, mut server) = (End::new(false, now), End::new(true, now));
    exchange(&mut client, &mut server, now);
    let key =
        client.connection.open(&super::peer::block(GET), RequestKind::Plain, true, &mut client.out).unwrap();
    exchange(&mut client, &mut server, now);
    let (stream, _) = server.heads.pop().unwrap();
    let respond = |server: &mut End, fields: &[(&str, &str)], ended| {
        let block = super::peer::block(fields);
        assert!(server.connection.send_head(stream, &block, ended, &mut server.out));
    };
    respond(&mut server, &[(":status", "103")], false);
    respond(&mut server, &[(":status", "200")], false);
    let (bytes, head) = server.connection.send_data(stream, 2, false).unwrap();
    assert_eq!(bytes, 2);
    server.out.extend(head);
    server.out.extend(b"hi");
    let mut block = Vec::new();
    encode_lines(b"grpc-status: 0\r\n", Literals::default(), &mut block);
    server.connection.send_head(stream, &block, true, &mut server.out);
    exchange(&mut client, &mut server, now);
    let heads: Vec<_> = client.heads.iter().map(|(_, form)| String::from_utf8_lossy(form)).collect();
    assert_eq!(heads, ["HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "grpc-status: 0\r\n"]);
    assert_eq!(client.ended, [key.id()]);
}

#[test]
fn a_request_that_is_head_is_told_apart() {
    assert_eq!(Method::parse(b"HEAD"), Method::Head);
    let now = Instant::now();
    let (mut client, mut server) = (End::new(false, now), End::new(true, now));
    exchange(&mut client, &mut server, now);
    client.connection.open(&super::peer::block(GET), RequestKind::Head, true, &mut client.out).unwrap();
    exchange(&mut client, &mut server, now);
    let (stream, _) = server.heads.pop().unwrap();
    let block = super::peer::block(&[(":status", "200"), ("content-length", "10")]);
    server.connection.send_head(stream, &block, true, &mut server.out);
    exchange(&mut client, &mut server, now);
    assert_eq!(client.ended.len(), 1);
}
