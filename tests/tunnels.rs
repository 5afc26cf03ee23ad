//! Tunnels over plain connections and TLS on either side, copied and spliced: their ends, and how long they
//! may be silent.

mod support;

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use support::client::Client;
use support::gate::TestGate;
use support::tls::{Authority, Tls};
use support::upstream::{Connection, Upstream};
use support::wire::{End, Transport};
use support::{Latch, pattern, until};
use tempfile::TempDir;

const CONFIG: &str = r#"
access_log: "{dir}/access.log"
shutdown_timeout: 0
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: &rules
      - { host: plain.test, target: "http://{plain}", tunnel_timeout: 1h }
      - { host: tls.test, target: "https://{secure}", tls: { insecure_skip_verify: true }, tunnel_timeout: 1h }
  - name: https
    bind: "127.0.0.1:0"
    tls: { certificates: "{dir}/ours.crt" }
    rules: *rules
  - name: other
    bind: "127.0.0.1:0"
    rules: [{ respond: {} }]
"#;

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// TLS from the client, TLS to the target.
const WAYS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];

/// More than all buffers of the system between a target and a client that does not read.
const FLOOD: usize = 24 << 20;

struct Scene {
    gate: TestGate,
    authority: Authority,
    plain: Upstream,
    secure: Upstream,
    dir: TempDir,
}

impl Scene {
    /// Both targets run `script` with the path of the request, after the switch.
    fn new(config: &str, script: impl Fn(&mut Connection, &str) + Clone + Send + Sync + 'static) -> Scene {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path(), "ca.pem");
        authority.issue(dir.path(), "ours", &["ours.test"]);
        let server = authority.issue(dir.path(), "target", &["tls.test"]).server();
        let script = move |connection: &mut Connection| {
            let Some(request) = connection.read_request() else { return };
            connection.send(SWITCH);
            script(connection, request.target());
        };
        let plain = Upstream::scripted(script.clone());
        let wrap = move |stream| -> Option<Box<dyn Transport>> {
            Some(Box::new(Tls::accept(stream, &server).ok()?))
        };
        let secure = Upstream::wrapped(wrap, script);
        let names: support::gate::Names =
            &[("dir", &dir.path().display()), ("plain", &plain), ("secure", &secure)];
        let gate = TestGate::start(config, names);
        Scene { gate, authority, plain, secure, dir }
    }

    fn tunnel(&self, way: (bool, bool), path: &str) -> Client {
        self.open(way, path).0
    }

    /// Opens a tunnel. Returns it with the bytes of its request and of its response.
    fn open(&self, (from_tls, to_tls): (bool, bool), path: &str) -> (Client, usize, usize) {
        let mut client = if from_tls {
            let config = Arc::new(self.authority.client(&[]));
            Tls::connect(self.gate.address("https"), &config, "ours.test").unwrap().client()
        } else {
            self.gate.client()
        };
        let host = if to_tls { "tls.test" } else { "plain.test" };
        let ask = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";
        let ask = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{ask}\r\n");
        let response = client.exchange(&ask);
        assert_eq!(response.status(), 101);
        (client, ask.len(), response.head.raw.len())
    }

    fn target(&self, (_, to_tls): (bool, bool)) -> &Upstream {
        if to_tls { &self.secure } else { &self.plain }
    }

    /// The number of tunnels that ended with this result, on both listeners.
    fn ended(&self, result: &str) -> f64 {
        let series =
            |name| format!("smolgate_tunnels_ended_total{{listener=\"{name}\",result=\"{result}\"}}");
        self.gate.metric(&series("http")) + self.gate.metric(&series("https"))
    }

    /// Removes both listeners, and all tunnels with them.
    fn send_away(&self) {
        let rest = CONFIG.find("  - name: other").unwrap();
        let config = format!("access_log: \"{{dir}}/access.log\"\nlisteners:\n{}", &CONFIG[rest..]);
        self.gate.edit(&config, &[("dir", &self.dir.path().display())]);
        self.gate.reload().expect("the reload is fine");
    }

