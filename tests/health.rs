//! Health checks of endpoints.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use support::gate::TestGate;
use support::tls::{Authority, Tls};
use support::until;
use support::upstream::{Refusing, Upstream};
use support::wire::Transport;

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: [{ upstream: all }]
upstreams:
  all: { targets: {targets}, eject: false, {more} }
"#;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const FAST: &str = "interval: 50ms, timeout: 5s";

/// An upstream whose health page says what `well` says. Other paths get 200.
fn patient() -> (Upstream, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(true));
    let says = well.clone();
    let upstream = Upstream::each(move |connection, request| {
        let status = match request.target() {
            "/health" if !says.load(Ordering::SeqCst) => "500 No",
            _ => "200 OK",
        };
        connection.send(format!("HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\nfine"));
    });
    (upstream, well)
}

fn served(upstream: &Upstream) -> usize {
    upstream.requests().iter().filter(|request| request.target() == "/").count()
}

#[test]
fn an_endpoint_that_is_down_gets_no_requests_until_it_is_up() {
    let ((one, well), (two, _)) = (patient(), patient());
    let targets = format!("[\"{one}\", \"{two}\"]");
    let more = format!("health: {{ path: /health, {FAST} }}");
    let gate = TestGate::start(CONFIG, &[("targets", &targets), ("more", &more)]);
    let mut client = gate.client();
    (0..4).for_each(|_| client.exchange(GET).expect(200, "fine"));
    assert_eq!((served(&one), served(&two)), (2, 2));
    well.store(false, Ordering::SeqCst);
    until("it is down", || {
        let before = served(&one);
        (0..4).for_each(|_| client.exchange(GET).expect(200, "fine"));
        served(&one) == before
    });
    let before = served(&one);
    (0..10).for_each(|_| client.exchange(GET).expect(200, "fine"));
    assert_eq!(served(&one), before, "it is down");
    well.store(true, Ordering::SeqCst);
    until("it is up", || {
        client.exchange(GET).expect(200, "fine");
        served(&one) > before
    });
    let check = one.requests().into_iter().find(|request| request.target() == "/health").unwrap();
    assert_eq!(check.head.get("user-agent"), Some("smolgate-health"));
    assert_eq!(check.head.get("host"), Some(one.to_string().as_str()));
}

#[test]
fn without_any_endpoint_that_is_up_requests_get_503() {
    let refusing = Refusing::new();
    let targets = format!("\"{refusing}\"");
    let gate = TestGate::start(CONFIG, &[("targets", &targets), ("more", &format!("health: {{ {FAST} }}"))]);
    let mut client = gate.client();
    until("it is down", || client.exchange(GET).reason() == Some("no_target"));
    let response = client.exchange(GET);
    response.expect_own(503, "no_target");
    assert!(response.get("retry-after").is_some());
    let _upstream = refusing.revive(|connection| {
        while connection.read_request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
        }
    });
    until("it is up", || client.exchange(GET).status() == 200);
}

#[test]
fn a_check_may_ask_for_a_status_and_a_text() {
    let (upstream, _) = patient();
    let targets = format!("\"{upstream}\"");
    for (more, is_up) in [
        ("status: 200", true),
        ("status: [204, 401]", false),
        ("body: fine", true),
        ("body: not there", false),
        ("method: HEAD, host: \"a.test:81\"", true),
    ] {
        let more = format!("health: {{ path: /health, {more}, {FAST} }}");
        let gate = TestGate::start(CONFIG, &[("targets", &targets), ("more", &more)]);
        let checks = |result: &str| {
            gate.metric(&format!(
                "smolgate_health_checks_total{{upstream=\"all\",target=\"{upstream}\",result=\"{result}\"}}"
            ))
        };
        until("it was checked", || checks("passed") + checks("failed") >= 1.0);
        let expected = if is_up { 200 } else { 503 };
        assert_eq!(gate.exchange(GET).status(), expected, "{more}");
    }
    let hosts: Vec<_> = upstream
        .requests()
        .iter()
        .filter_map(|request| request.head.get("host").map(str::to_owned))
        .collect();
    assert!(hosts.contains(&"a.test:81".to_owned()));
}

#[test]
fn targets_with_tls_are_checked_by_their_certificates() {
    let dir = tempfile::tempdir().unwrap();
    let (good, bad) = (Authority::new(dir.path(), "good.pem"), Authority::new(dir.path(), "bad.pem"));
    for (authority, is_up) in [(&good, true), (&bad, false)] {
        let config = authority.issue(dir.path(), "upstream", &["localhost"]).server();
        let wrap = move |stream| Some(Box::new(Tls::accept(stream, &config).ok()?) as Box<dyn Transport>);
        let upstream = Upstream::wrapped(wrap, |connection| {
            while connection.read_request().is_some() {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
            }
        });
        let target = format!("127.0.0.1:{}", upstream.address().port());
        let targets = format!("\"https://{target}\"");
        let tls = format!("tls: {{ ca: \"{}\", sni: localhost }}", dir.path().join("good.pem").display());
        let more = format!("{tls}, health: {{ path: /, {FAST} }}");
        let gate = TestGate::start(CONFIG, &[("targets", &targets), ("more", &more)]);
        let series = |result: &str| {
            format!(
                "smolgate_health_checks_total{{upstream=\"all\",target=\"{target}\",result=\"{result}\"}}"
            )
        };
        let (result, other) = if is_up { ("passed", "failed") } else { ("failed", "passed") };
        until("it was checked", || gate.metric(&series(result)) >= 2.0);
        assert_eq!(gate.metric(&series(other)), 0.0);
        let up = format!("smolgate_target_up{{upstream=\"all\",target=\"{target}\"}}");
        assert_eq!(gate.metric(&up), if is_up { 1.0 } else { 0.0 });
    }
}

/// A reload that takes a check out, or writes another one, is served by what holds from then on.
#[test]
fn a_reload_changes_a_check_at_once() {
    let (upstream, well) = patient();
    well.store(false, Ordering::SeqCst);
    let targets = format!("[\"{upstream}\"]");
    let more = |health: &str| format!("slow_start: 0s, {health}");
    let slow = more("health: { path: /health, interval: 1h, timeout: 5s }");
    let gate = TestGate::start(CONFIG, &[("targets", &targets), ("more", &slow)]);
    for change in ["tries: 2", "health: { path: /well, interval: 1h, timeout: 5s }"] {
        until("it is down", || gate.exchange(GET).status() == 503);
        gate.edit(CONFIG, &[("targets", &targets), ("more", &more(change))]);
        gate.reload().unwrap();
        until("it is up", || gate.exchange(GET).status() == 200);
        gate.edit(CONFIG, &[("targets", &targets), ("more", &slow)]);
        gate.reload().unwrap();
    }
}
