//! Requests that a target of HTTP/2 does not process, with bodies too: they are sent again as long as all of them is there,
//! or over HTTP/1.1.
#![cfg(feature = "http2")]

mod support;

use std::sync::{Arc, Mutex};

use async_tungstenite::tungstenite::handshake::derive_accept_key;
use support::gate::TestGate;
use support::http2::{Http2, headers};
use support::http2_target::{Peer, Request, Target};
use support::message::Framing;
use support::tls::Authority;
use support::{pattern, until};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: [{ target: "h2c://{target}" }]
"#;

const OK: [(&str, &str); 1] = [(":status", "200")];

const WEBSOCKET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const REFUSED_STREAM: u32 = 7;
const HTTP_1_1_REQUIRED: u32 = 13;

/// Sends a body back, with its trailers.
fn echo(peer: &mut Peer, request: &Request) {
    peer.head(request.stream, &OK, false);
    peer.data(request.stream, &request.body, false);
    let trailers: Vec<(&str, &str)> =
        request.trailers.iter().map(|(name, value)| (&**name, &**value)).collect();
    match trailers[..] {
        [] => peer.data(request.stream, b"", true),
        _ => peer.head(request.stream, &trailers, true),
    }
}

/// A target that refuses so many streams of each connection, when all of the request is there.
fn refusing(times: usize) -> Target {
    Target::scripted(move |peer, _| {
        for _ in 0..times {
            let refused = peer.next_request().unwrap();
            peer.reset(refused.stream, REFUSED_STREAM);
        }
        while let Some(request) = peer.next_request() {
            echo(peer, &request);
        }
    })
}

fn gate(target: &Target) -> TestGate {
    TestGate::start(CONFIG, &[("target", target)])
}

/// The requests that were not reset.
fn whole(target: &Target) -> Vec<Request> {
    target.requests().into_iter().filter(|request| request.reset.is_none()).collect()
}

#[test]
fn a_short_body_is_sent_again_with_its_head() {
    let long = pattern(3, 9_000);
    let with_length = format!("POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", long.len());
    for (what, request, body) in [
        ("a length", b"POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi".to_vec(), b"hi".to_vec()),
        ("some kilobytes", [with_length.as_bytes(), &long].concat(), long),
        (
            "chunks",
            b"POST /x HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\nyou\r\n0\r\n\r\n".to_vec(),
            b"hiyou".to_vec(),
        ),
    ] {
        let target = refusing(3);
        let gate = gate(&target);
        let mut client = gate.client();
        client.exchange(&request).expect(200, &body);
        assert_eq!((target.requests().len(), target.connections()), (4, 1), "{what}");
        assert!(target.requests().iter().all(|request| request.body == body && request.path() == "/x"), "{what}");
    }
}

#[test]
fn a_body_of_a_stream_is_sent_again_with_its_trailers() {
    let target = refusing(2);
    let gate = gate(&target);
    let mut client = Http2::connect(gate.address("http"));
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/x"),
        (":authority", "a.test"),
        ("te", "trailers"),
    ];
    let stream = client.request(&fields, false);
    client.data(stream, b"hello", false);
    client.raw(headers(stream, &[("x-end", "1")], true));
    let answer = client.answer(stream);
    answer.expect(200, "hello");
    assert_eq!(answer.trailers, [("x-end".to_owned(), "1".to_owned())]);
    let requests = target.requests();
    assert_eq!(requests.len(), 3);
    assert!(
        requests.iter().all(|request| request.body == b"hello" && request.trailers.len() == 1),
        "{requests:?}"
    );
}

#[test]
fn a_body_that_has_not_begun_goes_to_the_stream_that_is_taken() {
    let target = Target::scripted(|peer, _| {
        let refused = peer.next_head().unwrap();
        peer.reset(refused.stream, REFUSED_STREAM);
        // The client sends its body only after this.
        let taken = peer.next_head().unwrap();
        peer.head(taken.stream, &[(":status", "103")], false);
        let request = peer.next_request().unwrap();
        assert_eq!(request.stream, taken.stream);
        echo(peer, &request);
        peer.wait_closed();
    });
    let gate = gate(&target);
    let mut client = Http2::connect(gate.address("http"));
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/x"), (":authority", "a.test")];
    let stream = client.request(&fields, false);
    client.until(|client| client.seen(stream).interim == [103]);
    client.data(stream, b"late", true);
    client.answer(stream).expect(200, "late");
    assert_eq!(whole(&target)[0].body, b"late");
}

