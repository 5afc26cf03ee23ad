//! Statuses after which a request is tried at another endpoint, and options of connections to targets.

mod support;

use support::gate::TestGate;
use support::upstream::Upstream;

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: [{ upstream: one }]
upstreams:
  one: { targets: ["http://{a}", "http://{b}"], {keys} }
"#;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

fn busy(body: &str) -> Upstream {
    Upstream::answers(format!("HTTP/1.1 503 Busy\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

fn start(a: &Upstream, b: &Upstream, keys: &str) -> TestGate {
    TestGate::start(CONFIG, &[("a", a), ("b", b), ("keys", &keys)])
}

fn requests(upstreams: [&Upstream; 2]) -> [usize; 2] {
    upstreams.map(|upstream| upstream.requests().len())
}

#[test]
fn a_request_without_a_body_is_tried_at_another_endpoint() {
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
        let (a, b) =
            (busy("no"), Upstream::answers(FINE.replace("fine", if method == "HEAD" { "" } else { "fine" })));
        let gate = start(&a, &b, "retry_statuses: [502, 503]");
        let mut client = gate.client();
        client.send(format!("{method} /x HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(client.read_response_to(method).status(), 200, "{method}");
        assert_eq!(requests([&a, &b]), [1, 1], "{method}");
        assert_eq!(b.request().target(), "/x");
        let made = gate.metric("smolgate_upstream_retries_total{upstream=\"one\",result=\"made\"}");
        assert_eq!(made, 1.0);
    }
}

#[test]
fn other_requests_and_other_statuses_are_passed_on() {
    for (request, keys) in [
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", "retry_statuses: 503"),
        ("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", "retry_statuses: 503"),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "retry_statuses: 503"),
        (GET, "retry_statuses: [502, 504]"),
        (GET, "retry_statuses: 503, tries: 1"),
        (GET, "tries: 2"),
    ] {
        let (a, b) = (busy("first"), Upstream::answers(FINE));
        let gate = start(&a, &b, keys);
        let response = gate.exchange(request);
        assert_eq!((response.status(), response.text()), (503, "first".into()), "{request} {keys}");
        assert_eq!(requests([&a, &b]), [1, 0], "{request} {keys}");
    }
}

#[test]
fn the_last_response_is_passed_on_and_tries_have_a_budget() {
    let (a, b) = (busy("from a"), busy("from b"));
    let gate = start(&a, &b, "retry_statuses: 503, tries: 9");
    let response = gate.exchange(GET);
    assert_eq!((response.status(), response.text()), (503, "from b".into()));
    assert_eq!(requests([&a, &b]), [1, 1]);
    let mut client = gate.client();
    (0..40).for_each(|_| assert_eq!(client.exchange(GET).status(), 503));
    let tries: usize = requests([&a, &b]).iter().sum();
    // 41 requests and as many further tries as a fifth of them, and 10 at the start.
    assert!((41 + 10..=41 + 10 + 12).contains(&tries), "{tries}");
    let count = |result| {
        gate.metric(&format!("smolgate_upstream_retries_total{{upstream=\"one\",result=\"{result}\"}}"))
    };
    assert_eq!((count("made"), count("refused")), (tries as f64 - 41.0, 82.0 - tries as f64));
}

#[test]
fn an_endpoint_whose_status_counts_as_a_failure_is_ejected_while_requests_are_served() {
    let (a, b) = (busy("no"), Upstream::answers(FINE));
    let gate = start(&a, &b, "retry_statuses: 503, eject: { statuses: 503, for: 1h }");
    let mut client = gate.client();
    (0..12).for_each(|_| client.exchange(GET).expect(200, "fine"));
    assert_eq!(requests([&a, &b]), [3, 12]);
}

#[test]
fn times_until_the_head_of_a_response_are_counted_by_upstream() {
    let (a, b) = (Upstream::answers(FINE), Upstream::answers(FINE));
    let gate = start(&a, &b, "tries: 1");
    (0..4).for_each(|_| gate.exchange(GET).expect(200, "fine"));
    assert_eq!(gate.metric("smolgate_upstream_response_seconds_count{upstream=\"one\"}"), 4.0);
}

/// The kernel tells in `/proc/net/tcp` which timer a connection has; 02 is that of keep-alive.
#[cfg(target_os = "linux")]
#[test]
fn the_kernel_asks_whether_a_silent_target_is_there() {
    for (keys, timer) in [("tcp_keepalive: 1h", "02:"), ("tries: 1", "00:")] {
        let (a, b) = (Upstream::answers(FINE), Upstream::answers(FINE));
        let gate = start(&a, &b, &format!("idle_timeout: 1h, {keys}"));
        gate.exchange(GET).expect(200, "fine");
        let port = a.address().port();
        let remote = format!("0100007F:{port:04X}");
        let timer_of = || {
            let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
            let fields = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let own = table.lines().map(fields).find(|fields| fields[2] == remote && fields[3] == "01");
            own.map(|fields| fields[5].clone()).unwrap_or_default()
        };
        support::until(&format!("{keys}: the timer is {timer}"), || timer_of().starts_with(timer));
    }
}
