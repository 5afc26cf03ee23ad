//! Speeds of bodies and tunnels. A test judges that bytes arrive whole and do not arrive earlier than they may: no machine is
//! too slow for that.

mod support;

use std::time::{Duration, Instant};

use support::gate::TestGate;
use support::message::Response;
use support::pattern;
use support::upstream::{Connection, Upstream};

/// 50,000 bytes in a second, of which a tenth may come at once.
const CONFIG: &str = r#"
policies:
  together: { speed: { download: 400kbit, shared: true } }
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: down.test, speed: { download: 400kbit }, target: "{target}" }
      - { host: fast.test, speed: { download: 1600kbit }, target: "{target}" }
      - { host: up.test, speed: { upload: 400kbit }, target: "{target}" }
      - { host: shared.test, speed: { download: 400kbit, shared: true }, target: "{target}" }
      - { host: one.test, policy: together, target: "{target}" }
      - { host: two.test, policy: together, target: "{target}" }
      - { host: passed.test, pass: "{target}", speed: { download: 400kbit } }
      - { host: free.test, target: "{target}" }
  - name: raw
    bind: "127.0.0.1:0"
    protocol: tcp
    target: "{echo}"
    speed: { upload: 400kbit }
"#;

/// Bytes that may come at once.
const BURST: usize = 5_000;

/// The time that so many bytes take at least, of which the first come at once.
fn least(bytes: usize, kilobits: u32) -> Duration {
    let at_once = BURST * kilobits as usize / 400;
    Duration::from_secs_f64((bytes - at_once) as f64 * 8.0 / 1_000.0 / f64::from(kilobits))
}

/// Answers with so many bytes as the path says: `/chunked/1000`, `/close/1000`, `/1000`.
fn target() -> Upstream {
    Upstream::each(|connection: &mut Connection, request| {
        let (kind, length) = request.target().rsplit_once('/').unwrap();
        let body = pattern(1, length.parse().unwrap());
        match kind {
            "/chunked" => {
                connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                for part in body.chunks(7_000) {
                    connection.send(format!("{:x}\r\n", part.len()));
                    connection.send(part);
                    connection.send("\r\n");
                }
                connection.send("0\r\n\r\n");
            }
            "/close" => {
                connection.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
                connection.send(body);
                connection.close();
            }
            _ => {
                connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
                connection.send(body);
            }
        }
    })
}

fn echo() -> Upstream {
    Upstream::scripted(|connection| {
        while let Some(bytes) = connection.read_some() {
            connection.send(bytes);
        }
    })
}

fn start() -> (TestGate, Upstream, Upstream) {
    let (target, echo) = (target(), echo());
    (TestGate::start(CONFIG, &[("target", &target), ("echo", &echo)]), target, echo)
}

fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[track_caller]
fn expect(response: &Response, length: usize) {
    assert_eq!(response.status(), 200, "{:?}", response.head);
    assert!(response.body.bytes == pattern(1, length), "{} bytes", response.body.bytes.len());
}

#[test]
fn a_download_is_no_faster_than_it_may_be() {
    let (gate, _target, _echo) = start();
    for (host, path, length, kilobits) in [
        ("down.test", "", 30_000, 400),
        ("down.test", "/chunked", 30_000, 400),
        ("down.test", "/close", 30_000, 400),
        // Long enough to be moved inside the kernel.
        ("fast.test", "", 300_000, 1_600),
        ("passed.test", "", 30_000, 400),
    ] {
        let began = Instant::now();
        let response = gate.exchange(get(host, &format!("{path}/{length}")));
        let took = began.elapsed();
        expect(&response, length);
        assert!(took >= least(length, kilobits), "{host}{path}: {took:?}");
    }
    // A rule without a speed has none of another.
    expect(&gate.exchange(get("free.test", "/300000")), 300_000);
}

#[test]
fn short_responses_of_a_connection_are_counted_together() {
    let (gate, _target, _echo) = start();
    let mut client = gate.client();
    let began = Instant::now();
    (0..30).for_each(|_| expect(&client.exchange(get("down.test", "/1000")), 1_000));
    assert!(began.elapsed() >= least(30_000, 400), "{:?}", began.elapsed());
}

#[test]
fn an_upload_is_no_faster_than_it_may_be() {
    let (gate, target, _) = start();
    for (number, framing) in ["Content-Length: 30000", "Transfer-Encoding: chunked"].into_iter().enumerate() {
        let mut body = pattern(2, 30_000);
        if number == 1 {
            body = [b"7530\r\n", &body[..], b"\r\n0\r\n\r\n"].concat();
        }
        let head = format!("POST /1 HTTP/1.1\r\nHost: up.test\r\n{framing}\r\n\r\n");
        let began = Instant::now();
        expect(&gate.exchange([head.as_bytes(), &body].concat()), 1);
        assert!(began.elapsed() >= least(30_000, 400), "{framing}: {:?}", began.elapsed());
        assert!(target.requests()[number].body.bytes == pattern(2, 30_000));
    }
}

