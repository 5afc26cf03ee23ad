//! `headers`, `hsts`, `request_id` and `traceparent`: fields that a rule changes, over real connections. Judged by what the
//! target and the client received.

#![cfg(feature = "files")]

mod support;

use std::sync::Arc;

use support::gate::TestGate;
use support::message::Response;
use support::tls::{Authority, Tls};
use support::upstream::{Refusing, Upstream};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    trusted_proxies: 127.0.0.1
    headers: { response: { set: { X-Listener: "{host}" } } }
    rules:
      - name: edits
        host: edits.test
        path: "/users/{id}"
        target: "http://{upstream}"
        headers:
          request:
            set: { X-User: "{id}", Host: "{host}.internal", X-Path: "{method} {uri} {scheme} {client} {rule}" }
            add: { X-More: ["one", "{header.X-A}"] }
            default: { X-A: never, X-B: "{cookie.c}" }
            remove: [X-Debug, "X-Internal-*", "Con*"]
          response:
            set: { X-Frame-Options: DENY, X-User: "{id}" }
            add: { X-Served: smolgate }
            default: { Cache-Control: no-store, X-Kept: never }
            remove: [Server, "X-Secret-*", "Content-*"]
      - { host: own.test, respond: { status: 404, headers: { X-Own: old }, body: none }, headers: { response: { set: { X-Own: "{path}" } } } }
      - { host: dead.test, target: "http://{dead}", headers: { response: { set: { X-Own: "{path}" }, remove: Retry-After } } }
      - { host: files.test, files: "{folder}", headers: { response: { set: { X-Own: "{path}", Last-Modified: never } } } }
      - { host: off.test, headers: false, respond: { body: off } }
      - { host: trace.test, traceparent: true, target: "http://{upstream}", headers: { response: { set: { X-Trace: "{traceparent}" } } } }
      - name: told
        host: told.test
        targets: ["http://{dead}", "http://{upstream}"]
        headers: { response: { set: { X-Target: "at {target}{target}", X-Time: "{time}", X-Url: "{url}" } } }
      - { host: told-own.test, respond: { body: own }, headers: { response: { set: { X-Target: "<{target}>" } } } }
      - { host: inherits.test, target: "http://{upstream}" }
      - { host: id.test, request_id: true, target: "http://{upstream}", headers: { response: { set: { X-Request-Id: "{request_id}" } } } }
      - { host: id.test, request_id: X-Trace, target: "http://{upstream}" }
"#;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nServer: secret\r\nX-Secret-A: 1\r\nX-Kept: yes\r\nx-user: other\r\nX-User: more\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfine";

fn ask(gate: &TestGate, host: &str, target: &str, lines: &str) -> Response {
    gate.exchange(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}Connection: close\r\n\r\n"))
}

fn scene() -> (TestGate, Upstream) {
    let upstream = Upstream::answers(ANSWER);
    let (dead, folder) = (Refusing::new(), tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("a.txt"), "text").unwrap();
    let path = folder.path().display();
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream), ("dead", &dead), ("folder", &path)]);
    (gate.keep(dead).keep(folder), upstream)
}

#[test]
fn a_target_gets_the_changed_fields() {
    let (gate, upstream) = scene();
    let lines = "X-A: a\r\nX-Debug: 1\r\nx-internal-b: 2\r\nX-User: forged\r\nX-USER: twice\r\nCookie: c=d\r\n\
                 X-Forwarded-For: 192.0.2.7\r\n";
    assert_eq!(ask(&gate, "edits.test", "/users/7?q", lines).status(), 200);
    let head = upstream.request().head;
    for (name, expected) in [
        ("x-user", &["7"][..]),
        ("host", &["edits.test.internal"]),
        ("x-path", &["GET /users/7?q http 192.0.2.7 edits"]),
        ("x-more", &["one", "a"]),
        ("x-a", &["a"]),
        ("x-b", &["d"]),
        ("x-debug", &[]),
        ("x-internal-b", &[]),
        ("cookie", &["c=d"]),
        ("via", &["1.1 smolgate"]),
    ] {
        assert_eq!(head.all(name), expected, "{name}: {head:?}");
    }
    assert_eq!(head.fields[0].0, "Host", "it stays the first field");
}

