//! Policies: CORS, limits of rates and of open requests, named sets.

mod support;

use std::time::{Duration, Instant};

use smolgate::config::plan::Policies;
use support::client::Client;
use support::gate::TestGate;
use support::message::Response;
use support::upstream::{Connection, Upstream};

const CORS: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: any.test, cors: "*", target: "{target}" }
      - host: app.test
        path_prefix: /put
        methods: PUT
        cors: { origins: ["https://app.example.com", "https://*.example.org"], expose: X-Total, credentials: true, max_age: 2h }
        target: "{target}"
      - host: app.test
        cors: { origins: "https://app.example.com", methods: [GET, POST], headers: [X-A, X-B] }
        rate_limit: { requests: 2, per: 1h }
        max_body: 4
        target: "{target}"
      - { host: own.test, cors: "https://app.example.com", respond: { body: own } }
      - { host: down.test, cors: "https://app.example.com", target: "{nobody}" }
      - { target: "{target}" }
"#;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nACCESS-CONTROL-Allow-Origin: *\r\n\
                      access-control-max-age: 7\r\nVary: Accept\r\n\r\nfine";

fn ask(gate: &TestGate, head: &str) -> Response {
    gate.exchange(format!("{}\r\n\r\n", head.replace('\n', "\r\n")))
}

/// The fields of CORS in a response, sorted, and `Vary`.
fn cors(response: &Response) -> Vec<String> {
    let is_ours = |name: &str| name.to_ascii_lowercase().starts_with("access-control-") || name == "Vary";
    let fields = response.head.fields.iter().filter(|(name, _)| is_ours(name));
    let mut fields: Vec<String> = fields.map(|(name, value)| format!("{name}: {value}")).collect();
    fields.sort();
    fields
}

#[test]
fn a_preflight_is_answered_by_the_gate() {
    let upstream = Upstream::answers(ANSWER);
    let gate = TestGate::start(CORS, &[("target", &upstream.address()), ("nobody", &upstream.address())]);
    const VARY: &str = "Vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
    // The rule is that of the method which the page means to use.
    let response = ask(
        &gate,
        "OPTIONS /put HTTP/1.1\nHost: app.test\nOrigin: https://a.b.example.org\nAccess-Control-Request-Method: PUT\n\
         Access-Control-Request-Headers: authorization, x-a",
    );
    assert_eq!((response.status(), response.text()), (204, String::new()));
    assert_eq!(
        cors(&response),
        [
            "Access-Control-Allow-Credentials: true",
            "Access-Control-Allow-Headers: authorization, x-a",
            "Access-Control-Allow-Methods: PUT",
            "Access-Control-Allow-Origin: https://a.b.example.org",
            "Access-Control-Max-Age: 7200",
            VARY,
        ]
    );
    let response = ask(
        &gate,
        "OPTIONS / HTTP/1.1\nHost: app.test\nOrigin: https://app.example.com\nAccess-Control-Request-Method: DELETE",
    );
    assert_eq!(
        cors(&response),
        [
            "Access-Control-Allow-Headers: X-A, X-B",
            "Access-Control-Allow-Methods: GET, POST",
            "Access-Control-Allow-Origin: https://app.example.com",
            VARY,
        ]
    );
    // Origins that are not allowed, and a list that is none.
    for origin in [
        "null",
        "https://app.example.com.evil.net",
        "https://evilapp.example.com",
        "https://app.example.com:444",
        "http://app.example.com",
        "https://app.example.com\nOrigin: https://app.example.com",
    ] {
        let response = ask(
            &gate,
            &format!(
                "OPTIONS / HTTP/1.1\nHost: app.test\nOrigin: {origin}\nAccess-Control-Request-Method: GET"
            ),
        );
        assert_eq!((response.status(), cors(&response)), (204, vec![VARY.to_owned()]), "{origin}");
    }
    let names = "x".repeat(10_000);
    for (names, echoed) in [(&*names, true), ("a b", false), ("a,\"b\"", false)] {
        let response = ask(
            &gate,
            &format!(
                "OPTIONS / HTTP/1.1\nHost: any.test\nOrigin: null\nAccess-Control-Request-Method: GET\n\
                 Access-Control-Request-Headers: {names}"
            ),
        );
        assert_eq!(response.get("access-control-allow-headers").is_some(), echoed);
        assert_eq!(response.get("access-control-allow-origin"), Some("*"));
    }
    assert_eq!(upstream.requests().len(), 0);
}

