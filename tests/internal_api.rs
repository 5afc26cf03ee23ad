//! The internal API over real sockets: every endpoint, and the checks of requests.

mod internal_support;

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use internal_support::{Answer, Api, Fake, PATIENCE, read_all};
use smolgate::config::plan::{Bind, InternalBind, Secret};
use smolgate::internal_api::{Limits, Phase, Server, client};

#[test]
fn every_endpoint_answers_and_closes() {
    let api = Api::start();
    let metrics = api.ask("GET /metrics", "");
    assert_eq!(metrics.status, 200);
    assert!(metrics.has("content-type: text/plain; version=0.0.4; charset=utf-8"), "{}", metrics.head);
    assert!(metrics.body.contains("\ntcp_connections_active_count 0\n"));
    assert!(metrics.body.contains("\nsmolgate_local_replies_total{reason=\"no_rule\"} 0\n"));
    assert_eq!(api.ask("GET /livez", "").body, "ok\n");
    assert_eq!(api.ask("GET /readyz", "").body, "ready\n");
    let config = api.ask("GET /config", "");
    assert!(config.body.contains("[redacted]") && config.head.contains("application/yaml"));
    let index = api.ask("GET /", "");
    let unknown = api.ask("GET /nothing", "");
    assert_eq!((index.status, unknown.status), (200, 404));
    for path in ["/reload", "/metrics", "/livez", "/readyz", "/health", "/routes", "/config"] {
        assert!(index.body.contains(path) && unknown.body.contains(path), "{path}");
        let answer = api.ask(&format!("GET {path}"), "");
        assert!(answer.has("connection: close") && answer.has("cache-control: no-store"), "{}", answer.head);
        assert!(answer.has(&format!("content-length: {}", answer.body.len())), "{path}");
    }
}

#[test]
fn head_has_the_fields_and_no_body() {
    let api = Api::start();
    for path in ["/", "/metrics", "/livez", "/readyz", "/health", "/routes", "/config"] {
        let answer = api.ask(&format!("HEAD {path}"), "");
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
        assert!(
            answer.head.contains("content-length: ") && !answer.has("content-length: 0"),
            "{}",
            answer.head
        );
    }
}

#[test]
fn other_methods_than_those_of_an_endpoint_are_405() {
    let api = Api::start();
    for (line, allow) in [
        ("HEAD /reload", "GET, POST"),
        ("PUT /reload", "GET, POST"),
        ("POST /metrics", "GET, HEAD"),
        ("DELETE /config", "GET, HEAD"),
        ("BREW /reload", "GET, HEAD, POST"),
    ] {
        let answer = api.ask(line, "");
        assert_eq!(answer.status, 405, "{line}");
        assert!(answer.has(&format!("allow: {allow}")), "{}", answer.head);
    }
    assert_eq!(api.fake.reloads.load(SeqCst), 0);
}

#[test]
fn routes_are_in_order() {
    let api = Api::start();
    let routes: serde_json::Value = serde_json::from_str(&api.ask("GET /routes", "").body).unwrap();
    assert_eq!(
        routes,
        serde_json::json!([
            {
                "listener": "http", "bind": [":8021"], "action": "listen",
                "before": ["limits: head of 65536 bytes and 128 fields within 10s, target of 8192 bytes, idle for 60s"],
                "origin": "smolgate.yml:4",
            },
            {
                "listener": "http", "bind": [":8021"], "index": 0, "name": "r",
                "host": ["a.example", "*.b.example"], "path_prefix": "/users", "methods": [],
                "action": "proxy", "upstream": "users", "targets": ["http://users:8083/base"],
                "pass_host": false, "strip_path_prefix": true, "origin": "smolgate.yml:5",
            },
            {
                "listener": "http", "bind": [":8021"], "index": 1, "name": "r", "host": [],
                "path_prefix": "/", "methods": [], "action": "redirect", "to": "https://x.example",
                "status": 308, "origin": "smolgate.yml:9",
            },
            {
                "listener": "tcp", "bind": [":8020"], "index": 0, "name": "tcp", "host": [], "methods": [],
                "action": "tcp", "upstream": "users", "targets": ["http://users:8083/base"],
                "origin": "smolgate.yml:20",
            },
        ])
    );
}

