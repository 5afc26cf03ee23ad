//! Targets on Unix sockets.

mod support;

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;

use support::gate::TestGate;
use support::place::Place;
use support::upstream::{Connection, Upstream};
use support::{pattern, until};
use tempfile::TempDir;

const CONFIG: &str = r#"
access_log: { to: "{dir}/access.log", format: json }
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: passed.test, pass: "unix:{dir}/app.sock" }
      - { host: base.test, target: "unix:{dir}/app.sock:/base" }
      - { host: kept.test, target: "unix:{dir}/app.sock", pass_host: true }
      - { host: held.test, target: "unix:{dir}/app.sock", hold: 1h }
      - { upstream: app }
  - { name: tcp, bind: "127.0.0.1:0", protocol: tcp, target: "unix:{dir}/app.sock", send_proxy_protocol: v1 }
upstreams:
  app: { targets: "unix:{dir}/app.sock", {keys} }
"#;

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

fn get(host: &str) -> String {
    format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// Accepts connections at a Unix socket and passes their bytes on to an upstream, which records them.
fn relay(path: &Path, upstream: &Upstream) {
    let (listener, to) = (UnixListener::bind(path).unwrap(), upstream.address());
    thread::spawn(move || {
        for near in listener.incoming() {
            let (Ok(near), Ok(far)) = (near, TcpStream::connect(to)) else { return };
            pass_on(near, far);
        }
    });
}

fn pass_on(near: UnixStream, far: TcpStream) {
    let (mut near_in, mut far_out) = (near.try_clone().unwrap(), far.try_clone().unwrap());
    let (mut far_in, mut near_out) = (far, near);
    thread::spawn(move || {
        let _ = io::copy(&mut near_in, &mut far_out);
        let _ = far_out.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let _ = io::copy(&mut far_in, &mut near_out);
        let _ = near_out.shutdown(Shutdown::Write);
    });
}

struct Setup {
    dir: TempDir,
    upstream: Upstream,
    gate: TestGate,
}

impl Setup {
    /// The socket is there if `listens`.
    fn new(upstream: Upstream, listens: bool, keys: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        if listens {
            relay(&dir.path().join("app.sock"), &upstream);
        }
        let gate = TestGate::start(CONFIG, &[("dir", &dir.path().display()), ("keys", &keys)]);
        Self { dir, upstream, gate }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("app.sock")
    }

    fn target(&self) -> String {
        format!("unix:{}", self.socket().display())
    }
}

#[test]
fn requests_go_to_a_socket_with_a_host_of_their_own_or_that_of_the_client() {
    let Setup { upstream, gate, .. } = &Setup::new(Upstream::answers(FINE), true, "tries: 2");
    let mut client = gate.client();
    for (host, sees, path) in [
        ("a", "localhost", "/x"),
        ("base.test", "localhost", "/base/x"),
        ("kept.test:81", "kept.test:81", "/x"),
    ] {
        client.exchange(get(host)).expect(200, "fine");
        let request = upstream.requests().pop().unwrap();
        assert_eq!((request.head.get("host"), request.target()), (Some(sees), path), "{host}");
    }
    client.exchange(get("a")).expect(200, "fine");
    assert_eq!(upstream.connections(), 2, "equal targets share their idle connections");
}

#[test]
fn bodies_and_upgrades_pass_whole() {
    let body = pattern(1, 3_000_000);
    let upstream = Upstream::each(|connection, request| {
        if request.head.get("upgrade").is_some() {
            connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
            while let Some(bytes) = connection.read_some() {
                connection.send(bytes);
            }
            return;
        }
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.bytes.len()));
        connection.send(&request.body.bytes);
    });
    let Setup { upstream, gate, .. } = &Setup::new(upstream, true, "tries: 2");
    let mut request =
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    request.extend(&body);
    gate.exchange(&request).expect(200, &body);
    assert_eq!(upstream.request().body.bytes, body);
    let mut client = gate.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    assert_eq!(client.read_head().start, "HTTP/1.1 101 Switching Protocols");
    let mut writer = client.writer();
    let sent = body.clone();
    thread::spawn(move || io::Write::write_all(&mut writer, &sent));
    assert_eq!(client.read_exact(body.len()), body);
}

