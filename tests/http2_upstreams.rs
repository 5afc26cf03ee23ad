//! The policies of upstreams where a request is a stream: limits and queues, draining, ejection, and idle connections.
#![cfg(feature = "http2")]

mod support;

use std::process::Command;

use support::gate::TestGate;
use support::http2::{Answer, Http2};
use support::http2_target::{Peer, Request, Target};
use support::upstream::Upstream;
use support::{Latch, until};

const OK: [(&str, &str); 1] = [(":status", "200")];
const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";

/// MAX_CONCURRENT_STREAMS.
const ONE_STREAM: [(u16, u32); 1] = [(3, 1)];

fn gate(targets: &[&Target], keys: &str) -> TestGate {
    let targets: Vec<String> = targets.iter().map(|target| format!("\"h2c://{target}\"")).collect();
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: [{ upstream: all }]
upstreams:
  all: { targets: [{targets}], {keys} }
"#;
    TestGate::start(config, &[("targets", &targets.join(", ")), ("keys", &keys)])
}

fn verb(gate: &TestGate, words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_smolgate"))
        .args(words)
        .args(["--address", &gate.internal_address().to_string()])
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A target that answers a request when its latch is open, and tells how many heads it has seen.
fn held(latch: &Latch) -> Target {
    let latch = latch.clone();
    Target::scripted(move |peer, _| {
        let mut waiting = Vec::new();
        while let Some(request) = peer.next_request() {
            match latch.is_open() {
                false => {
                    // A PING of the gate, or the next request, is read meanwhile.
                    waiting.push(request);
                    if waiting.len() == 2 {
                        latch.wait();
                        waiting.drain(..).for_each(|request| answer(peer, &request));
                    }
                }
                true => answer(peer, &request),
            }
        }
    })
}

fn answer(peer: &mut Peer, request: &Request) {
    peer.respond(request.stream, &OK, request.path());
}

fn answers(client: &mut Http2, streams: Vec<u32>) -> Vec<Answer> {
    streams.into_iter().map(|stream| client.answer(stream)).collect()
}

#[test]
fn streams_beyond_the_limit_wait_for_a_place_or_are_refused() {
    let latch = Latch::new();
    let target = held(&latch);
    let gate = gate(&[&target], "max_requests: 2, queue: { max: 2, timeout: 1h }");
    let mut client = Http2::connect(gate.address("http"));
    let first: Vec<u32> = (0..2).map(|number| client.get(&format!("/first/{number}"))).collect();
    until("both are there", || target.requests().len() == 2);
    let queued: Vec<u32> = (0..2).map(|number| client.get(&format!("/queued/{number}"))).collect();
    let waiting = || gate.metric("smolgate_upstream_waiting{upstream=\"all\"}");
    until("both wait", || waiting() == 2.0);
    let beyond = client.get("/beyond");
    client.answer(beyond).expect_own(503, "target_busy");
    assert_eq!(target.requests().len(), 2);
    latch.open();
    for (answer, path) in answers(&mut client, first).iter().zip(["/first/0", "/first/1"]) {
        answer.expect(200, path);
    }
    for (answer, path) in answers(&mut client, queued).iter().zip(["/queued/0", "/queued/1"]) {
        answer.expect(200, path);
    }
    assert_eq!((target.requests().len(), target.connections()), (4, 1));
}

#[test]
fn a_stream_that_is_reset_gives_its_place_to_the_next() {
    let target = Target::scripted(|peer, _| {
        // The first request is never answered.
        while let Ok(frame) = peer.next() {
            let request = peer.seen(frame.stream);
            if request.has_ended && request.path() == "/second" {
                answer(peer, &request);
            }
        }
    });
    let gate = gate(&[&target], "max_requests: 1, queue: { max: 1, timeout: 1h }");
    let mut client = Http2::connect(gate.address("http"));
    let first = client.get("/first");
    until("it has its place", || target.connections() == 1);
    client.ping();
    let second = client.get("/second");
    client.reset(first, 8);
    client.answer(second).expect(200, "/second");
    assert_eq!(target.connections(), 1);
}

#[test]
fn a_drained_endpoint_gets_no_new_streams_and_ends_those_it_has() {
    let latch = Latch::new();
    let (slow, other) = (held(&latch), Target::says("other"));
    let gate = gate(&[&slow, &other], "balance: strict_round_robin");
    let mut client = Http2::connect(gate.address("http"));
    let streams: Vec<u32> = (0..4).map(|number| client.get(&format!("/{number}"))).collect();
    until("two wait", || slow.requests().len() == 2 && other.requests().len() == 2);
    let target = format!("all/{slow}");
    assert_eq!(verb(&gate, &["drain", &target]).0, Some(0));
    for _ in 0..6 {
        client.exchange("/x").expect(200, "other");
    }
    assert_eq!((slow.requests().len(), other.requests().len()), (2, 8));
    assert_eq!(verb(&gate, &["drain", &target, "--wait", "0"]).0, Some(1), "two streams are open");
    latch.open();
    assert!(answers(&mut client, streams).iter().all(|answer| answer.status == 200));
    assert_eq!(verb(&gate, &["drain", &target, "--wait"]).0, Some(0));
    assert_eq!(verb(&gate, &["ready", &target]).0, Some(0));
    until("it gets streams again", || {
        client.exchange("/y");
        slow.requests().len() > 2
    });
}

#[test]
fn an_endpoint_that_does_not_speak_http2_is_ejected() {
    let (broken, fine) = (Upstream::says("HTTP/1.1 alone"), Target::says("fine"));
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: [{ upstream: all }]
upstreams:
  all: { targets: ["h2c://{broken}", "h2c://{fine}"] }
"#;
    let gate = TestGate::start(config, &[("broken", &broken), ("fine", &fine)]);
    let mut client = gate.client();
    (0..12).for_each(|_| client.exchange(GET).expect(200, "fine"));
    let metric =
        |name: &str| gate.metric(&format!("smolgate_target_{name}{{upstream=\"all\",target=\"{broken}\"}}"));
    assert_eq!((metric("failures_total"), metric("ejections_total"), metric("up")), (3.0, 1.0, 0.0));
    assert_eq!((broken.connections(), fine.requests().len()), (3, 12));
}

#[test]
fn an_endpoint_is_ejected_by_statuses_of_its_streams() {
    let bad = Target::each(|peer, request| peer.head(request.stream, &[(":status", "503")], true));
    let fine = Target::says("fine");
    let gate = gate(&[&bad, &fine], "eject: { failures: 3, for: 1h, statuses: [503] }");
    let mut client = Http2::connect(gate.address("http"));
    let statuses: Vec<u16> = (0..20).map(|_| client.exchange("/").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 503).count(), 3, "{statuses:?}");
    assert_eq!((bad.requests().len(), fine.requests().len()), (3, 17));
}

#[test]
fn so_many_connections_without_a_stream_are_kept() {
    for (keys, kept) in [("max_idle: 0", 0), ("max_idle: 2", 2)] {
        let latch = Latch::new();
        let held = latch.clone();
        let left = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let ended = left.clone();
        let target = Target::wrapped(
            |stream| Some(Box::new(stream)),
            &ONE_STREAM,
            move |peer, _| {
                while let Some(request) = peer.next_request() {
                    held.wait();
                    answer(peer, &request);
                }
                ended.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            },
        );
        let gate = gate(&[&target], &format!("idle_timeout: 1h, {keys}"));
        let mut client = Http2::connect(gate.address("http"));
        let streams: Vec<u32> = (0..4).map(|_| client.get("/")).collect();
        until("each has a connection", || target.requests().len() == 4);
        latch.open();
        assert!(answers(&mut client, streams).iter().all(|answer| answer.status == 200));
        until("the others are closed", || left.load(std::sync::atomic::Ordering::SeqCst) == 4 - kept);
        client.exchange("/").expect(200, "/");
        assert_eq!(target.connections(), if kept > 0 { 4 } else { 5 }, "{keys}");
    }
}
