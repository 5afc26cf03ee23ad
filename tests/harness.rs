//! Tests of the harness: its client and its upstream, without a gate between them.

mod support;

use support::client::Client;
use support::message::Framing;
use support::upstream::{Blackhole, Refusing, Upstream};
use support::wire::End;

#[test]
fn an_upstream_records_a_request_and_responds() {
    let upstream = Upstream::says("fine");
    let mut client = Client::connect(upstream.address());
    let request = "POST /p?q HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nhello\r\n0\r\nT: u\r\n\r\n";
    client.exchange(request).expect(200, "fine");
    let seen = upstream.request();
    assert_eq!((seen.method(), seen.target(), seen.complete()), ("POST", "/p?q", true));
    assert_eq!(
        (seen.body.bytes.as_slice(), seen.body.extensions.as_slice()),
        (b"hello".as_slice(), &[";x".to_owned()][..])
    );
    assert_eq!(seen.body.trailers, [("T".to_owned(), "u".to_owned())]);
    assert_eq!(upstream.received(), [request.as_bytes()]);
}

#[test]
fn a_request_that_is_cut_is_not_whole() {
    for body in ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let upstream = Upstream::says("fine");
        let mut client = Client::connect(upstream.address());
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{body}"));
        client.half_close();
        upstream.wait_requests(1);
        assert!(!upstream.request().complete(), "{body:?}");
    }
}

#[test]
fn a_response_that_is_cut_has_a_fault() {
    for answer in [
        "Content-Length: 10\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX",
        "Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ] {
        let upstream = Upstream::scripted(move |connection| {
            connection.read_request();
            connection.send(format!("HTTP/1.1 200 OK\r\n{answer}"));
        });
        let mut client = Client::connect(upstream.address());
        let response = client.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(response.body.fault.is_some(), "{answer:?}: {response:?}");
    }
}

#[test]
fn a_close_and_a_reset_are_distinguished() {
    let upstream = Upstream::scripted(|connection| {
        let head = connection.read_head().expect("a head");
        connection.send("HTTP/1.1 200 OK\r\n\r\nhello");
        if head.start.contains("/reset") { connection.reset() } else { connection.close() }
    });
    for (target, end) in [("/close", End::Clean), ("/reset", End::Reset)] {
        let mut client = Client::connect(upstream.address());
        client.send(format!("GET {target} HTTP/1.1\r\n\r\n"));
        let body = {
            let head = client.read_head();
            client.read_body(head.framing(Framing::UntilClose))
        };
        assert_eq!(body.fault.is_none(), end == End::Clean, "{target}: {body:?}");
    }
    let mut client = Client::connect(upstream.address());
    client.send("GET /reset HTTP/1.1\r\n\r\n");
    assert_eq!(client.read_to_end().1, End::Reset);
}

#[test]
fn the_gates_end_of_a_connection_is_seen() {
    let upstream = Upstream::says("fine");
    let mut orderly = Client::connect(upstream.address());
    orderly.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fine");
    drop(orderly);
    assert_eq!(upstream.wait_end(0), End::Clean);
    let mut rude = Client::connect(upstream.address());
    rude.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fine");
    rude.reset();
    assert_eq!(upstream.wait_end(1), End::Reset);
}

#[test]
fn one_address_refuses_and_another_is_silent() {
    let refusing = Refusing::new();
    let address = refusing.to_string().parse().unwrap();
    let second = std::time::Duration::from_secs(1);
    let error = std::net::TcpStream::connect_timeout(&address, second).expect_err("nothing listens");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    let revived = refusing.revive(|connection| connection.send("alive"));
    assert_eq!(Client::connect(revived.address()).read_exact(5), b"alive");

    let blackhole = Blackhole::new();
    let address = blackhole.to_string().parse().unwrap();
    let error = std::net::TcpStream::connect_timeout(&address, second).expect_err("no answer");
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}
