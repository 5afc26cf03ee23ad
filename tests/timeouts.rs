//! Every wait for a peer ends: heads, idle connections, bodies in both directions, connects, responses.
//!
//! Timeouts are short here and the peer never acts, so each test ends by the timeout or fails at the
//! harness's deadline. No test measures how long it took.

mod support;

use support::gate::TestGate;
use support::message::Framing;
use support::upstream::{Blackhole, Upstream};
use support::wire::End;
use support::{Latch, show};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    header_timeout: "200ms"
    idle_timeout: "300ms"
    rules:
      - host: "nowhere.test"
        target: "http://{blackhole}"
        connect_timeout: "200ms"
      - host: "slow.test"
        target: "http://{upstream}"
        response_timeout: "200ms"
      - target: "http://{upstream}"
        body_timeout: "200ms"
"#;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn start(upstream: &Upstream) -> TestGate {
    let blackhole = Blackhole::new();
    TestGate::start(CONFIG, &[("upstream", upstream), ("blackhole", &blackhole)]).keep(blackhole)
}

#[test]
fn a_connection_without_a_request_is_closed() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    assert_eq!(gate.client().expect_close(), End::Clean);
}

#[test]
fn a_kept_connection_without_a_further_request_is_closed() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    let mut client = gate.client();
    client.exchange(GET).expect(200, "fine");
    assert_eq!(client.expect_close(), End::Clean);
}

#[test]
fn a_head_that_never_ends_gets_408() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    for part in [
        "G",
        "GET / HT",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r",
    ] {
        let mut client = gate.client();
        client.send(part);
        client.read_response().expect_own(408, "request_timeout");
        client.expect_close();
    }
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_head_that_trickles_gets_408_too() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send("GET / HTTP/1.1\r\nX: ");
    // Progress does not count, because a head has a total limit. The trickle stops when the gate closes.
    let mut writer = client.writer();
    let trickle = std::thread::spawn(move || {
        let end = std::time::Instant::now() + support::DEADLINE;
        while std::time::Instant::now() < end && std::io::Write::write_all(&mut writer, b"x").is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    client.read_response().expect_own(408, "request_timeout");
    client.expect_close();
    drop(client);
    trickle.join().unwrap();
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_request_body_without_progress_ends_both_sides() {
    for request in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ] {
        let upstream = Upstream::says("fine");
        let gate = start(&upstream);
        let mut client = gate.client();
        client.send(request);
        let (bytes, _) = client.read_to_end();
        assert!(bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 408 "), "{}", show(&bytes));
        upstream.wait_end(0);
        assert!(upstream.requests().iter().all(|request| !request.complete()), "{:?}", upstream.requests());
    }
}

/// An upstream that reads to the end before it responds.
fn start_with_uploads(upstream: &Upstream, patience: &str) -> TestGate {
    let config = CONFIG.replace("response_timeout: \"200ms\"", patience);
    let blackhole = Blackhole::new();
    TestGate::start(&config, &[("upstream", upstream), ("blackhole", &blackhole)]).keep(blackhole)
}

#[test]
fn a_request_body_that_stalls_is_the_clients_fault_however_short_the_response_timeout() {
    let upstream = Upstream::says("fine");
    let gate = start_with_uploads(&upstream, "response_timeout: \"50ms\"\n        body_timeout: \"300ms\"");
    for body in ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"] {
        let mut client = gate.client();
        client.send(format!("POST / HTTP/1.1\r\nHost: slow.test\r\n{body}"));
        client.read_response().expect_own(408, "request_timeout");
    }
    assert!(upstream.requests().iter().all(|request| !request.complete()), "{:?}", upstream.requests());
}

#[test]
fn the_wait_for_a_response_begins_when_the_request_has_ended() {
    let upstream = Upstream::says("fine");
    let gate = start_with_uploads(&upstream, "response_timeout: \"100ms\"\n        body_timeout: \"20s\"");
    let mut client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: slow.test\r\nContent-Length: 10\r\n\r\nhello");
    upstream.wait_connections(1);
    std::thread::sleep(std::time::Duration::from_millis(400));
    client.send("world");
    client.read_response().expect(200, "fine");
    assert_eq!(upstream.request().body.bytes, b"helloworld");
}

#[test]
fn a_client_that_waits_for_100_continue_waits_for_the_target() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_head();
        connection.hang();
    });
    let gate = start_with_uploads(&upstream, "response_timeout: \"100ms\"\n        body_timeout: \"20s\"");
    let ask = "POST / HTTP/1.1\r\nHost: slow.test\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n";
    gate.exchange(ask).expect_own(504, "upstream_timeout");
}

#[test]
fn a_response_body_without_progress_never_ends_cleanly() {
    for framing in [
        "Content-Length: 10\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "X: y\r\n\r\nhello",
    ] {
        let upstream = Upstream::scripted(move |connection| {
            connection.read_request();
            connection.send(format!("HTTP/1.1 200 OK\r\n{framing}"));
            connection.hang();
        });
        let gate = start(&upstream);
        let mut client = gate.client();
        client.send(GET);
        let head = client.read_head();
        let body = client.read_body(head.framing(Framing::UntilClose));
        assert!(body.fault.is_some(), "{framing:?}: {body:?}");
        client.expect_close();
        upstream.wait_end(0);
    }
}

#[test]
fn a_client_that_never_reads_ends_the_upstream_exchange() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        let block = vec![b'x'; 1 << 20];
        let taken = (0..900).take_while(|_| connection.try_send(&block)).count();
        assert!(taken < 900, "the gate buffered all of it");
        connection.hang();
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send(GET);
    upstream.wait_end(0);
}

#[test]
fn an_upstream_that_never_answers_is_504() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_request();
        connection.hang();
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.exchange("GET / HTTP/1.1\r\nHost: slow.test\r\n\r\n").expect_own(504, "upstream_timeout");
    upstream.wait_end(0);
    assert_eq!(upstream.requests().len(), 1, "a request that may have been acted on is not sent again");
}

#[test]
fn an_upstream_that_stops_inside_its_head_is_504() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-");
        connection.hang();
    });
    let gate = start(&upstream);
    gate.exchange("GET / HTTP/1.1\r\nHost: slow.test\r\n\r\n").expect_own(504, "upstream_timeout");
    upstream.wait_end(0);
}

#[test]
fn a_target_that_does_not_accept_is_504() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    let mut client = gate.client();
    client.exchange("GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n").expect_own(504, "connect_timeout");
    client.exchange(GET).expect(200, "fine");
}

#[test]
fn progress_is_enough_for_a_long_response() {
    let steps: Vec<Latch> = (0..5).map(|_| Latch::new()).collect();
    let told = steps.clone();
    let upstream = Upstream::each(move |connection, _| {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
        for step in &told {
            step.wait();
            connection.send("x");
        }
    });
    let config = CONFIG.replace("body_timeout: \"200ms\"", "body_timeout: \"3s\"");
    let blackhole = Blackhole::new();
    let gate = TestGate::start(&config, &[("upstream", &upstream), ("blackhole", &blackhole)]);
    let mut client = gate.client();
    client.send(GET);
    client.read_head();
    for step in &steps {
        // Together longer than the header and idle timeouts of this listener, which do not apply here.
        std::thread::sleep(std::time::Duration::from_millis(150));
        step.open();
        assert_eq!(client.read_exact(1), b"x");
    }
}
