//! `redirect_to_https`: a listener in the clear that redirects everything but ACME challenges.

mod support;

use support::gate::TestGate;
use support::upstream::Upstream;

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    redirect_to_https: {redirect}
    rules:
      - path_prefix: /.well-known/acme-challenge
        respond: { body: "token" }
      - respond: { body: "never in the clear" }
"#;

#[track_caller]
fn location(gate: &TestGate, request: &str) -> (u16, String) {
    let response = gate.exchange(request);
    (response.status(), response.get("Location").unwrap_or_default().to_owned())
}

#[test]
fn every_request_is_redirected_to_its_url_under_https() {
    let gate = TestGate::start(CONFIG, &[("redirect", &"true")]);
    for (request, url) in [
        ("GET /a/b?c=d HTTP/1.1\r\nHost: One.test:8080\r\n\r\n", "https://one.test/a/b?c=d"),
        ("POST / HTTP/1.1\r\nHost: one.test\r\nContent-Length: 2\r\n\r\nhi", "https://one.test/"),
        ("GET http://one.test?a=b HTTP/1.1\r\nHost: one.test\r\n\r\n", "https://one.test/?a=b"),
        ("OPTIONS * HTTP/1.1\r\nHost: one.test\r\n\r\n", "https://one.test/"),
        ("GET /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "https://[::1]/x"),
        ("GET http://two.test/y HTTP/1.1\r\nHost: one.test\r\n\r\n", "https://two.test/y"),
        (
            "GET /.well-known/acme-challengex HTTP/1.1\r\nHost: one.test\r\n\r\n",
            "https://one.test/.well-known/acme-challengex",
        ),
    ] {
        assert_eq!(location(&gate, request), (308, url.to_owned()), "{request}");
    }
    assert_eq!(gate.exchange("GET / HTTP/1.0\r\n\r\n").status(), 400, "there is nowhere to send it");
}

#[test]
fn challenges_are_answered_in_the_clear() {
    let gate = TestGate::start(CONFIG, &[("redirect", &"true")]);
    let response = gate.exchange("GET /.well-known/acme-challenge/xyz HTTP/1.1\r\nHost: one.test\r\n\r\n");
    assert_eq!((response.status(), response.text()), (200, "token".to_owned()));
}

#[test]
fn a_rule_with_in_the_clear_is_not_redirected() {
    let rule = "rules:\n      - { path_prefix: /healthz, methods: GET, in_the_clear: true, respond: { body: fine } }";
    let gate = TestGate::start(&CONFIG.replace("rules:", rule), &[("redirect", &"true")]);
    gate.exchange("GET /healthz/db HTTP/1.1\r\nHost: one.test\r\n\r\n").expect(200, "fine");
    gate.exchange("GET /healthz HTTP/1.0\r\n\r\n").expect(200, "fine");
    for request in ["POST /healthz", "GET /healthzz"] {
        let (method, path) = request.split_once(' ').unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: one.test\r\n\r\n");
        assert_eq!(location(&gate, &request), (308, format!("https://one.test{path}")), "{request}");
    }
}

#[test]
fn a_dropped_request_gets_no_redirect() {
    let config = CONFIG.replace("rules:", "rules:\n      - { host: evil.test, path_prefix: /x, drop: true }");
    let gate = TestGate::start(&config, &[("redirect", &"true")]);
    let mut client = gate.client();
    client.send("GET /x HTTP/1.1\r\nHost: evil.test\r\n\r\n");
    client.expect_close();
    let elsewhere = "GET /y HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    assert_eq!(location(&gate, elsewhere), (308, "https://evil.test/y".to_owned()));
}

#[test]
fn a_pass_rule_is_not_redirected() {
    let mail = Upstream::says("mail");
    let config = CONFIG.replace("rules:", "rules:\n      - { host: mail.test, pass: \"{mail}\" }");
    let gate = TestGate::start(&config, &[("redirect", &"true"), ("mail", &mail.address())]);
    for path in ["/", "/.well-known/acme-challenge/x"] {
        gate.exchange(format!("GET {path} HTTP/1.1\r\nHost: Mail.test:80\r\n\r\n")).expect(200, "mail");
    }
    let other = "GET /a HTTP/1.1\r\nHost: www.mail.test\r\n\r\n";
    assert_eq!(location(&gate, other), (308, "https://www.mail.test/a".to_owned()));
    // An earlier rule takes precedence, and it redirects.
    let config = config.replace("rules:", "rules:\n      - { path_prefix: /only, respond: { body: no } }");
    gate.edit(&config, &[("redirect", &"true"), ("mail", &mail.address())]);
    gate.reload().unwrap();
    let only = "GET /only HTTP/1.1\r\nHost: mail.test\r\n\r\n";
    assert_eq!(location(&gate, only), (308, "https://mail.test/only".to_owned()));
}

#[test]
fn the_status_and_the_port_can_be_configured() {
    let gate = TestGate::start(CONFIG, &[("redirect", &"{ status: 301, port: 8443 }")]);
    let url = "https://one.test:8443/a".to_owned();
    assert_eq!(location(&gate, "GET /a HTTP/1.1\r\nHost: one.test\r\n\r\n"), (301, url.clone()));
    // A client would turn the POST into a GET after a 301.
    let post = "POST /a HTTP/1.1\r\nHost: one.test\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(location(&gate, post), (308, url));
}