/// Two connections at once take as long as both bodies one after the other.
#[test]
fn connections_share_a_speed_that_is_shared() {
    let (gate, _target, _echo) = start();
    for hosts in [["shared.test", "shared.test"], ["one.test", "two.test"]] {
        let began = Instant::now();
        let mut clients = hosts.map(|host| {
            let mut client = gate.client();
            client.send(get(host, "/20000"));
            client
        });
        clients.iter_mut().for_each(|client| expect(&client.read_response(), 20_000));
        assert!(began.elapsed() >= least(40_000, 400), "{hosts:?}: {:?}", began.elapsed());
    }
}

#[test]
fn a_tunnel_is_no_faster_than_it_may_be() {
    let upgrade = Upstream::scripted(|connection| {
        connection.read_head();
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        while let Some(bytes) = connection.read_some() {
            connection.send(bytes);
        }
    });
    let echo = echo();
    let gate = TestGate::start(CONFIG, &[("target", &upgrade), ("echo", &echo)]);
    let bytes = pattern(3, 30_000);
    for host in ["down.test", "up.test", "raw"] {
        let mut client = gate.client_of(if host == "raw" { "raw" } else { "http" });
        if host != "raw" {
            client
                .send(format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"));
            assert!(client.read_head().start.contains("101"));
        }
        let began = Instant::now();
        client.send(&bytes);
        assert!(client.read_exact(bytes.len()) == bytes);
        assert!(began.elapsed() >= least(30_000, 400), "{host}: {:?}", began.elapsed());
    }
}

/// A bulk transfer through a tunnel is moved inside the kernel, at most what may move.
#[test]
fn a_bulk_transfer_of_a_tunnel_is_no_faster_than_it_may_be() {
    const LENGTH: usize = 3_000_000;
    let source = Upstream::scripted(|connection| {
        connection.read_some();
        connection.send(pattern(4, LENGTH));
        connection.close();
    });
    let config = r#"
listeners:
  - { name: raw, bind: "127.0.0.1:0", protocol: tcp, target: "{source}", speed: { download: 32Mbit } }
"#;
    let gate = TestGate::start(config, &[("source", &source)]);
    let mut client = gate.client_of("raw");
    let began = Instant::now();
    client.send("go");
    let (bytes, _) = client.read_to_end();
    assert!(began.elapsed() >= least(LENGTH, 32_000), "{:?}", began.elapsed());
    assert!(bytes == pattern(4, LENGTH));
}

#[cfg(feature = "files")]
#[test]
fn a_file_is_no_faster_than_it_may_be() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("short"), pattern(1, 30_000)).unwrap();
    std::fs::write(folder.path().join("long"), pattern(1, 300_000)).unwrap();
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: slow.test, speed: { download: 400kbit }, files: "{folder}" }
      - { host: fast.test, speed: { download: 1600kbit }, files: "{folder}" }
"#;
    let gate = TestGate::start(config, &[("folder", &folder.path().display())]);
    for (host, file, length, kilobits) in
        [("slow.test", "/short", 30_000, 400), ("fast.test", "/long", 300_000, 1_600)]
    {
        let began = Instant::now();
        expect(&gate.exchange(get(host, file)), length);
        assert!(began.elapsed() >= least(length, kilobits), "{host}: {:?}", began.elapsed());
    }
}

/// A reload that leaves a shared speed alone forgets nothing, so that connections of before and after have one limit.
#[test]
fn a_reload_keeps_a_shared_speed() {
    let (gate, target, echo) = start();
    let mut first = gate.client();
    let began = Instant::now();
    first.send(get("shared.test", "/20000"));
    target.wait_requests(1);
    gate.edit(
        &CONFIG.replace("host: free.test", "host: other.test"),
        &[("target", &target), ("echo", &echo)],
    );
    gate.reload().unwrap();
    let second = gate.exchange(get("shared.test", "/20000"));
    expect(&first.read_response(), 20_000);
    expect(&second, 20_000);
    assert!(began.elapsed() >= least(40_000, 400), "{:?}", began.elapsed());
}

/// A client that leaves while its bytes wait ends the exchange.
#[test]
fn a_client_that_leaves_is_noticed_while_bytes_wait() {
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: [{ speed: { download: 8kbit }, target: "{target}" }]
"#;
    let target = Upstream::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n");
        // As much as the gate takes, until it ends the connection.
        while connection.try_send([b'x'; 10_000]) {}
    });
    let gate = TestGate::start(config, &[("target", &target)]);
    let mut client = gate.client();
    client.send(get("a.test", "/"));
    client.read_head();
    client.reset();
    support::until("the connection is closed", || {
        gate.metric("smolgate_connections_open{listener=\"http\"}") == 0.0
    });
}
