//! The access log and the counters of refused requests: one line each, with the part that was read.

mod support;

use std::fs;

use serde_json::Value;
use support::gate::TestGate;
use support::until;
use support::upstream::Refusing;

const CONFIG: &str = r#"
access_log: "{dir}/access.log"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    header_timeout: "200ms"
    head_bytes_max: 1024
    rules:
      - { name: dead, host: dead.test, pass: "{dead}" }
      - { name: post, host: post.test, target: "http://{dead}", max_body: 3 }
"#;

struct Row {
    sent: &'static [u8],
    /// Whether the client closes its sending half.
    ends: bool,
    status: u16,
    reason: &'static str,
    method: &'static str,
    host: &'static str,
    target: &'static str,
}

const ROWS: &[Row] = &[
    Row {
        sent: b"GET /a?b HTTP/1.1\r\nHost: a.test\r\nUser-Agent: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        ends: false,
        status: 400,
        reason: "request_framing",
        method: "GET",
        host: "a.test",
        target: "/a?b",
    },
    Row {
        sent: b"PUT http://b.test:1/x HTTP/1.1\r\nNo colon\r\n\r\n",
        ends: false,
        status: 400,
        reason: "request_malformed",
        method: "PUT",
        host: "b.test:1",
        target: "http://b.test:1/x",
    },
    Row {
        sent: b"DELETE /slow HTTP/1.1\r\nHost: c.test\r\nX: ",
        ends: false,
        status: 408,
        reason: "request_timeout",
        method: "DELETE",
        host: "c.test",
        target: "/slow",
    },
    Row {
        sent: b"GET /cut HTTP/1.1\r\nHost: d.te",
        ends: true,
        status: 499,
        reason: "client_gone",
        method: "GET",
        host: "d.te",
        target: "/cut",
    },
    Row {
        sent: b"\x16\x03\x01\x02\x00",
        ends: false,
        status: 400,
        reason: "request_malformed",
        method: "-",
        host: "",
        target: "-",
    },
    Row {
        sent: b"GET / HTTP/1.1\r\nHost: none.test\r\n\r\n",
        ends: false,
        status: 404,
        reason: "no_rule",
        method: "GET",
        host: "none.test",
        target: "/",
    },
    Row {
        sent: b"GET /passed HTTP/1.1\r\nHost: dead.test\r\n\r\n",
        ends: false,
        status: 502,
        reason: "connect_refused",
        method: "GET",
        host: "dead.test",
        target: "/passed",
    },
];

#[test]
fn every_refused_request_has_one_line_with_the_part_that_was_read() {
    let (dir, dead) = (tempfile::tempdir().unwrap(), Refusing::new());
    let gate = TestGate::start(CONFIG, &[("dir", &dir.path().display()), ("dead", &dead)]).keep(dead);
    let log = dir.path().join("access.log");
    let read = || fs::read_to_string(&log).unwrap_or_default();
    let mut bytes = 0;
    for (number, row) in ROWS.iter().enumerate() {
        let mut client = gate.client();
        client.send(row.sent);
        bytes += row.sent.len();
        if row.ends {
            client.half_close();
        }
        until("the line is there", || read().lines().count() > number);
        let line: Value = serde_json::from_str(read().lines().nth(number).unwrap()).unwrap();
        for (field, value) in [
            ("status", Value::from(row.status)),
            ("reason", row.reason.into()),
            ("method", row.method.into()),
            ("host", row.host.into()),
            ("target", row.target.into()),
            ("bytes_in", row.sent.len().into()),
        ] {
            assert_eq!(line[field], value, "{field} of {line}");
        }
    }
    assert_eq!(read().lines().count(), ROWS.len());
    assert_eq!(gate.metric("smolgate_bytes_received_total{listener=\"http\"}"), bytes as f64);
}

#[test]
fn a_head_that_is_too_large_is_logged_and_counted() {
    let (dir, dead) = (tempfile::tempdir().unwrap(), Refusing::new());
    let gate = TestGate::start(CONFIG, &[("dir", &dir.path().display()), ("dead", &dead)]).keep(dead);
    let log = dir.path().join("access.log");
    let mut client = gate.client();
    client.try_send(format!("GET /large HTTP/1.1\r\nHost: e.test\r\nX: {}\r\n\r\n", "x".repeat(2000)));
    assert_eq!(client.read_response().status(), 431);
    let read = || fs::read_to_string(&log).unwrap_or_default();
    until("the line is there", || read().lines().count() > 0);
    let line: Value = serde_json::from_str(read().lines().next().unwrap()).unwrap();
    assert_eq!((&line["target"], &line["host"]), (&"/large".into(), &"e.test".into()), "{line}");
    assert!(line["bytes_in"].as_u64() >= Some(1024), "{line}");
}
