//! The access log of connections without exchanges: one line each, at its end.

mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use support::gate::TestGate;
use support::tls::{Authority, Tls};
use support::until;
use support::upstream::{Refusing, Upstream};
use tempfile::TempDir;

const CONFIG: &str = r#"
access_log: "{dir}/access.log"
shutdown_timeout: 0
listeners:
  - name: https
    bind: "127.0.0.1:0"
    tls: { certificates: "{dir}/ours.crt" }
    rules:
      - { name: mail, host: mail.test, pass: "{target}" }
      - { name: dead, host: dead.test, pass: "{dead}" }
      - { name: evil, host: evil.test, drop: true }
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { name: mail, host: mail.test, pass: "{target}" }
      - { name: dead, host: dead.test, pass: "{dead}" }
      - { name: evil, host: evil.test, drop: true }
  - { name: raw, bind: "127.0.0.1:0", protocol: tcp, target: "{target}" }
  - name: raw-tls
    bind: "127.0.0.1:0"
    protocol: tcp
    target: "{target}"
    tls: { certificates: "{dir}/ours.crt" }
"#;

struct Scene {
    gate: TestGate,
    authority: Authority,
    target: Upstream,
    dead: Refusing,
    log: PathBuf,
    dir: TempDir,
}

/// A gate whose target sends `answer` and ends, once it has received `count` bytes.
fn scene(config: &str, count: usize) -> Scene {
    let target = Upstream::scripted(move |connection| {
        connection.read_exact(count);
        connection.send("answer");
        connection.half_close();
        connection.read_to_end();
    });
    let dead = Refusing::new();
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    authority.issue(dir.path(), "ours", &["ours.test"]);
    let names: support::gate::Names = &[("dir", &dir.path().display()), ("target", &target), ("dead", &dead)];
    let gate = TestGate::start(config, names);
    Scene { gate, authority, target, dead, log: dir.path().join("access.log"), dir }
}

impl Scene {
    /// The lines of the log, once there are `count`.
    #[track_caller]
    fn lines(&self, count: usize) -> Vec<String> {
        let read = || fs::read_to_string(&self.log).unwrap_or_default();
        until("the lines are there", || read().lines().count() >= count);
        let lines: Vec<String> = read().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), count, "{lines:?}");
        lines
    }

    /// The only line of the log.
    #[track_caller]
    fn line(&self) -> Value {
        serde_json::from_str(&self.lines(1)[0]).unwrap()
    }
}

#[track_caller]
fn expect(line: &Value, fields: &[(&str, Value)]) {
    for (name, value) in fields {
        assert_eq!(line.get(name), Some(value), "{name} of {line}");
    }
    for name in ["method", "target", "version", "status", "user_agent", "referer"] {
        assert_eq!(line.get(name), None, "{name} of {line}");
    }
    assert!(line["duration_ms"].as_f64().is_some(), "{line}");
}

#[test]
fn a_connection_that_is_passed_through_under_tls() {
    let count = 300;
    let scene = scene(CONFIG, count);
    let hello = scene.authority.hello("Mail.Test");
    let mut client = scene.gate.client_of("https");
    client.send(&hello);
    client.half_close();
    assert_eq!(client.read_to_end().0, b"answer");
    let line = scene.line();
    expect(
        &line,
        &[
            ("listener", "https".into()),
            ("rule", "mail".into()),
            ("client", "127.0.0.1".into()),
            ("host", "mail.test".into()),
            ("bytes_in", hello.len().into()),
            ("bytes_out", 6.into()),
            ("upstream", scene.target.address().to_string().into()),
            ("target_address", scene.target.address().to_string().into()),
        ],
    );
    assert_eq!((line.get("reason"), line.get("tls_version")), (None, None), "{line}");
}

#[test]
fn a_connection_that_is_passed_through_in_the_clear() {
    let request = "GET / HTTP/1.1\r\nHost: mail.test\r\n\r\n";
    let scene = scene(CONFIG, request.len());
    let mut client = scene.gate.client();
    client.send(request);
    client.half_close();
    assert_eq!(client.read_to_end().0, b"answer");
    let known = [("rule", "mail".into()), ("host", "mail.test".into()), ("bytes_in", request.len().into())];
    expect(&scene.line(), &known);
}

/// A rule with `access_log: false` has no lines, whatever becomes of the connection. The rule behind it has.
#[test]
fn a_rule_may_have_no_lines() {
    let config = r#"
access_log: "{dir}/access.log"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    tls: { certificates: "{dir}/ours.crt" }
    rules:
      - { host: mail.test, pass: "{target}", access_log: false }
      - { host: evil.test, drop: true, access_log: false }
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: quiet.test, path_prefix: /tunnel, target: "{target}", access_log: false }
      - { host: quiet.test, path_prefix: /dead, target: "{dead}", access_log: false }
      - { host: quiet.test, access_log: false, respond: { body: quiet } }
      - { name: loud, host: loud.test, access_log: true, respond: { body: loud } }
"#;
    let scene = scene(config, 5);
    for (name, answer) in [("mail.test", &b"answer"[..]), ("evil.test", b"")] {
        let mut client = scene.gate.client_of("https");
        client.send(scene.authority.hello(name));
        client.half_close();
        assert_eq!(client.read_to_end().0, answer, "{name}");
    }
    let get = |host: &str, path: &str| {
        scene.gate.client().exchange(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).status()
    };
    assert_eq!((get("quiet.test", "/"), get("quiet.test", "/dead")), (200, 502));
    // The target sends no response but bytes, so the exchange fails.
    assert_eq!(get("quiet.test", "/tunnel"), 502);
    assert_eq!(get("loud.test", "/"), 200);
    assert_eq!(scene.line()["rule"], "loud");
}

