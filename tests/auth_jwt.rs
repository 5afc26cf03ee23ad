//! Rules that ask for a token.

#![cfg(feature = "jwt")]

mod support;

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use smolgate::config::{MemoryInputs, load, view};
use support::gate::TestGate;
use support::message::Response;
use support::tokens::{LATER, Signer, jwks, tagged};
use support::until;
use support::upstream::{Connection, Refusing, Upstream};

/// The secret of `own.test`.
const SECRET: &str = "0123456789abcdef-0123456789abcdef";

const CONFIG: &str = r#"
access_log: "{log}"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - host: app.test
        path_prefix: /admin
        auth:
          jwt:
            keys: "http://{server}/jwks?a=b"
            issuer: "https://id.test/"
            audience: [api, web]
            claims: { role: [admin, editor], verified: true }
            from: [bearer, cookie.session]
            forward: { X-User: sub, X-Roles: realm.roles, X-None: none }
        cors: "https://page.test"
        headers:
          request: { set: { X-Name: "{user}/{claim.name}" } }
          response: { set: { X-Seen: "{user} {claim.realm.roles}" } }
        target: "{target}"
      - { host: app.test, target: "{target}" }
      - host: own.test
        auth: { jwt: { keys: { secret: "0123456789abcdef-0123456789abcdef" } } }
        rate_limit: { requests: 2, per: 1h, by: user }
        respond: { body: "{user}", headers: { Content-Type: text/plain } }
      - host: org.test
        auth: { jwt: { keys: { secret: "0123456789abcdef-0123456789abcdef" } } }
        rate_limit: { requests: 1, per: 1h, by: claim.org, else: all }
        respond: { body: "{claim.org}" }
"#;

/// A server of keys, whose answer a test may change.
struct KeyServer {
    server: Upstream,
    answer: Arc<Mutex<String>>,
}

impl KeyServer {
    fn new(set: &str) -> KeyServer {
        let answer = Arc::new(Mutex::new(found(set)));
        let says = answer.clone();
        let server = Upstream::each(move |connection: &mut Connection, _| {
            let answer = says.lock().unwrap().clone();
            connection.send(answer);
        });
        KeyServer { server, answer }
    }

    fn now(&self, answer: String) {
        *self.answer.lock().unwrap() = answer;
    }

    fn fetches(&self) -> usize {
        self.server.requests().len()
    }
}

fn found(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn gate(server: &impl std::fmt::Display, target: &Upstream) -> TestGate {
    TestGate::start(CONFIG, &[("server", server), ("target", &target.address()), ("log", &log())])
}

/// A file for the access log of a gate whose lines no test reads.
fn log() -> &'static str {
    "/dev/null"
}

