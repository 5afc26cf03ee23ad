//! Rules that keep a path from clients, and the other ways to write such a path: what a target may read as
//! guarded does not reach it.

mod support;

use support::gate::TestGate;
use support::upstream::Upstream;

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: dropped.test, path_prefix: /.env, drop: true }
      - { host: dropped.test, path_prefix: /a/b, methods: [PUT], drop: true }
      - { host: refused.test, path_prefix: /admin, respond: { status: 403, body: "no" } }
      - { host: refused.test, path_prefix: /old, redirect: "https://new.test" }
      - { host: refused.test, path_prefix: /down, respond: { status: 503 } }
      - { target: "http://{upstream}" }
  - name: clear
    bind: "127.0.0.1:0"
    redirect_to_https: true
    rules:
      - { path_prefix: /.env, drop: true }
      - { target: "http://{upstream}" }
"#;

/// What a client is told of `METHOD host/path` on a listener: status and reason.
fn answer(gate: &TestGate, listener: &str, asked: &str) -> (u16, Option<String>) {
    let (method, url) = asked.split_once(' ').unwrap();
    let (host, path) = url.split_once('/').unwrap();
    let mut client = gate.client_of(listener);
    client.send(format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"));
    let response = client.read_response();
    (response.status(), response.reason().map(str::to_owned))
}

#[test]
fn what_a_target_may_read_as_a_guarded_path_does_not_reach_it() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    for asked in [
        "GET dropped.test//.env",
        "GET dropped.test/%2f.env",
        "GET dropped.test/%2F%2eenv/x",
        "GET dropped.test/.env%2fx",
        "GET dropped.test/.env\\x",
        "GET dropped.test/.env%5Cx",
        "GET dropped.test/.env;a",
        "GET dropped.test/.env%3ba/x",
        "GET dropped.test/;a/.env",
        "GET dropped.test/\\.env",
        "GET dropped.test/.env%00.png",
        "GET dropped.test/.env%3fx",
        "PUT dropped.test/a//b/c",
        "GET refused.test//admin",
        "GET refused.test/admin%2Fusers",
        "GET refused.test/%40/../admin/",
    ] {
        let wanted = if asked.contains("..") { "request_target" } else { "path_ambiguous" };
        assert_eq!(answer(&gate, "http", asked), (400, Some(wanted.to_owned())), "{asked}");
    }
    assert_eq!(upstream.connections(), 0, "{:?}", upstream.requests());
    let counted = "smolgate_local_replies_total{reason=\"path_ambiguous\"}";
    support::until("all are counted", || gate.metric(counted) == 15.0);
}

#[test]
fn the_same_bytes_go_on_unchanged_where_no_rule_guards_what_they_may_mean() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let asked = [
        "GET other.test//.env",
        "GET other.test/a%2Fb//c;d\\e",
        "GET dropped.test/api/group%2Fproject;v=1//x",
        "GET dropped.test//envoy/.env",
        "GET dropped.test/a//b/c",
        "GET refused.test//old",
        "GET refused.test//down",
        "GET refused.test//.env",
    ];
    for asked in asked {
        assert_eq!(answer(&gate, "http", asked), (200, None), "{asked}");
    }
    let targets: Vec<String> =
        upstream.requests().iter().map(|request| request.target().to_owned()).collect();
    let paths = asked.map(|asked| &asked[asked.find('/').unwrap()..]);
    assert_eq!(targets, paths);
}

#[test]
fn a_guard_that_takes_the_path_as_it_came_acts_as_ever_and_no_redirect_comes_before() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let mut client = gate.client();
    client.send("GET /.env//x;y HTTP/1.1\r\nHost: dropped.test\r\n\r\n");
    client.expect_close();
    assert_eq!(answer(&gate, "http", "GET refused.test/admin//x"), (403, None));
    assert_eq!(answer(&gate, "clear", "GET a.test/x//y"), (308, None));
    assert_eq!(answer(&gate, "clear", "GET a.test//.env"), (400, Some("path_ambiguous".to_owned())));
    assert_eq!(upstream.connections(), 0);
}
