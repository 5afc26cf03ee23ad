//! Clients that read no response before they have sent their whole request, and clients that leave.

mod support;

use std::io::Write;
use std::sync::Arc;
use std::thread;

use support::client::Client;
use support::gate::TestGate;
use support::tls::{Authority, Tls};
use support::upstream::Upstream;
use support::{Latch, pattern, until};

const CONFIG: &str = r#"
max_connections: 4
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: &rules
      - { host: small.test, target: "http://{upstream}", max_body: 1kB }
      - { host: ours.test, respond: { body: "ours" } }
      - target: "http://{upstream}"
  - { name: tls, bind: "127.0.0.1:0", tls: { certificates: "{certs}" }, rules: *rules }
  - { name: fin, bind: "127.0.0.1:0", client_gone: fin, rules: *rules }
  - { name: fin_tls, bind: "127.0.0.1:0", client_gone: fin, tls: { certificates: "{certs}" }, rules: *rules }
"#;

const NAMES: &[&str] = &["small.test", "ours.test", "early.test"];

struct Scene {
    authority: Authority,
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path(), "ca.pem");
        authority.issue(&dir.path().join("certs"), "one", NAMES);
        Self { authority, dir }
    }

    fn gate(&self, upstream: &Upstream) -> TestGate {
        let certs = self.dir.path().join("certs");
        TestGate::start(CONFIG, &[("upstream", upstream), ("certs", &certs.display())])
    }

    fn client(&self, gate: &TestGate, listener: &str) -> Client {
        if listener.ends_with("tls") {
            let config = Arc::new(self.authority.client(&[]));
            Tls::connect(gate.address(listener), &config, NAMES[0]).unwrap().client()
        } else {
            gate.client_of(listener)
        }
    }
}

/// A target that answers an upload when it has its head, and does not read the rest.
fn early() -> Upstream {
    Upstream::scripted(|connection| {
        if connection.read_head().is_some() {
            connection.send("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
            connection.hang();
        }
    })
}

/// More than the sockets between two programs hold.
const LARGE: usize = 24 << 20;

#[test]
fn an_upload_that_is_refused_may_be_sent_to_its_end() {
    let scene = Scene::new();
    let body = pattern(1, LARGE);
    let chunk = [format!("{LARGE:x}\r\n").as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    let length = format!("Content-Length: {LARGE}");
    let upstream = early();
    let gate = scene.gate(&upstream);
    for listener in ["http", "tls"] {
        for (host, status) in [("small.test", 413), ("ours.test", 200), ("early.test", 401)] {
            for (framing, body) in [(length.as_str(), &body), ("Transfer-Encoding: chunked", &chunk)] {
                let mut client = scene.client(&gate, listener);
                client.send(format!("POST / HTTP/1.1\r\nHost: {host}\r\n{framing}\r\n\r\n"));
                client.send(body);
                let response = client.read_response();
                assert_eq!(response.status(), status, "{listener}, {host}, {framing}");
                client.expect_close();
            }
        }
    }
}

/// A client that sends for ever gives its place to others.
#[test]
fn clients_whose_bytes_are_discarded_make_room() {
    let scene = Scene::new();
    let upstream = Upstream::says("fine");
    let gate = scene.gate(&upstream);
    let endless = || {
        let client = gate.client();
        let mut writer = client.writer();
        let head =
            format!("POST / HTTP/1.1\r\nHost: small.test\r\nContent-Length: {}\r\n\r\n", u64::MAX >> 1);
        writer.write_all(head.as_bytes()).unwrap();
        let sending = thread::spawn(move || while writer.write_all(&[b'x'; 4096]).is_ok() {});
        (client, sending)
    };
    let all: Vec<_> = (0..4).map(|_| endless()).collect();
    let refused = "smolgate_local_replies_total{reason=\"body_too_large\"}";
    until("all are refused", || gate.metric(refused) >= 4.0);
    for _ in 0..8 {
        gate.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect(200, "fine");
    }
    drop(gate);
    for (_client, sending) in all {
        sending.join().unwrap();
    }
}

const GONE: &str = "smolgate_local_replies_total{reason=\"client_gone\"}";

/// Whether the target is silent, or has begun a stream that is silent.
fn silent(begins: bool) -> Upstream {
    Upstream::scripted(move |connection| {
        connection.read_request();
        if begins {
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nevent\r\n");
        }
        connection.hang();
    })
}

#[test]
fn with_fin_a_client_that_ends_its_side_ends_the_exchange() {
    let scene = Scene::new();
    let post = "POST / HTTP/1.1\r\nHost: early.test\r\nContent-Length: 2\r\n\r\n{}";
    let get = "GET / HTTP/1.1\r\nHost: early.test\r\n\r\n";
    let pipelined = [get, get].concat();
    for listener in ["fin", "fin_tls"] {
        for begins in [false, true] {
            // The portable form sees an end only behind bytes that were all read.
            let hidden = |request: &&str| listener == "fin_tls" || **request == pipelined;
            for request in [get, post, &pipelined].into_iter().filter(|row| !cfg!(portable) || !hidden(row)) {
                let upstream = silent(begins);
                let gate = scene.gate(&upstream);
                let mut client = scene.client(&gate, listener);
                client.send(request);
                upstream.wait_requests(1);
                if begins {
                    client.read_head();
                }
                assert_eq!(gate.metric(GONE), 0.0);
                client.half_close();
                upstream.wait_end(0);
                until("the client is counted as gone", || gate.metric(GONE) == 1.0);
                assert_eq!(upstream.requests().len(), 1, "{listener}, {begins}, {request}");
            }
        }
    }
}

/// By default a client may end its side and wait for the response. With `fin` it may after the response.
#[test]
fn without_fin_a_client_that_ends_its_side_gets_its_response() {
    let scene = Scene::new();
    let hold = Latch::new();
    let held = hold.clone();
    let upstream = Upstream::each(move |connection, _| {
        held.wait();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    });
    let gate = scene.gate(&upstream);
    let clients = ["http", "tls"].map(|listener| {
        let mut client = scene.client(&gate, listener);
        client.send("GET / HTTP/1.1\r\nHost: early.test\r\n\r\n");
        client.half_close();
        client
    });
    upstream.wait_requests(2);
    // The worker has seen the ends when it serves a later request.
    gate.exchange("GET / HTTP/1.1\r\nHost: ours.test\r\n\r\n").expect(200, "ours");
    hold.open();
    for mut client in clients {
        client.read_response().expect(200, "fine");
        client.expect_close();
    }
    let mut client = gate.client_of("fin");
    client.exchange("GET / HTTP/1.1\r\nHost: early.test\r\n\r\n").expect(200, "fine");
    client.half_close();
    client.expect_close();
    assert_eq!(gate.metric(GONE), 0.0);
}