fn get(gate: &TestGate, host: &str, path: &str, lines: &str) -> Response {
    gate.exchange(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"))
}

/// Claims that are enough, with some of them changed.
fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": "https://id.test/", "sub": "ann", "aud": ["api"], "exp": LATER, "role": "editor", "verified": true,
        "name": "Jos\u{e9}", "realm": { "roles": ["a", "b,c"] },
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[test]
fn a_user_with_a_token_is_let_in_and_the_target_learns_of_the_claims() {
    let (target, signer) = (Upstream::says("fine"), Signer::new("one"));
    let server = KeyServer::new(&jwks(&[&signer]));
    let gate = gate(&server.server.address(), &target);
    let forged = "X-User: root\r\nx_user: root\r\nX-ROLES: wheel\r\nx_none: root\r\nX-Name: root\r\n";
    let bearer = signer.line(&claims(json!({})));
    let cookie = format!("Cookie: a=b; session={}; c=d\r\n", signer.token(&claims(json!({}))));
    for lines in [&bearer, &bearer.replace("Bearer", "bEARER"), &cookie] {
        // The second time the token is known.
        for _ in 0..2 {
            let response = get(&gate, "app.test", "/admin", &format!("{forged}{lines}"));
            response.expect(200, "fine");
            assert_eq!(response.get("x-seen"), Some("ann a,b%2Cc"));
        }
    }
    for request in target.requests() {
        let head = &request.head;
        assert_eq!((head.all("x-user"), head.all("x-roles")), (vec!["ann"], vec!["a,b%2Cc"]));
        assert_eq!(head.all("x-name"), ["ann/Jos%C3%A9"]);
        for name in ["x_user", "x_none", "x-none"] {
            assert!(head.all(name).is_empty(), "{name}");
        }
        assert!(head.get("authorization").or(head.get("cookie")).is_some(), "the token goes on");
    }
    assert_eq!((server.fetches(), server.server.request().target()), (1, "/jwks?a=b"));
}

#[test]
fn a_token_that_is_none_lets_no_request_in() {
    let (target, signer, other) = (Upstream::says("fine"), Signer::new("one"), Signer::new("one"));
    let server = KeyServer::new(&jwks(&[&signer]));
    let gate = gate(&server.server.address(), &target);
    let good = signer.line(&claims(json!({})));
    let (message, _) = good.rsplit_once('.').unwrap();
    let none = "Authorization: Bearer eyJhbGciOiJub25lIn0.eyJleHAiOjQwMDAwMDAwMDB9.\r\n";
    let long = format!("Authorization: Bearer {}\r\n", "a".repeat(8_193));
    let mut refused = vec![
        (String::new(), None),
        ("Authorization: Basic YTpi\r\n".into(), None),
        ("Authorization: Bearer\r\n".into(), None),
        ("Authorization: Bearer  \r\n".into(), None),
        ("Authorization: Bearer x\r\n".into(), Some("not a signed token")),
        ("Cookie: session=x\r\n".into(), Some("not a signed token")),
        (format!("Cookie: sessions={}\r\n", signer.token(&claims(json!({})))), None),
        (none.into(), Some("not a signed token")),
        (long, Some("not a signed token")),
        (format!("{message}.{}\r\n", "A".repeat(86)), Some("signature is wrong")),
        (other.line(&claims(json!({}))), Some("signature is wrong")),
    ];
    for (changes, why) in [
        (json!({ "exp": 1_000 }), "has expired"),
        (json!({ "exp": null }), "not a signed token"),
        (json!({ "exp": "4000000000" }), "not a signed token"),
        (json!({ "nbf": LATER }), "not valid yet"),
        (json!({ "iss": "https://id.test" }), "another issuer"),
        (json!({ "aud": "other" }), "another audience"),
        (json!({ "sub": "ann\r\nX-User: root" }), "control character"),
        (json!({ "realm": { "roles": ["a\u{0}"] } }), "control character"),
    ] {
        refused.push((signer.line(&claims(changes)), Some(why)));
    }
    let mut endless = claims(json!({}));
    endless.as_object_mut().unwrap().remove("exp");
    refused.push((signer.line(&endless), Some("It has no exp")));
    for (lines, why) in &refused {
        for _ in 0..2 {
            let response = get(&gate, "app.test", "/admin", &format!("{lines}Origin: https://page.test\r\n"));
            response.expect_own(401, "unauthorized");
            let challenge = response.get("www-authenticate").unwrap();
            match why {
                None => assert_eq!(challenge, "Bearer", "{lines}"),
                Some(why) => {
                    assert!(challenge.starts_with("Bearer error=\"invalid_token\", error_description=\""));
                    assert!(challenge.contains(why), "{lines}: {challenge}");
                }
            }
            assert_eq!(response.get("access-control-allow-origin"), Some("https://page.test"));
        }
    }
    assert_eq!(get(&gate, "app.test", "/admin", &good.repeat(2)).status(), 400);
    assert_eq!(target.requests().len(), 0);
    assert_eq!(server.fetches(), 1, "no token leads to another server or to a fetch");
    get(&gate, "app.test", "/admin", &good).expect(200, "fine");
}

#[test]
fn a_user_without_the_claims_is_refused_by_403() {
    let (target, signer) = (Upstream::says("fine"), Signer::new("one"));
    let server = KeyServer::new(&jwks(&[&signer]));
    let gate = gate(&server.server.address(), &target);
    for changes in [
        json!({ "role": "reader" }),
        json!({ "role": ["reader", "administrator"] }),
        json!({ "role": null }),
        json!({ "verified": false }),
        json!({ "verified": "yes" }),
    ] {
        for _ in 0..2 {
            let response = get(&gate, "app.test", "/admin", &signer.line(&claims(changes.clone())));
            response.expect_own(403, "insufficient_scope");
            assert_eq!(response.get("www-authenticate"), Some("Bearer error=\"insufficient_scope\""));
        }
    }
    assert_eq!(target.requests().len(), 0);
    for changes in [json!({ "role": ["reader", "admin"] }), json!({ "verified": "true" })] {
        get(&gate, "app.test", "/admin", &signer.line(&claims(changes))).expect(200, "fine");
    }
}

#[test]
fn a_key_that_is_new_is_fetched_at_once_and_unknown_ones_rarely() {
    let (target, old, new) = (Upstream::says("fine"), Signer::new("old"), Signer::new("new"));
    let server = KeyServer::new(&jwks(&[&old]));
    let gate = gate(&server.server.address(), &target);
    get(&gate, "app.test", "/admin", &old.line(&claims(json!({})))).expect(200, "fine");
    server.now(found(&jwks(&[&new])));
    // Several requests ask at once, and one fetch answers them all.
    let mut clients: Vec<_> = (0..8)
        .map(|_| {
            let mut client = gate.client();
            let line = new.line(&claims(json!({})));
            client.send(format!("GET /admin HTTP/1.1\r\nHost: app.test\r\n{line}\r\n"));
            client
        })
        .collect();
    clients.iter_mut().for_each(|client| client.read_response().expect(200, "fine"));
    assert_eq!(server.fetches(), 2);
    // The token is remembered, and its key is gone.
    get(&gate, "app.test", "/admin", &old.line(&claims(json!({})))).expect_own(401, "unauthorized");
    for number in 0..20 {
        let stranger = Signer::new(&format!("../../{number}"));
        let response = get(&gate, "app.test", "/admin", &stranger.line(&claims(json!({}))));
        response.expect_own(401, "unauthorized");
        assert!(response.get("www-authenticate").unwrap().contains("key is not known"));
    }
    assert_eq!(server.fetches(), 2, "strangers cannot make the gate ask");
}

#[test]
fn keys_stay_while_the_server_has_none() {
    let (target, signer) = (Upstream::says("fine"), Signer::new("one"));
    let server = KeyServer::new(&jwks(&[&signer]));
    let gate = gate(&server.server.address(), &target);
    get(&gate, "app.test", "/admin", &signer.line(&claims(json!({})))).expect(200, "fine");
    server.now("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".into());
    let unknown = Signer::new("two");
    get(&gate, "app.test", "/admin", &unknown.line(&claims(json!({})))).expect_own(401, "unauthorized");
    assert_eq!(server.fetches(), 2);
    let another = claims(json!({ "sub": "bob" }));
    get(&gate, "app.test", "/admin", &signer.line(&another)).expect(200, "fine");
    // A reload keeps the keys of the URL too.
    gate.reload().unwrap();
    get(&gate, "app.test", "/admin", &signer.line(&another)).expect(200, "fine");
    assert_eq!(server.fetches(), 2);
}

#[test]
fn without_keys_no_request_is_let_in_and_other_rules_work() {
    let (target, signer) = (Upstream::says("fine"), Signer::new("one"));
    let many = json!({ "keys": vec![signer.jwk(); 10_000] }).to_string();
    let redirect = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>no</html>";
    for answer in [redirect.to_owned(), html.to_owned(), found(&many), found("{\"keys\":[]}")] {
        let server = KeyServer::new("");
        server.now(answer);
        let gate = gate(&server.server.address(), &target);
        let token = signer.line(&claims(json!({})));
        get(&gate, "app.test", "/admin", &token).expect_own(503, "auth_unavailable");
        get(&gate, "app.test", "/", "").expect(200, "fine");
        // A request without a token is told to have one, with keys or without.
        get(&gate, "app.test", "/admin", "").expect_own(401, "unauthorized");
    }
    let gate = gate(&Refusing::new().to_string(), &target);
    get(&gate, "app.test", "/admin", &signer.line(&claims(json!({})))).expect_own(503, "auth_unavailable");
    assert!(target.requests().iter().all(|request| request.target() == "/"));
}

#[test]
fn a_server_without_an_end_is_given_up() {
    let (target, signer) = (Upstream::says("fine"), Signer::new("one"));
    // A gigabyte, of which the gate reads a mebibyte.
    let server = Upstream::scripted(|connection| {
        connection.read_request();
        let mut sent =
            connection.try_send("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n{\"keys\":[");
        let some = " ".repeat(1 << 16);
        for _ in 0..1 << 14 {
            sent = sent && connection.try_send(&some);
        }
        assert!(!sent, "the gate has read all of it");
    });
    let gate = gate(&server.address(), &target);
    server.wait_end(0);
    get(&gate, "app.test", "/admin", &signer.line(&claims(json!({})))).expect_own(503, "auth_unavailable");
}

#[test]
fn a_request_waits_for_the_first_keys_and_leaves_with_its_client() {
    let (target, signer) = (Upstream::says("fine"), Signer::new("one"));
    let go = support::Latch::new();
    let (set, wait) = (found(&jwks(&[&signer])), go.clone());
    let server = Upstream::scripted(move |connection| {
        connection.read_request();
        wait.wait();
        connection.send(&set);
    });
    let gate = gate(&server.address(), &target);
    server.wait_requests(1);
    let mut client = gate.client();
    let line = signer.line(&claims(json!({})));
    client.send(format!("GET /admin HTTP/1.1\r\nHost: app.test\r\n{line}\r\n"));
    // The request is being decided about once another one on the same worker was answered.
    get(&gate, "app.test", "/", "").expect(200, "fine");
    go.open();
    client.read_response().expect(200, "fine");
}

#[test]
fn users_are_counted_apart() {
    let target = Upstream::says("fine");
    let gate = gate(&Refusing::new().to_string(), &target);
    let line = |claims: &Value| format!("Authorization: Bearer {}\r\n", tagged(SECRET, claims));
    for user in ["ann", "bob"] {
        for number in 0..3 {
            // Another token of the same user counts too.
            let claims = json!({ "sub": user, "exp": LATER + number });
            let response = get(&gate, "own.test", "/", &line(&claims));
            match number {
                0 | 1 => response.expect(200, user),
                _ => response.expect_own(429, "rate_limited"),
            }
        }
    }
    get(&gate, "own.test", "/", "").expect_own(401, "unauthorized");
    for (org, number) in
        [(json!("a"), 0), (json!("b"), 0), (json!("a"), 1), (json!(null), 0), (json!(null), 1)]
    {
        let response = get(&gate, "org.test", "/", &line(&json!({ "org": org, "exp": LATER })));
        match number {
            0 => response.expect(200, org.as_str().unwrap_or_default()),
            _ => response.expect_own(429, "rate_limited"),
        }
    }
}

#[test]
fn a_token_of_one_rule_is_not_that_of_another() {
    let (target, signer) = (Upstream::says("fine"), Signer::new("one"));
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("keys.json"), jwks(&[&signer])).unwrap();
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: one.test, auth: { jwt: { keys: "{dir}/keys.json", audience: one } }, target: "{target}" }
      - { host: two.test, auth: { jwt: { keys: "{dir}/keys.json", audience: two } }, target: "{target}" }
