//! Limits on the resources that many clients take together: connections, and time.

mod support;

use std::io::Write;
use std::sync::Arc;

use support::client::Client;
use support::gate::TestGate;
use support::tls::{Authority, Tls};
use support::upstream::Upstream;
use support::{Latch, until};

const CONFIG: &str = r#"
max_connections: 3
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - target: "http://{upstream}"
"#;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn connections_beyond_the_limit_wait_for_a_permit() {
    let latches: [Latch; 3] = Default::default();
    let ours = latches.clone();
    let upstream = Upstream::each(move |connection, request| {
        if let Some(held) = request.target().strip_prefix("/held/") {
            ours[held.parse::<usize>().unwrap()].wait();
        }
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    });
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let mut held: Vec<Client> = (0..3).map(|_| gate.client()).collect();
    for (number, client) in held.iter_mut().enumerate() {
        client.send(format!("GET /held/{number} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    upstream.wait_requests(3);
    // The system accepts this connection for the gate. The gate does not, because no other connection is
    // idle.
    let mut waiting = gate.client();
    waiting.send("GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..20 {
        assert_eq!(gate.metric("smolgate_connections_total{listener=\"http\"}"), 3.0);
    }
    assert_eq!(upstream.requests().len(), 3, "a fourth connection is served");
    latches[1].open();
    held[1].read_response().expect(200, "fine");
    waiting.read_response().expect(200, "fine");
    latches[0].open();
    latches[2].open();
    held[0].read_response().expect(200, "fine");
    held[2].read_response().expect(200, "fine");
}

/// The idle timeouts are longer than any wait here.
#[test]
fn silent_connections_make_room() {
    for workers in [1, 2] {
        let upstream = Upstream::says("fine");
        let config = format!("workers: {workers}\n{}", CONFIG.trim_start());
        let gate = TestGate::start(&config, &[("upstream", &upstream)]);
        // On two workers, either may have all silent connections, and either may need room.
        for _ in 0..20 {
            let silent: Vec<Client> = (0..12).map(|_| gate.client()).collect();
            for _ in 0..5 {
                gate.exchange(GET).expect(200, "fine");
            }
            drop(silent);
        }
    }
}

#[test]
fn the_connection_that_has_been_idle_longest_makes_room() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let [mut first, mut second, mut third] = [(); 3].map(|()| gate.client());
    // It sends its request last. By then all others are idle, the first one the longest.
    until("all are accepted", || gate.metric("smolgate_connections_open{listener=\"http\"}") == 3.0);
    let mut fourth = gate.client();
    fourth.exchange(GET).expect(200, "fine");
    assert_eq!(first.read_to_end().0, b"", "the first connection did not make room");
    for client in [&mut second, &mut third, &mut fourth] {
        client.exchange(GET).expect(200, "fine");
    }
}

/// A permit belongs to a connection, and not to a listener that waits for one.
#[test]
fn a_limit_below_the_number_of_addresses_serves_each_of_them() {
    let upstream = Upstream::says("fine");
    let listener = |name: &str| {
        format!(
            "  - {{ name: {name}, bind: \"127.0.0.1:0\", protocol: http, rules: [ {{ target: \"http://{{upstream}}\" }} ] }}\n"
        )
    };
    let names = ["a", "b", "c", "d"];
    let config: String = names.map(listener).concat();
    let config = format!("workers: 2\nmax_connections: 1\nlisteners:\n{config}");
    let gate = TestGate::start(&config, &[("upstream", &upstream)]);
    for _ in 0..5 {
        for name in names {
            gate.client_of(name).exchange(GET).expect(200, "fine");
        }
    }
}

/// Clients without a handshake or a PROXY header are silent as well.
#[test]
fn silent_clients_make_room_before_a_handshake_or_a_proxy_header() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    authority.issue(&dir.path().join("certs"), "one", &["one.test"]);
    let listener = |more: &str| {
        format!(
            "max_connections: 3\nlisteners:\n  - {{ name: http, bind: \"127.0.0.1:0\", protocol: http, {more}, \
             rules: [ {{ respond: {{ body: fine }} }} ] }}\n"
        )
    };
    let tls = listener("tls: { certificates: \"{certs}\", handshake_timeout: 60s }");
    let gate = TestGate::start(&tls, &[("certs", &dir.path().join("certs").display())]);
    let config = Arc::new(authority.client(&[]));
    let silent: Vec<Client> = (0..12).map(|_| gate.client()).collect();
    for _ in 0..5 {
        let client = Tls::connect(gate.address("http"), &config, "one.test").unwrap();
        client.client().exchange("GET / HTTP/1.1\r\nHost: one.test\r\n\r\n").expect(200, "fine");
    }
    drop((silent, gate));

    let gate = TestGate::start(&listener("accept_proxy_protocol: [127.0.0.1/32]"), &[]);
    let _silent: Vec<Client> = (0..12).map(|_| gate.client()).collect();
    let header = "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n";
    gate.exchange(format!("{header}{GET}")).expect(200, "fine");
}

