//! The choice of a rule, and the actions that need no upstream.

mod support;

use support::gate::{Names, TestGate};
use support::upstream::{Refusing, Upstream};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - host: "a.test"
        path_prefix: "/users"
        respond: { status: 200, body: "a users" }
      - host: "a.test"
        methods: ["POST", "PUT"]
        respond: { status: 200, body: "a writes" }
      - host: "a.test"
        path_prefix: "/users/deep"
        respond: { status: 200, body: "never" }
      - host: "a.test"
        respond: { status: 200, body: "a rest" }
      - host: "*.wild.test"
        respond: { status: 200, body: "wild" }
      - host: "exact.wild.test"
        respond: { status: 200, body: "never" }
      - host: ["one.test", "two.test"]
        respond: { status: 201, headers: { X-Own: "yes" }, body: "a list" }
      - host: "moved.test"
        redirect: { to: "https://new.test", status: 308 }
      - host: "page.test"
        redirect: { to: "https://new.test/page", status: 302 }
      - { host: "old.test", path_prefix: /old, redirect: "/new{rest}" }
      - { host: "old.test", path_prefix: /host, redirect: "https://www.{host}/a{path}?b={query}" }
      - { host: "old.test", redirect: "{path}" }
      - host: "empty.test"
        respond: { status: 204 }
      - host: "tagged.test"
        path_prefix: "/weak"
        respond: { headers: { ETag: "W/\"b,c\"" }, body: "weak" }
      - host: "tagged.test"
        path_prefix: "/missing"
        respond: { status: 404, headers: { ETag: "\"a\"" }, body: "none" }
      - host: "tagged.test"
        respond: { headers: { ETag: "\"a\"", Cache-Control: no-cache, Content-Type: text/plain }, body: "tagged" }
      - host: "long.test"
        respond: { status: 200, body: "{long}" }
      - host: "down.test"
        target: "http://{refusing}"
      - host: "balanced.test"
        targets: ["http://{one}", "http://{two}"]
      - path_prefix: "/any"
        respond: { status: 200, body: "any host" }
"#;

struct Scene {
    gate: TestGate,
    _one: Upstream,
    _two: Upstream,
}

/// A body larger than a connection accepts at once.
fn long() -> String {
    "0123456789abcdef".repeat(60_000)
}

fn scene() -> Scene {
    let (one, two) = (Upstream::says("one"), Upstream::says("two"));
    let refusing = Refusing::new();
    let names: Names = &[("one", &one), ("two", &two), ("refusing", &refusing), ("long", &long())];
    let gate = TestGate::start(CONFIG, names).keep(refusing);
    Scene { gate, _one: one, _two: two }
}