#[test]
fn connections_are_passed_on_to_a_socket() {
    let first_line = |connection: &mut Connection| {
        if let Some(bytes) = connection.read_some() {
            connection.send(if bytes.starts_with(b"PROXY TCP4 127.0.0.1") { "proxied" } else { "plain" });
        }
    };
    let Setup { gate, .. } = &Setup::new(Upstream::scripted(first_line), true, "tries: 2");
    for (listener, said) in [("tcp", "proxied"), ("http", "plain")] {
        let mut client = gate.client_of(listener);
        client.send(get("passed.test"));
        client.half_close();
        assert_eq!(client.read_to_end().0, said.as_bytes(), "{listener}");
    }
}

#[test]
fn a_socket_that_is_not_there_yet_is_waited_for() {
    let setup = Setup::new(Upstream::answers(FINE), false, "tries: 2");
    setup.gate.exchange(get("a")).expect_own(502, "connect_failed");
    let mut waits = setup.gate.client();
    waits.send(get("held.test"));
    let is_one = |line: &str| line.starts_with("smolgate_upstream_held{") && line.ends_with(" 1");
    until("a request is held", || setup.gate.metrics().lines().any(is_one));
    relay(&setup.socket(), &setup.upstream);
    waits.read_response().expect(200, "fine");
}

#[test]
fn a_socket_is_checked_drained_and_shown() {
    let keys = "health: { path: /up, interval: 50ms, headers: { X-Check: [a, b], User-Agent: probe } }";
    let setup = Setup::new(Upstream::answers(FINE), true, keys);
    let Setup { upstream, gate, .. } = &setup;
    upstream.wait_requests(1);
    let check = upstream.requests().remove(0);
    assert_eq!((check.target(), check.head.get("host")), ("/up", Some("localhost")));
    assert_eq!(check.head.all("x-check"), ["a", "b"]);
    assert_eq!(check.head.all("user-agent"), ["probe"]);
    let mut client = gate.client();
    client.exchange(get("a")).expect(200, "fine");
    let target = setup.target();
    let up = format!("smolgate_target_up{{upstream=\"app\",target=\"{target}\"}}");
    assert_eq!(gate.metric(&up), 1.0);
    let order =
        |verb: &str| assert_eq!(gate.internal("POST", &format!("/{verb}?which=app/{target}")).status(), 200);
    order("drain");
    client.exchange(get("a")).expect_own(503, "no_target");
    order("ready");
    client.exchange(get("a")).expect(200, "fine");
    assert!(gate.internal("GET", "/upstreams").text().contains(&format!("\"target\":\"{target}\"")));
    let log = std::fs::read_to_string(setup.dir.path().join("access.log")).unwrap();
    assert!(log.contains(&format!("\"target_address\":\"{target}\"")), "{log}");
    std::fs::remove_file(setup.socket()).unwrap();
    until("it is down", || gate.metric(&up) == 0.0);
    relay(&setup.socket(), upstream);
    until("it is up", || gate.metric(&up) == 1.0);
}

#[test]
fn a_full_queue_of_the_listener_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    socket.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    socket.listen(0).unwrap();
    let first = UnixStream::connect(&path).unwrap();
    let gate =
        TestGate::start(CONFIG, &[("dir", &dir.path().display()), ("keys", &"connect_timeout: 200ms")]);
    gate.exchange(get("a")).expect_own(504, "connect_timeout");
    let mut waits = gate.client();
    waits.send(get("kept.test"));
    drop(first);
    let listener: UnixListener = socket.into();
    let upstream = Upstream::answers(FINE);
    let to = upstream.address();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(to) else { return };
            pass_on(near, far);
        }
    });
    waits.read_response().expect(200, "fine");
}

#[test]
fn the_verbs_know_sockets() {
    let config = "http_config: { port: 8021 }\nhttp_routes:\n  - { host: a, target: \"unix:/run/app.sock:/base\" }\n\
                  tcp: { port: 8022, target: \"unix:/run/raw.sock\" }\n";
    let place = Place::with(&[("gate.yml", config)]);
    let explained = place.run("explain -c gate.yml http://a:8021/x").fine();
    assert!(
        explained
            .contains("wins -> unix:/run/app.sock:/base (base path put in front: upstream sees /base/x)"),
        "{explained}"
    );
    let routes = place.run("routes -c gate.yml").fine();
    assert!(routes.contains("unix:/run/app.sock:/base") && routes.contains("unix:/run/raw.sock"), "{routes}");
}
