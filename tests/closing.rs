//! The last response on a connection: its head says so. After a head that does not, another response follows.
//! Every sent byte arrives.

mod support;

use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::Duration;

use support::client::Client;
use support::gate::TestGate;
use support::message::{Framing, Head, Response};
use support::tls::{Authority, Tls};
use support::upstream::Upstream;
use support::wire::End;
use support::{Latch, pattern, until};

const CONFIG: &str = r#"
shutdown_timeout: 20s
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: ours.test, respond: { body: "ours" } }
      - { host: moved.test, redirect: "https://new.test" }
      - { target: "http://{upstream}" }
"#;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn start(upstream: &Upstream) -> TestGate {
    TestGate::start(CONFIG, &[("upstream", upstream)])
}

fn says_close(head: &Head) -> bool {
    head.list("connection").contains(&"close".to_owned())
}

/// More than the gate can have sent at the time when it has written all of it, and less than the kernel
/// accepts.
const LARGE: usize = 300_000;

/// The gate closes as soon as the kernel has accepted the response. Bytes that the client sends before or
/// after that must not cut off the part that is still on its way.
#[test]
fn late_bytes_do_not_cut_a_large_last_response() {
    let body = pattern(7, LARGE);
    let sent = body.clone();
    let upstream = Upstream::each(move |connection, request| {
        if request.target() == "/large" {
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", sent.len()));
            connection.send(&sent);
        } else {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall");
        }
    });
    let large = "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let rows = [
        ("closes", vec![large]),
        ("HTTP/1.0", vec!["GET /large HTTP/1.0\r\n\r\n"]),
        ("behind a large one", vec!["GET /large HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"]),
        (
            "ours behind a large one",
            vec!["GET /large HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\r\nHost: ours.test\r\n\r\n"],
        ),
        ("refused behind a large one", vec!["GET /large HTTP/1.1\r\nHost: a\r\n\r\n", "nonsense\r\n\r\n"]),
    ];
    for (name, requests) in rows {
        for early in ["", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
            let gate = start(&upstream);
            let mut client = gate.client();
            client.send(requests.concat() + early);
            let served = "http_request_total_count";
            until("the responses are written", || gate.metric(served) >= requests.len() as f64);
            // The only worker has gone on to another exchange, so the first connection has been closed.
            gate.exchange(GET).expect(200, "small");
            client.try_send("\r\nand another thing");
            let response = client.read_response();
            assert_eq!(response.body.fault, None, "{name}, {early:?}");
            assert!(response.body.bytes == body, "{name}, {early:?}: {} bytes", response.body.bytes.len());
            for _ in 1..requests.len() {
                assert!(says_close(&client.read_response().head), "{name}, {early:?}");
            }
        }
    }
}

