//! Rules that guard a path, and other spellings of that path. A path that a target may read as guarded does
//! not reach the target.

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
      - { host: part.test, path_prefix: /admin/public, target: "http://{upstream}" }
      - { host: part.test, path_prefix: /admin%2Fraw, target: "http://{upstream}" }
      - { host: part.test, path_prefix: /admin, drop: true }
      - { host: part.test, path_prefix: /admin/late, target: "http://{upstream}" }
      - { host: before.test, methods: [GET], target: "http://{upstream}" }
      - { host: before.test, path_prefix: /admin, drop: true }
      - { host: strip.test, path_prefix: /app/public, strip_path_prefix: true, target: "http://{upstream}" }
      - { host: strip.test, path_prefix: /app/admin, drop: true }
      - { host: strip.test, path_prefix: /app, strip_path_prefix: true, target: "http://{upstream}" }
      - { host: strip.test, path_prefix: /admin, drop: true }
      - { target: "http://{upstream}" }
  - name: clear
    bind: "127.0.0.1:0"
    redirect_to_https: true
    rules:
      - { path_prefix: /.env, drop: true }
      - { target: "http://{upstream}" }
"#;

/// The status and the reason of the response to `METHOD host/path` on a listener.
fn answer(gate: &TestGate, listener: &str, asked: &str) -> (u16, Option<String>) {
    let (method, url) = asked.split_once(' ').unwrap();
    let (host, path) = url.split_once('/').unwrap();
    let mut client = gate.client_of(listener);
    client.send(format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n"));
    let response = client.read_response();
    (response.status(), response.reason().map(str::to_owned))
}

/// Requests each path, and expects that each is refused and reaches no target.
fn expect_refused(asked: &[&str], reason: &str) {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    for asked in asked {
        assert_eq!(answer(&gate, "http", asked), (400, Some(reason.to_owned())), "{asked}");
    }
    assert_eq!(upstream.connections(), 0, "{:?}", upstream.requests());
    let counted = format!("smolgate_local_replies_total{{reason=\"{reason}\"}}");
    support::until("all are counted", || gate.metric(&counted) == asked.len() as f64);
}

#[test]
fn a_path_that_a_target_may_read_as_guarded_does_not_reach_it() {
    let asked = [
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
        // Some servers leave out all that stands behind the `;`.
        "PUT dropped.test/a;%2fx/b",
        "PUT dropped.test/a;\\x/b",
        "GET dropped.test//x;%2fy/.env",
        "GET refused.test//admin",
        "GET refused.test/admin%2Fusers",
    ];
    expect_refused(&asked, "path_ambiguous");
}

#[test]
fn dots_before_any_end_of_a_segment_are_refused() {
    let asked = [
        "GET refused.test/%40/../admin/",
        "GET refused.test/x/..%23/admin",
        "GET refused.test/x/..%3f/admin",
        "GET refused.test/x/..%3F/admin",
        "GET refused.test/x/..%00/admin",
        "GET refused.test/x/..%3b/admin",
        "GET refused.test/.%00/admin",
        "GET refused.test/%2e%00/admin",
        "GET refused.test/x/%2e%2e%23y/admin",
        "GET other.test/x/..%23",
    ];
    expect_refused(&asked, "request_target");
}

#[test]
fn a_guarded_path_behind_several_levels_of_escapes_does_not_reach_a_target() {
    let asked = [
        "GET dropped.test/%252f.env",
        "GET dropped.test/%25252f.env",
        "GET dropped.test/%%32f.env",
        "GET dropped.test/.%2565nv",
        "GET dropped.test/.env%253bx",
        "GET refused.test/x/%252e%252e/admin",
        "GET refused.test/x/.%252e/admin",
        "GET refused.test/x/%25252e%25252e/%252e%252e/admin",
        "GET refused.test/x%252f..%252fadmin",
        "GET refused.test/%252e/admin",
    ];
    expect_refused(&asked, "path_ambiguous");
}

#[test]
fn a_guarded_path_in_odd_bytes_does_not_reach_a_target() {
    let asked = [
        // Overlong UTF-8 for `/`, `\` and `.`.
        "GET dropped.test/%c0%af.env",
        "GET dropped.test/%C1%9C.env",
        "GET dropped.test/%e0%80%af.env",
        "GET dropped.test/%c0%aeenv",
        "GET refused.test/x/%c0%ae%c0%ae/admin",
        // Spaces and control bytes, which some programs cut off or leave out.
        "GET refused.test/admin%20",
        "GET refused.test/admin%0d%0ax",
        "GET refused.test/ad%09min",
        "GET refused.test/x/..%20/admin",
        // A URL parser takes the first segment for a host.
        "GET refused.test//x/admin",
        "GET refused.test/\\x/admin",
        "GET refused.test//x%2fy/admin/z",
        "GET refused.test/;/x/admin",
    ];
    expect_refused(&asked, "path_ambiguous");
}

#[test]
fn a_guarded_path_behind_a_stripped_prefix_does_not_reach_a_target() {
    let asked = [
        "GET strip.test/app//x/admin",
        "GET strip.test/app///x/admin",
        "GET strip.test/app/\\x/admin",
        "GET strip.test/%61pp//x/admin",
        "GET strip.test/app//x:/admin",
        "GET strip.test/app/%2fx/admin",
        "GET strip.test/app//x%2fy/admin",
        "GET strip.test/app//admin",
        "GET strip.test/app/x/%252e%252e/admin",
    ];
    expect_refused(&asked, "path_ambiguous");
}

#[test]
fn what_is_left_behind_a_stripped_prefix_is_forwarded_if_no_rule_guards_it() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let asked = [
        ("strip.test/app//x/b", "//x/b"),
        ("strip.test/%61pp/a%2Fb;c", "/a%2Fb;c"),
        ("strip.test/app/x//admin", "/x//admin"),
        ("strip.test/app/public//x/admin", "//x/admin"),
    ];
    for (url, sent) in asked {
        assert_eq!(answer(&gate, "http", &format!("GET {url}")), (200, None), "{url}");
        assert_eq!(upstream.requests().last().unwrap().target(), sent, "{url}");
    }
}