/// A list may be divided into lines (RFC 9110, section 5.3).
#[test]
fn a_preflight_may_divide_the_list_of_its_fields() {
    let upstream = Upstream::answers(ANSWER);
    let gate = TestGate::start(CORS, &[("target", &upstream.address()), ("nobody", &upstream.address())]);
    let divided = "OPTIONS / HTTP/1.1\nHost: any.test\nOrigin: null\nAccess-Control-Request-Method: GET\n\
                   Access-Control-Request-Headers: x-a\nX-B: c\naccess-control-request-headers: x-b, authorization";
    let response = ask(&gate, divided);
    assert_eq!(response.get("access-control-allow-headers"), Some("x-a, x-b, authorization"));
}

#[test]
fn a_request_that_is_no_preflight_goes_to_the_target() {
    let upstream = Upstream::answers(ANSWER);
    let gate = TestGate::start(CORS, &[("target", &upstream.address()), ("nobody", &upstream.address())]);
    for (head, host) in [
        ("Origin: https://app.example.com", "any.test"),
        ("Access-Control-Request-Method: GET", "any.test"),
        ("Origin: https://app.example.com\nAccess-Control-Request-Method: a b", "any.test"),
        // No rule for that method answers preflights.
        ("Origin: https://app.example.com\nAccess-Control-Request-Method: GET", "other.test"),
    ] {
        ask(&gate, &format!("OPTIONS / HTTP/1.1\nHost: {host}\n{head}")).expect(200, "fine");
    }
    assert_eq!(upstream.requests().len(), 4);
}

#[test]
fn every_response_has_the_fields_of_the_gate_and_none_of_the_target() {
    let upstream = Upstream::answers(ANSWER);
    let nobody = support::upstream::Refusing::new().to_string();
    let gate = TestGate::start(CORS, &[("target", &upstream.address()), ("nobody", &nobody)]);
    let get = |host: &str, more: &str| {
        ask(&gate, &format!("GET / HTTP/1.1\nHost: {host}\nOrigin: https://app.example.com{more}"))
    };
    const ALLOWED: [&str; 2] = ["Access-Control-Allow-Origin: https://app.example.com", "Vary: Origin"];
    // The form of the body of an error depends on `Accept`.
    const OWN: [&str; 3] = [ALLOWED[0], "Vary: Accept", ALLOWED[1]];
    let response = get("any.test", "");
    assert_eq!(cors(&response), ["Access-Control-Allow-Origin: *", "Vary: Accept"]);
    assert_eq!(cors(&get("own.test", "")), ALLOWED);
    let put =
        ask(&gate, "PUT /put HTTP/1.1\nHost: app.test\nOrigin: https://app.example.com\nContent-Length: 0");
    assert_eq!(
        cors(&put),
        [
            "Access-Control-Allow-Credentials: true",
            "Access-Control-Allow-Origin: https://app.example.com",
            "Access-Control-Expose-Headers: X-Total",
            "Vary: Accept",
            "Vary: Origin",
        ]
    );
    // Errors of the gate tell the page their status.
    let large = get("app.test", "\nContent-Length: 5\n\nhello");
    large.expect_own(413, "body_too_large");
    assert_eq!(cors(&large), OWN);
    get("app.test", "").expect(200, "fine");
    let limited = get("app.test", "");
    limited.expect_own(429, "rate_limited");
    assert_eq!(cors(&limited), OWN);
    let down = get("down.test", "");
    assert_eq!((down.status(), cors(&down)), (502, OWN.map(str::to_owned).to_vec()));
    // A page that may not read the response, and no page at all.
    for head in ["Origin: https://evil.net", "X-A: b"] {
        let response = ask(&gate, &format!("GET / HTTP/1.1\nHost: own.test\n{head}"));
        assert_eq!((response.status(), cors(&response)), (200, vec!["Vary: Origin".to_owned()]));
    }
    // A rule without the policy changes nothing.
    assert_eq!(get("other.test", "").get("access-control-max-age"), Some("7"));
}

