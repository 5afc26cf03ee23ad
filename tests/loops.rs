//! `Via`, `Max-Forwards`, and requests that come back to the gate.

mod support;

use support::gate::TestGate;
use support::until;
use support::upstream::Upstream;

const CONFIG: &str = r#"
http_config: { port: "127.0.0.1:0" }
http_routes:
  - { host: said.test, respond: { body: "said" } }
  - { target: "http://{upstream}" }
"#;

fn start(upstream: &Upstream) -> TestGate {
    TestGate::start(CONFIG, &[("upstream", upstream)])
}

#[test]
fn requests_and_responses_get_a_via() {
    let upstream = Upstream::answers("HTTP/1.1 200 OK\r\nVia: 1.0 far\r\nContent-Length: 0\r\n\r\n");
    let gate = start(&upstream);
    let response = gate
        .exchange("GET / HTTP/1.1\r\nVia: 1.0 one (x), 1.1 two\r\nHost: a\r\nvia: 2 three\r\nX: y\r\n\r\n");
    assert_eq!(response.head.list("via"), ["1.0 far", "1.1 smolgate"]);
    assert_eq!(upstream.request().head.list("via"), ["1.0 one (x)", "1.1 two", "2 three", "1.1 smolgate"]);
}

#[test]
fn via_has_the_version_of_the_received_message() {
    let upstream = Upstream::answers("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n");
    let response = start(&upstream).exchange("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(response.get("via"), Some("1.0 smolgate"));
    assert_eq!(upstream.request().head.get("via"), Some("1.0 smolgate"));
}

#[test]
fn a_request_in_a_loop_is_refused() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    gate.edit(CONFIG, &[("upstream", &gate.address("http"))]);
    gate.reload().unwrap();
    let mut client = gate.client();
    for method in ["GET", "POST"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        client.exchange(request).expect_own(508, "loop_detected");
    }
    assert_eq!(gate.metric("smolgate_local_replies_total{reason=\"loop_detected\"}"), 2.0);
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_chain_of_gates_is_no_loop() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    let via = |times: usize| vec!["1.1 smolgate"; times].join(", ");
    let ask = |host: &str, times| {
        gate.exchange(format!("GET / HTTP/1.1\r\nHost: {host}\r\nVia: {}\r\n\r\n", via(times)))
    };
    ask("a", 4).expect(200, "fine");
    ask("a", 5).expect_own(508, "loop_detected");
    ask("said.test", 5).expect(200, "said");
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn max_forwards_limits_options_and_trace() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    let ask = |method: &str, fields: &str| {
        gate.client().exchange(format!("{method} / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
    };
    let answered = ask("OPTIONS", "Max-Forwards: 0\r\n");
    answered.expect(200, "");
    assert!(answered.head.list("allow").contains(&"get".to_owned()), "{answered:?}");
    ask("TRACE", "Max-Forwards: 0\r\n").expect_own(405, "request_method");
    assert_eq!(upstream.connections(), 0, "none of them was forwarded");
    let went_on = [
        ("OPTIONS", "Max-Forwards: 7\r\n", vec!["6"]),
        ("TRACE", "max-forwards: 1\r\n", vec!["0"]),
        ("OPTIONS", "Max-Forwards: 9\r\nMax-Forwards: 3\r\n", vec!["8"]),
        ("OPTIONS", "Max-Forwards: 99999999999999999999\r\n", vec!["18446744073709551614"]),
        // Values that are no number, and methods without `Max-Forwards`, are forwarded unchanged.
        ("OPTIONS", "Max-Forwards: -1\r\n", vec!["-1"]),
        ("GET", "Max-Forwards: 0\r\n", vec!["0"]),
    ];
    for (number, (method, fields, left)) in went_on.into_iter().enumerate() {
        ask(method, fields).expect(200, "fine");
        let seen = upstream.requests().remove(number);
        assert_eq!(seen.head.all("max-forwards"), left, "{method} {fields}");
    }
}

/// Each listener passes connections on to `target`, in its own way.
const PASSED: &str = r#"
listeners:
  - { name: http, bind: "127.0.0.1:0", rules: [{ pass: "{target}" }] }
  - { name: raw, bind: "127.0.0.1:0", protocol: tcp, target: "{target}" }
  - { name: anywhere, bind: ":0", rules: [{ respond: { body: "here" } }] }
"#;

#[test]
fn a_connection_that_would_be_passed_on_to_the_gate_itself_is_refused() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(PASSED, &[("target", &upstream)]);
    gate.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fine");
    let on = |host: &str, listener: &str| format!("{host}:{}", gate.address(listener).port());
    let targets = [
        on("127.0.0.1", "http"),
        on("localhost", "http"),
        on("0.0.0.0", "http"),
        on("127.0.0.1", "raw"),
        on("localhost", "anywhere"),
        on("127.0.1.1", "anywhere"),
    ];
    for (number, target) in targets.iter().enumerate() {
        gate.edit(PASSED, &[("target", target)]);
        gate.reload().unwrap();
        gate.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect_own(508, "loop_detected");
        let mut client = gate.client_of("raw");
        client.expect_close();
        let counted = (2 * number + 2) as f64;
        until(target, || gate.metric("smolgate_local_replies_total{reason=\"loop_detected\"}") == counted);
    }
    assert_eq!(upstream.connections(), 1);
    // The connections of the clients, and no others: nothing went round.
    assert_eq!(gate.metric("smolgate_connections_total{listener=\"anywhere\"}"), 0.0);
}
