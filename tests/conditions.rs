//! Rules that ask for more than host, path prefix and method, over real connections.

mod support;

use support::gate::TestGate;
use support::upstream::Upstream;

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    accept_proxy_protocol: 127.0.0.1
    trusted_proxies: 192.0.2.9
    rules:
      - { host: a.test, header: { X-Canary: ["1", "yes*"] }, target: "http://{second}" }
      - { host: a.test, cookie: { team: red }, target: "http://{second}" }
      - { host: a.test, query: { beta: "*" }, target: "http://{second}" }
      - { host: a.test, path: ["/api/*/items", "**.php"], respond: { status: 404 } }
      - { host: a.test, target: "http://{first}" }
      - { host: nas.test, from: 10.0.0.0/8, not_from: 10.9.0.0/16, target: "http://{first}" }
      - { host: nas.test, path_prefix: /admin, respond: { status: 403 } }
      - { host: nas.test, path_prefix: /, target: "http://{second}" }
      - { host: "cdn-*.b.test", target: "http://{first}" }
      - { host: "**.b.test", target: "http://{second}" }
      - { host: ["*.*.c.test", "eu.*.d.test"], target: "http://{first}" }
      - { host: "cdn.shop.d.test", target: "http://{first}" }
      - { host: ["cdn.**", "img-*.**"], target: "http://{second}" }
      - { host: "cdn.late.test", target: "http://{first}" }
"#;

/// The status of the response to one request of `client`, and how many requests each upstream has then got.
fn ask(gate: &TestGate, client: &str, head: &str) -> u16 {
    let mut connection = gate.client_of("http");
    connection.send(format!("PROXY TCP4 {client} 192.0.2.1 1 80\r\nGET {head}\r\nConnection: close\r\n\r\n"));
    connection.read_response().status()
}

/// Sends each request, and expects it at the first upstream (1), at the second (2), or answered with a status.
fn expect(cases: &[(&str, &str, u16)]) {
    let upstreams = [Upstream::says("first"), Upstream::says("second")];
    let gate = TestGate::start(CONFIG, &[("first", &upstreams[0]), ("second", &upstreams[1])]);
    for (client, head, expected) in cases {
        let before = upstreams.each_ref().map(|upstream| upstream.requests().len());
        let status = ask(&gate, client, head);
        let after = upstreams.each_ref().map(|upstream| upstream.requests().len());
        let reached: Vec<usize> = (0..2).filter(|at| after[*at] > before[*at]).collect();
        let came = match reached[..] {
            [] => status,
            [at] => at as u16 + 1,
            _ => panic!("{head}: both"),
        };
        assert_eq!(came, *expected, "{client} {head}");
    }
}

#[test]
fn stars_in_hosts_choose_a_rule() {
    let at = "10.0.0.1";
    expect(&[
        (at, "/ HTTP/1.1\r\nHost: a.b.c.test", 1),
        (at, "/ HTTP/1.1\r\nHost: b.c.test", 404),
        (at, "/ HTTP/1.1\r\nHost: x.a.b.c.test", 404),
        (at, "/ HTTP/1.1\r\nHost: EU.shop.d.test", 1),
        (at, "/ HTTP/1.1\r\nHost: us.shop.d.test", 404),
        (at, "/ HTTP/1.1\r\nHost: cdn.shop.d.test", 1),
        (at, "/ HTTP/1.1\r\nHost: cdn.other.test", 2),
        (at, "/ HTTP/1.1\r\nHost: cdn.late.test", 2),
        (at, "/ HTTP/1.1\r\nHost: img-7.x:80", 2),
        (at, "/ HTTP/1.1\r\nHost: img-7", 404),
    ]);
}

#[test]
fn fields_cookies_and_queries_choose_a_rule() {
    let at = "10.0.0.1";
    expect(&[
        (at, "/ HTTP/1.1\r\nHost: a.test", 1),
        (at, "/ HTTP/1.1\r\nHost: a.test\r\nX-Canary: 1", 2),
        (at, "/ HTTP/1.1\r\nHost: a.test\r\nx-canary: yes, please", 2),
        (at, "/ HTTP/1.1\r\nHost: a.test\r\nX-Canary: 2", 1),
        (at, "/ HTTP/1.1\r\nHost: a.test\r\nX-Canary: 2\r\nX-Canary: 1", 2),
        (at, "/ HTTP/1.1\r\nHost: a.test\r\nCookie: a=b; team=red; c=d", 2),
        (at, "/ HTTP/1.1\r\nHost: a.test\r\nCookie: xteam=red; team=redder", 1),
        (at, "/?a&beta HTTP/1.1\r\nHost: a.test", 2),
        (at, "/?%62eta=1 HTTP/1.1\r\nHost: a.test", 2),
        (at, "/?a=beta HTTP/1.1\r\nHost: a.test", 1),
    ]);
}

