//! Request bodies: framing, limits, expectations, pipelining, and bodies that a response overtakes.

mod support;

use std::io::Write;
use std::thread;

use support::gate::TestGate;
use support::message::{Framing, Response};
use support::upstream::Upstream;
use support::{Latch, pattern};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - host: "small.test"
        target: "http://{upstream}"
        max_body: 10
      - target: "http://{upstream}"
"#;

fn start(upstream: &Upstream) -> TestGate {
    TestGate::start(CONFIG, &[("upstream", upstream)])
}

/// An upstream that responds with the body it received.
fn echo() -> Upstream {
    Upstream::each(|connection, request| {
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.bytes.len()));
        connection.send(&request.body.bytes);
    })
}

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

#[test]
fn a_body_with_a_length_keeps_it() {
    let upstream = echo();
    let gate = start(&upstream);
    gate.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").expect(200, "hello");
    let seen = upstream.request();
    assert_eq!((seen.body.framing, seen.body.bytes.as_slice()), (Framing::Length(5), b"hello".as_slice()));
}

#[test]
fn an_empty_body_keeps_its_length() {
    let upstream = echo();
    let gate = start(&upstream);
    gate.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").expect(200, "");
    assert_eq!(upstream.request().head.get("content-length"), Some("0"));
}

#[test]
fn leading_zeros_of_a_request_length_are_removed() {
    let upstream = echo();
    let gate = start(&upstream);
    let mut client = gate.client();
    client
        .exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 010\r\n\r\nhellohello")
        .expect(200, "hellohello");
    client.exchange("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 00\r\n\r\n").expect(200, "");
    let lengths: Vec<_> =
        upstream.requests().iter().map(|request| request.head.list("content-length")).collect();
    assert_eq!(lengths, [["10"], ["0"]]);
    assert_eq!(upstream.requests()[0].body.bytes, b"hellohello");
}

#[test]
fn a_request_without_a_body_gets_no_framing() {
    let upstream = echo();
    let gate = start(&upstream);
    gate.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "");
    let seen = upstream.request();
    assert_eq!((seen.head.get("content-length"), seen.head.get("transfer-encoding")), (None, None));
}

#[test]
fn chunks_are_encoded_again_and_never_copied() {
    let upstream = echo();
    let gate = start(&upstream);
    let mut client = gate.client();
    for coding in ["chunked", "Chunked", "CHUNKED"] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n");
        let body = "0000005;name=value;q=\"s\"\r\nhello\r\n1;x\r\n \r\nA\r\n0123456789\r\n000\r\n\r\n";
        client.exchange(head + body).expect(200, "hello 0123456789");
    }
    for seen in upstream.requests() {
        assert_eq!(
            (seen.body.framing, seen.body.bytes.as_slice()),
            (Framing::Chunked, b"hello 0123456789".as_slice())
        );
        assert_eq!(seen.body.extensions, Vec::<String>::new());
        assert_eq!(seen.head.all("transfer-encoding").len(), 1);
        assert_eq!(seen.head.get("content-length"), None);
    }
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn every_cut_of_a_chunked_request_gives_the_same_body() {
    let upstream = echo();
    let gate = start(&upstream);
    let mut client = gate.client();
    let request = format!("{CHUNKED}5;e=f\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: y\r\n\r\n").into_bytes();
    for at in 1..request.len() {
        client.send(&request[..at]);
        // Yield to another thread, so that the halves mostly arrive apart. The result must not depend on it.
        thread::yield_now();
        client.send(&request[at..]);
        client.read_response().expect(200, "hello world");
    }
}