/// A response that is cut short is not the last one: a lingering close must not give it a clean end.
#[test]
fn a_cut_response_to_an_unfinished_upload_is_reset() {
    let hold = Latch::new();
    let held = hold.clone();
    let upstream = Upstream::scripted(move |connection| {
        connection.read_head();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        held.wait();
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send("POST / HTTP/1.0\r\nContent-Length: 10\r\n\r\nhalf ");
    let head = client.read_head();
    hold.open();
    let body = client.read_body(head.framing(Framing::UntilClose));
    assert!(body.fault.is_some(), "a clean end: {body:?}");
}

#[test]
fn a_response_before_the_body_says_close_unless_the_rest_is_soon_read() {
    let upstream = Upstream::scripted(|connection| {
        while connection.read_head().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
            connection.hang();
        }
    });
    let gate = start(&upstream);
    let rows = [
        ("long", "Content-Length: 10000000\r\n\r\nbegin", true),
        ("short", "Content-Length: 9\r\n\r\nbegin", false),
        ("chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n", true),
        ("waits for leave", "Content-Length: 9\r\nExpect: 100-continue\r\n\r\n", true),
        ("does not wait for it", "Content-Length: 9\r\nExpect: 100-continue\r\n\r\nbegin", false),
    ];
    for (name, rest, closes) in rows {
        // Responses of a target, of a rule, and of a refusal before any of the body is read.
        for host in ["a", "ours.test", "moved.test"] {
            let mut client = gate.client();
            client.send(format!("POST / HTTP/1.1\r\nHost: {host}\r\n{rest}"));
            let response = client.read_response();
            let waits = host != "a" && name == "does not wait for it";
            assert_eq!(says_close(&response.head), closes || waits, "{name} to {host}: {response:?}");
            if !says_close(&response.head) {
                client.send("next");
                client.exchange("GET / HTTP/1.1\r\nHost: ours.test\r\n\r\n").expect(200, "ours");
            }
        }
    }
}

/// After a response without `close` the connection stays open, even if the rest of the body comes later than
/// a close would take, and byte by byte.
#[test]
fn the_rest_of_a_body_may_come_as_late_as_the_next_request() {
    let upstream = Upstream::scripted(|connection| {
        while let Some(head) = connection.read_head() {
            if head.start.starts_with("POST") {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
                connection.read_to_end();
                return;
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    authority.issue(dir.path(), "ours", &["ours.test"]);
    let listeners = CONFIG.find("  - name").unwrap();
    let secure =
        CONFIG[listeners..].replace("http\n", "https\n    tls: { certificates: \"{dir}/ours.crt\" }\n");
    let gate = TestGate::start(
        &[CONFIG, &secure].concat(),
        &[("upstream", &upstream), ("dir", &dir.path().display())],
    );
    let config = Arc::new(authority.client(&[]));
    let encrypted = || Tls::connect(gate.address("https"), &config, "ours.test").unwrap().client();
    let rows = [false, true].into_iter().flat_map(|tls| {
        [("a", true), ("a", false), ("ours.test", true), ("ours.test", false)].map(|row| (tls, row))
    });
    thread::scope(|scope| {
        for (tls, (host, trickles)) in rows {
            let mut client = if tls { encrypted() } else { gate.client_of("http") };
            scope.spawn(move || {
                client.send(format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100\r\n\r\n"));
                let response = client.read_response();
                assert_eq!((response.status(), says_close(&response.head)), (200, false), "{response:?}");
                for _ in 0..30 {
                    thread::sleep(Duration::from_millis(100));
                    assert!(!trickles || client.try_send("x"), "{host}: the connection was closed");
                }
                client.send("x".repeat(if trickles { 70 } else { 100 }));
                client.exchange("GET / HTTP/1.1\r\nHost: ours.test\r\n\r\n").expect(200, "ours");
            });
        }
    });
}

/// The rest may take as long as the next request, and no longer.
#[test]
fn a_body_that_does_not_go_on_ends_the_connection() {
    let config = CONFIG.replace("    rules:", "    idle_timeout: 500ms\n    rules:");
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(&config, &[("upstream", &upstream)]);
    let mut client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: ours.test\r\nContent-Length: 100\r\n\r\nx");
    client.read_response().expect(200, "ours");
    assert_eq!(client.expect_close(), End::Clean);
}

/// The head was sent before the stop and did not say `close`. So the client may send another request and gets
/// its response.
#[test]
fn a_head_without_close_is_honoured_even_if_the_gate_stops() {
    let hold = Latch::new();
    let held = hold.clone();
    let upstream = Upstream::each(move |connection, request| {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
        if request.target() == "/held" {
            held.wait();
        }
        connection.send("fine");
    });
    let gate = start(&upstream);
    let mut idle = gate.client();
    idle.exchange(GET).expect(200, "fine");
    let mut client = gate.client();
    client.send("GET /held HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.read_head();
    assert!(!says_close(&head), "{head:?}");
    let stopping = thread::spawn(move || gate.stop());
    idle.expect_close();
    hold.open();
    assert_eq!(client.read_body(head.framing(Framing::None)).bytes, b"fine");
    let next: Response = client.exchange(GET);
    next.expect(200, "fine");
    assert!(says_close(&next.head), "{next:?}");
    assert_eq!(client.expect_close(), End::Clean);
    stopping.join().expect("the gate stops");
}

/// A client whose first bytes are on their way when the gate restarts is served, whatever it has to send first.
#[test]
fn connections_that_were_just_opened_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    authority.issue(dir.path(), "ours", &["ours.test"]);
    let config = r#"
shutdown_timeout: 20s
listeners:
  - { name: plain, bind: "127.0.0.1:0", rules: &rules [ { respond: { body: "ours" } } ] }
  - { name: header, bind: "127.0.0.1:0", accept_proxy_protocol: [127.0.0.1/32], rules: *rules }
  - { name: https, bind: "127.0.0.1:0", tls: { certificates: "{dir}/ours.crt" }, rules: *rules }
  - { name: other, bind: "127.0.0.1:0", rules: *rules }
"#;
    let gate = TestGate::start(config, &[("dir", &dir.path().display())]);
    let [mut plain, mut header, mut other] = ["plain", "header", "other"].map(|name| gate.client_of(name));
    let https = TcpStream::connect(gate.address("https")).unwrap();
    for name in ["plain", "header", "https"] {
        let open = format!("smolgate_connections_open{{listener=\"{name}\"}}");
        until("it is accepted", || gate.metric(&open) == 1.0);
    }
    gate.restart().unwrap();
    let get = "GET / HTTP/1.1\r\nHost: ours.test\r\n\r\n";
    until("the old workers drain", || says_close(&other.exchange(get).head));
    plain.exchange(get).expect(200, "ours");
    header.exchange(format!("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n{get}")).expect(200, "ours");
    let config = Arc::new(authority.client(&[]));
    Tls::over(https, &config, "ours.test").unwrap().client().exchange(get).expect(200, "ours");
}

/// Clients that obey `Connection`, on one gate after the other.
#[test]
fn a_rolling_restart_loses_no_request_of_a_client_that_honours_connection() {
    let upstream = Upstream::says("fine");
    let done = AtomicBool::new(false);
    let mut gate = start(&upstream);
    // A client that connects holds the lock, so that no client connects to a gate that stops.
    let current = RwLock::new(gate.address("http"));
    let keeps_asking = |request: &str| {
        let mut answered = 0;
        while !done.load(Ordering::Relaxed) {
            let mut client = Client::connect(*current.read().unwrap());
            // An idle connection may have been closed, which shows before the next request.
            while !done.load(Ordering::Relaxed) && !client.has_pending_event() {
                let response = client.exchange(request);
                assert_eq!(response.status(), 200, "{response:?}");
                answered += 1;
                if says_close(&response.head) {
                    client.expect_close();
                    break;
                }
            }
        }
        answered
    };
    thread::scope(|scope| {
        let clients: Vec<_> = [GET, "GET / HTTP/1.1\r\nHost: ours.test\r\n\r\n"]
            .repeat(3)
            .into_iter()
            .map(|request| scope.spawn(move || keeps_asking(request)))
            .collect();
        for _ in 0..8 {
            let next = start(&upstream);
            *current.write().unwrap() = next.address("http");
            std::mem::replace(&mut gate, next).stop();
        }
        done.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().expect("every request was answered") > 0);
        }
    });
}
