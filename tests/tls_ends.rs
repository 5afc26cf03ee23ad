//! The end of an HTTPS connection: with `close_notify` if everything was sent, and without if a response or a
//! request was cut off, so that the peer can tell (RFC 8446, section 6.1). In the clear, a reset does this
//! for a body without a length.

mod support;

use std::net::TcpStream;
use std::sync::Arc;
use std::thread;

use support::Latch;
use support::client::Client;
use support::gate::TestGate;
use support::message::Framing;
use support::tls::{Authority, Leaf, Tls};
use support::upstream::{Connection, Upstream};
use support::wire::{End, Transport};

const CONFIG: &str = r#"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    protocol: http
    idle_timeout: "{idle}"
    tls: { certificates: "{certs}/one.crt" }
    rules: &rules
      - path_prefix: "/respond"
        respond: { body: "fine" }
      - target: "{scheme}://{upstream}"
        {tls}
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules: *rules
"#;

struct Scene {
    gate: TestGate,
    authority: Authority,
}

impl Scene {
    fn new(upstream: &Upstream, scheme: &str, idle: &str) -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path(), "ca.pem");
        authority.issue(dir.path(), "one", &["one.test"]);
        let certs = dir.path().display();
        let tls = if scheme == "https" { "tls: { insecure_skip_verify: true }" } else { "" };
        let names: support::gate::Names =
            &[("certs", &certs), ("upstream", upstream), ("scheme", &scheme), ("tls", &tls), ("idle", &idle)];
        let gate = TestGate::start(CONFIG, names).keep(dir);
        Scene { gate, authority }
    }

    fn client(&self) -> Client {
        let config = Arc::new(self.authority.client(&["http/1.1"]));
        Tls::connect(self.gate.address("https"), &config, "one.test").unwrap().client()
    }
}

/// Responds by the path of the request.
fn various(connection: &mut Connection) {
    while let Some(head) = connection.read_head() {
        let text = String::from_utf8(head.raw.clone()).unwrap();
        let path = text.split(' ').nth(1).unwrap().to_owned();
        match &*path {
            "/whole" => {
                connection.read_body(head);
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole");
            }
            "/until-close" => {
                connection.send("HTTP/1.1 200 OK\r\n\r\nuntil close");
                return connection.close();
            }
            "/half" => connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
            "/half-chunk" => {
                connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf")
            }
            _ => connection.send("HTTP/1.1 200 OK\r\n\r\nhalf, until a reset"),
        }
        if path != "/whole" {
            // Wait until the sent bytes have arrived, because the reset would overtake them.
            connection.read_exact(1);
            return connection.reset();
        }
    }
}

fn get(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: one.test\r\n{more}\r\n")
}

const CLOSE: &str = "Connection: close\r\n";

#[test]
fn a_connection_that_the_client_wants_closed_ends_cleanly() {
    let upstream = Upstream::scripted(various);
    let scene = Scene::new(&upstream, "http", "60s");
    let post = format!("POST /whole HTTP/1.1\r\nHost: one.test\r\n{CLOSE}Content-Length: 4\r\n\r\nbody");
    for request in [get("/respond", CLOSE), get("/whole", CLOSE), post, "no request\r\n\r\n".to_owned()] {
        let mut client = scene.client();
        client.exchange(&request);
        assert_eq!(client.expect_close(), End::Clean, "{request}");
    }
}

#[test]
fn a_body_that_ends_with_the_connection_ends_cleanly() {
    let upstream = Upstream::scripted(various);
    let scene = Scene::new(&upstream, "http", "60s");
    let mut client = scene.client();
    client.send("GET /until-close HTTP/1.0\r\nHost: one.test\r\n\r\n");
    let response = client.read_response();
    assert_eq!(response.text(), "until close");
    assert_eq!((response.body.framing, response.body.fault), (Framing::UntilClose, None));
}

#[test]
fn an_idle_connection_ends_cleanly() {
    let upstream = Upstream::scripted(various);
    let scene = Scene::new(&upstream, "http", "300ms");
    let (mut silent, mut kept) = (scene.client(), scene.client());
    kept.exchange(get("/whole", ""));
    assert_eq!((silent.expect_close(), kept.expect_close()), (End::Clean, End::Clean));
}

#[test]
fn a_gate_that_stops_ends_idle_connections_cleanly() {
    let upstream = Upstream::scripted(various);
    let scene = Scene::new(&upstream, "http", "60s");
    let (mut silent, mut kept) = (scene.client(), scene.client());
    kept.exchange(get("/whole", ""));
    let gate = scene.gate;
    let stopping = thread::spawn(move || gate.stop());
    assert_eq!((silent.expect_close(), kept.expect_close()), (End::Clean, End::Clean));
    stopping.join().unwrap();
}

/// Sends `request`, and one more byte once half of the response has arrived. Returns how the response, which
/// the target cuts off, ends.
fn cut_off(client: &mut Client, request: &str) -> End {
    client.send(request);
    let head = client.read_head();
    assert_eq!(support::message::status(&head), 200, "{request}");
    client.read_exact(4);
    client.send("x");
    client.read_to_end().1
}

/// A request whose body lacks one byte. The byte makes the target reset, in the middle of both bodies.
fn post(path: &str, version: &str) -> String {
    format!("POST {path} HTTP/{version}\r\nHost: one.test\r\nContent-Length: 2000\r\n\r\n")
}

#[test]
fn a_response_that_is_cut_off_does_not_end_cleanly() {
    let upstream = Upstream::scripted(various);
    let scene = Scene::new(&upstream, "http", "60s");
    for path in ["/half", "/half-chunk", "/until-reset"] {
        for version in ["1.1", "1.0"] {
            let request = post(path, version);
            assert_eq!(cut_off(&mut scene.client(), &request), End::Reset, "{request}");
        }
    }
}

#[test]
fn a_body_without_a_length_that_is_cut_off_is_reset_before_the_request_has_ended() {
    let upstream = Upstream::scripted(various);
    let scene = Scene::new(&upstream, "http", "60s");
    assert_eq!(cut_off(&mut scene.gate.client(), &post("/until-reset", "1.0")), End::Reset);
}

/// A target with TLS.
fn encrypted(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Upstream {
    let dir = tempfile::tempdir().unwrap();
    let leaf: Leaf = Authority::new(dir.path(), "ca.pem").issue(dir.path(), "target", &["127.0.0.1"]);
    let config = leaf.server();
    let wrap = move |stream: TcpStream| -> Option<Box<dyn Transport>> {
        Some(Box::new(Tls::accept(stream, &config).ok()?))
    };
    Upstream::wrapped(wrap, script)
}

#[test]
fn an_idle_connection_to_a_target_ends_cleanly() {
    let upstream = encrypted(various);
    let scene = Scene::new(&upstream, "https", "60s");
    scene.client().exchange(get("/whole", "")).expect(200, "whole");
    scene.gate.stop();
    assert_eq!(upstream.wait_end(0), End::Clean);
}

#[test]
fn a_request_that_is_cut_off_does_not_end_cleanly() {
    let reached = Latch::new();
    let seen = reached.clone();
    let upstream = encrypted(move |connection| {
        connection.read_head();
        seen.open();
        connection.read_to_end();
    });
    let scene = Scene::new(&upstream, "https", "60s");
    let mut client = scene.client();
    client.send(post("/", "1.1"));
    client.send("some of it");
    reached.wait();
    client.reset();
    assert_eq!(upstream.wait_end(0), End::Reset);
}
