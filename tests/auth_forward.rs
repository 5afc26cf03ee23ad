//! Rules that ask a server whether a request may go on.

mod support;

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use support::gate::TestGate;
use support::message::{Request, Response};
use support::upstream::{Connection, Refusing, Upstream};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - host: app.test
        auth: { forward: { url: "http://{server}/verify", timeout: {timeout} } }
        cors: "https://page.test"
        target: "{target}"
      - host: page.test
        auth: { forward: { url: "http://{server}/verify", sign_in: "https://auth.test/start?rd={url}&x=y", copy: [X-User, Authorization] } }
        target: "{target}"
      - host: cache.test
        auth: { forward: { url: "http://{server}/verify", cache: 1h } }
        target: "{target}"
      - host: wide.test
        auth: { forward: { url: "http://{server}/verify", copy: ["Remote-*", "Con*", "H*", "T*"] } }
        target: "{target}"
      - host: open.test
        auth: { forward: { url: "http://{server}/verify", preflights: true } }
        target: "{target}"
"#;

fn gate(server: &str, target: &Upstream, timeout: &str) -> TestGate {
    TestGate::start(CONFIG, &[("server", &server), ("target", &target.address()), ("timeout", &timeout)])
}

fn get(gate: &TestGate, host: &str, path: &str, lines: &str) -> Response {
    gate.exchange(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"))
}

const LET_IN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRemote-User: ann\r\nRemote-Groups: a,b\r\nX-Other: c\r\n\
                      Set-Cookie: session=new\r\n\r\nok";

#[test]
fn a_request_that_is_let_in_has_the_user_of_the_server_alone() {
    let (server, target) = (Upstream::answers(LET_IN), Upstream::says("fine"));
    let gate = gate(&server.address().to_string(), &target, "1h");
    let lines = "Cookie: session=old\r\nRemote-User: root\r\nremote_email: root@x\r\nREMOTE-GROUPS: wheel\r\n\
                 X-Authentik-Username: root\r\nX-Forwarded-Uri: /public\r\nX-Original-URL: http://x/public\r\n\
                 If-None-Match: \"a\"\r\nRange: bytes=0-1\r\n";
    for _ in 0..2 {
        let response = get(&gate, "app.test", "/a%20b?c=d", lines);
        response.expect(200, "fine");
        assert_eq!(response.get("set-cookie"), Some("session=new"));
    }
    let asked = &server.requests()[0];
    assert_eq!((asked.method(), asked.target()), ("GET", "/verify"));
    for (name, value) in [
        ("host", Some(&*server.address().to_string())),
        ("cookie", Some("session=old")),
        ("x-forwarded-method", Some("GET")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some("app.test")),
        ("x-forwarded-uri", Some("/a%20b?c=d")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-original-method", Some("GET")),
        ("x-original-url", Some("http://app.test/a%20b?c=d")),
        ("if-none-match", None),
        ("range", None),
        // The server tells of users, and believes no client.
        ("remote-user", None),
        ("remote-groups", None),
        ("x-authentik-username", None),
    ] {
        assert_eq!(asked.head.get(name), value, "{name}");
    }
    assert_eq!(server.connections(), 1, "the connection is kept");
    let got = &target.requests()[0].head;
    assert_eq!((got.all("remote-user"), got.all("remote-groups")), (vec!["ann"], vec!["a,b"]));
    for name in ["remote_email", "x-authentik-username", "x-other"] {
        assert!(got.all(name).is_empty(), "{name}");
    }
    assert_eq!(got.get("cookie"), Some("session=old"));
}

#[test]
fn a_body_waits_for_the_answer_and_is_not_sent_to_the_server() {
    let (server, target) = (Upstream::answers(LET_IN), Upstream::says("fine"));
    let gate = gate(&server.address().to_string(), &target, "1h");
    let body = "x".repeat(200_000);
    let head =
        "POST /up HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\nContent-Length: 200000\r\n\r\n";
    gate.exchange(format!("{head}{body}")).expect(200, "fine");
    let asked = server.request();
    assert!(asked.body.bytes.is_empty() && asked.head.get("content-length").is_none());
    assert_eq!((asked.method(), asked.head.get("x-forwarded-method")), ("GET", Some("POST")));
    assert_eq!(target.request().body.bytes.len(), 200_000);
}

#[test]
fn a_refusal_is_that_of_the_server() {
    let answers = [
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nLocation: https://auth.test/?rd=x\r\nSet-Cookie: a=b\r\nAccess-Control-Allow-Origin: *\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 302 Found\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
    ];
    let number = AtomicUsize::new(0);
    let server = Upstream::each(move |connection: &mut Connection, _: &Request| {
        connection.send(answers[number.fetch_add(1, SeqCst)]);
    });
    let target = Upstream::says("fine");
    let gate = gate(&server.address().to_string(), &target, "1h");
    for answer in answers {
        let last = answer.rsplit("HTTP/1.1 ").next().unwrap();
        let response = get(&gate, "app.test", "/", "Origin: https://page.test\r\n");
        response.expect(last[..3].parse().unwrap(), "no");
        for name in ["www-authenticate", "location", "set-cookie"] {
            let line = last
                .lines()
                .find_map(|line| line.split_once(": ").filter(|(is, _)| is.eq_ignore_ascii_case(name)));
            assert_eq!(response.get(name), line.map(|(_, value)| value), "{name}");
        }
        assert_eq!(response.get("access-control-allow-origin"), Some("https://page.test"));
    }
    assert_eq!(target.requests().len(), 0);
}

#[test]
fn no_answer_lets_no_request_in() {
    let target = Upstream::says("fine");
    let long = format!("HTTP/1.1 403 No\r\nContent-Length: 65537\r\n\r\n{}", "x".repeat(65_537));
    let many = "HTTP/1.1 102 Processing\r\n\r\n".repeat(20);
    for answer in [
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Oops\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "hello",
        "",
        &long,
        &many,
    ] {
        let text = answer.to_owned();
        let server = Upstream::scripted(move |connection| {
            connection.read_request();
            connection.send(&text);
            connection.close();
        });
        let gate = gate(&server.address().to_string(), &target, "1h");
        get(&gate, "app.test", "/", "").expect_own(503, "auth_unavailable");
    }
    let gate = gate(&Refusing::new().to_string(), &target, "1h");
    get(&gate, "app.test", "/", "").expect_own(503, "auth_unavailable");
    assert_eq!(target.requests().len(), 0);
}

#[test]
fn an_odd_answer_means_what_its_status_says() {
    let target = Upstream::says("fine");
    for (answer, status) in [
        ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", 302),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        // Nothing follows a 204. So the further bytes are no answer to the next question.
        ("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 200),
    ] {
        let server = Upstream::each(move |connection, _| connection.send(answer));
        let gate = gate(&server.address().to_string(), &target, "1h");
        for _ in 0..2 {
            assert_eq!(get(&gate, "app.test", "/", "").status(), status, "{answer}");
        }
        server.wait_requests(2);
    }
    assert_eq!(target.requests().len(), 4);
}

#[test]
fn a_server_that_is_silent_lets_no_request_in() {
    let target = Upstream::says("fine");
    for part in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"] {
        let server = Upstream::scripted(move |connection| {
            connection.read_request();
            connection.send(part);
            connection.read_to_end();
        });
        let gate = gate(&server.address().to_string(), &target, "200ms");
        get(&gate, "app.test", "/", "").expect_own(503, "auth_unavailable");
    }
    assert_eq!(target.requests().len(), 0);
}

#[test]
fn a_client_that_leaves_ends_the_question() {
    let target = Upstream::says("fine");
    let server = Upstream::scripted(|connection| {
        connection.read_request();
        connection.read_to_end();
    });
    let gate = gate(&server.address().to_string(), &target, "1h");
    let mut client = gate.client();
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    server.wait_requests(1);
    client.reset();
    server.wait_end(0);
    assert_eq!(target.requests().len(), 0);
}

#[test]
fn a_connection_that_the_server_closed_is_replaced() {
    let server = Upstream::scripted(|connection| {
        connection.read_request();
        connection.send(LET_IN);
        connection.close();
    });
    let target = Upstream::says("fine");
    let gate = gate(&server.address().to_string(), &target, "1h");
    (0..3).for_each(|_| get(&gate, "app.test", "/", "").expect(200, "fine"));
}

#[test]
fn a_browser_is_sent_to_the_sign_in() {
    let server = Upstream::answers("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
    let target = Upstream::says("fine");
    let gate = gate(&server.address().to_string(), &target, "1h");
    let response = get(&gate, "page.test", "/a?b=c&d", "Accept: text/html\r\n");
    assert_eq!(response.status(), 302);
    let place = "https://auth.test/start?rd=http%3A%2F%2Fpage.test%2Fa%3Fb%3Dc%26d&x=y";
    assert_eq!(response.get("location"), Some(place));
    get(&gate, "page.test", "/", "Accept: application/json\r\n").expect(401, "no");
    let post = "POST / HTTP/1.1\r\nHost: page.test\r\nAccept: text/html\r\nContent-Length: 0\r\n\r\n";
    gate.exchange(post).expect(401, "no");
    assert_eq!(target.requests().len(), 0);
}

#[test]
fn a_tunnel_is_asked_for_once() {
    let server = Upstream::answers(LET_IN);
    let target = Upstream::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        connection.read_to_end();
    });
    let gate = gate(&server.address().to_string(), &target, "1h");
    let mut client = gate.client();
    client.send("GET / HTTP/1.1\r\nHost: app.test\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
    assert!(client.read_head().start.contains("101"));
    assert!(server.request().head.get("upgrade").is_none());
    assert_eq!(target.requests()[0].head.get("remote-user"), Some("ann"));
}

#[test]
fn the_access_log_has_the_user_that_the_server_tells_and_also_of_a_tunnel() {
    let server = Upstream::answers(LET_IN);
    let target = Upstream::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        connection.close();
    });
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let config = format!("access_log: \"{}\"\n{CONFIG}", log.display());
    let names: support::gate::Names<'_> =
        &[("server", &server.address()), ("target", &target.address()), ("timeout", &"1h")];
    let gate = TestGate::start(&config, names);
    let forged = "Remote-User: root\r\nConnection: upgrade\r\nUpgrade: x\r\n";
    let mut client = gate.client();
    client.send(format!("GET / HTTP/1.1\r\nHost: app.test\r\n{forged}\r\n"));
    assert!(client.read_head().start.contains("101"));
    client.expect_close();
    drop(client);
    let lines = || std::fs::read_to_string(&log).unwrap_or_default();
    support::until("a line of the access log", || lines().lines().count() == 1);
    assert!(lines().contains("\"user\":\"ann\""), "{}", lines());
}