"#;
    let gate = TestGate::start(config, &[("dir", &dir.path().display()), ("target", &target.address())]);
    let line = signer.line(&json!({ "aud": "one", "exp": LATER }));
    get(&gate, "one.test", "/", &line).expect(200, "fine");
    get(&gate, "two.test", "/", &line).expect_own(401, "unauthorized");
    // Other keys, and the token that a worker knows is none any more.
    std::fs::write(dir.path().join("keys.json"), jwks(&[&Signer::new("two")])).unwrap();
    gate.reload().unwrap();
    get(&gate, "one.test", "/", &line).expect_own(401, "unauthorized");
}

#[test]
fn the_access_log_has_the_user() {
    let target = Upstream::says("fine");
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let gate = TestGate::start(
        CONFIG,
        &[("server", &Refusing::new().to_string()), ("target", &target.address()), ("log", &log.display())],
    );
    let token = tagged(SECRET, &json!({ "sub": "ann lee\"", "exp": LATER }));
    get(&gate, "own.test", "/", &format!("Authorization: Bearer {token}\r\n")).expect(200, "ann lee\"");
    get(&gate, "own.test", "/", "").expect_own(401, "unauthorized");
    let lines = || std::fs::read_to_string(&log).unwrap_or_default();
    until("two lines of the access log", || lines().lines().count() == 2);
    let users: Vec<Value> =
        lines().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["user"].take()).collect();
    assert_eq!(users, [json!("ann lee\""), Value::Null]);
    assert!(!lines().contains(&token), "no token is in the log");
}