    /// The only line of the access log.
    fn line(&self) -> serde_json::Value {
        let read = || std::fs::read_to_string(self.dir.path().join("access.log")).unwrap_or_default();
        until("there is a line", || read().ends_with('\n'));
        serde_json::from_str(&read()).expect("one line")
    }
}

/// Writes until the connection is blocked for a while.
fn stuff(mut writer: TcpStream) {
    let piece = vec![b'x'; 64 * 1024];
    let mut taken = Instant::now();
    writer.set_nonblocking(true).unwrap();
    while taken.elapsed() < Duration::from_millis(300) {
        match writer.write(&piece) {
            Ok(_) => taken = Instant::now(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn each_side_may_end_first_whatever_is_in_flight() {
    let scene = Scene::new(CONFIG, |connection, path| {
        let (first, size) = path[1..].split_once('/').expect("two words");
        let bytes = pattern(2, size.parse().expect("a size"));
        match first {
            "target" => {
                connection.send(&bytes);
                connection.half_close();
                connection.read_to_end();
            }
            // The client ends during this transfer.
            "crossing" => connection.send(&bytes),
            _ => {
                let (came, end) = connection.read_to_end();
                if end == End::Clean && came == pattern(1, bytes.len()) {
                    connection.send(&bytes);
                }
            }
        }
    });
    for way in WAYS {
        for size in [0, 5, 100_000, 3 << 20] {
            let tunnel = |first| scene.tunnel(way, &format!("/{first}/{size}"));
            let (up, down) = (pattern(1, size), pattern(2, size));

            let mut client = tunnel("client");
            client.send(&up);
            client.half_close();
            let (bytes, end) = client.read_to_end();
            assert!(bytes == down && end == End::Clean, "{way:?}, {size}: {} bytes, {end:?}", bytes.len());

            let mut client = tunnel("crossing");
            client.half_close();
            let (bytes, end) = client.read_to_end();
            assert!(bytes == down && end == End::Clean, "{way:?}, {size}: {} bytes, {end:?}", bytes.len());

            let mut client = tunnel("target");
            let number = scene.target(way).connections() - 1;
            let (bytes, end) = client.read_to_end();
            assert!(bytes == down && end == End::Clean, "{way:?}, {size}: {} bytes, {end:?}", bytes.len());
            client.send(&up);
            client.half_close();
            assert_eq!(scene.target(way).wait_end(number), End::Clean, "{way:?}, {size}");
            assert!(scene.target(way).received()[number].ends_with(&up), "{way:?}, {size}");
        }
    }
    until("all have ended", || scene.ended("ok") == 48.0);
}

#[test]
fn a_blocked_direction_may_wait_as_long_as_the_other_moves() {
    let scene = Scene::new(&CONFIG.replace("1h", "1s"), |connection, _| {
        connection.send(pattern(3, FLOOD));
    });
    thread::scope(|scope| {
        for way in WAYS {
            let scene = &scene;
            scope.spawn(move || {
                let mut client = scene.tunnel(way, "/");
                for _ in 0..10 {
                    client.send("x");
                    thread::sleep(Duration::from_millis(250));
                }
                let bytes = client.read_exact(FLOOD);
                assert!(bytes == pattern(3, FLOOD), "{way:?}: the bytes from the target changed");
            });
        }
    });
}

#[test]
fn silence_ends_a_blocked_tunnel() {
    let scene = Scene::new(&CONFIG.replace("1h", "1s"), |connection, _| {
        connection.send(vec![b'x'; FLOOD]);
    });
    let _clients = WAYS.map(|way| scene.tunnel(way, "/"));
    until("all have ended", || scene.ended("tunnel_idle") == 4.0);
}

/// The direction from the side that resets has ended already, so the gate does not read from it.
#[test]
fn a_reset_after_an_end_is_seen_at_once() {
    let over = Latch::new();
    let held = over.clone();
    let scene = Scene::new(CONFIG, move |connection, path| {
        if path == "/target" {
            connection.half_close();
            connection.read_exact(1);
            connection.reset();
        } else {
            connection.read_to_end();
            held.wait();
        }
    });
    for (number, way) in (1..).zip(WAYS) {
        let mut client = scene.tunnel(way, "/client");
        client.half_close();
        let number = f64::from(number);
        // The gate has now seen the end.
        scene.target(way).wait_end(scene.target(way).connections() - 1);
        client.reset();
        until("its reset has ended the tunnel", || scene.ended("client_gone") == number);

        let mut client = scene.tunnel(way, "/target");
        assert_eq!(client.read_to_end().1, End::Clean);
        client.send("x");
        until("the target's reset has ended the tunnel", || scene.ended("upstream_reset") == number);
    }
    over.open();
}

/// The direction from the side that resets waits for the other side, so the gate does not read from it.
#[test]
fn a_reset_behind_unread_bytes_is_seen_at_once() {
    let seen = Latch::new();
    let held = seen.clone();
    let scene = Scene::new(CONFIG, move |connection, path| {
        if path == "/target" {
            stuff(connection.writer().expect("open"));
            connection.reset();
        } else {
            // Read nothing before the tunnel has ended.
            held.wait();
        }
    });
    let client = scene.tunnel((false, false), "/client");
    stuff(client.writer());
    client.reset();
    until("its reset has ended the tunnel", || scene.ended("client_gone") == 1.0);
    seen.open();
    let _client = scene.tunnel((false, false), "/target");
    until("the target's reset has ended the tunnel", || scene.ended("upstream_reset") == 1.0);
}

/// Without a proper end, the received bytes may be incomplete.
#[test]
fn a_reset_of_one_side_is_no_clean_end_for_the_other() {
    let scene = Scene::new(CONFIG, |connection, path| {
        if path == "/target" {
            connection.send("some");
            connection.read_exact(1);
            connection.reset();
        } else {
            connection.read_to_end();
        }
    });
    for way in WAYS {
        let mut client = scene.tunnel(way, "/target");
        assert_eq!(client.read_exact(4), b"some", "{way:?}");
        client.send("x");
        assert_eq!(client.read_to_end().1, End::Reset, "{way:?}: the target has reset");

        let mut client = scene.tunnel(way, "/client");
        let number = scene.target(way).connections() - 1;
        client.send("some");
        until("it arrives", || scene.target(way).received()[number].ends_with(b"some"));
        client.reset();
        assert_eq!(scene.target(way).wait_end(number), End::Reset, "{way:?}: the client has reset");
    }
}

/// A tunnel that is cut inside a write has counted all bytes before.
#[test]
fn a_tunnel_that_is_cut_off_has_counted_what_it_moved() {
    let (stuffed, over) = (Latch::new(), Latch::new());
    let (fills, waits) = (stuffed.clone(), over.clone());
    let scene = || {
        let (fills, waits) = (fills.clone(), waits.clone());
        Scene::new(CONFIG, move |connection, path| {
            if path == "/down" {
                stuff(connection.writer().expect("open"));
                fills.open();
            }
            waits.wait();
        })
    };
    let down = scene();
    let (mut client, _, head) = down.open((false, false), "/down");
    stuffed.wait();
    down.send_away();
    let (bytes, end) = client.read_to_end();
    assert_eq!(end, End::Clean);
    assert_eq!(down.line()["bytes_out"].as_u64(), Some((head + bytes.len()) as u64), "{}", down.line());

    let up = scene();
    let (client, head, _) = up.open((false, false), "/up");
    stuff(client.writer());
    up.send_away();
    let line = up.line();
    over.open();
    up.plain.wait_end(0);
    let received = up.plain.received().remove(0);
    let begin = received.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    let moved = (received.len() - begin + head) as u64;
    assert!(line["bytes_in"].as_u64() >= Some(moved), "{moved} bytes came up at least: {line}");
}