const LIMITS: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    trusted_proxies: 127.0.0.1
    rules:
      - { host: client.test, rate_limit: "{rate}", respond: { body: fine } }
      - { host: key.test, rate_limit: { requests: 2, per: 1h, by: header.x-key, else: client }, respond: {} }
      - { host: cookie.test, rate_limit: { requests: 1, per: 1h, by: cookie.id, else: all }, respond: {} }
      - { host: all.test, rate_limit: [{ requests: 9, per: 1h, fields: true }, { requests: 1, per: 1h, by: all }], respond: {} }
      - { host: wide.test, rate_limit: { requests: 1, per: 1h, ipv6_prefix: 56, status: 503 }, respond: {} }
      - { host: narrow.test, rate_limit: { requests: 1, per: 1h, ipv6_prefix: 128 }, respond: {} }
"#;

/// The statuses of requests, each with these lines in its head.
fn statuses(gate: &TestGate, host: &str, heads: &[&str]) -> Vec<u16> {
    heads.iter().map(|lines| ask(gate, &format!("GET / HTTP/1.1\nHost: {host}\n{lines}")).status()).collect()
}

#[test]
fn requests_are_counted_by_their_key() {
    let gate = TestGate::start(LIMITS, &[("rate", &"2/1h")]);
    let [one, two] = ["X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: 192.0.2.2"];
    assert_eq!(statuses(&gate, "client.test", &[one, one, one, two, one]), [200, 200, 429, 200, 429]);
    // A host of IPv6 may choose all but the first 64 bits of its address.
    let [one, two, other] = ["2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:2::1"]
        .map(|address| format!("X-Forwarded-For: {address}"));
    assert_eq!(statuses(&gate, "client.test", &[&one, &two, &one, &other]), [200, 200, 429, 200]);
    let (key, long) = ("X-Key: a", format!("X-Key: {}", "k".repeat(32 * 1024)));
    assert_eq!(statuses(&gate, "key.test", &[key, key, key, &long, "X-Key: b"]), [200, 200, 429, 200, 200]);
    // Of two keys, the first counts.
    assert_eq!(
        statuses(&gate, "key.test", &["X-Key: c\nX-Key: d", "X-Key: c\nX-Key: e", "X-Key: c"]),
        [200, 200, 429]
    );
    // Without a key, or with an empty one, the address counts.
    assert_eq!(statuses(&gate, "key.test", &["A: b", "X-Key:", "A: b"]), [200, 200, 429]);
    let cookies = ["Cookie: id=a", "Cookie: x=y; id=a", "Cookie: id=b", "Cookie: x=y", "A: b"];
    assert_eq!(statuses(&gate, "cookie.test", &cookies), [200, 429, 200, 200, 429]);
}

