//! Placeholders in redirects, bodies and rewritten paths, over real connections.

#![cfg(feature = "regex")]

mod support;

use support::gate::TestGate;
use support::upstream::Upstream;

const CONFIG: &str = r##"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    trusted_proxies: 127.0.0.1
    rules:
      - { host: "*.old.test", redirect: "https://{1}.new.test{uri}" }
      - { host: glob.test, path: ["/users/{id}/*", "/people/{id}/*"], redirect: "/all/{id}?part={2}" }
      - { host: glob.test, path: "/files/**", redirect: "/{1}" }
      - { host: in.test, redirect: { to: "https://id.test/in?back={url}&a=b", status: 302 } }
      - { host: expression.test, path_regex: "^/v([0-9]+)/(?<name>[a-z]*)", redirect: { to: "/{name}/{1}", status: 302 } }
      - name: page
        host: body.test
        path: "/html/{name}"
        respond: { headers: { Content-Type: text/html }, body: "<p>{name} {header.X-A} {cookie.c} {query}</p>" }
      - { host: body.test, path: "/json/{name}", respond: { headers: { Content-Type: application/json }, body: '{"a":"{name}{header.X-A}","b":{"c":"{rule}"}}' } }
      - { host: body.test, path: "/text/{name}", respond: { headers: { Content-Type: text/plain }, body: "{method} {scheme}://{host}{uri} {client} {header.X-A} {{name}}" } }
      - { host: body.test, respond: { body: "{header.X-A}" } }
"##;

/// The response to a request with this target, host and further lines.
fn ask(gate: &TestGate, target: &str, lines: &str) -> support::message::Response {
    gate.exchange(format!("GET {target} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n"))
}

#[test]
fn a_redirect_has_what_stars_and_groups_took() {
    let gate = TestGate::start(CONFIG, &[]);
    for (host, target, location) in [
        ("www.old.test", "/a?b=c", "https://www.new.test/a?b=c"),
        ("WWW.old.test:80", "//evil.test", "https://www.new.test//evil.test"),
        ("glob.test", "/users/7/x?y", "/all/7?part=x"),
        ("glob.test", "/people/%37/x", "/all/7?part=x"),
        ("glob.test", "/files//evil.test/", "/evil.test/"),
        ("glob.test", "/files/a/b?c", "/a/b?c"),
        ("expression.test", "/v12/abc/d?e", "/abc/12?e"),
        ("expression.test", "/v1/", "/1"),
        (
            "in.test:81",
            "/a%20b?c=d&e=%26",
            "https://id.test/in?back=http%3A%2F%2Fin.test%3A81%2Fa%2520b%3Fc%3Dd%26e%3D%2526&a=b",
        ),
    ] {
        let response = ask(&gate, target, &format!("Host: {host}\r\n"));
        assert_eq!(response.get("location"), Some(location), "{host}{target}");
    }
}

/// A value of the client cannot become a part of a page.
#[test]
fn values_in_a_body_are_escaped_by_its_type() {
    let gate = TestGate::start(CONFIG, &[]);
    let lines = "Host: body.test\r\nX-A: <b>\"'&\\\r\nCookie: a=b; c=<i>\r\nX-Forwarded-For: 192.0.2.7\r\n";
    for (target, body) in [
        ("/html/x?<q>", "<p>x &lt;b&gt;&#34;&#39;&amp;\\ &lt;i&gt; &lt;q&gt;</p>"),
        (
            "/json/x",
            "{\"a\":\"x\\u003cb\\u003e\\u0022\\u0027\\u0026\\u005c\",\"b\":{\"c\":\"body.test/json/{name}\"}}",
        ),
        ("/text/x?y", "GET http://body.test/text/x?y 192.0.2.7 <b>\"'&\\ {name}"),
        ("/other", "&lt;b&gt;&#34;&#39;&amp;\\"),
    ] {
        let response = ask(&gate, target, lines);
        assert_eq!(response.text(), body, "{target}");
        assert_eq!(response.get("content-length"), Some(&*body.len().to_string()), "{target}");
    }
}

/// Bytes of a field that are not UTF-8, and some that are.
#[test]
fn a_body_of_json_is_json_whatever_the_client_sends() {
    let gate = TestGate::start(CONFIG, &[]);
    for (sent, read) in [(&b"zo\xeb\xff\"\\"[..], "zo\u{eb}\u{ff}\"\\"), ("zo\u{eb}".as_bytes(), "zo\u{eb}")]
    {
        let head = b"GET /json/x HTTP/1.1\r\nHost: body.test\r\nConnection: close\r\nX-A: ";
        let response = gate.exchange([head, sent, b"\r\n\r\n"].concat());
        let value: serde_json::Value = serde_json::from_slice(&response.body.bytes).expect("JSON");
        assert_eq!(value["a"], format!("x{read}"));
    }
}

const REWRITES: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: rest.test, path_prefix: /old, rewrite: "/new{rest}", target: "http://{upstream}" }
      - { host: rest.test, path_prefix: /off, rewrite: "{rest}", target: "http://{upstream}/base" }
      - { host: glob.test, path: "/v1/{kind}/{id}", rewrite: "/api/{kind}?id={id}&{query}", target: "http://{upstream}" }
      - { host: dots.test, path: "/{one}/{two}", rewrite: "/{one}{two}/x", target: "http://{upstream}" }
      - { host: dots.test, respond: { body: other } }
"#;

#[test]
fn a_target_gets_the_rewritten_path_and_the_query() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(REWRITES, &[("upstream", &upstream)]);
    for (host, target, sent) in [
        ("rest.test", "/old/a%2Fb?c=d", "/new/a%2Fb?c=d"),
        ("rest.test", "/%6fld", "/new"),
        ("rest.test", "/old?", "/new?"),
        ("rest.test", "/off", "/base/"),
        ("rest.test", "/off//evil.test/x", "/base/evil.test/x"),
        ("glob.test", "/v1/users/7?a", "/api/users?id=7&a"),
        ("dots.test", "/a/b", "/ab/x"),
        // The rule was chosen by the client's path, and no rule is tried again.
        ("rest.test", "/old/off/x", "/new/off/x"),
    ] {
        let response = ask(&gate, target, &format!("Host: {host}\r\n"));
        assert_eq!(response.status(), 200, "{host}{target}");
        assert_eq!(upstream.requests().last().unwrap().target(), sent, "{host}{target}");
    }
}

/// Two parts without a dot segment must not make one.
#[test]
fn what_the_client_chose_makes_no_dot_segment() {
    let upstream = Upstream::says("fine");
    let config = REWRITES.replace("/{one}{two}/x", "/.{one}/x").replace("/{one}/{two}", "/a/{one}");
    let gate = TestGate::start(&config, &[("upstream", &upstream)]);
    for target in ["/a/;x", "/a/%2fx", "/a/%5cx", "/a/\\x"] {
        ask(&gate, target, "Host: dots.test\r\n").expect_own(400, "request_target");
    }
    assert_eq!(upstream.connections(), 0);
    assert_eq!(ask(&gate, "/a/b", "Host: dots.test\r\n").status(), 200);
    assert_eq!(upstream.requests()[0].target(), "/.b/x");
}
