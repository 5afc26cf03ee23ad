//! Calls of gRPC through the gate: streams both ways, trailers, and failures of the gate as statuses of gRPC.
#![cfg(feature = "http2")]

mod support;

use support::Latch;
use support::gate::TestGate;
use support::http2::{Http2, block};
use support::http2_target::Target;

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { path: "/**", target: "h2c://{target}" }
"#;

const OK: [(&str, &str); 1] = [(":status", "200")];

/// The fields of a call of gRPC.
fn call(path: &str) -> Vec<(&str, &str)> {
    vec![
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a.test"),
        ("te", "trailers"),
        ("content-type", "application/grpc+proto"),
        ("grpc-timeout", "5S"),
    ]
}

#[test]
fn a_call_of_grpc_streams_both_ways_and_ends_with_its_status() {
    let target = Target::scripted(|peer, _| {
        let head = peer.next_head().unwrap();
        peer.head(head.stream, &[(":status", "200"), ("content-type", "application/grpc")], false);
        // Each message is answered before the next one is sent.
        for count in 1..=3 {
            while peer.seen(head.stream).body.len() < count * 5 {
                peer.next().unwrap();
            }
            peer.data(head.stream, format!("got-{count}"), false);
        }
        peer.next_request().unwrap();
        peer.head(head.stream, &[("grpc-status", "0"), ("grpc-message", "fine")], true);
        peer.serve(|peer, request| {
            peer.head(
                request.stream,
                &[(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "5")],
                true,
            );
        });
    });
    let gate = TestGate::start(CONFIG, &[("target", &target)]);
    let mut client = Http2::connect(gate.address("http"));
    let stream = client.request(&call("/a.B/C"), false);
    for count in 1..=3 {
        client.data(stream, "12345", false);
        client.until(|client| client.received(stream) == count * 5);
    }
    client.data(stream, "", true);
    let answer = client.answer(stream);
    answer.expect(200, "got-1got-2got-3");
    let text =
        |name: &str| answer.trailers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    assert_eq!((text("grpc-status").as_deref(), text("grpc-message").as_deref()), (Some("0"), Some("fine")));
    let request = target.request();
    assert_eq!((request.get("te"), request.get("grpc-timeout")), (Some("trailers"), Some("5S")));
    // A head alone stays one: HEADERS that end the stream.
    let stream = client.request(&call("/a.B/None"), false);
    client.data(stream, "12345", true);
    let answer = client.answer(stream);
    answer.expect(200, "");
    assert_eq!((answer.get("grpc-status"), answer.trailers.len()), (Some("5"), 0));
}

#[test]
fn a_status_behind_a_message_with_a_length_is_passed_and_a_call_that_is_cut_is_not_cancelled() {
    let grpc = [(":status", "200"), ("content-type", "application/grpc"), ("content-length", "2")];
    let latch = Latch::new();
    let received = latch.clone();
    let target = Target::scripted(move |peer, _| {
        let request = peer.next_request().unwrap();
        peer.head(request.stream, &grpc, false);
        peer.data(request.stream, "hi", false);
        peer.head(request.stream, &[("grpc-status", "0")], true);
        let request = peer.next_request().unwrap();
        peer.head(request.stream, &grpc, false);
        peer.data(request.stream, "h", false);
        received.wait();
        peer.reset(request.stream, 2);
        peer.wait_closed();
    });
    let gate = TestGate::start(CONFIG, &[("target", &target)]);
    let mut client = Http2::connect(gate.address("http"));
    let mut fields = call("/a.B/C").to_vec();
    fields.push(("content-length", "5"));
    let stream = client.request(&fields, false);
    client.data(stream, "12345", false);
    client.frame(1, 5, stream, block(&[("x-end", "1")]));
    let answer = client.answer(stream);
    answer.expect(200, "hi");
    assert_eq!(answer.trailers, [("grpc-status".to_owned(), "0".to_owned())]);
    let trailers = &target.requests()[0].trailers;
    assert!(trailers.iter().any(|(name, _)| name == "x-end"), "{trailers:?}");
    let stream = client.request(&call("/a.B/C"), true);
    client.until(|client| client.received(stream) == 1);
    latch.open();
    // INTERNAL_ERROR. CANCEL would say that the client did not want the response.
    assert_eq!(client.answer(stream).reset, Some(2));
}

#[test]
fn failures_of_the_gate_are_statuses_for_clients_of_grpc_alone() {
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { path: "/down/**", target: "h2c://127.0.0.1:1" }
      - { path: "/late/**", target: "h2c://{silent}", response_timeout: 50ms, tunnel_timeout: 100ms }
      - { path: "/large/**", target: "h2c://{silent}", max_body: 2B }
"#;
    let silent = Target::scripted(|peer, _| peer.wait_closed());
    let gate = TestGate::start(config, &[("silent", &silent)]);
    let mut client = Http2::connect(gate.address("http"));
    for (path, status, reason) in [
        ("/down/a", "14", "connect_refused"),
        ("/late/a", "4", "upstream_timeout"),
        ("/large/a", "8", "body_too_large"),
        ("/none", "12", "no_rule"),
    ] {
        let stream = client.request(&call(path), false);
        client.data(stream, "12345", true);
        let answer = client.answer(stream);
        assert_eq!(
            (answer.status, answer.get("content-type")),
            (200, Some("application/grpc")),
            "{path}: {answer:?}"
        );
        assert_eq!(answer.get("grpc-status"), Some(status), "{path}");
        assert!(answer.get("grpc-message").unwrap().contains(reason), "{path}: {answer:?}");
        assert!(answer.body.is_empty() && answer.trailers.is_empty(), "{path}");
        let mut web = call(path);
        web[5].1 = "application/grpc-web+proto";
        let stream = client.request(&web, false);
        client.data(stream, "12345", true);
        let answer = client.answer(stream);
        assert!(answer.status >= 400 && answer.get("grpc-status").is_none(), "{path}: {answer:?}");
    }
}

#[test]
fn a_call_of_grpc_may_be_silent_for_longer_than_a_body() {
    let latch = Latch::new();
    let held = latch.clone();
    let target = Target::scripted(move |peer, _| {
        let head = peer.next_head().unwrap();
        held.wait();
        peer.respond(head.stream, &OK, "late");
        peer.wait_closed();
    });
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { path: "/short/**", target: "h2c://{target}", body_timeout: 10ms, response_timeout: 10ms }
      - { path: "/**", target: "h2c://{target}", body_timeout: 10ms, response_timeout: 10ms }
"#;
    let gate = TestGate::start(config, &[("target", &target)]);
    let mut client = Http2::connect(gate.address("http"));
    let call_stream = client.request(&call("/a.B/C"), false);
    support::until("the call is there", || target.connections() == 1);
    // Another request on the same connection runs into its timeout, so that of the call has passed too.
    let other = client.request(&support::http2::get("/short/x"), true);
    client.answer(other).expect_own(504, "upstream_timeout");
    latch.open();
    client.data(call_stream, "12345", true);
    client.answer(call_stream).expect(200, "late");
}
