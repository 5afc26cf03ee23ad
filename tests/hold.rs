//! Requests that wait for an endpoint.

mod support;

use support::gate::TestGate;
use support::upstream::{Connection, Refusing, Upstream};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: [{ host: passed.test, pass: "{target}", hold: {hold} }, { upstream: one }]
  - { name: tcp, bind: "127.0.0.1:0", protocol: tcp, target: "{target}", hold: {hold} }
upstreams:
  one: { targets: "{target}", hold: {hold}, hold_max: 1 }
"#;

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

fn answers(connection: &mut Connection) {
    while connection.read_request().is_some() {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    }
}

fn failed(gate: &TestGate) -> f64 {
    let failed = |line: &str| line.starts_with("smolgate_upstream_connections_failed_total{");
    let text = gate.metrics();
    text.lines()
        .filter(|line| failed(line))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[test]
fn a_request_waits_until_its_target_is_there() {
    for (listener, request) in [
        ("http", POST.to_owned()),
        ("http", POST.replace("Host: a", "Host: passed.test")),
        ("tcp", POST.to_owned()),
    ] {
        let refusing = Refusing::new();
        let target = refusing.to_string();
        let gate = TestGate::start(CONFIG, &[("target", &target), ("hold", &"1h")]);
        let mut client = gate.client_of(listener);
        client.send(&request);
        support::until("it was tried twice", || failed(&gate) >= 2.0);
        let upstream = refusing.revive(answers);
        client.read_response().expect(200, "fine");
        assert_eq!(upstream.request().body.bytes, b"hello", "{listener}");
    }
}

#[test]
fn a_request_waits_for_so_long_and_only_so_many_wait() {
    let refusing = Refusing::new();
    let target = refusing.to_string();
    let gate = TestGate::start(CONFIG, &[("target", &target), ("hold", &"1500ms")]);
    let mut first = gate.client();
    first.send(POST);
    support::until("it waits", || failed(&gate) >= 1.0);
    gate.exchange(POST).expect_own(502, "connect_refused");
    first.read_response().expect_own(503, "no_target");
    let _upstream: Upstream = refusing.revive(answers);
    gate.exchange(POST).expect(200, "fine");
}

#[test]
fn a_request_that_a_stopping_target_closed_is_sent_once_more() {
    for die in [Connection::close as fn(&mut Connection), Connection::reset] {
        let upstream = Upstream::scripted(move |connection| {
            if connection.number.is_multiple_of(2) {
                connection.read_request();
                return die(connection);
            }
            answers(connection)
        });
        let gate = TestGate::start(CONFIG, &[("target", &upstream), ("hold", &"1h")]);
        gate.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect(200, "fine");
        assert_eq!((upstream.connections(), upstream.requests().len()), (2, 2));
    }
    let always_closes = || {
        Upstream::scripted(|connection| {
            connection.read_request();
            connection.close();
        })
    };
    for (hold, request, times) in [
        ("1h", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 2),
        ("0s", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1),
        ("1h", POST, 1),
    ] {
        let upstream = always_closes();
        let gate = TestGate::start(CONFIG, &[("target", &upstream), ("hold", &hold)]);
        gate.exchange(request).expect_own(502, "upstream_closed");
        assert_eq!(upstream.requests().len(), times, "hold {hold}: {request:?}");
    }
}

/// Both endpoints drain, so that no request has one when it comes. Afterwards each goes where its key leads.
#[test]
fn a_request_that_was_held_goes_where_its_key_leads() {
    const CONFIG: &str = r#"
workers: 1
http_config: { port: "127.0.0.1:0" }
http_routes: [{ upstream: one }]
internal_api: { bind: "127.0.0.1:0" }
upstreams: { one: { targets: ["http://{a}", "http://{b}"], hold: 1h, balance: { hash: header.X-Key } } }
"#;
    let (a, b) = (Upstream::says("a"), Upstream::says("b"));
    let gate = TestGate::start(CONFIG, &[("a", &a), ("b", &b)]);
    let request = |key: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX-Key: {key}\r\n\r\n");
    let firsts: Vec<_> = (0..16).map(|key| gate.exchange(request(key)).text()).collect();
    gate.internal("POST", "/drain?which=one");
    let mut clients: Vec<_> = (0..16).map(|_| gate.client()).collect();
    clients.iter_mut().enumerate().for_each(|(key, client)| client.send(request(key)));
    let held = || gate.metric("smolgate_upstream_held{upstream=\"one\"}");
    support::until("all are held", || held() == 16.0);
    gate.internal("POST", "/ready?which=one");
    let seconds: Vec<_> = clients.iter_mut().map(|client| client.read_response().text()).collect();
    assert_eq!(seconds, firsts);
}
