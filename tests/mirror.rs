//! Copies of requests for another upstream.

mod support;

use support::gate::TestGate;
use support::until;
use support::upstream::{Refusing, Upstream};

const CONFIG: &str = r#"
upstreams:
  shadow: { targets: "http://{shadow}/copy" }
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: all.test, path_prefix: /app, strip_path_prefix: true, mirror: { upstream: shadow }, target: "{target}" }
      - { host: half.test, mirror: { upstream: shadow, share: 50% }, max_body: 3, target: "{target}" }
      - { host: limited.test, rate_limit: 1/1h, mirror: { upstream: shadow }, target: "{target}" }
"#;

fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-A: b\r\n\r\n")
}

fn copies(gate: &TestGate, result: &str) -> f64 {
    gate.metric(&format!("smolgate_upstream_mirrored_total{{upstream=\"shadow\",result=\"{result}\"}}"))
}

#[test]
fn a_request_without_a_body_is_copied_and_the_response_is_that_of_the_target() {
    let (target, shadow) = (Upstream::says("real"), Upstream::says("shadow"));
    let gate = TestGate::start(CONFIG, &[("target", &target), ("shadow", &shadow)]);
    for number in 1..=3 {
        gate.exchange(get("all.test", "/app/a?b=c")).expect(200, "real");
        shadow.wait_requests(number);
    }
    let (copy, original) = (&shadow.requests()[0], &target.requests()[0]);
    assert_eq!((copy.method(), copy.target(), original.target()), ("GET", "/copy/a?b=c", "/a?b=c"));
    assert_eq!(copy.head.get("host"), Some(&*shadow.address().to_string()));
    for name in ["x-a", "x-forwarded-host", "x-forwarded-prefix", "via"] {
        assert_eq!(copy.head.get(name), original.head.get(name), "{name}");
    }
    assert_eq!((copies(&gate, "sent"), copies(&gate, "dropped")), (3.0, 0.0));
    // A response to HEAD has no body.
    gate.client().exchange("HEAD /app HTTP/1.1\r\nHost: all.test\r\nConnection: close\r\n\r\n");
    shadow.wait_requests(4);
}

#[test]
fn a_request_with_a_body_and_one_that_goes_to_no_target_are_not_copied() {
    let (target, shadow) = (Upstream::says("real"), Upstream::says("shadow"));
    let gate = TestGate::start(CONFIG, &[("target", &target), ("shadow", &shadow)]);
    let post = |framing: &str| format!("POST /app HTTP/1.1\r\nHost: all.test\r\n{framing}");
    gate.exchange(post("Content-Length: 2\r\n\r\nab")).expect(200, "real");
    gate.exchange(post("Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")).expect(200, "real");
    gate.exchange("OPTIONS /app HTTP/1.1\r\nHost: all.test\r\nMax-Forwards: 0\r\n\r\n").expect(200, "");
    gate.exchange(get("limited.test", "/")).expect(200, "real");
    gate.exchange(get("limited.test", "/")).expect_own(429, "rate_limited");
    // A copy of one of the others would come before this one.
    gate.exchange(post("Content-Length: 0\r\n\r\n")).expect(200, "real");
    until("the copy is there", || shadow.requests().iter().any(|copy| copy.method() == "POST"));
    until("both copies are there", || shadow.requests().len() >= 2);
    let mut methods: Vec<_> = shadow.requests().iter().map(|copy| copy.method().to_owned()).collect();
    // Copies overtake each other.
    methods.sort();
    assert_eq!((methods, copies(&gate, "sent")), (vec!["GET".to_owned(), "POST".to_owned()], 2.0));
}

#[test]
fn a_share_of_requests_is_copied() {
    let (target, shadow) = (Upstream::says("real"), Upstream::says("shadow"));
    let gate = TestGate::start(CONFIG, &[("target", &target), ("shadow", &shadow)]);
    let mut client = gate.client();
    (0..10).for_each(|_| client.exchange(get("half.test", "/")).expect(200, "real"));
    shadow.wait_requests(5);
    assert_eq!((copies(&gate, "sent"), copies(&gate, "dropped")), (5.0, 0.0));
}

#[test]
fn a_silent_upstream_delays_no_request_and_gets_only_so_many_copies() {
    let target = Upstream::says("real");
    let shadow = Upstream::scripted(|connection| {
        connection.read_request();
        connection.hang();
    });
    let gate = TestGate::start(CONFIG, &[("target", &target), ("shadow", &shadow)]);
    let mut client = gate.client();
    (0..70).for_each(|_| client.exchange(get("all.test", "/app")).expect(200, "real"));
    assert_eq!((copies(&gate, "sent"), copies(&gate, "dropped")), (64.0, 6.0));
    shadow.wait_requests(64);
    // A reload does not make room: the copies are still open.
    gate.reload().unwrap();
    client.exchange(get("all.test", "/app")).expect(200, "real");
    assert_eq!((copies(&gate, "sent"), copies(&gate, "dropped")), (64.0, 7.0));
    assert_eq!(target.requests().len(), 71);
}

#[test]
fn an_upstream_that_is_down_fails_no_request() {
    let target = Upstream::says("real");
    let gate = TestGate::start(CONFIG, &[("target", &target), ("shadow", &Refusing::new())]);
    let mut client = gate.client();
    (0..20).for_each(|_| client.exchange(get("all.test", "/app")).expect(200, "real"));
    assert_eq!(target.connections(), 1, "the target has its own connections");
}