#[test]
fn the_first_rule_that_matches_a_reading_decides() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    for asked in [
        "GET part.test/admin/public//b",
        "GET part.test/admin/public/b%2fc;d",
        "GET part.test/admin/public/b/%5c",
        "GET part.test//admin/public/b",
        "GET part.test/admin%2Fpublic/b",
        "GET part.test/admin%2Fraw/b",
        "GET before.test//admin",
        "GET before.test/admin;x",
    ] {
        assert_eq!(answer(&gate, "http", asked), (200, None), "{asked}");
    }
    let forwarded = upstream.requests().len();
    assert_eq!(forwarded, 8);
    for asked in [
        "GET part.test//admin//public",
        "GET part.test/admin%23/public",
        "GET part.test/admin;x/public",
        "GET part.test//admin/public;x",
        "GET part.test/admin%2Fpublic%5Cx",
        "GET part.test//admin/late",
        "GET part.test/admin/public/%252e%252e/x",
        "POST before.test//admin",
    ] {
        assert_eq!(answer(&gate, "http", asked), (400, Some("path_ambiguous".to_owned())), "{asked}");
    }
    assert_eq!(upstream.requests().len(), forwarded);
}

#[test]
fn ambiguous_paths_are_forwarded_unchanged_if_no_rule_guards_them() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let asked = [
        "GET other.test//.env",
        "GET other.test/a%2Fb//c;d\\e",
        "GET dropped.test/api/group%2Fproject;v=1//x",
        "GET dropped.test//envoy/x/.env",
        "GET dropped.test/%252fenvoy/%25",
        "GET other.test/%252e%252e/.env",
        "GET dropped.test/.env./.envx%20/.ENV%2f",
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
fn a_guard_that_matches_the_path_as_sent_acts_before_any_redirect() {
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

/// A glob for the end of a path guards all paths, so that no path with an escape would be served. A listener may
/// allow such paths; the guard still takes the path as it is written.
#[test]
fn a_listener_may_allow_ambiguous_paths() {
    let config = |paths: &str| {
        format!(
            r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    ambiguous_paths: {paths}
    rules:
      - {{ path: "**.php", respond: {{ status: 404 }} }}
      - {{ target: "http://{{upstream}}" }}
"#
        )
    };
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(&config("refuse"), &[("upstream", &upstream)]);
    assert_eq!(answer(&gate, "http", "GET a.test/a%20b").0, 400);
    assert_eq!(upstream.connections(), 0);
    let gate = TestGate::start(&config("allow"), &[("upstream", &upstream)]);
    for path in ["/a%20b", "//x", "/x.php;y", "/x%2fy"] {
        assert_eq!(answer(&gate, "http", &format!("GET a.test{path}")), (200, None), "{path}");
        assert_eq!(upstream.requests().last().unwrap().target(), path);
    }
    assert_eq!(answer(&gate, "http", "GET a.test/x.php").0, 404);
}