#[test]
fn health_follows_the_phase() {
    let api = Api::start();
    for (phase, status, word) in [
        (Phase::Starting, 503, "DOWN"),
        (Phase::Ready, 200, "UP"),
        (Phase::Unresponsive, 503, "DOWN"),
        (Phase::Draining, 503, "DOWN"),
    ] {
        *api.fake.phase.lock().unwrap() = phase;
        assert_eq!(api.ask("GET /livez", "").status, 200);
        assert_eq!(api.ask("GET /readyz", "").status, status);
        let answer = api.ask("GET /health", "");
        assert_eq!(answer.status, status);
        assert!(answer.body.starts_with(&format!("{{\"status\":\"{word}\"")), "{}", answer.body);
        let value: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&value["generation"], &value["version"]), (&7.into(), &env!("CARGO_PKG_VERSION").into()));
        assert!(value["uptime_seconds"].is_u64());
    }
}

#[test]
fn reload_says_what_changed_or_what_is_wrong() {
    let api = Api::start();
    for line in ["GET /reload", "POST /reload"] {
        let answer = api.ask(line, "");
        assert_eq!((answer.status, answer.body.as_str()), (200, "reloaded: 1 rule changed, in 2 ms\n"));
    }
    api.fake.broken.store(true, SeqCst);
    let answer = api.ask("POST /reload?restart=true", "Content-Length: 5\r\n\r\nhello");
    assert_eq!(answer.status, 422);
    assert_eq!(answer.body, "error: `targt` is not a key of a rule\n  --> smolgate.yml:14:5\n");
    assert_eq!((api.fake.reloads.load(SeqCst), api.fake.restarts.load(SeqCst)), (3, 1));
    for query in ["restart=maybe", "restrat=true"] {
        assert_eq!(api.ask(&format!("GET /reload?{query}"), "").status, 400, "{query}");
    }
    assert_eq!(api.fake.reloads.load(SeqCst), 3);
}

#[test]
fn pages_of_other_sites_cannot_reload() {
    let api = Api::start();
    for fields in [
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: http://evil.example\r\n",
        "Origin: http://localhost:3000\r\n",
        "Origin: null\r\n",
        "Referer: http://evil.example/page\r\n",
    ] {
        for line in ["GET /reload", "POST /reload"] {
            assert_eq!(api.ask(line, fields).status, 403, "{fields}");
        }
    }
    let rebound = b"GET /reload HTTP/1.1\r\nHost: evil.example:42007\r\nUser-Agent: Mozilla/5.0\r\n\r\n";
    assert_eq!(Answer::of(&api.raw(rebound)).status, 403);
    let rebound = b"GET /config HTTP/1.1\r\nHost: evil.example:42007\r\nAccept-Language: en\r\n\r\n";
    assert_eq!(Answer::of(&api.raw(rebound)).status, 403);
    assert_eq!(api.fake.reloads.load(SeqCst), 0);

    assert_eq!(api.ask("GET /reload", "Sec-Fetch-Site: none\r\n").status, 200);
    assert_eq!(
        api.ask("POST /reload", "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n").status,
        200
    );
    for host in ["smolgate:42007", "gate.internal.example", "[::1]:42007"] {
        let curl = format!("POST /reload HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curl/8.5.0\r\n\r\n");
        assert_eq!(Answer::of(&api.raw(curl.as_bytes())).status, 200, "{host}");
    }
}

/// `<img src="http://10.0.0.7:42007/reload" referrerpolicy="no-referrer">`: over plain HTTP, and not on loopback,
/// a browser adds no mark that tells the page.
#[test]
fn an_unmarked_request_of_a_browser_is_no_reload() {
    let api = Api::start();
    let browser = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0\r\n\
                   Accept: image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5\r\n\
                   Accept-Language: en-US,en;q=0.5\r\n";
    let ask = |line: &str, fields: &str| {
        let request = format!("{line} HTTP/1.1\r\nHost: 10.0.0.7:42007\r\n{fields}\r\n");
        Answer::of(&api.raw(request.as_bytes()))
    };
    let refused = ask("GET /reload", browser);
    assert!(refused.status == 403 && refused.body.contains("must send POST"), "{}", refused.body);
    assert_eq!(api.fake.reloads.load(SeqCst), 0);
    assert_eq!(ask("GET /config", browser).status, 200);

    for own in ["Referer: http://10.0.0.7:42007/\r\n", "Sec-Fetch-Site: same-origin\r\n"] {
        assert_eq!(ask("GET /reload", &format!("{browser}{own}")).status, 200, "{own}");
    }
    assert_eq!(ask("POST /reload", browser).status, 200);
    assert_eq!(ask("GET /reload", "User-Agent: curl/8.5.0\r\nAccept: */*\r\n").status, 200);
    assert_eq!(ask("GET /reload", "").status, 200);
}

