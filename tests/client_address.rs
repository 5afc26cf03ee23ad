//! The address of the client behind trusted proxies in the access log.

mod support;

use support::client::Client;
use support::gate::TestGate;
use support::until;
use support::upstream::Upstream;

const CONFIG: &str = r#"
access_log: { to: "{log}", format: json }
listeners:
  - name: trusting
    bind: "127.0.0.1:0"
    trusted_proxies: [private, cloudflare]
    rules: &rules
      - { host: ours.test, respond: { body: "ours" } }
      - target: "http://{upstream}"
  - { name: cloudflare, bind: "127.0.0.1:0", trusted_proxies: cloudflare, rules: *rules }
  - { name: none, bind: "127.0.0.1:0", rules: *rules }
  - name: announced
    bind: "127.0.0.1:0"
    accept_proxy_protocol: 127.0.0.1
    trusted_proxies: 203.0.113.0/24
    rules: *rules
"#;

/// The client in the last line of the access log, which is line `number`.
fn logged(dir: &std::path::Path, number: usize) -> String {
    let mut lines = Vec::new();
    until("a line is written", || {
        lines = std::fs::read_to_string(dir).unwrap_or_default().lines().map(str::to_owned).collect();
        lines.len() >= number
    });
    assert_eq!(lines.len(), number, "{lines:?}");
    let line: serde_json::Value = serde_json::from_str(&lines[number - 1]).unwrap();
    line["client"].as_str().unwrap_or_else(|| panic!("{line}")).to_owned()
}

#[test]
fn the_access_log_has_the_client_that_trusted_proxies_tell() {
    let upstream = Upstream::scripted(|connection| {
        if connection.read_request().is_some() {
            connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream), ("log", &log.display())]);
    let header = |from: &str| format!("PROXY TCP4 {from} 198.51.100.1 1 80\r\n");
    let chain = "X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.0.0.1, 173.245.48.9\r\n";
    let rows: [(&str, String, &str, &str); 10] = [
        ("trusting", String::new(), "", "127.0.0.1"),
        ("trusting", String::new(), chain, "192.0.2.7"),
        ("trusting", String::new(), "X-Forwarded-For: 192.0.2.7, 100.64.0.1\r\n", "100.64.0.1"),
        ("trusting", String::new(), "Forwarded: for=\"[2001:db8::7]:1\", for=10.0.0.1\r\n", "2001:db8::7"),
        ("trusting", String::new(), "X-Forwarded-For: 192.0.2.7, junk\r\n", "127.0.0.1"),
        ("cloudflare", String::new(), chain, "127.0.0.1"),
        ("none", String::new(), chain, "127.0.0.1"),
        ("announced", header("203.0.113.5"), "X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\n", "192.0.2.7"),
        ("announced", header("203.0.113.5"), "", "203.0.113.5"),
        ("announced", header("198.51.100.9"), chain, "198.51.100.9"),
    ];
    let mut number = 0;
    for (listener, before, lines, client) in rows {
        let close = "Connection: close\r\n";
        let ask = format!("{before}GET / HTTP/1.1\r\nHost: ours.test\r\n{close}{lines}\r\n");
        gate.client_of(listener).exchange(ask).expect(200, "ours");
        number += 1;
        assert_eq!(logged(&log, number), client, "{listener}, {lines}");
        // A tunnel.
        let ask =
            format!("{before}GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n{lines}\r\n");
        let mut tunnel: Client = gate.client_of(listener);
        assert_eq!(tunnel.exchange(ask).status(), 101);
        tunnel.half_close();
        tunnel.expect_close();
        number += 1;
        assert_eq!(logged(&log, number), client, "a tunnel, {listener}, {lines}");
    }
}