#[test]
fn globs_take_whole_paths() {
    let at = "10.0.0.1";
    expect(&[
        (at, "/api/7/items HTTP/1.1\r\nHost: a.test", 404),
        (at, "/api/7/items/8 HTTP/1.1\r\nHost: a.test", 1),
        (at, "/x/y.php HTTP/1.1\r\nHost: a.test", 404),
        (at, "/%78/y%2ephp?a HTTP/1.1\r\nHost: a.test", 404),
        (at, "/x/y.phps HTTP/1.1\r\nHost: a.test", 1),
        (at, "/x HTTP/1.1\r\nHost: cdn-7.b.test", 1),
        (at, "/x HTTP/1.1\r\nHost: CDN-7.b.test.:80", 1),
        (at, "/x HTTP/1.1\r\nHost: a.cdn-7.b.test", 2),
        (at, "/x HTTP/1.1\r\nHost: b.test", 404),
    ]);
}

#[test]
fn the_address_of_the_client_counts() {
    expect(&[
        ("10.0.0.1", "/x HTTP/1.1\r\nHost: nas.test", 1),
        ("10.9.0.1", "/x HTTP/1.1\r\nHost: nas.test", 2),
        ("11.0.0.1", "/x HTTP/1.1\r\nHost: nas.test", 2),
        ("10.0.0.1", "/admin HTTP/1.1\r\nHost: nas.test", 1),
        ("11.0.0.1", "/admin HTTP/1.1\r\nHost: nas.test", 403),
        // The word of a proxy counts if the proxy is trusted.
        ("192.0.2.9", "/admin HTTP/1.1\r\nHost: nas.test\r\nX-Forwarded-For: 10.0.0.1", 1),
        ("192.0.2.9", "/admin HTTP/1.1\r\nHost: nas.test\r\nX-Forwarded-For: 10.0.0.1, 11.0.0.1", 403),
        ("192.0.2.8", "/admin HTTP/1.1\r\nHost: nas.test\r\nX-Forwarded-For: 10.0.0.1", 403),
        ("10.0.0.1", "/admin HTTP/1.1\r\nHost: nas.test\r\nX-Forwarded-For: 11.0.0.1", 1),
    ]);
    // Forms in which a proxy may write an address, and a chain of many. What is no address ends the search.
    let chain = format!("{}10.0.0.1", "11.0.0.1, ".repeat(99));
    for (value, expected) in [
        ("::ffff:10.0.0.1", 1),
        ("[::ffff:10.0.0.1]:4711", 1),
        ("10.0.0.1:4711", 1),
        ("11.0.0.1, 12.0.0.1, 10.0.0.1", 1),
        (&chain, 1),
        ("10.0.0.1, unknown", 403),
        ("10.0.0.1, not an address", 403),
        ("unknown", 403),
        ("10.0.0.1, ", 1),
    ] {
        let head = format!("/admin HTTP/1.1\r\nHost: nas.test\r\nX-Forwarded-For: {value}");
        expect(&[("192.0.2.9", &head, expected)]);
    }
}

/// A rule with conditions takes a reading of a path only if its conditions hold for the request, and a rule with a glob
/// guards all that is below the start of the glob.
#[test]
fn guards_hold_beside_conditions() {
    expect(&[
        ("10.0.0.1", "//admin HTTP/1.1\r\nHost: nas.test", 1),
        ("11.0.0.1", "//admin HTTP/1.1\r\nHost: nas.test", 400),
        ("11.0.0.1", "/admin%2Fx HTTP/1.1\r\nHost: nas.test", 400),
        ("11.0.0.1", "//x HTTP/1.1\r\nHost: nas.test", 2),
        ("10.0.0.1", "/x/y.php;a HTTP/1.1\r\nHost: a.test", 400),
        ("10.0.0.1", "/x/y.ph%2570 HTTP/1.1\r\nHost: a.test", 400),
        ("10.0.0.1", "/x/y.ph%2570 HTTP/1.1\r\nHost: a.test\r\nX-Canary: 1", 2),
    ]);
}