#[test]
fn a_connection_to_a_tcp_listener() {
    let scene = scene(CONFIG, 5);
    let mut client = scene.gate.client_of("raw");
    client.send("hello");
    client.half_close();
    assert_eq!(client.read_to_end().0, b"answer");
    let known = [
        ("listener", "raw".into()),
        ("rule", "none".into()),
        ("host", "".into()),
        ("bytes_in", 5.into()),
        ("bytes_out", 6.into()),
    ];
    expect(&scene.line(), &known);
}

#[test]
fn a_connection_to_a_tcp_listener_that_terminates_tls() {
    let scene = scene(CONFIG, 5);
    let config = Arc::new(scene.authority.client(&[]));
    let mut client = Tls::connect(scene.gate.address("raw-tls"), &config, "ours.test").unwrap().client();
    client.send("hello");
    client.half_close();
    assert_eq!(client.read_to_end().0, b"answer");
    let known = [
        ("host", "ours.test".into()),
        ("tls_version", "TLSv1.3".into()),
        ("bytes_in", 5.into()),
        ("bytes_out", 6.into()),
    ];
    expect(&scene.line(), &known);
}

#[test]
fn a_connection_that_is_dropped() {
    let scene = scene(CONFIG, 0);
    let mut client = scene.gate.client_of("https");
    client.send(scene.authority.hello("evil.test"));
    client.expect_close();
    let known = [
        ("rule", "evil".into()),
        ("host", "evil.test".into()),
        ("reason", "dropped".into()),
        ("bytes_out", 0.into()),
    ];
    expect(&scene.line(), &known);
    assert_eq!(scene.line().get("upstream"), None);
}

#[test]
fn a_request_that_is_dropped_is_an_exchange() {
    let scene = scene(CONFIG, 0);
    let mut client = scene.gate.client();
    client.send("GET /x HTTP/1.1\r\nHost: evil.test\r\n\r\n");
    client.expect_close();
    let line = scene.line();
    let seen = (&line["method"], &line["target"], &line["status"], &line["reason"], &line["bytes_out"]);
    assert_eq!(seen, (&"GET".into(), &"/x".into(), &444.into(), &"dropped".into(), &0.into()));
}

#[test]
fn a_target_that_cannot_be_reached() {
    let scene = scene(CONFIG, 0);
    let mut client = scene.gate.client_of("https");
    client.send(scene.authority.hello("dead.test"));
    client.expect_close();
    let known = [
        ("host", "dead.test".into()),
        ("reason", "connect_refused".into()),
        ("upstream", scene.dead.to_string().into()),
    ];
    expect(&scene.line(), &known);
    assert_eq!(scene.line().get("target_address"), None);
}

#[test]
fn an_unreachable_target_in_the_clear_is_an_exchange_with_one_line() {
    let scene = scene(CONFIG, 0);
    let response = scene.gate.exchange("GET / HTTP/1.1\r\nHost: dead.test\r\n\r\n");
    response.expect_own(502, "connect_refused");
    assert_eq!(scene.line()["status"], 502);
}

#[test]
fn a_connection_that_a_reload_closes() {
    for (listener, without) in [("https", "mail.test"), ("http", "mail.test"), ("raw", "name: raw,")] {
        let scene = scene(CONFIG, 1);
        let first = match listener {
            "https" => scene.authority.hello("mail.test"),
            "http" => b"GET / HTTP/1.1\r\nHost: mail.test\r\n\r\n".to_vec(),
            _ => b"hello".to_vec(),
        };
        let mut client = scene.gate.client_of(listener);
        client.send(&first);
        assert_eq!(client.read_exact(6), b"answer");
        let rest: Vec<&str> = CONFIG.lines().filter(|line| !line.contains(without)).collect();
        let names: support::gate::Names =
            &[("dir", &scene.dir.path().display()), ("target", &scene.target), ("dead", &scene.dead)];
        scene.gate.edit(&rest.join("\n"), names);
        scene.gate.reload().unwrap();
        client.read_to_end();
        let known = [
            ("listener", listener.into()),
            ("reason", "shutting_down".into()),
            ("bytes_in", first.len().into()),
            ("bytes_out", 6.into()),
        ];
        expect(&scene.line(), &known);
    }
}

#[test]
fn the_combined_format_has_the_server_name_in_place_of_the_target() {
    let config = CONFIG.replacen("\"{dir}/access.log\"", "{ to: \"{dir}/access.log\", format: combined }", 1);
    let scene = scene(&config, 300);
    let mut client = scene.gate.client_of("https");
    client.send(scene.authority.hello("mail.test"));
    client.half_close();
    client.read_to_end();
    let passed = scene.lines(1);
    assert!(passed[0].ends_with(r#"] "- mail.test -" 200 6 "-" "-""#), "{passed:?}");
    let mut client = scene.gate.client_of("https");
    client.send(scene.authority.hello("evil.test"));
    client.expect_close();
    let dropped = scene.lines(2);
    assert!(dropped[1].ends_with(r#"] "- evil.test -" 444 0 "-" "-""#), "{dropped:?}");
}
