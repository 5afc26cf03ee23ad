//! Chunked bodies that are collected for targets that know only `Content-Length`.

mod support;

use support::gate::TestGate;
use support::message::Framing;
use support::upstream::{Refusing, Upstream};
use support::{Latch, pattern, until};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    body_timeout: "300ms"
    rules:
      - { host: streamed.test, target: "http://{upstream}" }
      - { host: less.test, target: "http://{upstream}", buffer_request: 1MiB, max_body: 10 }
      - { host: second.test, targets: ["http://{refusing}", "http://{upstream}"], buffer_request: 1MiB }
      - { host: large.test, target: "http://{upstream}", buffer_request: 16MiB, body_timeout: 60s }
      - { target: "http://{upstream}", buffer_request: 100kB }
"#;

fn start(upstream: &Upstream) -> TestGate {
    let refusing = Refusing::new();
    TestGate::start(CONFIG, &[("upstream", upstream), ("refusing", &refusing)]).keep(refusing)
}

fn head(host: &str, lines: &str) -> String {
    format!("POST /up HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n{lines}\r\n")
}

fn chunks(data: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in data.chunks(size) {
        bytes.extend([format!("{:x};x=y\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    }
    [&bytes[..], b"0\r\nX-Sum: 1\r\n\r\n"].concat()
}

#[test]
fn chunked_bodies_arrive_with_a_length() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    let mut client = gate.client();
    for (number, (size, chunk)) in
        [(0, 1), (1, 1), (11, 4), (100_000, 7_000), (100_000, 100_000)].into_iter().enumerate()
    {
        let body = pattern(9, size);
        // A second request is in the same bytes.
        let lines = "TE: trailers\r\nTrailer: X-Sum\r\nX-Kept: 1\r\n";
        client.send([head("a", lines).as_bytes(), &chunks(&body, chunk)].concat());
        client.send("GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        client.read_response().expect(200, "fine");
        client.read_response().expect(200, "fine");
        let seen = &upstream.requests()[2 * number];
        assert_eq!(seen.head.framing(Framing::None), Framing::Length(size));
        assert_eq!(seen.head.all("content-length"), [size.to_string()]);
        assert_eq!((seen.head.get("transfer-encoding"), seen.head.get("trailer")), (None, None));
        assert_eq!((seen.head.get("x-kept"), seen.target()), (Some("1"), "/up"));
        assert!(seen.body.bytes == body, "{size} in {chunk}");
    }
    assert_eq!(upstream.connections(), 1, "it is used again");
}

#[test]
fn bodies_with_a_length_and_other_rules_pass_as_they_come() {
    let hold = Latch::new();
    let held = hold.clone();
    let upstream = Upstream::scripted(move |connection| {
        let Some(head) = connection.read_head() else { return };
        held.open();
        connection.read_body(head);
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n");
    // The target has the head before the body has come.
    hold.wait();
    client.send(pattern(1, 200_000));
    client.read_response().expect(200, "fine");
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    gate.exchange([head("streamed.test", "").as_bytes(), &chunks(b"hello", 2)].concat()).expect(200, "fine");
    assert_eq!(upstream.request().head.get("transfer-encoding"), Some("chunked"));
}

#[test]
fn a_body_that_is_too_long_or_broken_reaches_no_target() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    let long = pattern(2, 100_001);
    let rows: [(&str, Vec<u8>, u16, &str); 7] = [
        ("a", chunks(&long, 100_001), 413, "body_too_large"),
        ("a", chunks(&long, 1_000), 413, "body_too_large"),
        ("less.test", chunks(b"hello world", 3), 413, "body_too_large"),
        ("a", b"5\r\nhello\r\nzz\r\n".to_vec(), 400, "request_body"),
        ("a", b"5\r\nhello!\r\n".to_vec(), 400, "request_body"),
        ("a", b"5\r\nhell".to_vec(), 408, "request_timeout"),
        ("a", b"5\r\nhello\r\n0\r\nHost: b\r\nX".to_vec(), 408, "request_timeout"),
    ];
    for (host, body, status, reason) in rows {
        let mut client = gate.client();
        client.send([head(host, "").as_bytes(), &body].concat());
        client.read_response().expect_own(status, reason);
        client.expect_close();
    }
    let mut client = gate.client();
    client.send([head("a", "").as_bytes(), b"5\r\nhell"].concat());
    client.half_close();
    client.read_response().expect_own(400, "request_body");
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_client_that_waits_for_100_is_told_to_send() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send(head("a", "Expect: 100-continue\r\n"));
    assert_eq!(support::message::status(&client.read_head()), 100);
    assert_eq!(upstream.connections(), 0);
    client.send(chunks(b"hello", 5));
    client.read_response().expect(200, "fine");
    assert_eq!(upstream.request().body.bytes, b"hello");
    // A client that does not wait is told nothing.
    let mut client = gate.client();
    client.send([head("a", "Expect: 100-continue\r\n").as_bytes(), &chunks(b"hello", 5)].concat());
    client.read_response().expect(200, "fine");
}

#[test]
fn the_next_target_gets_the_whole_body() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    for _ in 0..4 {
        gate.exchange([head("second.test", "").as_bytes(), &chunks(b"hello world", 4)].concat())
            .expect(200, "fine");
    }
    for seen in upstream.requests() {
        assert_eq!(
            (seen.body.bytes.as_slice(), seen.head.get("host")),
            (&b"hello world"[..], Some(upstream.to_string().as_str()))
        );
    }
}

/// Requests whose bodies are collected and do not end hold memory. All of them together have a bound.
#[test]
fn all_bodies_together_are_bounded() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    let data = pattern(3, 9 << 20);
    let begun = [head("large.test", "").as_bytes(), format!("{:x}\r\n", 16 << 20).as_bytes(), &data].concat();
    let mut clients: Vec<_> = (0..12).map(|_| gate.client()).collect();
    for client in &mut clients {
        client.send(&begun);
    }
    let full = "smolgate_local_replies_total{reason=\"buffers_full\"}";
    until("some are refused", || gate.metric(full) >= 1.0);
    clients.pop().expect("the last one").read_response().expect_own(503, "buffers_full");
    // All is free again when they have gone.
    drop(clients);
    let request = [head("large.test", "").as_bytes(), &chunks(&data, 1 << 20)].concat();
    until("there is room again", || gate.exchange(&request).status() == 200);
    assert!(upstream.request().body.bytes == data);
}