const MORE: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    accept_proxy_protocol: 127.0.0.1
    rules:
      - { host: share.test, name: canary, share: 30%, by: cookie.uid, target: "http://{second}" }
      - { host: share.test, target: "http://{first}" }
      - { host: glob.test, path: "/users/{id}/*.json", target: "http://{second}" }
      - { host: glob.test, target: "http://{first}" }
"#;

/// Behind [`MORE`], with the feature `regex`.
const EXPRESSIONS: &str = r#"
      - { host: expression.test, path_regex: ["^/v[0-9]{1,2}/", "[.]php$"], target: "http://{second}" }
      - { host: expression.test, target: "http://{first}" }
"#;

/// The number of the upstream that gets a request of this client.
fn reached(gate: &TestGate, upstreams: &[Upstream; 2], client: &str, head: &str) -> usize {
    let before = upstreams.each_ref().map(|upstream| upstream.requests().len());
    assert_eq!(ask(gate, client, head), 200, "{head}");
    let reached = (0..2).find(|at| upstreams[*at].requests().len() > before[*at]);
    reached.expect("an upstream got it") + 1
}

/// Clients that are told apart by a cookie stay where they are, on every worker and after a reload. Those without it are
/// told apart by their address.
#[test]
fn a_share_of_clients_is_the_same_on_every_worker_and_after_a_reload() {
    let upstreams = [Upstream::says("first"), Upstream::says("second")];
    let places: [(&str, &dyn std::fmt::Display); 2] = [("first", &upstreams[0]), ("second", &upstreams[1])];
    let gate = TestGate::start(&format!("workers: 2\n{MORE}"), &places);
    let user = |number: usize| format!("/ HTTP/1.1\r\nHost: share.test\r\nCookie: a=b; uid=user-{number}");
    let choices = |client: &str| -> Vec<usize> {
        (0..60).map(|number| reached(&gate, &upstreams, client, &user(number))).collect()
    };
    let first = choices("10.0.0.1");
    let canaries = first.iter().filter(|at| **at == 2).count();
    assert!((6..=32).contains(&canaries), "{canaries} of 60");
    assert_eq!(choices("10.0.0.2"), first, "the address does not count beside the cookie");
    let other = MORE.replace("host: glob.test, target", "host: other.test, target");
    gate.edit(&format!("workers: 2\n{other}"), &places);
    gate.reload().expect("a valid configuration");
    assert_eq!(choices("10.0.0.1"), first, "the choice is stable over a reload");
    let without = |client: &str| reached(&gate, &upstreams, client, "/ HTTP/1.1\r\nHost: share.test");
    let by_address: Vec<usize> = (0..60).map(|number| without(&format!("10.0.1.{number}"))).collect();
    assert!(by_address.contains(&1) && by_address.contains(&2), "{by_address:?}");
    assert_eq!(without("10.0.1.7"), by_address[7]);
}

#[test]
#[cfg_attr(not(feature = "regex"), ignore = "needs the feature `regex`")]
fn globs_with_names_and_expressions_choose_a_rule() {
    let upstreams = [Upstream::says("first"), Upstream::says("second")];
    let gate = TestGate::start(
        &[MORE.trim_end(), EXPRESSIONS].concat(),
        &[("first", &upstreams[0]), ("second", &upstreams[1])],
    );
    for (host, path, expected) in [
        ("glob.test", "/users/7/a.json", 2),
        ("glob.test", "/users/7/8/a.json", 1),
        ("expression.test", "/v12/x", 2),
        ("expression.test", "/v123/x", 1),
        ("expression.test", "/%76%31/x", 2),
        ("expression.test", "/x/v1/", 1),
        ("expression.test", "/x/y.php?a", 2),
        ("expression.test", "/x/y.php/z", 1),
    ] {
        let head = format!("{path} HTTP/1.1\r\nHost: {host}");
        assert_eq!(reached(&gate, &upstreams, "10.0.0.1", &head), expected, "{host}{path}");
    }
}
