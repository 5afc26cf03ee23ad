//! The internal API over real sockets: every endpoint, and the checks of requests.

mod internal_support;

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use internal_support::{Answer, Api, Fake, PATIENCE, read_all};
use smolgate::config::plan::{Bind, InternalBind, Secret};
use smolgate::internal_api::{Limits, Phase, Server, client};
use smolgate::log::access::{READERS_MAX, TailFilter};

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

/// The shape of `/stats` is stable: a script may read every field that stands here.
#[test]
fn stats_are_every_counter_as_a_number() {
    let api = Api::start();
    let worker = api.fake.counters.worker();
    let http = worker.listener(&"http".into(), "http");
    http.opened.add(2);
    http.requests.add(1);
    http.duration.observe(Duration::from_millis(3));
    worker.rule(&"http".into(), &"r".into()).exchange("GET", 404);
    worker.local_reply(smolgate::reason::Reason::NoRule);
    let answer = api.ask("GET /stats", "");
    assert!(answer.has("content-type: application/json"), "{}", answer.head);
    let mut stats: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    for (field, is_right) in [
        ("version", stats["version"] == env!("CARGO_PKG_VERSION")),
        ("time_ms", stats["time_ms"].as_u64().is_some_and(|time| time > 1_700_000_000_000)),
        ("uptime_seconds", stats["uptime_seconds"].is_u64()),
        ("process", cfg!(not(target_os = "linux")) || stats["process"]["resident_bytes"].is_u64()),
    ] {
        assert!(is_right, "{field}: {}", answer.body);
        stats.as_object_mut().unwrap().remove(field).unwrap();
    }
    let bounds = serde_json::json!([
        1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 30000.0,
        60000.0
    ]);
    let durations = |third: u64, total: f64| serde_json::json!({ "counts": [0, 0, third, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "total_ms": total });
    let no_responses = serde_json::json!({ "1xx": 0, "2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0, "other": 0 });
    let responses = serde_json::json!({ "1xx": 0, "2xx": 0, "3xx": 0, "4xx": 1, "5xx": 0, "other": 0 });
    let routes: serde_json::Value = serde_json::from_str(&api.ask("GET /routes", "").body).unwrap();
    let rule = |index: usize, responses: &serde_json::Value| {
        let mut rule = routes[index].clone();
        rule["responses"] = responses.clone();
        rule
    };
    let orders: serde_json::Value = serde_json::from_str(&api.ask("GET /certificates", "").body).unwrap();
    assert_eq!(
        stats,
        serde_json::json!({
            "phase": "ready", "generation": 7,
            "reloads": { "ok": 0, "failed": 0, "last_ok": false, "last_ok_ms": 0, "rejected_services": 0 },
            "bounds_ms": bounds,
            "listeners": [{
                "name": "http", "connections": 2, "open": 2, "accept_errors": 0, "requests": 1, "bytes_received": 0,
                "bytes_sent": 0, "tunnels_open": 0, "handshakes": 0, "handshakes_failed": 0, "streams": 0,
                "durations": durations(1, 3.0),
            }],
            "rules_total": 3,
            // As in `/routes`; both rules of this plan have one name.
            "rules": [rule(1, &responses), rule(2, &responses), rule(3, &no_responses)],
            "upstreams": [{
                "name": "users", "connections_opened": 0, "connections_reused": 0, "connections_failed": 0,
                "retries": 0, "waiting": 0, "held": 0, "durations": { "counts": [], "total_ms": 0.0 },
                "endpoints": [{
                    "upstream": "users", "target": "10.0.0.1:80", "state": "up", "weight": 1, "backup": false,
                    "open": 0, "requests": 0, "failures": 0, "ejections": 0, "checks_passed": 0, "checks_failed": 0,
                }],
            }],
            "replies": [{ "reason": "no_rule", "status": 404, "count": 1, "text": "No rule matches this request." }],
            "certificates": [],
            "orders": orders,
            "access_log_lines_lost": 0, "log_lines_lost": 0,
        })
    );
}

/// A browser gets the page, without a token, because it holds no data. curl gets the list.
#[cfg(feature = "page")]
#[test]
fn browsers_get_the_page() {
    let api = Api::with(Some("s3cret"), Limits::default());
    let browser = "Accept: text/html,application/xhtml+xml\r\nUser-Agent: Mozilla/5.0\r\n";
    let page = api.ask("GET /", browser);
    assert_eq!(page.status, 200);
    assert!(page.body.starts_with("<!doctype html>") && page.has("content-type: text/html; charset=utf-8"));
    let policy = page.head.lines().find_map(|line| line.strip_prefix("content-security-policy: ")).unwrap();
    for part in ["default-src 'none'", "script-src 'sha256-", "connect-src 'self'", "frame-ancestors 'none'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(page.has("referrer-policy: no-referrer") && page.has("x-frame-options: deny"), "{}", page.head);
    let head = api.ask("HEAD /", browser);
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(api.ask("POST /", browser).status, 405);
    for path in ["/stats", "/tail", "/explain?url=a", "/nothing"] {
        assert_eq!(api.ask(&format!("GET {path}"), browser).status, 401, "{path}");
    }
    assert_eq!(api.ask("GET /", "Accept: */*\r\n").status, 401);

    let open = Api::start();
    assert!(open.ask("GET /", "Accept: */*\r\n").body.starts_with("smolgate "));
    let rebound = format!("GET / HTTP/1.1\r\nHost: evil.example\r\n{browser}\r\n");
    assert_eq!(Answer::of(&open.raw(rebound.as_bytes())).status, 403);
}

#[test]
fn a_page_of_another_site_sees_nothing() {
    let api = Api::start();
    for path in ["/stats", "/tail", "/explain?url=a"] {
        for mark in
            ["Sec-Fetch-Site: cross-site", "Origin: http://evil.example", "Origin: http://localhost:3000"]
        {
            assert_eq!(api.ask(&format!("GET {path}"), &format!("{mark}\r\n")).status, 403, "{path} {mark}");
        }
        let rebound = format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\nSec-GPC: 1\r\n\r\n");
        assert_eq!(Answer::of(&api.raw(rebound.as_bytes())).status, 403, "{path}");
    }
    let own = "Sec-Fetch-Site: same-origin\r\nReferer: http://localhost/\r\n";
    assert_eq!(api.ask("GET /stats", own).status, 200);
}

#[test]
fn explain_tells_what_the_gate_says() {
    let api = Api::start();
    let told = |path: &str| {
        let answer = api.ask(&format!("GET {path}"), "");
        (answer.status, answer.body)
    };
    assert_eq!(told("/explain?url=http://a/b%20c"), (200, "GET http://a/b c\n".to_string()));
    assert_eq!(told("/explain?url=a&method=POST"), (200, "POST a\n".to_string()));
    assert_eq!(told("/explain?url=bad"), (400, "cannot read the URL\n".to_string()));
    assert_eq!((told("/explain").0, told("/explain?ulr=a").0), (400, 400));
}

#[test]
fn a_fifth_reader_is_told_that_there_are_four() {
    let api = Api::start();
    let read = |api: &Api| {
        let mut stream = api.connect();
        stream.write_all(b"GET /tail HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        (stream, String::from_utf8(first.to_vec()).unwrap())
    };
    let readers: Vec<_> = (0..READERS_MAX).map(|_| read(&api)).collect();
    assert!(readers.iter().all(|(_, status)| status == "HTTP/1.1 200"));
    let answer = api.ask("GET /tail", "");
    assert!(
        answer.status == 503 && answer.body.starts_with("4 readers are there already"),
        "{}",
        answer.body
    );
    // Probes are answered all the same.
    assert_eq!(api.ask("GET /livez", "").status, 200);
    drop(readers);
    let deadline = std::time::Instant::now() + PATIENCE;
    while read(&api).1 != "HTTP/1.1 200" {
        assert!(std::time::Instant::now() < deadline, "a reader that left makes room");
        std::thread::yield_now();
    }
    assert_eq!(api.ask("HEAD /tail", "").status, 405);
    for query in ["status=teapot", "slow_ms=1s", "reason=because", "colour=red"] {
        assert_eq!(api.ask(&format!("GET /tail?{query}"), "").status, 400, "{query}");
    }
}

#[test]
fn a_reader_is_told_when_the_gate_stops() {
    let api = Api::start();
    let bind = InternalBind::Tcp(Bind::Address(api.address()));
    // Its first piece is empty: the head has come.
    let mut each = |piece: &[u8]| {
        assert_eq!(piece, b"");
        api.fake.tail.close();
        ControlFlow::Continue(())
    };
    assert_eq!(client::follow(&bind, None, "/tail", PATIENCE, &mut each).unwrap().0, 200);
    assert!(api.fake.tail.read(TailFilter::default()).is_none());
    assert_eq!(client::follow(&bind, None, "/tail", PATIENCE, &mut |_| panic!("no piece")).unwrap().0, 503);
}