#[test]
fn a_body_that_has_gone_out_is_not_kept_for_ever() {
    let body = pattern(4, 60_000);
    let target = refusing(1);
    let gate = gate(&target);
    let mut client = gate.client();
    client.send(format!("POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    client.read_response().expect_own(502, "upstream_reset");
    assert_eq!(target.requests().len(), 1);
    // One that has ended otherwise is not sent again, whatever is kept.
    let target = Target::each(|peer, request| peer.reset(request.stream, 2));
    let gate = self::gate(&target);
    let post = "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi";
    gate.exchange(post).expect_own(502, "upstream_reset");
    assert_eq!(target.requests().len(), 1);
}

#[test]
fn a_target_that_requires_http_1_1_gets_it_where_it_may() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca");
    let leaf = authority.issue(dir.path(), "leaf", &["a.test"]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = seen.clone();
    let target = Target::of_both(
        &leaf,
        &[],
        move |wire| {
            while let Ok(head) = wire.take_head() {
                let framing = head.framing(Framing::None);
                let body = wire.take_body(framing);
                record.lock().unwrap().push((head.start.clone(), body.bytes.clone()));
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.bytes.len());
                wire.send(&[answer.as_bytes(), &body.bytes].concat()).unwrap();
            }
        },
        |peer, _| peer.serve(|peer, request| peer.reset(request.stream, HTTP_1_1_REQUIRED)),
    );
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { path: "/only/**", upstream: { targets: "h2://{target}", tls: { ca: "{ca}", sni: a.test } } }
      - upstream: { targets: "https://{target}", http2: true, tls: { ca: "{ca}", sni: a.test } }
"#;
    let gate = TestGate::start(config, &[("target", &target), ("ca", &authority.file.display())]);
    let post = "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi";
    gate.exchange(post).expect(200, "hi");
    gate.exchange("GET /y HTTP/1.1\r\nHost: a.test\r\n\r\n").expect(200, "");
    let requests = seen.lock().unwrap().clone();
    assert_eq!(requests[0], ("POST /x HTTP/1.1".to_owned(), b"hi".to_vec()));
    assert_eq!(requests[1].0, "GET /y HTTP/1.1");
    // Over HTTP/2 it was asked at least once, and never twice for one request.
    assert!((1..=2).contains(&target.requests().len()));
    // A target that is written as one of HTTP/2 gets no HTTP/1.1.
    gate.exchange("GET /only/z HTTP/1.1\r\nHost: a.test\r\n\r\n").expect_own(502, "upstream_reset");
    until("the target was asked", || target.requests().iter().any(|request| request.path() == "/only/z"));
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[test]
fn a_websocket_goes_over_http_1_1_to_a_target_that_takes_none_over_http2() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca");
    let leaf = authority.issue(dir.path(), "leaf", &["a.test"]);
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = heads.clone();
    let target = Target::of_both(
        &leaf,
        &[],
        move |wire| {
            let head = wire.take_head().unwrap();
            let accept = derive_accept_key(head.get("sec-websocket-key").unwrap().as_bytes());
            seen.lock().unwrap().push(head);
            let switch = format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\nwelcome"
            );
            wire.send(switch.as_bytes()).unwrap();
            wire.take_rest();
        },
        |peer, _| peer.serve(|peer, request| peer.respond(request.stream, &[(":status", "200")], "over h2")),
    );
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - upstream: { targets: "https://{target}", http2: true, tls: { ca: "{ca}", sni: a.test } }
"#;
    let gate = TestGate::start(config, &[("target", &target), ("ca", &authority.file.display())]);
    let mut client = gate.client();
    assert_eq!(client.exchange(WEBSOCKET).status(), 101);
    assert_eq!(client.read_exact(7), b"welcome");
    let mut streams = Http2::connect(gate.address("http"));
    let fields = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "a.test"),
    ];
    let stream = streams.request(&fields, false);
    streams.until(|client| client.received(stream) == 7);
    // Other requests stay with HTTP/2.
    gate.exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect(200, "over h2");
    let heads = heads.lock().unwrap();
    assert_eq!((heads.len(), target.requests().len(), target.connections()), (2, 1, 3));
    assert!(heads.iter().all(|head| head.get("upgrade") == Some("websocket")), "{heads:?}");
}