/// A target such as CGI reads these names as the ones of the configuration, and a client chooses how it writes them.
#[test]
fn a_client_cannot_write_a_removed_field_in_another_way() {
    let (gate, upstream) = scene();
    let lines = "X_Internal_B: 1\r\nx_debug: 2\r\nX.Internal.C: 3\r\nX_User: forged\r\nX_A: kept\r\nX_Other: kept\r\n";
    assert_eq!(ask(&gate, "edits.test", "/users/7", lines).status(), 200);
    let head = upstream.request().head;
    let told = head.fields.iter().map(|(name, value)| format!("{}: {value}", name.to_ascii_lowercase()));
    let told: Vec<_> = told.filter(|line| line.starts_with("x") && line.contains(['_', '.'])).collect();
    assert!(!told.iter().any(|line| line.contains("internal") || line.contains("debug")), "{told:?}");
    assert!(!told.iter().any(|line| line.contains("forged")), "{told:?}");
    assert_eq!(head.all("x-user"), ["7"]);
    assert_eq!((head.all("x_other"), head.all("x_a")), (vec!["kept"], vec!["kept"]));
}

/// The target is known when the response comes. Both targets are tried, so the second one is told in any case.
#[test]
fn a_response_tells_its_target_the_time_and_the_url() {
    let (gate, upstream) = scene();
    for _ in 0..2 {
        let request = "GET /a?b=c HTTP/1.1\r\nHost: told.test:81\r\nConnection: close\r\n\r\n";
        let response = gate.exchange(request);
        let target = upstream.address();
        assert_eq!(response.get("x-target"), Some(&*format!("at {target}{target}")));
        assert_eq!(response.get("x-url"), Some("http://told.test:81/a?b=c"));
        let time = response.get("x-time").unwrap();
        let form: String = time.chars().map(|char| if char.is_ascii_digit() { '0' } else { char }).collect();
        assert_eq!(form, "0000-00-00T00:00:00.000Z", "{time}");
    }
    assert_eq!(ask(&gate, "told-own.test", "/", "").get("x-target"), Some("<>"));
}

#[test]
fn a_client_gets_the_changed_fields() {
    let (gate, _upstream) = scene();
    let response = ask(&gate, "edits.test", "/users/7", "");
    assert_eq!(response.text(), "fine");
    for (name, expected) in [
        ("x-frame-options", &["DENY"][..]),
        ("x-user", &["7"]),
        ("x-served", &["smolgate"]),
        ("cache-control", &["no-store"]),
        ("x-kept", &["yes"]),
        ("server", &[]),
        ("x-secret-a", &[]),
        ("content-type", &[]),
        // It frames the message.
        ("content-length", &["4"]),
        ("via", &["1.1 smolgate"]),
        // The rule has `headers` of its own, so those of the listener do not count.
        ("x-listener", &[]),
    ] {
        assert_eq!(response.head.all(name), expected, "{name}: {response:?}");
    }
    let inherits = ask(&gate, "inherits.test", "/", "");
    assert_eq!(inherits.get("x-listener"), Some("inherits.test"));
}

/// Fields of responses count for those of the gate itself, too, whatever their reason.
#[test]
fn own_responses_have_the_changed_fields() {
    let (gate, upstream) = scene();
    let own = ask(&gate, "own.test", "/a", "");
    assert_eq!((own.status(), own.text(), own.head.all("x-own")), (404, "none".to_owned(), vec!["/a"]));
    let dead = ask(&gate, "dead.test", "/b", "");
    dead.expect_own(502, "connect_refused");
    assert_eq!(dead.get("x-own"), Some("/b"));
    let file = ask(&gate, "files.test", "/a.txt", "");
    assert_eq!((file.text(), file.head.all("last-modified")), ("text".to_owned(), vec!["never"]));
    assert_eq!(file.get("x-own"), Some("/a.txt"));
    assert_eq!(ask(&gate, "files.test", "/none", "").get("x-own"), Some("/none"));
    assert_eq!(ask(&gate, "off.test", "/", "").get("x-listener"), None);
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_request_has_an_identity() {
    let (gate, upstream) = scene();
    let mut seen = std::collections::HashSet::new();
    for (given, is_kept) in [("", false), ("X-Request-Id: abc-1\r\n", true), ("X-Request-Id: a b\r\n", false)]
    {
        let response = ask(&gate, "id.test", "/", given);
        let sent = upstream.requests().last().unwrap().head.get("x-request-id").unwrap().to_owned();
        assert_eq!(response.get("x-request-id"), Some(&*sent), "client and target have one identity");
        assert_eq!(sent == "abc-1", is_kept, "{given}");
        assert!(is_kept || sent.len() == 32, "{sent}");
        assert!(seen.insert(sent));
    }
}

/// A stranger cannot choose the identity of its requests, and a line in the access log has it.
#[test]
fn an_identity_of_a_stranger_is_replaced_and_logged() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let upstream = Upstream::answers(ANSWER);
    let config = format!(
        "access_log: {}\n{}",
        log.display(),
        CONFIG
            .replace("    trusted_proxies: 127.0.0.1\n", "")
            .replace("http://{dead}", "http://127.0.0.1:1")
            .replace("{folder}", &dir.path().display().to_string())
    );
    let gate = TestGate::start(&config, &[("upstream", &upstream)]);
    ask(&gate, "id.test", "/", "X-Request-Id: forged\r\n");
    let sent = upstream.request().head.get("x-request-id").unwrap().to_owned();
    assert_ne!(sent, "forged");
    let line = format!("\"request_id\":\"{sent}\"");
    support::until("the line is written", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.contains(&line))
    });
}

