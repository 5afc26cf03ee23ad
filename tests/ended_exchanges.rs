//! Exchanges that are cut because `shutdown_timeout` is over. Each is counted once and has one line in the
//! access log.

mod support;

use support::gate::TestGate;
use support::upstream::{Blackhole, Upstream};
use support::{Latch, until};

const CONFIG: &str = r#"
access_log: "{dir}/access.log"
shutdown_timeout: 0
listeners:
  - name: other
    bind: "127.0.0.1:0"
    rules: [{ respond: {} }]
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { name: ours, path_prefix: /ours, respond: { body: "ours" } }
      - { name: far, path_prefix: /far, target: "http://{blackhole}" }
      - { name: near, target: "http://{upstream}" }
"#;

/// A moment at which an exchange is cut.
struct Case {
    sent: &'static str,
    /// The bytes that the client receives before.
    got: &'static str,
    /// Lines of the access log, in order: rule, method, target, status, reason.
    lines: &'static [(&'static str, &'static str, &'static str, u64, Option<&'static str>)],
}

const ENDED: Option<&str> = Some("shutting_down");

/// The moments: in the head; while connecting; before the response; in the upload; in the response; in a
/// local reply while the rest of the request is read; between two requests; in the second request.
const CASES: [Case; 8] = [
    Case { sent: "GET /wait HTTP/1.1\r\nHos", got: "", lines: &[("none", "-", "-", 503, ENDED)] },
    Case {
        sent: "GET /far HTTP/1.1\r\nHost: a\r\n\r\n",
        got: "",
        lines: &[("far", "GET", "/far", 503, ENDED)],
    },
    Case {
        sent: "GET /wait HTTP/1.1\r\nHost: a\r\n\r\n",
        got: "",
        lines: &[("near", "GET", "/wait", 503, ENDED)],
    },
    Case {
        sent: "POST /wait HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
        got: "",
        lines: &[("near", "POST", "/wait", 503, ENDED)],
    },
    Case {
        sent: "GET /half HTTP/1.1\r\nHost: a\r\n\r\n",
        got: "half",
        lines: &[("near", "GET", "/half", 200, ENDED)],
    },
    Case {
        sent: "POST /ours HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello",
        got: "ours",
        lines: &[("ours", "POST", "/ours", 200, None)],
    },
    Case {
        sent: "GET /ours HTTP/1.1\r\nHost: a\r\n\r\n",
        got: "ours",
        lines: &[("ours", "GET", "/ours", 200, None)],
    },
    Case {
        sent: "GET /ours HTTP/1.1\r\nHost: a\r\n\r\nGET /wait HTTP/1.1\r\nHost: a\r\n\r\n",
        got: "ours",
        lines: &[("ours", "GET", "/ours", 200, None), ("near", "GET", "/wait", 503, ENDED)],
    },
];

#[test]
fn a_cut_exchange_is_counted_and_logged_once() {
    for case in &CASES {
        let over = Latch::new();
        check(case, &over);
        over.open();
    }
}

fn check(case: &Case, over: &Latch) {
    let held = over.clone();
    let upstream = Upstream::scripted(move |connection| {
        let Some(head) = connection.read_head() else { return };
        if head.start.contains("/half") {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        }
        held.wait();
    });
    let (dir, blackhole) = (tempfile::tempdir().unwrap(), Blackhole::new());
    let path = dir.path().display();
    let names: support::gate::Names = &[("dir", &path), ("upstream", &upstream), ("blackhole", &blackhole)];
    let gate = TestGate::start(CONFIG, names);
    // A connection without a byte of a request is no exchange.
    let mut silent = gate.client();
    let mut client = gate.client();
    client.send(case.sent);
    if !case.got.is_empty() {
        client.read_head();
        assert_eq!(client.read_exact(case.got.len()), case.got.as_bytes());
    }
    if case.lines.iter().any(|(rule, ..)| *rule == "near") {
        until("the target has the request", || upstream.received().iter().any(|bytes| !bytes.is_empty()));
    }
    // When the worker serves other connections after that, it has read everything that was sent before.
    for _ in 0..3 {
        assert_eq!(gate.client_of("other").exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200);
    }
    gate.edit(&CONFIG[..CONFIG.find("  - name: http").unwrap()], names);
    gate.reload().expect("the reload is fine");
    client.read_to_end();
    silent.expect_close();
    // The gate ends after it has written everything.
    let counted = gate.metrics();
    gate.stop();
    let log = std::fs::read_to_string(dir.path().join("access.log")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let lines: Vec<_> = lines.filter(|line| line["listener"] == "http").collect();
    let seen = lines.iter().map(|line| {
        let text = |name: &str| line[name].as_str();
        (text("rule"), text("method"), text("target"), line["status"].as_u64(), text("reason"))
    });
    let expected = case.lines.iter().map(|(rule, method, target, status, reason)| {
        (Some(*rule), Some(*method), Some(*target), Some(*status), *reason)
    });
    assert!(seen.eq(expected), "{:?}: {log}", case.sent);
    let series: Vec<&str> = counted
        .lines()
        .filter(|line| line.starts_with("smolgate_requests_total{listener=\"http\""))
        .collect();
    let expected = case.lines.iter().map(|(rule, method, _, status, _)| {
        let method = if *method == "-" { "other" } else { method };
        let labels = format!("listener=\"http\",rule=\"{rule}\",method=\"{method}\",code=\"{status}\"");
        format!("smolgate_requests_total{{{labels}}} 1")
    });
    let mut expected: Vec<String> = expected.collect();
    expected.sort();
    assert_eq!(series, expected, "{:?}", case.sent);
}