/// A client that has begun a request and stalls makes room like a silent one.
#[test]
fn clients_that_stall_make_room() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    authority.issue(&dir.path().join("certs"), "one", &["one.test"]);
    let hello = authority.hello("one.test");
    let post = "POST / HTTP/1.1\r\nHost: one.test\r\nContent-Length: 100\r\n\r\nx";
    let closing =
        format!("{post}POST / HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\nContent-Length: 9\r\n\r\n");
    // The bytes that each client sends before it stops, and the kind of listener.
    let rows: [(&str, &[u8]); 11] = [
        ("plain", b"G"),
        ("plain", b"\r\n"),
        ("plain", b"GET / HTTP/1.1\r\nHost: one.te"),
        ("plain", post.as_bytes()),
        ("plain", closing.as_bytes()),
        ("tls", &hello[..1]),
        ("tls", &hello[..hello.len() / 2]),
        ("tls", &hello),
        ("header", b"P"),
        ("header", b"PROXY TCP4 192.0.2.1 192.0"),
        ("header", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / H"),
    ];
    let gate = |kind| {
        let more = match kind {
            "tls" => "tls: { certificates: \"{certs}\", handshake_timeout: 60s }",
            "header" => "accept_proxy_protocol: [127.0.0.1/32]",
            _ => "header_timeout: 60s",
        };
        let config = format!(
            "max_connections: 3\nlisteners:\n  - {{ name: http, bind: \"127.0.0.1:0\", protocol: http, {more}, \
             rules: [ {{ respond: {{ body: fine }} }} ] }}\n"
        );
        TestGate::start(&config, &[("certs", &dir.path().join("certs").display())])
    };
    let config = Arc::new(authority.client(&[]));
    let exchange = |kind, gate: &TestGate| match kind {
        "tls" => {
            let client = Tls::connect(gate.address("http"), &config, "one.test").unwrap();
            client.client().exchange("GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
        }
        "header" => gate.exchange(format!("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n{GET}")),
        _ => gate.exchange(GET),
    };
    for (kind, words) in rows {
        let gate = gate(kind);
        let start = |_| {
            let mut client = gate.client();
            client.send(words);
            client
        };
        let stopped: Vec<Client> = (0..12).map(start).collect();
        for _ in 0..5 {
            exchange(kind, &gate).expect(200, "fine");
        }
        drop(stopped);
    }
}

/// The part arrives together with the request, so no event follows that could end the wait for the next request.
#[test]
fn a_part_of_a_tls_record_keeps_no_place() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    authority.issue(dir.path(), "one", &["one.test"]);
    let config =
        CONFIG.replace("protocol: http", "protocol: http\n    tls: { certificates: \"{dir}/one.crt\" }");
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(&config, &[("upstream", &upstream), ("dir", &dir.path().display())]);
    let config = Arc::new(authority.client(&[]));
    let connect = || Tls::connect(gate.address("http"), &config, "one.test").unwrap();
    let stall = |_| {
        let mut tls = connect();
        tls.0.conn.writer().write_all(GET.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        while tls.0.conn.wants_write() {
            tls.0.conn.write_tls(&mut bytes).unwrap();
        }
        bytes.extend(b"\x17\x03\x03");
        tls.0.sock.write_all(&bytes).unwrap();
        let mut client = tls.client();
        client.read_response().expect(200, "fine");
        client
    };
    let stalled: Vec<Client> = (0..3).map(stall).collect();
    for _ in 0..3 {
        connect().client().exchange(GET).expect(200, "fine");
    }
    drop(stalled);
}

/// A client that owes the rest of a body makes room at once. Were it to linger first, all the others would have to
/// go too before there is room.
#[test]
fn only_as_many_clients_make_room_as_places_are_needed() {
    let config = CONFIG.replace("target: \"http://{upstream}\"", "respond: { body: fine }");
    // Two workers may both be asked for room before the first connection has left.
    let gate = TestGate::start(&format!("workers: 1\n{}", config.trim_start()), &[]);
    let mut clients: Vec<Client> = (0..3)
        .map(|_| {
            let mut client = gate.client();
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx");
            client.read_response().expect(200, "fine");
            client
        })
        .collect();
    let mut newcomer = gate.client();
    newcomer.exchange(GET).expect(200, "fine");
    assert!(clients[0].try_read_response("GET").is_err(), "the one that has waited longest makes room");
    for client in &mut clients[1..] {
        client.send("x".repeat(99));
        client.exchange(GET).expect(200, "fine");
    }
}

#[test]
fn slow_clients_do_not_starve_others() {
    let block = "x".repeat(1 << 20);
    let upstream = Upstream::each(move |connection, request| {
        if request.target() == "/big" {
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", block.len() * 64));
            for _ in 0..64 {
                connection.send(&block);
            }
        } else {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
        }
    });
    let config = CONFIG.replace("max_connections: 3", "max_connections: 1000");
    let gate = TestGate::start(&config, &[("upstream", &upstream)]);
    let mut slow = Vec::new();
    for number in 0..120 {
        let mut client = gate.client();
        client.send(match number % 4 {
            // Half a head, half a body, nothing at all, and a response that is never read.
            0 => "GET / HTTP/1.1\r\nHost: a\r\nX-Half",
            1 => "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
            2 => "",
            _ => "GET /big HTTP/1.1\r\nHost: a\r\n\r\n",
        });
        slow.push(client);
    }
    upstream.wait_connections(60);
    let mut quick = gate.client();
    for _ in 0..200 {
        quick.exchange(GET).expect(200, "fine");
    }
    for _ in 0..20 {
        gate.exchange(GET).expect(200, "fine");
    }
    assert_eq!(slow.len(), 120);
}