#[test]
fn trailers_reach_an_upstream_only_with_te_and_never_carry_framing() {
    let upstream = echo();
    let gate = start(&upstream);
    let trailers = "X-Sum: 1\r\nContent-Length: 7\r\nTransfer-Encoding: gzip\r\nHost: evil\r\nAuthorization: evil\r\n\
                    X-Forwarded-User: evil\r\nX-Forwarded-For: evil\r\nx_forwarded-Groups: evil\r\nForwarded: for=evil\r\n\
                    X-Real-IP: evil\r\nTrue-Client-IP: evil\r\nCF-Connecting-IP: evil\r\nRemote_User: evil\r\n\
                    X-Forwarded: evil\r\nx.forwarded: evil\r\nX.Forwarded~User: evil\r\nX+Real+IP: evil\r\nForwarded-For: evil\r\n\
                    Content.Length: 7\r\nRemote!User: evil\r\n";
    let body = format!("5\r\nhello\r\n0\r\n{trailers}\r\n");
    let mut client = gate.client();
    client.exchange(format!("{CHUNKED}{body}")).expect(200, "hello");
    let with_te =
        "POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.exchange(format!("{with_te}{body}")).expect(200, "hello");
    let requests = upstream.requests();
    assert_eq!(requests[0].body.trailers, Vec::new());
    assert_eq!(requests[1].body.trailers, [("X-Sum".to_owned(), "1".to_owned())]);
}

#[test]
fn the_upstream_decides_about_100_continue() {
    let upstream = Upstream::scripted(|connection| {
        let head = connection.read_head().unwrap();
        assert_eq!(head.get("expect"), Some("100-continue"));
        connection.send("HTTP/1.1 100 Continue\r\n\r\n");
        let request = connection.read_body(head);
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.bytes.len()));
        connection.send(&request.body.bytes);
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.read_head().start, "HTTP/1.1 100 Continue");
    client.send("hello");
    client.read_response().expect(200, "hello");
}

#[test]
fn the_upstream_may_refuse_instead_of_100() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_head();
        connection.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
        connection.hang();
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let response = client.read_response();
    response.expect(417, "no");
    assert!(response.interim.is_empty(), "{response:?}");
    // The body was never sent. The end of the request is unclear, so both connections close.
    upstream.wait_end(0);
}

#[test]
fn a_client_that_does_not_wait_for_100_is_fine() {
    let upstream = echo();
    let gate = start(&upstream);
    let mut client = gate.client();
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello";
    client.exchange(request).expect(200, "hello");
    client.exchange(request).expect(200, "hello");
}

#[test]
fn a_chunked_body_beyond_the_limit_is_413_and_never_ends_upstream() {
    let upstream = echo();
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: small.test\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n6\r\n012345\r\n0\r\n\r\n");
    client.read_response().expect_own(413, "body_too_large");
    client.expect_close();
    for number in 0..upstream.connections() {
        upstream.wait_end(number);
    }
    assert!(upstream.requests().iter().all(|request| !request.complete()), "{:?}", upstream.requests());
    let fits = "POST / HTTP/1.1\r\nHost: small.test\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n";
    gate.exchange(fits).expect(200, "0123456789");
}