/// The hosts and targets of the questions that a server got.
fn questions(server: &Upstream) -> Vec<String> {
    let asked = server.requests();
    asked.iter().map(|asked| asked.head.get("x-original-url").unwrap_or_default().to_owned()).collect()
}

#[test]
fn an_answer_holds_for_requests_that_are_alike_and_no_others() {
    let answer = LET_IN.replace("Set-Cookie: session=new\r\n", "");
    let (server, target) = (Upstream::answers(answer), Upstream::says("fine"));
    let gate = gate(&server.address().to_string(), &target, "1h");
    let ask = |path: &str, lines: &str| get(&gate, "cache.test", path, lines).expect(200, "fine");
    (0..3).for_each(|_| ask("/a", "Cookie: s=1\r\nRemote-User: root\r\nX-A: b\r\n"));
    assert_eq!(questions(&server).len(), 1);
    // The target is told of the user each time, and by the server alone.
    for request in target.requests() {
        assert_eq!((request.head.all("remote-user"), request.head.get("x-a")), (vec!["ann"], Some("b")));
    }
    let others = [
        ("/a", "Cookie: s=2\r\n"),
        ("/a", ""),
        ("/a", "Cookie: s=1\r\nAuthorization: Bearer x\r\n"),
        ("/a", "Authorization: Bearer x\r\n"),
        ("/a", "Cookie: s=1\r\nCookie: t=2\r\n"),
        ("/b", "Cookie: s=1\r\n"),
        ("/a?b", "Cookie: s=1\r\n"),
    ];
    for (number, (path, lines)) in others.into_iter().enumerate() {
        ask(path, lines);
        assert_eq!(questions(&server).len(), number + 2, "{path} {lines}");
    }
    gate.exchange("POST /a HTTP/1.1\r\nHost: cache.test\r\nCookie: s=1\r\nContent-Length: 0\r\n\r\n")
        .expect(200, "fine");
    assert_eq!(questions(&server).len(), others.len() + 2, "another method");
    // A rule without a cache asks each time, and a reload that leaves the rule alone forgets nothing.
    (0..2).for_each(|_| get(&gate, "app.test", "/a", "Cookie: s=1\r\n").expect(200, "fine"));
    gate.reload().unwrap();
    ask("/a", "Cookie: s=1\r\n");
    assert_eq!(questions(&server).len(), others.len() + 4);
}