#[test]
fn a_limit_may_have_another_network_and_another_status() {
    let gate = TestGate::start(LIMITS, &[("rate", &"2/1h")]);
    let from = |address: &str| format!("X-Forwarded-For: {address}");
    let [one, near, far] = ["2001:db8:0:100::1", "2001:db8:0:1ff::1", "2001:db8:0:200::1"].map(from);
    assert_eq!(statuses(&gate, "wide.test", &[&one, &near, &far]), [200, 503, 200]);
    let [one, two] = ["2001:db8::1", "2001:db8::2"].map(from);
    assert_eq!(statuses(&gate, "narrow.test", &[&one, &two, &one]), [200, 200, 429]);
    let refused = ask(
        &gate,
        "GET / HTTP/1.1\nHost: wide.test\nAccept: application/json\nX-Forwarded-For: 2001:db8:0:100::1",
    );
    refused.expect_own(503, "rate_limited");
    assert!(
        refused.head.all("retry-after").len() == 1 && refused.text().contains("\"status\":503"),
        "{refused:?}"
    );
}

#[test]
fn a_response_tells_when_to_come_again() {
    let gate = TestGate::start(LIMITS, &[("rate", &"1/1h")]);
    statuses(&gate, "client.test", &["A: b"]);
    let response = ask(&gate, "GET / HTTP/1.1\nHost: client.test");
    response.expect_own(429, "rate_limited");
    let wait: u64 = response.get("retry-after").unwrap().parse().unwrap();
    assert!((1..=3_600).contains(&wait) && response.get("ratelimit").is_none(), "{response:?}");
    let response = ask(&gate, "GET / HTTP/1.1\nHost: all.test");
    assert_eq!(response.get("ratelimit-policy"), Some("\"client\";q=9;w=3600"));
    assert_eq!(response.get("ratelimit"), Some("\"client\";r=8;t=0"));
    // The second limit counts too.
    ask(&gate, "GET / HTTP/1.1\nHost: all.test").expect_own(429, "rate_limited");
    let counted = gate.metric("smolgate_local_replies_total{reason=\"rate_limited\"}");
    assert_eq!(counted, 2.0);
}

#[test]
fn a_reload_keeps_the_counts_of_a_limit_that_stays() {
    let gate = TestGate::start(LIMITS, &[("rate", &"1/1h")]);
    assert_eq!(statuses(&gate, "client.test", &["A: b", "A: b"]), [200, 429]);
    gate.edit(&LIMITS.replace("body: fine", "body: better"), &[("rate", &"1/1h")]);
    gate.reload().unwrap();
    assert_eq!(statuses(&gate, "client.test", &["A: b"]), [429]);
    gate.edit(LIMITS, &[("rate", &"2/1h")]);
    gate.reload().unwrap();
    assert_eq!(statuses(&gate, "client.test", &["A: b", "A: b", "A: b"]), [200, 200, 429]);
}

#[test]
fn requests_are_counted_over_all_workers() {
    let config = format!("workers: 2\n{LIMITS}");
    let gate = TestGate::start(&config, &[("rate", &"10/1h")]);
    // Each request has a connection of its own, so both workers get some.
    let passed = (0..40).filter(|_| statuses(&gate, "client.test", &["A: b"]) == [200]).count();
    assert_eq!(passed, 10);
}

const OPEN: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    max_requests: 3
    rules:
      - { host: one.test, max_requests: 1, target: "{target}" }
      - { host: queue.test, max_requests: { requests: 1, waiting: 1, timeout: {timeout} }, target: "{target}" }
      - { host: other.test, target: "{target}" }
"#;

/// Answers a request of which the path is `/` at once, and another one after a further byte.
fn held(connection: &mut Connection) {
    while let Some(request) = connection.read_request() {
        if request.target() == "/upgrade" {
            connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
            connection.read_to_end();
            return;
        }
        if request.target() != "/" {
            connection.hang();
            return;
        }
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    }
}

fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[test]
fn only_so_many_requests_of_a_rule_and_of_a_listener_are_open() {
    let upstream = Upstream::scripted(held);
    let gate = TestGate::start(OPEN, &[("target", &upstream.address()), ("timeout", &"1h")]);
    let mut first = gate.client();
    first.send(get("one.test", "/held"));
    upstream.wait_requests(1);
    let busy = gate.exchange(get("one.test", "/"));
    busy.expect_own(503, "rule_busy");
    assert!(busy.get("retry-after").is_some());
    gate.exchange(get("other.test", "/")).expect(200, "fine");
    // Two further ones fill the listener.
    let others = [1, 2].map(|number| {
        let mut client = gate.client();
        client.send(get("other.test", "/held"));
        upstream.wait_requests(2 + number);
        client
    });
    gate.exchange(get("other.test", "/")).expect_own(503, "rule_busy");
    // A client that leaves makes room.
    first.reset();
    support::until("there is room", || gate.exchange(get("one.test", "/")).status() == 200);
    drop(others);
}

#[test]
fn a_rule_is_exempt_from_the_limit_of_its_listener_by_false() {
    let upstream = Upstream::scripted(held);
    let yaml = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    max_requests: 1
    rules:
      - { host: free.test, max_requests: false, respond: { body: free } }
      - { host: set.test, policy: open, respond: { body: set } }
      - { target: "{target}" }
policies: { open: { max_requests: false } }
"#;
    let gate = TestGate::start(yaml, &[("target", &upstream.address())]);
    let mut first = gate.client();
    first.send(get("one.test", "/held"));
    upstream.wait_requests(1);
    gate.exchange(get("one.test", "/")).expect_own(503, "rule_busy");
    gate.exchange(get("free.test", "/")).expect(200, "free");
    gate.exchange(get("set.test", "/")).expect(200, "set");
}

#[test]
fn a_limit_that_a_reload_adds_to_a_rule_does_not_count_the_requests_of_the_listener() {
    let upstream = Upstream::scripted(held);
    let yaml = "http_config: { port: \"127.0.0.1:0\", max_requests: 2 }\n\
                http_routes: [{ name: a, target: \"{target}\" }]\n";
    let gate = TestGate::start(yaml, &[("target", &upstream.address())]);
    let names: support::gate::Names = &[("target", &upstream.address())];
    gate.edit(&yaml.replace("name: a,", "name: a, max_requests: 2,"), names);
    gate.reload().unwrap();
    let mut first = gate.client();
    first.send(get("one.test", "/held"));
    upstream.wait_requests(1);
    gate.exchange(get("one.test", "/")).expect(200, "fine");
}

