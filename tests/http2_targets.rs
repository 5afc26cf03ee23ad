//! Targets that speak HTTP/2: what they receive, and what the client is told.
#![cfg(feature = "http2")]

mod support;

use support::gate::TestGate;
use support::http2::Http2;
use support::http2_target::Target;
use support::{Latch, pattern};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { path: "/**", target: "h2c://{target}" }
"#;

fn gate(target: &Target) -> TestGate {
    TestGate::start(CONFIG, &[("target", target)])
}

const OK: [(&str, &str); 1] = [(":status", "200")];

#[test]
fn a_get_reaches_the_target_as_fields_and_its_response_comes_back_as_http_1_1() {
    let target = Target::each(|peer, request| {
        peer.respond(request.stream, &[(":status", "200"), ("x-a", "1")], "hello");
    });
    let gate = gate(&target);
    let mut client = gate.client();
    for _ in 0..2 {
        let response = client.exchange(
            "GET /x?y=z HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\nConnection: x-b\r\nX-B: 2\r\n\r\n",
        );
        response.expect(200, "hello");
        assert_eq!(response.head.get("x-a"), Some("1"));
    }
    let requests = target.requests();
    assert_eq!((requests.len(), target.connections()), (2, 1));
    let names: Vec<&str> = requests[0].fields.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names[..5], [":method", ":scheme", ":path", ":authority", "accept"]);
    assert_eq!(requests[0].get(":path"), Some("/x?y=z"));
    assert_eq!(requests[0].get(":scheme"), Some("http"));
    assert_eq!(requests[0].get("x-forwarded-host"), Some("a.test"));
    for gone in ["host", "connection", "x-b", "te", "transfer-encoding"] {
        assert_eq!(requests[0].get(gone), None, "{gone}");
    }
}

#[test]
fn bodies_and_trailers_go_both_ways_between_streams() {
    let target = Target::each(|peer, request| {
        peer.head(request.stream, &OK, false);
        peer.body(request.stream, &request.body);
        peer.head(request.stream, &[("x-sum", "1")], true);
    });
    let gate = gate(&target);
    let body = pattern(1, 300_000);
    let mut client = Http2::connect(gate.address("http"));
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "a.test"),
        ("te", "trailers"),
    ];
    let stream = client.request(&fields, false);
    for piece in body[..60_000].chunks(7_000) {
        client.data(stream, piece, false);
    }
    client.raw(support::http2::headers(stream, &[("x-end", "2")], true));
    let answer = client.answer(stream);
    answer.expect(200, &body[..60_000]);
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "1".to_owned())]);
    let request = target.request();
    assert_eq!(request.get("te"), Some("trailers"));
    assert_eq!(request.get("content-length"), None);
    assert_eq!(request.trailers, [("x-end".to_owned(), "2".to_owned())]);
    // A length stays, and large bodies need the windows of both sides.
    let mut client = gate.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    client.read_response().expect(200, &body);
    assert_eq!(target.requests()[1].get("content-length"), Some("300000"));
}

#[test]
fn requests_share_a_connection() {
    let latch = Latch::new();
    let held = latch.clone();
    let target = Target::scripted(move |peer, _| {
        let requests: Vec<_> = (0..20).map(|_| peer.next_request().unwrap()).collect();
        held.wait();
        requests.iter().for_each(|request| peer.respond(request.stream, &OK, request.path()));
        peer.wait_closed();
    });
    let gate = gate(&target);
    let mut client = Http2::connect(gate.address("http"));
    let streams: Vec<u32> = (0..20).map(|number| client.get(&format!("/{number}"))).collect();
    latch.open();
    for (number, stream) in streams.into_iter().enumerate() {
        client.answer(stream).expect(200, format!("/{number}"));
    }
    assert_eq!(target.connections(), 1);
}
