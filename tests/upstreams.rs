//! Endpoints as operators see them: figures, draining, and the verbs for both.

mod support;

use std::process::Command;

use support::gate::TestGate;
use support::upstream::{Refusing, Upstream};
use support::{Latch, until};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: [{ upstream: all }]
upstreams:
  all: { targets: ["http://{a}", "http://{b}"] }
"#;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

fn verb(gate: &TestGate, words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_smolgate"))
        .args(words)
        .args(["--address", &gate.internal_address().to_string()])
        .output()
        .unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), text)
}

#[test]
fn figures_of_endpoints_are_shown() {
    let (refusing, fine) = (Refusing::new(), Upstream::answers(FINE));
    let gate = TestGate::start(CONFIG, &[("a", &refusing), ("b", &fine)]);
    let mut client = gate.client();
    (0..10).for_each(|_| client.exchange(GET).expect(200, "fine"));
    let metric =
        |name: &str, target: &str| gate.metric(&format!("{name}{{upstream=\"all\",target=\"{target}\"}}"));
    let (bad, good) = (refusing.to_string(), fine.to_string());
    assert_eq!(metric("smolgate_target_up", &good), 1.0);
    assert_eq!(metric("smolgate_target_up", &bad), 0.0);
    assert_eq!(metric("smolgate_target_requests_total", &good), 10.0);
    assert_eq!(metric("smolgate_target_requests_open", &good), 0.0);
    assert_eq!(metric("smolgate_target_failures_total", &bad), 3.0);
    assert_eq!(metric("smolgate_target_ejections_total", &bad), 1.0);
    let (code, table) = verb(&gate, &["upstreams"]);
    assert_eq!(code, Some(0), "{table}");
    let row = |target: &str| {
        let line = table.lines().find(|line| line.contains(target)).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row(&good), ["all", &good, "up", "0", "10", "0", "0"]);
    assert_eq!(row(&bad), ["all", &bad, "ejected", "0", "3", "3", "1"]);
}

#[test]
fn a_drained_endpoint_gets_no_new_requests_and_a_drain_waits_for_those_it_has() {
    let slow = Upstream::scripted(|connection| {
        while let Some(request) = connection.read_request() {
            if request.target() == "/slow" {
                connection.read_exact(1);
            }
            connection.send(FINE);
        }
    });
    let other = Upstream::answers(FINE);
    let gate = TestGate::start(CONFIG, &[("a", &slow), ("b", &other)]);
    let mut waiting = gate.client();
    waiting.send("GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    slow.wait_requests(1);
    let target = format!("all/{slow}");
    let (code, text) = verb(&gate, &["drain", &target]);
    assert_eq!((code, text), (Some(0), format!("{target} draining\n")));
    let mut client = gate.client();
    (0..6).for_each(|_| client.exchange(GET).expect(200, "fine"));
    assert_eq!((slow.requests().len(), other.requests().len()), (1, 6));
    let (code, text) = verb(&gate, &["drain", &target, "--wait", "0"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("1 requests or tunnels are left"), "{text}");
    // A reload does not end a drain.
    gate.reload().unwrap();
    client.exchange(GET).expect(200, "fine");
    assert_eq!(slow.requests().len(), 1);
    waiting.reset();
    let (code, text) = verb(&gate, &["drain", &target, "--wait"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = verb(&gate, &["ready", &target]);
    assert_eq!((code, text), (Some(0), format!("{target} ready\n")));
    (0..4).for_each(|_| client.exchange(GET).expect(200, "fine"));
    until("it gets requests again", || slow.requests().len() > 1);
}

#[test]
fn a_sticky_client_may_go_on_at_a_drained_endpoint() {
    let (one, two) = (Upstream::answers(FINE), Upstream::answers(FINE));
    let config = CONFIG.replace("http://{b}\"]", "http://{b}\"], sticky: { cookie: at }");
    let gate = TestGate::start(&config, &[("a", &one), ("b", &two)]);
    let mut client = gate.client();
    let first = client.exchange(GET);
    let cookie = first.get("set-cookie").and_then(|cookie| cookie.split(';').next()).unwrap().to_owned();
    verb(&gate, &["drain", &format!("all/{one}")]);
    client.exchange(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n")).expect(200, "fine");
    client.exchange(GET).expect(200, "fine");
    assert_eq!((one.requests().len(), two.requests().len()), (2, 1));
}

#[test]
fn an_upstream_of_which_all_is_drained_answers_503() {
    let (one, two) = (Upstream::answers(FINE), Upstream::answers(FINE));
    let gate = TestGate::start(CONFIG, &[("a", &one), ("b", &two)]);
    let (code, text) = verb(&gate, &["drain", "all"]);
    assert_eq!((code, text.lines().count()), (Some(0), 2), "{text}");
    gate.exchange(GET).expect_own(503, "no_target");
    let (code, text) = verb(&gate, &["upstreams"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the upstream all has no endpoint that is up"), "{text}");
    let (code, text) = verb(&gate, &["drain", "al"]);
    assert_eq!(code, Some(2), "{text}");
    let (code, text) = verb(&gate, &["drain", "all/10.0.0.9"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("has no such target"), "{text}");
}

#[test]
fn a_request_that_is_sent_again_is_open_at_its_endpoint() {
    let latch = Latch::new();
    let answered = latch.clone();
    let sick = Upstream::scripted(move |connection| {
        connection.read_request();
        if connection.number == 0 {
            connection.send(FINE);
            connection.read_request();
            return connection.close();
        }
        answered.wait();
        connection.send(FINE);
    });
    let config = CONFIG.replace(", \"http://{b}\"", "");
    let gate = TestGate::start(&config, &[("a", &sick)]);
    let mut client = gate.client();
    client.exchange(GET).expect(200, "fine");
    client.send(GET);
    sick.wait_requests(3);
    let open = format!("smolgate_target_requests_open{{upstream=\"all\",target=\"{sick}\"}}");
    assert_eq!(gate.metric(&open), 1.0);
    latch.open();
    client.read_response().expect(200, "fine");
    until("it has ended", || gate.metric(&open) == 0.0);
}