/// W3C Trace Context: a well-formed context goes on. Another one is replaced, and the state of its vendors with it.
#[test]
fn a_trace_goes_on_or_begins_and_is_logged() {
    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let upstream = Upstream::answers(ANSWER);
    let config = format!("access_log: {}\n{}", log.display(), CONFIG.replace("{dead}", "127.0.0.1:1"));
    let gate = TestGate::start(&config, &[("upstream", &upstream), ("folder", &dir.path().display())]);
    let logged = |what: &str| {
        support::until(what, || std::fs::read_to_string(&log).is_ok_and(|text| text.contains(what)));
    };
    let with = |trace: &str| format!("traceparent: {trace}\r\ntracestate: vendor=1\r\n");
    let sent = |index: usize, name: &str| {
        let head = &upstream.requests()[index].head;
        head.all(name).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    // A rule with the key, and one without it.
    for (index, host) in ["trace.test", "inherits.test"].into_iter().enumerate() {
        ask(&gate, host, "/", &with(GIVEN));
        assert_eq!(
            (sent(index, "traceparent"), sent(index, "tracestate")),
            (vec![GIVEN.into()], vec!["vendor=1".into()])
        );
    }
    let given = format!("\"traceparent\":\"{GIVEN}\"");
    support::until("both lines", || {
        std::fs::read_to_string(&log).is_ok_and(|text| text.matches(&given).count() == 2)
    });

    let mut seen = vec![GIVEN.to_owned()];
    for (index, lines) in [(2, String::new()), (3, with("00-broken")), (4, with(&GIVEN.to_uppercase()))] {
        let response = ask(&gate, "trace.test", "/", &lines);
        let made = sent(index, "traceparent");
        assert!(made.len() == 1 && made[0].len() == GIVEN.len() && made[0].starts_with("00-"), "{made:?}");
        assert!(made[0].ends_with("-01") && !seen.contains(&made[0]), "{made:?}");
        assert_eq!(sent(index, "tracestate"), [""; 0]);
        assert_eq!(response.get("x-trace"), Some(&*made[0]));
        logged(&format!("\"traceparent\":\"{}\"", made[0]));
        seen.extend(made);
    }
    // Without the key, garbage goes on as any field does, and no line has it.
    ask(&gate, "inherits.test", "/last", &with("00-broken"));
    assert_eq!(sent(5, "traceparent"), ["00-broken"]);
    logged("/last");
    assert!(!std::fs::read_to_string(&log).unwrap().contains("00-broken"));
}

/// RFC 6797, section 7.2: the field is not sent in the clear.
#[test]
fn hsts_is_sent_over_tls_alone() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    let certs = dir.path().join("certs");
    authority.issue(&certs, "one", &["one.test"]);
    let config = r#"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    tls: { certificates: "{certs}" }
    hsts: { max_age: 365d, include_subdomains: true }
    rules: [{ respond: { body: fine } }]
  - name: http
    bind: "127.0.0.1:0"
    hsts: 1h
    rules: [{ respond: { body: fine } }]
"#;
    let gate = TestGate::start(config, &[("certs", &certs.display())]);
    let tls = Arc::new(authority.client(&["http/1.1"]));
    let mut client = Tls::connect(gate.address("https"), &tls, "one.test").unwrap().client();
    client.send("GET / HTTP/1.1\r\nHost: one.test\r\n\r\n");
    let response = client.read_response();
    let expected = "max-age=31536000; includeSubDomains";
    assert_eq!(response.get("strict-transport-security"), Some(expected));
    let mut client = gate.client_of("http");
    client.send("GET / HTTP/1.1\r\nHost: one.test\r\n\r\n");
    assert_eq!(client.read_response().get("strict-transport-security"), None);
}