#[test]
fn if_a_field_is_repeated_every_value_must_be_right() {
    let api = Api::start();
    let [own, foreign] = ["http://localhost", "http://evil.example"];
    for (name, right, wrong) in [
        ("Sec-Fetch-Site", "same-origin", "cross-site"),
        ("Origin", own, foreign),
        ("Referer", "http://localhost/", "http://evil.example/"),
    ] {
        for (first, second) in [(right, wrong), (wrong, right)] {
            let fields = format!("{name}: {first}\r\n{name}: {second}\r\n");
            for line in ["GET /reload", "POST /reload"] {
                assert_eq!(api.ask(line, &fields).status, 403, "{fields}");
            }
        }
    }
    let agents =
        ["User-Agent: Mozilla/5.0\r\nUser-Agent: curl/8.5.0\r\n", "Accept: image/*\r\nAccept: */*\r\n"];
    for fields in agents {
        assert_eq!(api.ask("GET /reload", fields).status, 403, "{fields}");
        let rebound = format!("GET /config HTTP/1.1\r\nHost: evil.example\r\n{fields}\r\n");
        assert_eq!(Answer::of(&api.raw(rebound.as_bytes())).status, 403, "{fields}");
    }
    let hosts = b"GET /config HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\n\r\n";
    assert_eq!(Answer::of(&api.raw(hosts)).status, 400);
    assert_eq!(api.fake.reloads.load(SeqCst), 0);

    let api = Api::with(Some("s3cret"), Limits::default());
    let [right, wrong] = ["Authorization: Bearer s3cret\r\n", "Authorization: Bearer guess\r\n"];
    assert_eq!(api.ask("GET /config", &format!("{wrong}{right}")).status, 401);
    assert_eq!(api.ask("GET /config", &format!("{right}{wrong}")).status, 401);
}

#[test]
fn a_single_mark_of_a_browser_is_enough() {
    let api = Api::start();
    for field in [
        "Sec-Fetch-Dest: image",
        "Sec-Fetch-Mode: no-cors",
        "Sec-Fetch-User: ?1",
        "Sec-CH-UA-Mobile: ?0",
        "Sec-GPC: 1",
        "DNT: 1",
        "Cookie: a=b",
        "Priority: u=4",
        "Accept: image/avif,image/webp",
    ] {
        assert_eq!(api.ask("GET /reload", &format!("{field}\r\n")).status, 403, "{field}");
        let rebound = format!("GET /config HTTP/1.1\r\nHost: evil.example\r\n{field}\r\n\r\n");
        assert_eq!(Answer::of(&api.raw(rebound.as_bytes())).status, 403, "{field}");
    }
    assert_eq!(api.fake.reloads.load(SeqCst), 0);
    let node = "User-Agent: node\r\nAccept: */*\r\nAccept-Language: *\r\nSec-Fetch-Mode: cors\r\n";
    assert_eq!(api.ask("GET /reload", node).status, 200);
}

#[test]
fn a_path_is_compared_as_it_was_sent() {
    let api = Api::start();
    for path in [
        "/x/../reload",
        "/./reload",
        "/x/%2e%2e/reload",
        "/x/..\\reload",
        "/reload/",
        "//reload",
        "/reload#x",
    ] {
        assert_eq!(api.ask(&format!("POST {path}"), "").status, 404, "{path}");
    }
    assert_eq!(api.fake.reloads.load(SeqCst), 0);
    let api = Api::with(Some("s3cret"), Limits::default());
    assert_eq!(api.ask("GET /livez/../config", "").status, 401);
}