/// The errors and warnings of a rule with this `auth`, and its view.
fn said(auth: &str) -> (String, String) {
    let text = format!("http_config: {{ port: 80 }}\nhttp_routes: [{{ target: \"h:1\", auth: {auth} }}]");
    let made: Value = serde_json::from_str(include_str!("tokens/pyjwt.json")).unwrap();
    let inputs = MemoryInputs::new()
        .file("a.yml", text)
        .file("rsa.pem", made["pem"]["rsa"].as_str().unwrap())
        .file("jwks.json", made["jwks"].to_string())
        .file("private.pem", "-----BEGIN PRIVATE KEY-----\nMC4CAQAw\n-----END PRIVATE KEY-----\n")
        .file("page.html", "<html></html>")
        .file("hs.key", format!("{SECRET}\n"));
    match load(&["a.yml".into()], &inputs) {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().map(|warning| warning.render(false)).collect();
            (warnings, view(&loaded.plan))
        }
        Err(errors) => (errors.to_string(), String::new()),
    }
}

#[test]
fn errors_name_the_place_and_show_no_secret() {
    for (auth, message) in [
        ("{ jwt: rsa.pem, forward: \"http://a/b\" }", "`jwt` and `forward` cannot stand in one rule"),
        ("{ basic: \"a:b\", jwt: rsa.pem }", "`basic` and `jwt` cannot stand in one rule"),
        ("{ }", "`auth` needs `basic`, `jwt` or `forward`"),
        ("{ jwt: { issuer: a } }", "`jwt` needs `keys`"),
        ("{ jwt: none.pem }", "the file `none.pem` cannot be read"),
        ("{ jwt: page.html }", "the file has no key that verifies tokens"),
        ("{ jwt: private.pem }", "the file has a private key, which belongs to the issuer alone"),
        ("{ jwt: \"ftp://a/b\" }", "is no URL of keys"),
        ("{ jwt: { keys: rsa.pem, algorithms: ES512 } }", "`ES512` is not an algorithm"),
        ("{ jwt: { keys: rsa.pem, algorithms: none } }", "`none` is not an algorithm"),
        ("{ jwt: { keys: rsa.pem, algorithms: [RS256, HS256] } }", "the file has no key for HS256"),
        ("{ jwt: { keys: rsa.pem, algorithms: ES256 } }", "the file has no key for ES256"),
        (
            "{ jwt: { keys: \"https://a/b\", algorithms: HS512 } }",
            "a server that gives its keys away has no key for HS512",
        ),
        ("{ jwt: { keys: { secret: tooshortasecret } } }", "this secret is too short"),
        (
            "{ jwt: { keys: { secret: \"${file:hs.key}\" }, algorithms: HS512 } }",
            "this secret has no key for HS512",
        ),
        (
            "{ jwt: { keys: { secret: \"${file:hs.key}\" }, algorithms: RS256 } }",
            "this secret has no key for RS256",
        ),
        ("{ jwt: { keys: rsa.pem, from: query.token } }", "is no place of a token"),
        ("{ jwt: { keys: rsa.pem, claims: admin } }", "`claims` is a mapping"),
        ("{ jwt: { keys: rsa.pem, forward: { Content-Length: sub } } }", "`Content-Length` cannot be set"),
        (
            "{ jwt: { keys: rsa.pem, forward: { Host: sub } } }",
            "`Host` cannot tell it: this field is the host of the request",
        ),
        ("{ jwt: { keys: rsa.pem, forward: { \"a b\": sub } } }", "is not the name of a header field"),
        ("{ jwt: { keys: rsa.pem, leeway: 2h } }", "is longer than an hour"),
        ("{ jwt: { keys: \"https://a/b\" } }", "every token of this server is let in"),
        ("{ jwt: { keys: \"http://id/b\", audience: a } }", "the keys come in the clear"),
    ] {
        let (said, _) = said(auth);
        assert!(said.contains(message) && said.contains("a.yml:2:"), "{auth}: {said}");
        for secret in ["tooshortasecret", SECRET, "MC4CAQAw"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

#[test]
fn a_limit_on_users_that_are_not_known_is_a_warning() {
    for (rule, is_said) in [
        ("rate_limit: { requests: 1, per: 1s, by: user }", true),
        ("rate_limit: { requests: 1, per: 1s, by: user }, auth: { jwt: rsa.pem }", false),
        ("rate_limit: { requests: 1, per: 1s, by: claim.a }, auth: { jwt: rsa.pem }", false),
        ("rate_limit: { requests: 1, per: 1s, by: claim.a }, auth: { forward: \"http://a/b\" }", true),
    ] {
        let (auth, rate) = rule.split_once(", auth: ").map_or(("false", rule), |(rate, auth)| (auth, rate));
        let (said, _) = said(&format!("{auth}, {rate}"));
        assert_eq!(said.contains("which this rule never knows"), is_said, "{rule}: {said}");
    }
}

#[test]
fn views_show_no_secret_and_no_key() {
    for (auth, shown) in [
        ("{ jwt: { keys: { secret: \"${file:hs.key}\" } } }", "secret: \"[redacted]\""),
        ("{ jwt: jwks.json }", "keys: \"jwks.json\""),
        ("{ jwt: { keys: \"https://a/b\", issuer: \"https://a/\", audience: b } }", "keys: \"https://a/b\""),
    ] {
        let (said, view) = said(auth);
        assert!(said.is_empty() && view.contains(shown), "{auth}: {said}{view}");
        assert!(!view.contains(SECRET) && !view.contains("kty"), "{view}");
    }
    // The word in the place of the secret is a warning, and no key.
    let (warned, again) = said("{ jwt: { keys: { secret: \"[redacted]\" } } }");
    assert!(
        warned.contains("this secret was left out") && again.contains("secret: \"[redacted]\""),
        "{warned}"
    );
    let config = CONFIG.replace(SECRET, "[redacted]");
    let target = Upstream::says("fine");
    let gate = TestGate::start(
        &config,
        &[("server", &Refusing::new().to_string()), ("target", &target.address()), ("log", &log())],
    );
    let token = tagged("[redacted]", &json!({ "sub": "ann", "exp": LATER }));
    for lines in [String::new(), format!("Authorization: Bearer {token}\r\n")] {
        let status = get(&gate, "own.test", "/", &lines).status();
        assert!(matches!(status, 401 | 503), "{status}");
    }
}
