//! Limits on what many clients together may take: connections, and each other's time.

mod support;

use support::client::Client;
use support::gate::TestGate;
use support::upstream::Upstream;

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
fn connections_beyond_the_limit_wait_for_their_turn() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let mut held: Vec<Client> = (0..3).map(|_| gate.client()).collect();
    for client in &mut held {
        client.exchange(GET).expect(200, "fine");
    }
    // The system accepts it for the gate; nobody serves it yet.
    let mut waiting = gate.client();
    waiting.send("GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..20 {
        for client in &mut held {
            client.exchange(GET).expect(200, "fine");
        }
    }
    let served =
        |upstream: &Upstream| upstream.requests().iter().any(|request| request.target() == "/waiting");
    assert!(!served(&upstream), "a fourth connection is served");
    drop(held.pop());
    waiting.read_response().expect(200, "fine");
    for client in &mut held {
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
            // Half a head, half a body, nothing at all, and an answer that is never read.
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
