//! Tests of requests to a server that answers as it likes.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use futures_lite::future::block_on;

use super::*;
use crate::config::plan::UpstreamTls;
use crate::tls::Connector;

/// Sends a request to a server that answers with these pieces and closes. Returns the request too.
fn exchange(pieces: &[&[u8]], body: Option<(&str, &[u8])>) -> (io::Result<Answer>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/a?b", listener.local_addr().unwrap())).unwrap();
    let pieces: Vec<Vec<u8>> = pieces.iter().map(|piece| piece.to_vec()).collect();
    let end = body.map_or(b"\r\n\r\n".to_vec(), |(_, body)| body.to_vec());
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let (mut request, mut some) = (Vec::new(), [0; 1024]);
        while !request.ends_with(&end) {
            let count = socket.read(&mut some).unwrap();
            request.extend_from_slice(&some[..count]);
        }
        // The client may have left in the middle.
        pieces.iter().map_while(|piece| socket.write_all(piece).ok()).for_each(drop);
        String::from_utf8(request).unwrap()
    });
    let connector =
        Connector::new(&UpstreamTls { insecure_skip_verify: true, ..UpstreamTls::default() }).unwrap();
    let client = Client::new(connector.client_config());
    let method = if body.is_some() { Method::Post } else { Method::Get };
    let answer = block_on(client.send(Request { method, url: &url, fields: &[("X-A", "b")], body }));
    (answer, server.join().unwrap())
}

#[test]
fn a_request_and_its_response_arrive_whole() {
    let (answer, request) = exchange(
        &[
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made\r\nLoca",
            b"tion: x\r\nContent-Length: 2\r\n\r\no",
            b"k",
        ],
        Some(("a/b", b"{}")),
    );
    let answer = answer.unwrap();
    assert_eq!((answer.status, answer.field("location"), &*answer.body), (201, Some("x"), &b"ok"[..]));
    assert!(request.starts_with("POST /a?b HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
    assert!(
        request.contains("Content-Type: a/b\r\nContent-Length: 2\r\nX-A: b\r\n")
            && request.ends_with("\r\n\r\n{}")
    );
}

#[test]
fn every_framing_of_a_body_is_read() {
    for pieces in [
        &[&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab"[..], b"\r\n1\r\nc\r\n0\r\n\r\n"][..],
        &[b"HTTP/1.1 200 OK\r\n\r\na", b"bc"],
        &[b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc, and more"],
    ] {
        assert_eq!(exchange(pieces, None).0.unwrap().body, b"abc");
    }
}

#[test]
fn a_response_that_is_cut_off_or_too_large_or_none_is_an_error() {
    let large = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'a'; BODY_BYTES_MAX + 1]].concat();
    let head = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'a'; HEAD_LIMITS.bytes]].concat();
    for bytes in [
        &b""[..],
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"220 mail.example ESMTP\r\n",
        &large,
        &head,
    ] {
        assert!(exchange(&[bytes], None).0.is_err(), "{}", bytes[..bytes.len().min(50)].escape_ascii());
    }
}
