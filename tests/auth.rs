//! Rules that ask for a user.

#![cfg(feature = "auth")]

mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};

use smolgate::auth::encode;
use smolgate::config::{MemoryInputs, load, view};
use support::gate::TestGate;
use support::message::Response;
use support::upstream::Upstream;

/// The limit on comparisons is one of the process, and a test may fill it.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The hash of `sesame`.
const HASH: &str = "$2y$05$abcdefghijklmnopqrstuuKcS.CYWVYVaLiiCKrrc0A5s3mGesJ9O";

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - host: app.test
        path_prefix: /admin
        auth: { basic: { users: { ann: "{hash}", bob: "{hash}" }, realm: "the wiki", forward_user: Remote-User } }
        cors: "https://page.test"
        target: "{target}"
      - { host: app.test, target: "{target}" }
      - { host: keep.test, auth: { basic: { users: { ann: "{hash}" }, forward: true } }, target: "{target}" }
      - { host: own.test, auth: { basic: "ann:{hash}" }, max_requests: { requests: 1, waiting: 9 }, respond: { body: own } }
"#;

fn gate(upstream: &Upstream) -> TestGate {
    TestGate::start(CONFIG, &[("target", &upstream.address()), ("hash", &HASH)])
}

fn get(gate: &TestGate, host: &str, path: &str, lines: &str) -> Response {
    gate.exchange(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"))
}

fn basic(user: &str, password: &str) -> String {
    format!("Authorization: Basic {}\r\n", encode(format!("{user}:{password}").as_bytes()))
}

#[test]
fn a_user_with_a_password_is_let_in_and_no_other() {
    let _alone = alone();
    let upstream = Upstream::says("fine");
    let gate = gate(&upstream);
    let long = "sesame".repeat(13);
    for lines in [
        String::new(),
        basic("ann", "Sesame"),
        basic("ann", ""),
        basic("", "sesame"),
        basic("eve", "sesame"),
        basic("ann", "sesame\0"),
        basic("ann", &long),
        "Authorization: Basic !!!\r\n".to_owned(),
        "Authorization: Basic\r\n".to_owned(),
        format!("Authorization: Basic {}\r\n", encode(b"ann")),
        basic("ann", "sesame").replace("Basic", "Bearer"),
    ] {
        // The second time the result is known.
        for _ in 0..2 {
            let response = get(&gate, "app.test", "/admin", &format!("{lines}Origin: https://page.test\r\n"));
            response.expect_own(401, "unauthorized");
            let challenge = response.get("www-authenticate");
            assert_eq!(challenge, Some("Basic realm=\"the wiki\", charset=\"UTF-8\""), "{lines}");
            assert_eq!(response.get("access-control-allow-origin"), Some("https://page.test"));
        }
    }
    let twice = basic("ann", "sesame").repeat(2);
    assert_eq!(get(&gate, "app.test", "/admin", &twice).status(), 400);
    assert_eq!(upstream.requests().len(), 0);
    for lines in
        [basic("ann", "sesame"), basic("bob", "sesame"), basic("ann", "sesame").replace("Basic", "bAsIC")]
    {
        (0..2).for_each(|_| get(&gate, "app.test", "/admin", &lines).expect(200, "fine"));
    }
    get(&gate, "own.test", "/", &basic("ann", "sesame")).expect(200, "own");
    get(&gate, "app.test", "/", "").expect(200, "fine");
}

#[test]
fn the_target_learns_the_user_from_the_gate_alone() {
    let _alone = alone();
    let upstream = Upstream::says("fine");
    let gate = gate(&upstream);
    let lines =
        basic("bob", "sesame") + "Remote-User: root\r\nremote_user: root\r\nREMOTE-USER: root\r\nX-A: b\r\n";
    get(&gate, "app.test", "/admin", &lines).expect(200, "fine");
    let head = upstream.request().head;
    assert_eq!(head.all("remote-user"), ["bob"]);
    assert!(head.all("remote_user").is_empty() && head.all("authorization").is_empty());
    assert_eq!(head.get("x-a"), Some("b"));
    get(&gate, "keep.test", "/", &basic("ann", "sesame")).expect(200, "fine");
    assert_eq!(upstream.requests()[1].head.all("authorization").len(), 1);
}

#[test]
fn a_body_behind_a_question_arrives_whole() {
    let _alone = alone();
    let upstream = Upstream::says("fine");
    let gate = gate(&upstream);
    let body = "x".repeat(200_000);
    let lines = basic("ann", "sesame");
    let length = body.len();
    let response = gate.exchange(format!(
        "POST /admin HTTP/1.1\r\nHost: app.test\r\n{lines}Content-Length: {length}\r\n\r\n{body}"
    ));
    response.expect(200, "fine");
    assert_eq!(upstream.request().body.bytes.len(), length);
}

#[test]
fn a_protected_path_has_no_other_spelling() {
    let _alone = alone();
    let upstream = Upstream::says("fine");
    let gate = gate(&upstream);
    for path in ["//admin", "/admin%2F", "/x%5C..%5Cadmin", "/admin;a=b", "/./admin", "/x/../admin"] {
        assert_eq!(get(&gate, "app.test", path, "").status(), 400, "{path}");
    }
    for path in ["/%61dmin", "/admin", "/admin/", "/admin/x"] {
        assert_eq!(get(&gate, "app.test", path, "").status(), 401, "{path}");
    }
    assert_eq!(upstream.requests().len(), 0);
    // A user may write the path in any way.
    get(&gate, "app.test", "/admin//x", &basic("ann", "sesame")).expect(200, "fine");
}

#[test]
fn passwords_that_are_checked_keep_no_other_request() {
    let _alone = alone();
    let upstream = Upstream::says("fine");
    let gate = gate(&upstream);
    let mut guesses: Vec<_> = (0..200)
        .map(|number| {
            let mut client = gate.client();
            client.send(format!(
                "GET /admin HTTP/1.1\r\nHost: app.test\r\n{}\r\n",
                basic("ann", &number.to_string())
            ));
            client
        })
        .collect();
    get(&gate, "app.test", "/", "").expect(200, "fine");
    let reasons: Vec<String> = guesses
        .iter_mut()
        .map(|client| client.read_response().reason().unwrap_or_default().to_owned())
        .collect();
    assert!(reasons.iter().all(|reason| matches!(&**reason, "unauthorized" | "auth_busy")), "{reasons:?}");
    assert!(reasons.iter().any(|reason| reason == "auth_busy"), "so many do not wait");
    get(&gate, "app.test", "/admin", &basic("ann", "sesame")).expect(200, "fine");
}

#[test]
fn a_password_that_was_taken_away_lets_no_request_in() {
    let _alone = alone();
    let upstream = Upstream::says("fine");
    let gate = gate(&upstream);
    get(&gate, "keep.test", "/", &basic("ann", "sesame")).expect(200, "fine");
    gate.edit(
        &CONFIG.replace("ann: \"{hash}\" }, forward", "bob: \"{hash}\" }, forward"),
        &[("target", &upstream.address()), ("hash", &HASH)],
    );
    gate.reload().unwrap();
    get(&gate, "keep.test", "/", &basic("ann", "sesame")).expect_own(401, "unauthorized");
    get(&gate, "keep.test", "/", &basic("bob", "sesame")).expect(200, "fine");
}

#[test]
fn the_access_log_has_the_user_of_a_right_password_alone() {
    let _alone = alone();
    let upstream = Upstream::says("fine");
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let config = format!("access_log: \"{}\"\n{CONFIG}", log.display());
    let gate = TestGate::start(&config, &[("target", &upstream.address()), ("hash", &HASH)]);
    get(&gate, "keep.test", "/", &basic("ann", "sesame")).expect(200, "fine");
    get(&gate, "keep.test", "/", &basic("ann", "wrong")).expect_own(401, "unauthorized");
    get(&gate, "app.test", "/", &basic("ann", "sesame")).expect(200, "fine");
    let lines = || std::fs::read_to_string(&log).unwrap_or_default();
    support::until("three lines of the access log", || lines().lines().count() == 3);
    let users: Vec<_> = lines().lines().map(|line| line.contains("\"user\":\"ann\"")).collect();
    assert_eq!(users, [true, false, false]);
}

/// The errors and warnings of a rule with these users.
fn said(basic: &str) -> String {
    let text = format!(
        "http_config: {{ port: 80 }}\nhttp_routes: [{{ target: \"h:1\", auth: {{ basic: {basic} }} }}]"
    );
    let file = format!("# comment\nann:{HASH}\n\neve:$apr1$ACD62IJc$nzbGhxoTw7IWKaxja/KGI1\n");
    match load(&["a.yml".into()], &MemoryInputs::new().file("a.yml", text).file("users", file)) {
        Ok(loaded) => loaded.warnings.iter().map(|warning| warning.render(false)).collect(),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn errors_name_the_place_and_show_no_hash() {
    for (basic, message) in [
        ("\"ann:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\"", "this user has a hash of SHA-1"),
        ("{ users: { ann: \"sesame\" } }", "this user has no hash of bcrypt or argon2id"),
        ("{ users: { \"a:b\": \"x\" } }", "this user has a name"),
        ("{ users_file: users }", "line 4 of the file has a hash of MD5"),
        ("{ users_file: none }", "the file `none` cannot be read"),
        ("{ realm: a }", "`basic` has no user"),
        ("{ users: {}, realm: \"a\\\"b\" }", "is not a realm"),
    ] {
        let said = said(basic);
        assert!(said.contains(message) && said.contains("a.yml:2:"), "{basic}: {said}");
        for secret in ["W6ph5Mm5", "sesame", "nzbGhxo"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
    let warning = said(&format!("\"ann:{HASH}\""));
    assert!(warning.contains("in the clear") && !warning.contains(HASH), "{warning}");
}

/// The text of a view loads again, though it has no hash of a password, and says so.
#[test]
fn a_view_without_hashes_loads_again_and_lets_no_user_in() {
    let loaded = |text: String| load(&["a.yml".into()], &MemoryInputs::new().file("a.yml", text)).unwrap();
    let text = format!(
        "http_config: {{ port: 80 }}\nhttp_routes: [{{ target: \"h:1\", auth: {{ basic: {{ users: {{ ann: \"{HASH}\" }}, realm: a }} }} }}]"
    );
    let shown = view(&loaded(text).plan);
    assert!(!shown.contains(HASH), "{shown}");
    let again = loaded(shown.clone());
    let warnings: String = again.warnings.iter().map(|warning| warning.render(false)).collect();
    assert!(warnings.contains("this secret was left out") && warnings.contains("ann"), "{warnings}");
    assert_eq!(view(&again.plan), shown);

    let _alone = alone();
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("target", &upstream.address()), ("hash", &"[redacted]")]);
    for password in ["[redacted]", "sesame", ""] {
        assert_eq!(get(&gate, "app.test", "/admin", &basic("ann", password)).status(), 401, "{password}");
    }
    assert!(upstream.requests().is_empty());
}