#[test]
fn pipelined_requests_are_answered_in_order_one_at_a_time() {
    let hold = Latch::new();
    let held = hold.clone();
    let upstream = Upstream::each(move |connection, request| {
        if request.target() == "/0" {
            held.wait();
        }
        let body = format!("{} {}", request.target(), String::from_utf8_lossy(&request.body.bytes));
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    let requests: String = (0..20)
        .map(|n| match n % 3 {
            0 => format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"),
            1 => format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nGET "),
            _ => format!(
                "POST /{n} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
            ),
        })
        .collect();
    client.send(requests);
    upstream.wait_requests(1);
    assert_eq!(upstream.requests().len(), 1, "one exchange at a time");
    hold.open();
    for n in 0..20 {
        client.read_response().expect(200, format!("/{n} {}", ["", "GET ", "x"][n % 3]));
    }
}

#[test]
fn a_response_before_the_body_is_done_is_forwarded_at_once() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_head();
        connection.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nearly");
        connection.hang();
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nbegin");
    client.read_response().expect(403, "early");
    // The rest is read and discarded, and the target gets none of it: its connection is closed.
    upstream.wait_end(0);
}

#[test]
fn after_an_early_response_the_upstream_connection_is_not_reused() {
    let upstream = Upstream::scripted(|connection| {
        let Some(head) = connection.read_head() else { return };
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
        connection.read_body(head);
        connection.hang();
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send("POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
    client.read_response().expect(200, "early");
    client.try_send("56789");
    gate.exchange("GET /second HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "early");
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn http_1_0_closes_unless_it_asks_not_to() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    let mut client = gate.client();
    client.exchange("GET / HTTP/1.0\r\n\r\n").expect(200, "fine");
    client.expect_close();
    let mut client = gate.client();
    let kept = client.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    kept.expect(200, "fine");
    assert_eq!(kept.head.list("connection"), ["keep-alive"]);
    client.exchange("GET / HTTP/1.0\r\n\r\n").expect(200, "fine");
    client.expect_close();
}

#[test]
fn a_failure_says_to_http_1_0_that_the_connection_stays() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    let mut client = gate.client();
    let kept = client.exchange("TRACE / HTTP/1.0\r\nConnection: keep-alive\r\nMax-Forwards: 0\r\n\r\n");
    assert_eq!((kept.status(), kept.head.list("connection")), (405, vec!["keep-alive".to_owned()]));
    client.exchange("GET / HTTP/1.0\r\n\r\n").expect(200, "fine");
    client.expect_close();
}

#[test]
fn connection_close_is_honoured_and_sent() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    let mut client = gate.client();
    let last = client.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n");
    last.expect(200, "fine");
    assert_eq!(last.head.list("connection"), ["close"]);
    client.expect_close();
    // The client's `close` is not for the upstream: that connection is kept.
    gate.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fine");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_client_that_stops_inside_its_body_leaves_no_whole_request_upstream() {
    for (name, request) in [
        ("length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello".to_owned()),
        ("chunk", format!("{CHUNKED}a\r\nhello")),
        ("no last chunk", format!("{CHUNKED}5\r\nhello\r\n")),
        ("inside the trailers", format!("{CHUNKED}5\r\nhello\r\n0\r\nX: y\r\n")),
    ] {
        for half in [true, false] {
            let upstream = echo();
            let gate = start(&upstream);
            let mut client = gate.client();
            client.send(&request);
            upstream.wait_connections(1);
            if half {
                client.half_close();
                let (bytes, _) = client.read_to_end();
                assert!(
                    bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 400 "),
                    "{name}: {}",
                    support::show(&bytes)
                );
            } else {
                client.reset();
            }
            upstream.wait_end(0);
            assert!(
                upstream.requests().iter().all(|request| !request.complete()),
                "{name}: {:?}",
                upstream.requests()
            );
        }
    }
}

#[test]
fn a_client_that_half_closes_after_its_request_still_gets_its_response() {
    let hold = Latch::new();
    let held = hold.clone();
    let upstream = Upstream::each(move |connection, _| {
        held.wait();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.half_close();
    upstream.wait_requests(1);
    hold.open();
    client.read_response().expect(200, "fine");
    client.expect_close();
}

/// Sends `body` in the given framing through an echo and compares the response with it.
fn there_and_back(head: &str, framed: Vec<u8>, body: &[u8]) -> Response {
    let upstream = echo();
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send(head);
    let mut writer = client.writer();
    let sender = thread::spawn(move || writer.write_all(&framed).expect("the gate takes the body"));
    let response = client.read_response();
    sender.join().expect("the body was sent");
    assert!(upstream.request().body.bytes == body, "the body changed on its way up");
    response.expect(200, body);
    response
}

#[test]
fn big_bodies_pass_both_ways_unchanged() {
    let body = pattern(1, 8 << 20);
    there_and_back(
        &format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()),
        body.clone(),
        &body,
    );
}

#[test]
fn big_chunked_bodies_pass_both_ways_unchanged() {
    let body = pattern(2, 4 << 20);
    let mut framed = Vec::new();
    // Sizes that meet the borders of a buffer in a different way each time.
    let mut rest = body.as_slice();
    let mut size = 1;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
        rest = after;
        size = size * 7 % 60_013 + 1;
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    there_and_back(CHUNKED, framed, &body);
}