#[test]
fn everything_but_health_needs_the_token() {
    let api = Api::with(Some("s3cret"), Limits::default());
    for path in ["/", "/reload", "/metrics", "/routes", "/config", "/nothing"] {
        for fields in ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic s3cret\r\n"] {
            let answer = api.ask(&format!("GET {path}"), fields);
            assert_eq!(answer.status, 401, "{path} {fields}");
            assert!(answer.has("www-authenticate: bearer"), "{}", answer.head);
        }
        let expected = if path == "/nothing" { 404 } else { 200 };
        assert_eq!(api.ask(&format!("GET {path}"), "Authorization: Bearer s3cret\r\n").status, expected);
    }
    for path in ["/livez", "/readyz", "/health"] {
        assert_eq!(api.ask(&format!("GET {path}"), "").status, 200);
    }
    assert_eq!(api.fake.reloads.load(SeqCst), 1);
    api.server.set_token(None);
    assert_eq!(api.ask("GET /config", "").status, 200);
}

#[test]
fn stopping_does_not_cut_the_reload_that_stops_it() {
    let api = Api::start();
    let (open, gate) = smol::channel::unbounded();
    *api.fake.gate.lock().unwrap() = Some(gate);
    let mut stream = api.connect();
    stream.write_all(b"POST /reload HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    while api.fake.reloads.load(SeqCst) < 1 {
        std::thread::yield_now();
    }
    api.server.stop();
    smol::block_on(open.send(())).unwrap();
    assert_eq!(Answer::of(&read_all(&mut stream)).status, 200);
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_may_bind_as_soon_as_another_has_stopped() {
    let api = Api::start();
    let address = api.address();
    let bind = InternalBind::Tcp(Bind::Address(address));
    assert_eq!(Server::start(&bind, None, api.fake.clone()).unwrap_err().kind(), ErrorKind::AddrInUse);
    api.server.stop();
    let server = Server::start(&bind, None, api.fake.clone()).unwrap();
    assert_eq!(client::get(&bind, None, "/livez", PATIENCE).unwrap().0, 200);
    server.stop();
}

#[test]
fn a_unix_socket_is_for_its_owner_and_a_stale_one_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gate.sock");
    let bind = InternalBind::Unix(path.clone());
    // The file that a killed process leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let fake = Fake::new();
    let server = Server::start(&bind, None, fake.clone()).unwrap();
    assert_eq!(server.address(), None);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(client::get(&bind, None, "/livez", PATIENCE).unwrap(), (200, "ok\n".to_string()));
    assert_eq!(client::ask("POST", &bind, None, "/reload", "", PATIENCE).unwrap().0, 200);
    let error = Server::start(&bind, None, fake.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    server.stop();
    assert!(!path.exists());

    std::fs::write(&path, "precious").unwrap();
    assert!(Server::start(&bind, None, fake).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn the_client_speaks_to_every_kind_of_bind() {
    let fake = Fake::new();
    let secret = Secret(Arc::from("s3cret"));
    let server = Server::start(&InternalBind::Tcp(Bind::Any(0)), Some(secret.clone()), fake.clone()).unwrap();
    let port = server.address().unwrap().port();
    let unspecified = Bind::Address(SocketAddr::from(([0, 0, 0, 0], port)));
    for bind in [InternalBind::Tcp(Bind::Any(port)), InternalBind::Tcp(unspecified)] {
        assert_eq!(client::get(&bind, None, "/config", PATIENCE).unwrap().0, 401);
        assert_eq!(client::get(&bind, Some(&secret), "/config", PATIENCE).unwrap().0, 200);
        let (status, line) =
            client::ask("POST", &bind, Some(&secret), "/reload?restart=true", "", PATIENCE).unwrap();
        assert_eq!((status, line.as_str()), (200, "reloaded: 1 rule changed, in 2 ms\n"));
    }
    assert_eq!(fake.restarts.load(SeqCst), 2);
    server.stop();
}

#[test]
fn the_client_does_not_wait_for_ever() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = InternalBind::Tcp(Bind::Address(silent.local_addr().unwrap()));
    let error = client::get(&bind, None, "/livez", Duration::from_millis(20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    drop(silent);
    assert_eq!(
        client::get(&bind, None, "/livez", PATIENCE).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
}
