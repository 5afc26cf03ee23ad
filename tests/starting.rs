//! The page for browsers while a service is starting.

mod support;

use support::gate::TestGate;
use support::upstream::{Connection, Refusing, Upstream};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: held.test, target: "{target}", hold: {hold} }
      - { host: direct.test, target: "{target}", starting: true }
      - { target: "{target}", starting: true, hold: {hold} }
"#;

fn request(method: &str, host: &str, accept: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: {host}\r\nAccept: {accept}\r\nContent-Length: 0\r\n\r\n")
}

fn start(refusing: &Refusing, hold: &str) -> TestGate {
    TestGate::start(CONFIG, &[("target", &refusing.to_string()), ("hold", &hold)])
}

const BROWSER: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

fn answers(connection: &mut Connection) {
    while connection.read_request().is_some() {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    }
}

#[test]
fn a_browser_gets_a_page_that_reloads_itself_until_the_service_answers() {
    let refusing = Refusing::new();
    let gate = start(&refusing, "1h");
    for host in ["a", "direct.test"] {
        let response = gate.exchange(request("GET", host, BROWSER));
        response.expect_own(503, "target_starting");
        let page = response.text();
        assert!(page.contains("<meta http-equiv=\"refresh\" content=\"2\">"), "{page}");
        assert_eq!(response.get("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(
            (response.get("retry-after"), response.get("cache-control")),
            (Some("2"), Some("no-store"))
        );
    }
    let _upstream: Upstream = refusing.revive(answers);
    gate.exchange(request("GET", "a", BROWSER)).expect(200, "fine");
}

#[test]
fn other_requests_are_held_and_told_in_their_own_form() {
    let refusing = Refusing::new();
    let gate = start(&refusing, "300ms");
    for (method, host, accept, form) in [
        ("GET", "a", "*/*", "text/plain; charset=utf-8"),
        ("GET", "a", "application/json", "application/json"),
        ("POST", "a", BROWSER, "text/html; charset=utf-8"),
        ("GET", "held.test", BROWSER, "text/html; charset=utf-8"),
    ] {
        let response = gate.exchange(request(method, host, accept));
        response.expect_own(503, "no_target");
        assert_eq!(response.get("content-type"), Some(form), "{method} {host} {accept}");
        assert!(!response.text().contains("http-equiv"), "{method} {host} {accept}");
    }
    gate.exchange(request("GET", "direct.test", "*/*")).expect_own(502, "connect_refused");
}