impl Scene {
    #[track_caller]
    fn says(&self, request: &str, status: u16, body: &str) {
        let (method, url) = request.split_once(' ').unwrap();
        let (host, path) = url.split_once('/').unwrap();
        self.gate
            .exchange(format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"))
            .expect(status, body);
    }
}

#[test]
fn the_first_match_in_written_order_wins() {
    let scene = scene();
    scene.says("GET a.test/users", 200, "a users");
    scene.says("POST a.test/users/7", 200, "a users");
    scene.says("GET a.test/users/deep", 200, "a users");
    scene.says("POST a.test/other", 200, "a writes");
    scene.says("GET a.test/other", 200, "a rest");
    scene.says("GET exact.wild.test/", 200, "wild");
}

#[test]
fn a_prefix_matches_whole_segments_after_decoding_what_is_unreserved() {
    let scene = scene();
    scene.says("GET a.test/users/", 200, "a users");
    scene.says("GET a.test/users?x=/y", 200, "a users");
    scene.says("GET a.test/%75se%72s", 200, "a users");
    scene.says("GET a.test/usersx", 200, "a rest");
    scene.says("GET a.test/users%2F7", 200, "a rest");
    scene.says("GET a.test/Users", 200, "a rest");
    scene.says("GET a.test//users", 200, "a rest");
}

#[test]
fn hosts_match_without_case_port_or_final_dot() {
    let scene = scene();
    for host in ["A.TEST", "a.test:8021", "a.test.", "A.test.:80"] {
        scene.says(&format!("GET {host}/"), 200, "a rest");
    }
    scene.says("GET one.test/", 201, "a list");
    scene.says("GET two.test/", 201, "a list");
}

#[test]
fn a_wildcard_is_exactly_one_label() {
    let scene = scene();
    scene.says("GET x.wild.test/any", 200, "wild");
    scene.says("GET X.WILD.test:1/any", 200, "wild");
    scene.says("GET wild.test/any", 200, "any host");
    scene.says("GET y.x.wild.test/any", 200, "any host");
    scene.says("GET xwild.test/any", 200, "any host");
}

#[test]
fn methods_are_compared_with_case() {
    let scene = scene();
    scene.says("PUT a.test/", 200, "a writes");
    scene.says("put a.test/", 200, "a rest");
    scene.says("PATCH a.test/", 200, "a rest");
}

#[test]
fn no_rule_is_404_without_a_banner() {
    let scene = scene();
    let response = scene.gate.exchange("GET / HTTP/1.1\r\nHost: unknown.test\r\n\r\n");
    response.expect_own(404, "no_rule");
    assert_eq!(response.get("server"), None);
}

#[test]
fn local_replies_are_counted_by_reason() {
    let scene = scene();
    for _ in 0..3 {
        scene.gate.exchange("GET / HTTP/1.1\r\nHost: unknown.test\r\n\r\n").expect_own(404, "no_rule");
    }
    scene.gate.exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect(200, "a rest");
    let counted = || scene.gate.metric("smolgate_local_replies_total{reason=\"no_rule\"}");
    support::until("the third reply is counted", || counted() >= 3.0);
    assert_eq!(counted(), 3.0);
}

#[test]
fn local_replies_to_a_valid_request_keep_the_connection() {
    let scene = scene();
    let mut client = scene.gate.client();
    client.exchange("GET / HTTP/1.1\r\nHost: unknown.test\r\n\r\n").expect_own(404, "no_rule");
    client.exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect(200, "a rest");
}

#[test]
fn local_replies_to_a_body_keep_the_connection_or_say_close() {
    let scene = scene();
    for (host, status) in [("unknown.test", 404), ("one.test", 201), ("moved.test", 308)] {
        let mut client = scene.gate.client();
        let request = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello");
        let response = client.exchange(request);
        assert_eq!(response.status(), status, "{response:?}");
        if response.head.list("connection").contains(&"close".to_owned()) {
            client.half_close();
            client.expect_close();
        } else {
            // The body must not be read as a request, nor block the next one.
            client.exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect(200, "a rest");
        }
    }
}

/// The end is sent in one packet with the last bytes. Because of bytes from the client, the close after it is
/// a reset, which must not discard the last bytes.
#[test]
fn last_local_replies_arrive_whole_even_if_the_client_still_sends() {
    let scene = scene();
    for (host, status) in [("unknown.test", 404), ("one.test", 201), ("moved.test", 308)] {
        let mut client = scene.gate.client();
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\nand another thing");
        let response = client.exchange(request);
        assert_eq!(response.status(), status, "{response:?}");
        assert!(response.head.list("connection").contains(&"close".to_owned()), "{response:?}");
    }
}

#[test]
fn local_replies_have_a_reason_and_the_type_that_the_client_prefers() {
    let scene = scene();
    let ask =
        |accept: &str| scene.gate.exchange(format!("GET / HTTP/1.1\r\nHost: unknown.test\r\n{accept}\r\n"));
    let plain = ask("");
    let status = "smolgate; error=destination_not_found; details=\"no_rule\"";
    assert_eq!(plain.get("proxy-status"), Some(status));
    assert!(plain.get("content-type").is_some_and(|kind| kind.starts_with("text/plain")), "{plain:?}");
    assert_eq!(plain.text().trim_end().lines().count(), 1, "{}", plain.text());
    let json = ask("Accept: application/json\r\n");
    assert!(json.get("content-type").is_some_and(|kind| kind.starts_with("application/json")), "{json:?}");
    let value: serde_json::Value = serde_json::from_slice(&json.body.bytes).expect("JSON");
    assert!(value.to_string().contains("no_rule"), "{value}");
    // A list may be divided into lines (RFC 9110, section 5.3).
    let divided = ask("Accept: text/plain;q=0.5\r\nX-A: b\r\naccept: application/json\r\n");
    assert_eq!((divided.get("content-type"), divided.text()), (json.get("content-type"), json.text()));
    let page = ask("Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n");
    assert!(page.get("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{page:?}");
}

#[test]
fn local_replies_to_head_have_no_body() {
    let scene = scene();
    let mut client = scene.gate.client();
    client.exchange("HEAD / HTTP/1.1\r\nHost: unknown.test\r\n\r\n").expect_own(404, "no_rule");
    let response = client.exchange("HEAD / HTTP/1.1\r\nHost: one.test\r\n\r\n");
    assert_eq!((response.status(), response.get("content-length")), (201, Some("6")));
    client.exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect(200, "a rest");
}

#[test]
fn respond_sends_the_configured_response() {
    let scene = scene();
    let mut client = scene.gate.client();
    let response = client.exchange("GET / HTTP/1.1\r\nHost: one.test\r\n\r\n");
    response.expect(201, "a list");
    assert_eq!(response.get("x-own"), Some("yes"));
    assert_eq!(response.get("proxy-status"), None, "a configured response is no failure");
    let empty = client.exchange("GET / HTTP/1.1\r\nHost: empty.test\r\n\r\n");
    assert_eq!((empty.status(), empty.get("content-length")), (204, None));
    client.exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect(200, "a rest");
}

/// RFC 9110, section 13.1.2. The connection serves the next request, so a 304 has no body and no length.
#[test]
fn a_client_that_has_the_body_of_a_rule_gets_304() {
    let scene = scene();
    let mut client = scene.gate.client();
    for (head, status) in [
        ("GET / HTTP/1.1\r\nIf-None-Match: \"a\"", 304),
        ("HEAD / HTTP/1.1\r\nIf-None-Match: \"a\"", 304),
        ("GET / HTTP/1.1\r\nIf-None-Match: \"x\", W/\"a\"", 304),
        ("GET / HTTP/1.1\r\nIf-None-Match: \"x\"\r\nif-none-match: \"a\"", 304),
        ("GET / HTTP/1.1\r\nIf-None-Match: *", 304),
        ("GET /weak HTTP/1.1\r\nIf-None-Match: \"b,c\"", 304),
        ("GET / HTTP/1.1\r\nIf-None-Match: \"x\"", 200),
        ("GET / HTTP/1.1\r\nIf-None-Match: a", 200),
        ("GET / HTTP/1.1\r\nX-A: \"a\"", 200),
        ("DELETE / HTTP/1.1\r\nIf-None-Match: \"a\"", 200),
        ("GET /missing HTTP/1.1\r\nIf-None-Match: \"a\"", 404),
    ] {
        let response = client.exchange(format!("{head}\r\nHost: tagged.test\r\n\r\n"));
        assert_eq!(response.status(), status, "{head}");
        if status == 304 {
            assert_eq!(response.text(), "", "{head}");
            assert!(response.get("etag").is_some() && response.get("content-type").is_none(), "{head}");
            assert_eq!(response.get("content-length"), None, "{head}");
        }
    }
    let known = client.exchange("GET / HTTP/1.1\r\nHost: tagged.test\r\nIf-None-Match: \"a\"\r\n\r\n");
    assert_eq!((known.get("etag"), known.get("cache-control")), (Some("\"a\""), Some("no-cache")));
}

#[test]
fn redirect_to_an_origin_keeps_path_and_query() {
    let scene = scene();
    let moved = scene.gate.exchange("GET /p%2Fq?x=y HTTP/1.1\r\nHost: moved.test\r\n\r\n");
    assert_eq!((moved.status(), moved.get("location")), (308, Some("https://new.test/p%2Fq?x=y")));
    let page = scene.gate.exchange("GET /p?x=y HTTP/1.1\r\nHost: page.test\r\n\r\n");
    assert_eq!((page.status(), page.get("location")), (302, Some("https://new.test/page")));
}

#[test]
fn placeholders_of_a_redirect_stand_for_parts_of_the_request() {
    let scene = scene();
    for (path, expected) in [
        ("/old/x?q=1", "/new/x?q=1"),
        ("/%6fld/%78//?", "/new/%78//?"),
        ("/old", "/new"),
        ("/host/x?q", "https://www.old.test/a/host/x?b=q"),
        ("//evil.test/x", "/evil.test/x"),
        ("/\\evil.test", "/evil.test"),
    ] {
        let moved = scene.gate.exchange(format!("GET {path} HTTP/1.1\r\nHost: old.test:8080\r\n\r\n"));
        assert_eq!((moved.status(), moved.get("location")), (308, Some(expected)), "{path}");
    }
}

#[test]
fn redirect_never_leaves_the_written_origin() {
    let scene = scene();
    let moved = scene.gate.exchange("GET //evil.test/ HTTP/1.1\r\nHost: moved.test\r\n\r\n");
    assert_eq!(moved.get("location"), Some("https://new.test//evil.test/"));
    let moved = scene.gate.exchange("GET /@evil.test HTTP/1.1\r\nHost: moved.test\r\n\r\n");
    assert_eq!(moved.get("location"), Some("https://new.test/@evil.test"));
}

#[test]
fn a_refusing_target_is_502_with_its_reason() {
    let scene = scene();
    let mut client = scene.gate.client();
    client.exchange("GET / HTTP/1.1\r\nHost: down.test\r\n\r\n").expect_own(502, "connect_refused");
    // One bad service harms no other, even on this connection.
    client.exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect(200, "a rest");
}

#[test]
fn several_targets_are_used_in_turn() {
    let scene = scene();
    let mut client = scene.gate.client();
    let answers: Vec<_> =
        (0..6).map(|_| client.exchange("GET / HTTP/1.1\r\nHost: balanced.test\r\n\r\n").text()).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == "one").count(), 3, "{answers:?}");
    assert!(answers.windows(2).all(|pair| pair[0] != pair[1]), "{answers:?}");
}

#[test]
fn a_long_response_of_a_rule_is_whole_and_keeps_the_connection() {
    let scene = scene();
    let mut client = scene.gate.client();
    let ask = |method: &str, fields: &str| format!("{method} / HTTP/1.1\r\nHost: long.test\r\n{fields}\r\n");
    // In one write, so that the client has sent all before it reads.
    client.send(
        [ask("GET", ""), ask("HEAD", ""), ask("GET", ""), ask("GET", "Connection: close\r\n")].concat(),
    );
    let length = [long().len().to_string()];
    client.read_response().expect(200, long());
    let head = client.read_head();
    assert_eq!(head.list("content-length"), length);
    client.read_response().expect(200, long());
    client.read_response().expect(200, long());
    assert_eq!(client.read_to_end().0, b"");
    let sent = scene.gate.metric("smolgate_bytes_sent_total{listener=\"http\"}");
    assert!(sent > 3.0 * long().len() as f64 && sent < 3.0 * long().len() as f64 + 2000.0, "{sent}");
}