#[test]
fn an_answer_that_refuses_or_renews_a_session_is_not_remembered() {
    let answers = ["HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno", LET_IN, LET_IN];
    let number = AtomicUsize::new(0);
    let server = Upstream::each(move |connection: &mut Connection, _: &Request| {
        connection.send(answers[number.fetch_add(1, SeqCst)]);
    });
    let target = Upstream::says("fine");
    let gate = gate(&server.address().to_string(), &target, "1h");
    get(&gate, "cache.test", "/", "").expect(401, "no");
    for _ in 0..2 {
        let response = get(&gate, "cache.test", "/", "");
        assert_eq!((response.status(), response.get("set-cookie")), (200, Some("session=new")));
    }
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_preflight_goes_to_the_target_if_the_rule_says_so() {
    let (server, target) = (Upstream::answers(LET_IN), Upstream::says("fine"));
    let gate = gate(&server.address().to_string(), &target, "1h");
    let lines = "Origin: https://page.test\r\nRemote-User: root\r\nAccess-Control-Request-Method: PUT\r\n";
    gate.exchange(format!("OPTIONS / HTTP/1.1\r\nHost: open.test\r\n{lines}\r\n")).expect(200, "fine");
    assert_eq!(server.requests().len(), 0);
    assert!(target.request().head.get("remote-user").is_none(), "the client is not believed");
    // Only preflights do, and only there.
    gate.exchange("OPTIONS / HTTP/1.1\r\nHost: open.test\r\n\r\n").expect(200, "fine");
    // The server is asked about whatever a browser's preflight never has.
    for more in ["Connection: upgrade\r\nUpgrade: x\r\n\r\n", "Content-Length: 2\r\n\r\nhi"] {
        let before = server.requests().len();
        gate.exchange(format!("OPTIONS / HTTP/1.1\r\nHost: open.test\r\n{lines}{more}")).expect(200, "fine");
        assert_eq!(server.requests().len(), before + 1, "{more}");
    }
    gate.exchange(format!("OPTIONS / HTTP/1.1\r\nHost: cache.test\r\n{lines}\r\n")).expect(200, "fine");
    assert_eq!(server.requests().len(), 4);
}

/// Two endpoints, of which one takes the question and is silent.
#[test]
fn an_endpoint_that_is_silent_is_ejected() {
    let silent = Upstream::scripted(|connection| {
        connection.read_request();
        connection.read_to_end();
    });
    let (other, target) = (Upstream::answers(LET_IN), Upstream::says("fine"));
    let config = r#"
upstreams: { auth: { targets: ["http://{silent}", "http://{other}"], eject: { failures: 2, for: 1h } } }
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: [{ auth: { forward: { upstream: auth, path: /verify, timeout: 50ms } }, target: "{target}" }]
"#;
    let gate = TestGate::start(config, &[("silent", &silent), ("other", &other), ("target", &target)]);
    // A question may be late on a busy machine too, so only the numbers of questions count.
    let mut refused = 0;
    while silent.requests().len() < 2 {
        refused += usize::from(get(&gate, "a.test", "/", "").status() == 503);
    }
    (0..10).for_each(|_| _ = get(&gate, "a.test", "/", ""));
    assert!(refused >= 1);
    assert_eq!(silent.requests().len(), 2, "no third question");
}

#[test]
fn an_answer_is_that_of_its_question() {
    // A body behind a 204 is the beginning of nothing, so its connection is not used again.
    let number = AtomicUsize::new(0);
    let server = Upstream::scripted(move |connection| {
        while connection.read_request().is_some() {
            let status = ["204 No Content", "401 No"][number.fetch_add(1, SeqCst).min(1)];
            connection.send(format!("HTTP/1.1 {status}\r\nContent-Length: 40\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
        }
    });
    let target = Upstream::says("fine");
    let gate = gate(&server.address().to_string(), &target, "1h");
    get(&gate, "app.test", "/", "").expect(200, "fine");
    assert_eq!(get(&gate, "app.test", "/", "").status(), 401);
    assert_eq!(server.connections(), 2);
    // `Connection` does not take the name of the user away, and an interim answer is none.
    let server = Upstream::answers(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: Remote-User\r\nRemote-User: ann\r\nRemote-Name: A\r\n\
         Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    );
    let target = Upstream::says("fine");
    let gate = self::gate(&server.address().to_string(), &target, "1h");
    get(&gate, "app.test", "/", "Remote-User: root\r\n").expect(200, "fine");
    let got = target.request().head;
    assert_eq!((got.all("remote-user"), got.get("remote-name")), (vec!["ann"], Some("A")));
    assert!(got.get("transfer-encoding").is_none());
}

/// The gate would ask itself, and each question would be one more.
#[test]
fn a_server_behind_its_own_question_is_an_error() {
    let gate = |rule: &str, url: &str| {
        let config = format!(
            r#"
listeners:
  - name: http
    bind: "127.0.0.1:48123"
    rules:
      - {rule}
      - {{ host: [app.test, auth.test], auth: {{ forward: "{url}" }}, respond: {{}} }}
"#
        );
        smolgate::config::load(
            &["a.yml".into()],
            &smolgate::config::MemoryInputs::new().file("a.yml", config),
        )
    };
    let apart = "{ host: auth.test, path_prefix: /verify, respond: {} }";
    let other = "{ host: x.test, respond: {} }";
    for url in ["http://auth.test:48123/verify", "http://app.test:48123/"] {
        let errors = gate(other, url).err().unwrap_or_else(|| panic!("{url}")).to_string();
        assert!(errors.contains("asks a server behind this gate, which asks it again"), "{errors}");
        assert!(errors.contains("a.yml:7:9") && errors.contains("write a rule without `auth`"), "{errors}");
    }
    gate(apart, "http://auth.test:48123/verify").unwrap();
    gate(other, "http://auth.test:48124/verify").unwrap();
    gate(other, "http://elsewhere.test:48123/verify").unwrap();
    assert!(gate(apart, "http://auth.test:48123/").is_err(), "another path");
}

/// A pattern leaves the fields that frame a message. Without the length of the body, the target would read it as another
/// request.
#[test]
fn a_pattern_of_copied_fields_leaves_the_length_of_a_body() {
    let (server, target) = (Upstream::answers(LET_IN), Upstream::says("fine"));
    let gate = gate(&server.address().to_string(), &target, "1h");
    let body = "GET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    let length = body.len();
    gate.exchange(format!("POST /a HTTP/1.1\r\nHost: wide.test\r\nContent-Length: {length}\r\n\r\n{body}"))
        .expect(200, "fine");
    gate.exchange("GET /b HTTP/1.1\r\nHost: wide.test\r\n\r\n").expect(200, "fine");
    let targets: Vec<_> = target.requests().iter().map(|request| request.target().to_owned()).collect();
    assert_eq!(targets, ["/a", "/b"]);
    assert_eq!(target.requests()[0].body.bytes, body.as_bytes());
}