#[test]
fn a_tunnel_counts_as_long_as_it_lives() {
    let upstream = Upstream::scripted(held);
    let gate = TestGate::start(OPEN, &[("target", &upstream.address()), ("timeout", &"1h")]);
    let mut tunnel = gate.client();
    tunnel.send("GET /upgrade HTTP/1.1\r\nHost: one.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    tunnel.read_head();
    gate.exchange(get("one.test", "/")).expect_own(503, "rule_busy");
    tunnel.reset();
    support::until("there is room", || gate.exchange(get("one.test", "/")).status() == 200);
}

/// Of two requests one waits, since there is room for one, and the other one is refused.
fn one_that_waits(gate: &TestGate, request: &str) -> Client {
    let [mut one, mut other] = [gate.client(), gate.client()];
    one.send(request);
    other.send(request);
    support::until("one is refused", || one.has_pending_event() || other.has_pending_event());
    if other.has_pending_event() {
        std::mem::swap(&mut one, &mut other);
    }
    one.read_response().expect_own(503, "rule_busy");
    assert!(!other.has_pending_event());
    other
}

#[test]
fn a_request_waits_for_a_place_and_only_so_many_wait() {
    let upstream = Upstream::scripted(held);
    let gate = TestGate::start(OPEN, &[("target", &upstream.address()), ("timeout", &"1h")]);
    let mut first = gate.client();
    first.send(get("queue.test", "/held"));
    upstream.wait_requests(1);
    let post = "POST / HTTP/1.1\r\nHost: queue.test\r\nContent-Length: 5\r\n\r\nhello";
    let waits = one_that_waits(&gate, post);
    // A request that waits leaves when its client is gone, and another one takes its place.
    let open = || gate.metric("smolgate_connections_open{listener=\"http\"}");
    let before = open();
    waits.reset();
    support::until("its client is gone", || open() < before);
    let mut next = one_that_waits(&gate, &get("queue.test", "/"));
    assert_eq!(upstream.requests().len(), 1, "a request that waits reaches no target");
    first.reset();
    next.read_response().expect(200, "fine");
}

#[test]
fn a_request_waits_only_so_long() {
    let upstream = Upstream::scripted(held);
    let gate = TestGate::start(OPEN, &[("target", &upstream.address()), ("timeout", &"300ms")]);
    let mut first = gate.client();
    first.send(get("queue.test", "/held"));
    upstream.wait_requests(1);
    let began = Instant::now();
    gate.exchange(get("queue.test", "/")).expect_own(503, "rule_busy");
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert_eq!(upstream.requests().len(), 1);
}

const SETS: &str = r#"
policies:
  strict: { rate_limit: 1/1h, max_body: 3 }
  wide: { rate_limit: 5/1h, cors: "*", max_body: 4 }
listeners:
  - name: http
    bind: "127.0.0.1:0"
    policy: strict
    cors: "https://listener.test"
    rules:
      - { host: own.test, rate_limit: 3/1h, target: "{target}" }
      - { host: set.test, policy: [wide, strict], target: "{target}" }
      - { host: off.test, rate_limit: false, cors: false, target: "{target}" }
      - { target: "{target}" }
"#;

#[test]
fn a_rule_comes_before_its_sets_and_they_before_the_listener() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(SETS, &[("target", &upstream.address())]);
    for (host, passed, origin, body) in [
        ("own.test", 3, Some("https://listener.test"), 3),
        ("set.test", 5, Some("*"), 4),
        ("off.test", 6, None, 3),
        ("other.test", 1, Some("https://listener.test"), 3),
    ] {
        let post = |length: usize| {
            let body = "x".repeat(length);
            ask(
                &gate,
                &format!(
                    "POST / HTTP/1.1\nHost: {host}\nOrigin: https://listener.test\nContent-Length: {length}\n\n{body}"
                ),
            )
        };
        let first = post(body);
        assert_eq!((first.status(), first.get("access-control-allow-origin")), (200, origin), "{host}");
        let others = (1..6).filter(|_| post(0).status() == 200).count();
        assert_eq!(others + 1, passed, "{host}");
        if passed == 6 {
            assert_eq!(post(body + 1).status(), 413, "{host}");
        }
    }
}

/// The fields of the plan, the steps of the code and the rows of the page are in one order.
#[test]
fn the_order_of_policies_is_that_of_the_page_and_of_the_code() {
    let read =
        |path: &str| std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (page, code) = (read("docs/policies.md"), read("src/policy/check.rs"));
    let rows =
        page.lines().filter_map(|line| line.split_once(" | `").filter(|(step, _)| step.starts_with("| ")));
    let rows: Vec<&str> =
        rows.filter_map(|(_, rest)| rest.split('`').next()).take(Policies::KEYS.len()).collect();
    assert_eq!(rows, Policies::KEYS, "the table of docs/policies.md");
    let place = |code: &str, step: &str| code.find(step).unwrap_or_else(|| panic!("no step for {step}"));
    let (before, behind) = Policies::KEYS.split_at(Policies::KEYS.len() - Policies::OF_RESPONSES.len());
    assert_eq!(behind, Policies::OF_RESPONSES);
    let places: Vec<usize> = before.iter().map(|key| place(&code, &format!("policies.{key}"))).collect();
    assert!(places.is_sorted(), "the steps of src/policy/check.rs");
    // The last key is for answers of the gate.
    let code = read("src/proxy/forward/response.rs");
    let places = ["self.intercept(", "edited_response(record", "encode_response(record"]
        .map(|step| place(&code, step));
    assert!(places.is_sorted(), "the steps of src/proxy/forward/response.rs");
}
