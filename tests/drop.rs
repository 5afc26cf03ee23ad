//! `drop`: connections and requests that get no response, and that no target sees.

mod support;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use smolgate::proxy_protocol::{self, Version};
use support::client::Client;
use support::gate::TestGate;
use support::tls::{Authority, Tls};
use support::until;
use tempfile::TempDir;

const CONFIG: &str = r#"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    tls: { certificates: "{dir}/ours.crt" }
    rules: &rules
      - { name: good, host: good.evil.test, respond: { body: "good" } }
      - { name: evil, host: ["evil.test", "*.evil.test"], drop: true }
      - { name: admin, host: ours.test, path_prefix: /admin, drop: true }
      - { name: writes, methods: [PUT, DELETE], drop: true }
      - { respond: { body: "from the gate" } }
  - name: http
    bind: "127.0.0.1:0"
    rules: *rules
  - name: behind
    bind: "127.0.0.1:0"
    accept_proxy_protocol: "127.0.0.1"
    tls: { certificates: "{dir}/ours.crt" }
    rules: *rules
"#;

struct Scene {
    gate: TestGate,
    authority: Authority,
    _dir: TempDir,
}

fn scene() -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    authority.issue(dir.path(), "ours", &["ours.test", "good.evil.test"]);
    let gate = TestGate::start(CONFIG, &[("dir", &dir.path().display())]);
    Scene { gate, authority, _dir: dir }
}

impl Scene {
    fn over_tls(&self, name: &str) -> Client {
        let config = Arc::new(self.authority.client(&[]));
        Tls::connect(self.gate.address("https"), &config, name).unwrap().client()
    }

    #[track_caller]
    fn expect_dropped(&self, rule: &str, method: &str, listener: &str, count: f64) {
        let counted = format!(
            "smolgate_requests_total{{listener=\"{listener}\",rule=\"{rule}\",method=\"{method}\",code=\"444\"}}"
        );
        until("it is counted", || self.gate.metric(&counted) == count);
    }
}

#[test]
fn a_connection_is_dropped_by_name_without_a_byte_of_response() {
    let scene = scene();
    for name in ["evil.test", "A.Evil.Test"] {
        let hello = scene.authority.hello(name);
        for step in [40, hello.len()] {
            let mut client = scene.gate.client_of("https");
            // The gate may close before it has read all pieces.
            hello.chunks(step).for_each(|piece| _ = client.try_send(piece));
            client.expect_close();
        }
    }
    scene.expect_dropped("evil", "other", "https", 4.0);
    let dropped = "smolgate_tls_handshakes_total{listener=\"https\",result=\"dropped\"}";
    assert_eq!(scene.gate.metric(dropped), 4.0);
    assert_eq!(scene.gate.metric("smolgate_local_replies_total{reason=\"dropped\"}"), 4.0);
    assert_eq!(scene.gate.metric("http_request_total_count"), 4.0);
    // An earlier rule takes precedence.
    let mut good = scene.over_tls("good.evil.test");
    assert_eq!(good.exchange("GET / HTTP/1.1\r\nHost: good.evil.test\r\n\r\n").text(), "good");
}

#[test]
fn a_rule_that_needs_more_than_a_name_drops_after_the_handshake() {
    let scene = scene();
    for request in [
        "GET /admin/x HTTP/1.1\r\nHost: ours.test\r\n\r\n",
        "DELETE / HTTP/1.1\r\nHost: ours.test\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: ours.test\r\nContent-Length: 5\r\n\r\nhello",
        // The server name of the handshake was another one.
        "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    ] {
        let mut client = scene.over_tls("ours.test");
        let first = client.exchange("GET / HTTP/1.1\r\nHost: ours.test\r\n\r\n");
        assert_eq!(first.text(), "from the gate");
        client.send(request);
        client.expect_close();
    }
    scene.expect_dropped("admin", "GET", "https", 1.0);
    scene.expect_dropped("writes", "DELETE", "https", 1.0);
    scene.expect_dropped("evil", "GET", "https", 1.0);
    assert_eq!(scene.gate.metric("smolgate_local_replies_total{reason=\"dropped\"}"), 4.0);
}

#[test]
fn requests_in_the_clear_are_dropped_after_earlier_ones_are_answered() {
    let scene = scene();
    let mut client = scene.gate.client();
    client.send("GET / HTTP/1.1\r\nHost: x.evil.test\r\n\r\n");
    client.expect_close();
    let mut client = scene.gate.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nDELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
    assert_eq!(client.read_response().text(), "from the gate");
    client.expect_close();
    scene.expect_dropped("writes", "DELETE", "http", 1.0);
    scene.expect_dropped("evil", "GET", "http", 1.0);
}

#[test]
fn an_announced_client_is_dropped_too() {
    let scene = scene();
    let mut sent = Vec::new();
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    proxy_protocol::write(Version::V2, address("203.0.113.9:4711"), address("198.51.100.1:80"), &mut sent);
    sent.extend(scene.authority.hello("evil.test"));
    let mut client = scene.gate.client_of("behind");
    client.send(sent);
    client.expect_close();
    scene.expect_dropped("evil", "other", "behind", 1.0);
}

/// The address is known before the handshake. A rule for some clients leaves the name to the next rule.
#[test]
fn the_address_of_a_client_decides_beside_the_name() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    let config = r#"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    accept_proxy_protocol: "127.0.0.1"
    tls: {}
    rules:
      - { from: 203.0.113.0/24, drop: true }
      - { host: mail.test, not_from: 198.51.100.0/24, pass: "{target}" }
      - { drop: true }
"#;
    let gate = TestGate::start(config, &[("target", &target.local_addr().unwrap())]);
    let hello = authority.hello("mail.test");
    let open = |client: &str| {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mut sent = Vec::new();
        proxy_protocol::write(Version::V1, address(client), address("192.0.2.1:80"), &mut sent);
        sent.extend(&hello);
        let mut connection = gate.client_of("https");
        connection.send(sent);
        connection
    };
    for client in ["203.0.113.9:4711", "198.51.100.9:4711"] {
        open(client).expect_close();
    }
    let _open = open("192.0.2.9:4711");
    let mut got = vec![0; hello.len()];
    std::io::Read::read_exact(&mut target.accept().unwrap().0, &mut got).unwrap();
    assert_eq!(got, hello);
}

#[test]
fn pass_and_drop_take_turns_in_written_order_and_need_no_certificates() {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    let config = r#"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    tls: {}
    rules:
      - { host: mail.test, pass: "{target}" }
      - { host: "*.test", drop: true }
      - { pass: "{target}" }
"#;
    let gate = TestGate::start(config, &[("target", &target.local_addr().unwrap())]);
    let mut dropped = gate.client_of("https");
    dropped.send(authority.hello("other.test"));
    dropped.expect_close();
    for name in ["mail.test", "other.example"] {
        let hello = authority.hello(name);
        gate.client_of("https").send(&hello);
        let mut got = vec![0; hello.len()];
        std::io::Read::read_exact(&mut target.accept().unwrap().0, &mut got).unwrap();
        assert_eq!(got, hello, "{name}");
    }
}
