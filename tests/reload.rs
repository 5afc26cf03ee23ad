//! Reloads: what changes from the next request on, what stays as it was, and what changes nothing.

mod support;

use std::io;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use smolgate::worker::SMALL_BUFFER_BYTES;
use support::Latch;
use support::client::Client;
use support::gate::TestGate;
use support::upstream::Upstream;

const BEFORE: &str = r#"
shutdown_timeout: "20s"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - path_prefix: "/live"
        target: "http://{live}"
      - path_prefix: "/version"
        respond: { status: 200, body: "before" }
  - name: raw
    bind: "127.0.0.1:0"
    protocol: tcp
    target: "{live}"
"#;

/// An upstream that echoes in tunnels and responds `alive` to requests.
fn live() -> Upstream {
    Upstream::scripted(|connection| {
        // A TCP tunnel of these tests begins with an exclamation mark.
        if connection.peek() == Some(b'!') {
            while let Some(bytes) = connection.read_some() {
                connection.send(bytes);
            }
            return;
        }
        while let Some(request) = connection.read_request() {
            if request.head.get("upgrade").is_some() {
                connection.send(SWITCH);
                while let Some(bytes) = connection.read_some() {
                    connection.send(bytes);
                }
                return;
            }
            connection.send(ALIVE);
        }
    })
}

fn start(live: &Upstream) -> TestGate {
    TestGate::start(BEFORE, &[("live", live)])
}

/// Loads another configuration.
#[track_caller]
fn reload(gate: &TestGate, live: &Upstream, yaml: &str) {
    gate.edit(yaml, &[("live", live)]);
    gate.reload().expect("the reload is fine");
}

/// An upstream that answers `alive` when it may, with a request that waits for it.
fn held(hold: &Latch) -> (Upstream, TestGate, Client) {
    let held = hold.clone();
    let upstream = Upstream::each(move |connection, _| {
        held.wait();
        connection.send(ALIVE);
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send(LIVE);
    upstream.wait_requests(1);
    (upstream, gate, client)
}

const ALIVE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalive";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
const VERSION: &str = "GET /version HTTP/1.1\r\nHost: a\r\n\r\n";
const LIVE: &str = "GET /live HTTP/1.1\r\nHost: a\r\n\r\n";
const UPGRADE: &str = "GET /live HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

#[track_caller]
fn echoes(client: &mut Client, bytes: &[u8]) {
    client.send(bytes);
    assert_eq!(client.read_exact(bytes.len()), bytes);
}

#[test]
fn new_rules_hold_from_the_next_request_on_the_same_connection() {
    let upstream = live();
    let gate = start(&upstream);
    let address = gate.address("http");
    let mut client = gate.client();
    client.exchange(VERSION).expect(200, "before");
    gate.edit(&BEFORE.replace("before", "after"), &[("live", &upstream)]);
    client.exchange(VERSION).expect(200, "before");
    let said = gate.reload().expect("the reload is fine");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    client.exchange(VERSION).expect(200, "after");
    gate.exchange(VERSION).expect(200, "after");
    assert_eq!(gate.address("http"), address, "the listener keeps its socket");
}

#[test]
fn a_reload_names_the_changed_rules() {
    const RULES: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { name: stays, path_prefix: "/stays", respond: { body: same } }
      - { name: edited, path_prefix: "/edited", respond: { body: before } }
      - { name: gone, path_prefix: "/gone", respond: { body: gone } }
"#;
    let gate = TestGate::start(RULES, &[]);
    let edited = RULES.replace("before", "after").replace("gone", "new");
    gate.edit(&edited, &[]);
    let said = gate.reload().unwrap();
    let expected = "listener http: 1 rule (edited) changed; 1 rule (new) added; 1 rule (gone) removed (";
    assert!(said.contains(expected), "{said}");
    let many: String = (0..7)
        .map(|number| {
            format!("      - {{ name: n{number}, path_prefix: /n{number}, respond: {{ body: n }} }}\n")
        })
        .collect();
    gate.edit(&format!("{}\n{many}", edited.trim_end()), &[]);
    let said = gate.reload().unwrap();
    assert!(said.contains("listener http: 7 rules (n0, n1, n2, n3, n4, and 2 more) added ("), "{said}");
}

#[test]
fn a_reload_names_the_changed_address() {
    const LISTENER: &str = "listeners: [{ name: http, bind: \"127.0.0.1:0\", rules: [{ respond: {} }] }]\n";
    let gate = TestGate::start(LISTENER, &[]);
    gate.edit(&LISTENER.replace("127.0.0.1:0", "127.0.0.2:0"), &[]);
    let said = gate.reload().unwrap();
    assert!(said.contains(": listener http: address changed ("), "{said}");
}

#[test]
fn a_reload_names_the_changed_upstreams() {
    const ROUTES: &str = r#"
listeners:
  - { name: http, bind: "127.0.0.1:0", rules: [{ name: a, upstream: api }, { name: b, target: "http://localhost:1" }] }
upstreams:
  api: { targets: "http://localhost:2" }
  old: { targets: "http://localhost:3" }
"#;
    let gate = TestGate::start(ROUTES, &[]);
    gate.edit(&ROUTES.replace("localhost:2", "localhost:4").replace("old:", "new:"), &[]);
    let said = gate.reload().unwrap();
    let expected = ": listener http: 1 rule (a) changed, upstreams: 1 upstream (api) changed; 1 upstream (new) added; 1 upstream (old) removed (";
    assert!(said.contains(expected), "{said}");
    assert!(gate.reload().unwrap().contains(": nothing changed ("));
}

/// A read that fills its whole buffer does not show whether more bytes follow. The wait for the next request must
/// still begin with the new rules.
#[test]
fn new_rules_hold_after_a_request_that_filled_its_buffer() {
    let upstream = live();
    let gate = start(&upstream);
    let mut client = gate.client();
    let field = VERSION.replace("\r\n\r\n", "\r\nX: \r\n\r\n");
    let padding = "v".repeat(SMALL_BUFFER_BYTES - field.len());
    client.exchange(field.replace("X: ", &format!("X: {padding}"))).expect(200, "before");
    gate.edit(&BEFORE.replace("before", "after"), &[("live", &upstream)]);
    gate.reload().expect("the reload is fine");
    client.exchange(VERSION).expect(200, "after");
}

#[test]
fn get_and_post_reload_over_the_internal_api() {
    let upstream = live();
    let gate = start(&upstream);
    for (method, word) in [("POST", "second"), ("GET", "third")] {
        gate.edit(&BEFORE.replace("before", word), &[("live", &upstream)]);
        let response = gate.internal(method, "/reload");
        assert_eq!(response.status(), 200, "{response:?}");
        assert_eq!(response.text().trim_end().lines().count(), 1, "{}", response.text());
        gate.exchange(VERSION).expect(200, word);
    }
}

#[test]
fn tunnels_whose_rule_is_unchanged_live_on() {
    let upstream = live();
    let gate = start(&upstream);
    let mut socket = gate.client();
    assert_eq!(socket.exchange(UPGRADE).status(), 101);
    let mut raw = gate.client_of("raw");
    echoes(&mut raw, b"!");
    for round in 0..5 {
        reload(&gate, &upstream, &BEFORE.replace("before", &format!("round {round}")));
        gate.exchange(VERSION).expect(200, format!("round {round}"));
        echoes(&mut socket, b"still here");
        echoes(&mut raw, b"here too");
    }
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn a_tunnel_that_begins_after_its_rule_is_removed_ends_as_well() {
    let (asked, answer) = (Latch::new(), Latch::new());
    let (asks, answers) = (asked.clone(), answer.clone());
    let upstream = Upstream::scripted(move |connection| {
        connection.read_request();
        asks.open();
        answers.wait();
        connection.send(SWITCH);
        connection.hang();
    });
    let before = BEFORE.replace("20s", "0");
    let gate = TestGate::start(&before, &[("live", &upstream)]);
    let mut socket = gate.client();
    socket.send(UPGRADE);
    asked.wait();
    reload(&gate, &upstream, &before.replace("/live", "/elsewhere"));
    answer.open();
    assert_eq!(socket.read_response().status(), 101);
    socket.expect_close();
    assert_eq!(gate.metric("smolgate_local_replies_total{reason=\"shutting_down\"}"), 1.0);
}

#[test]
fn a_tunnel_whose_rule_comes_back_in_time_lives_on() {
    let upstream = live();
    let before = BEFORE.replace("20s", "3s");
    let gate = TestGate::start(&before, &[("live", &upstream)]);
    let (mut stays, mut raw) = (gate.client(), gate.client_of("raw"));
    assert_eq!(stays.exchange(UPGRADE).status(), 101);
    echoes(&mut raw, b"!");
    let elsewhere = before.replace("target: \"{live}\"", "target: \"127.0.0.1:1\"");
    for text in [elsewhere.replace("/live", "/elsewhere"), elsewhere] {
        reload(&gate, &upstream, &text);
    }
    raw.expect_close();
    echoes(&mut stays, b"still here");
}

#[test]
fn an_exchange_in_flight_keeps_its_rules() {
    let hold = Latch::new();
    let held = hold.clone();
    let upstream = Upstream::each(move |connection, _| {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
        held.wait();
        connection.send("half");
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send(LIVE);
    upstream.wait_requests(1);
    reload(&gate, &upstream, &BEFORE.replace("target: \"http://{live}\"", "respond: { status: 410 }"));
    hold.open();
    client.read_response().expect(200, "halfhalf");
    // The next request on this connection uses the new rules.
    assert_eq!(client.exchange(LIVE).status(), 410);
}

#[test]
fn idle_upstream_connections_survive_a_reload() {
    let upstream = live();
    let gate = start(&upstream);
    let mut client = gate.client();
    client.exchange(LIVE).expect(200, "alive");
    reload(&gate, &upstream, &BEFORE.replace("before", "after"));
    client.exchange(LIVE).expect(200, "alive");
    client.exchange(VERSION).expect(200, "after");
}

#[test]
fn an_invalid_configuration_changes_nothing() {
    let upstream = live();
    let gate = start(&upstream);
    let mut client = gate.client();
    client.exchange(VERSION).expect(200, "before");
    for broken in [
        BEFORE.replace("path_prefix", "path_prefx"),
        BEFORE.replace("status: 200", "status: 9000"),
        "listeners: [".to_owned(),
    ] {
        gate.edit(&broken, &[("live", &upstream)]);
        let response = gate.internal("POST", "/reload");
        assert_eq!(response.status(), 422, "{broken}: {response:?}");
        assert!(response.text().contains("smolgate.yml"), "no position: {}", response.text());
        client.exchange(VERSION).expect(200, "before");
    }
    gate.edit(&BEFORE.replace("path_prefix", "path_prefx"), &[("live", &upstream)]);
    let error = gate.reload().expect_err("the configuration is invalid");
    assert!(error.contains("path_prefx") && error.contains("path_prefix"), "the whole diagnostic: {error}");
    // After the file was mended, the next reload works.
    reload(&gate, &upstream, &BEFORE.replace("before", "mended"));
    client.exchange(VERSION).expect(200, "mended");
}

#[test]
fn listeners_come_and_go() {
    let upstream = live();
    let gate = start(&upstream);
    let more = format!(
        "{BEFORE}  - name: extra\n    bind: \"127.0.0.1:0\"\n    protocol: http\n    rules:\n      - respond: {{ status: 200, body: \"extra\" }}\n"
    );
    reload(&gate, &upstream, &more);
    let extra = gate.address("extra");
    let mut kept = Client::connect(extra);
    kept.exchange(VERSION).expect(200, "extra");
    gate.exchange(VERSION).expect(200, "before");

    reload(&gate, &upstream, BEFORE);
    assert_eq!(gate.find_address("extra"), None);
    support::until("the removed listener refuses", || std::net::TcpStream::connect(extra).is_err());
    // An idle connection of a removed listener is closed at once.
    kept.expect_close();
    gate.exchange(VERSION).expect(200, "before");
}

#[test]
fn a_removed_listener_drains_its_exchange() {
    let hold = Latch::new();
    let (upstream, gate, mut client) = held(&hold);
    let without = BEFORE.replace("- name: http\n    bind", "- name: renamed\n    bind");
    reload(&gate, &upstream, &without);
    hold.open();
    let response = client.read_response();
    response.expect(200, "alive");
    client.expect_close();
    gate.client_of("renamed").exchange(VERSION).expect(200, "before");
}

#[test]
fn an_exchange_that_outlives_a_removed_listener_is_ended_and_counted() {
    let hold = Latch::new();
    let held = hold.clone();
    let upstream = Upstream::each(move |_, _| held.wait());
    let impatient = BEFORE.replace("20s", "0s");
    let gate = TestGate::start(&impatient, &[("live", &upstream)]);
    let mut client = gate.client();
    client.send(LIVE);
    upstream.wait_requests(1);
    let without = impatient.replace("- name: http\n    bind", "- name: renamed\n    bind");
    reload(&gate, &upstream, &without);
    client.expect_close();
    support::until("the end is counted", || {
        gate.metric("smolgate_local_replies_total{reason=\"shutting_down\"}") == 1.0
    });
    hold.open();
}

#[test]
fn a_bind_that_fails_refuses_the_whole_reload() {
    let upstream = live();
    let gate = start(&upstream);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let conflict = format!(
        "{}  - name: extra\n    bind: \"{}\"\n    protocol: http\n    rules:\n      - respond: {{ status: 200 }}\n",
        BEFORE.replace("before", "after"),
        taken.local_addr().unwrap()
    );
    gate.edit(&conflict, &[("live", &upstream)]);
    let error = gate.reload().expect_err("the port is taken");
    assert!(error.contains(&taken.local_addr().unwrap().port().to_string()), "{error}");
    gate.exchange(VERSION).expect(200, "before");
    assert_eq!(gate.find_address("extra"), None);
    drop(taken);
    gate.reload().expect("the port is free now");
    gate.exchange(VERSION).expect(200, "after");
}

#[test]
fn a_restart_uses_the_new_rules_too() {
    let upstream = live();
    let gate = start(&upstream);
    gate.exchange(VERSION).expect(200, "before");
    gate.edit(&BEFORE.replace("before", "after"), &[("live", &upstream)]);
    gate.restart().expect("the restart is fine");
    gate.exchange(VERSION).expect(200, "after");
    let response = gate.internal("POST", "/reload?restart=true");
    assert_eq!(response.status(), 200, "{response:?}");
    gate.exchange(VERSION).expect(200, "after");
}

/// A restart does not wait for open exchanges and refuses no connection. A port that the system chose stays.
#[test]
fn a_restart_serves_new_connections_while_exchanges_in_flight_end() {
    let hold = Latch::new();
    let (upstream, gate, mut busy) = held(&hold);
    let address = gate.address("http");
    gate.edit(&BEFORE.replace("before", "after"), &[("live", &upstream)]);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let knocking = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                std::net::TcpStream::connect(address).expect("no connection is refused");
            }
        });
        gate.restart().expect("the restart is fine");
        Client::connect(address).exchange(VERSION).expect(200, "after");
        done.store(true, Ordering::Relaxed);
        knocking.join().unwrap();
    });
    assert_eq!(gate.address("http"), address);
    hold.open();
    busy.read_response().expect(200, "alive");
    busy.expect_close();
    // The old workers have ended, or end now.
    gate.restart().expect("the restart is fine");
    gate.exchange(VERSION).expect(200, "after");
}

#[test]
fn a_restart_that_is_refused_changes_nothing() {
    let upstream = live();
    let gate = start(&upstream);
    let mut kept = gate.client();
    kept.exchange(VERSION).expect(200, "before");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let changed = BEFORE.replace("before", "after").replacen("127.0.0.1:0", "{taken}", 1);
    gate.edit(&changed, &[("live", &upstream), ("taken", &taken.local_addr().unwrap())]);
    gate.restart().expect_err("the port is taken");
    kept.exchange(VERSION).expect(200, "before");
    gate.exchange(VERSION).expect(200, "before");
}

#[test]
fn a_reload_that_is_refused_leaves_nothing_behind() {
    let upstream = live();
    let gate = start(&upstream);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = gate.dir().join("internal.sock");
    let changed = BEFORE.replacen("127.0.0.1:0", "{taken}", 1);
    let changed = format!("internal_api: {{ bind: \"unix:{{socket}}\" }}\n{changed}");
    gate.edit(
        &changed,
        &[("live", &upstream), ("taken", &taken.local_addr().unwrap()), ("socket", &socket.display())],
    );
    gate.reload().expect_err("the port is taken");
    assert!(!socket.exists(), "the socket of the refused internal API is still there");
    drop(taken);
    gate.reload().expect("the port is free now");
    assert!(socket.exists());
}

/// A gate on a port of this address that was free a moment ago.
fn on_a_free_port(yaml: &str, live: &Upstream) -> (TestGate, u16) {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        match TestGate::try_start(yaml, &[("live", live), ("port", &port)]) {
            Ok(gate) => return (gate, port),
            // Another test took the port.
            Err(error) => assert!(error.contains("cannot listen"), "{error}"),
        }
    }
}

/// Ends the threads of a test, also when it fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn an_address_can_be_widened_and_narrowed() {
    let upstream = live();
    let on = |address: &str| BEFORE.replacen("127.0.0.1:0", &format!("{address}:{{port}}"), 1);
    let (gate, port) = on_a_free_port(&on("127.0.0.1"), &upstream);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _ends = Ends(&done);
        let knocking = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let connected = std::net::TcpStream::connect(("127.0.0.1", port));
                // Only Linux can close a listening socket without a reset while clients connect.
                let reset =
                    |error: &io::Error| cfg!(portable) && error.kind() == io::ErrorKind::ConnectionReset;
                assert!(connected.is_ok() || connected.as_ref().is_err_and(reset), "{connected:?}");
            }
        });
        for (address, word) in [("", "wide"), ("127.0.0.1", "narrow"), ("0.0.0.0", "IPv4"), ("", "wide")] {
            gate.edit(&on(address).replace("before", word), &[("live", &upstream), ("port", &port)]);
            gate.reload().unwrap_or_else(|error| panic!("{address}: {error}"));
            // The narrower socket may be the one that is removed. It accepts connections until then.
            support::until("the new rules are met", || {
                let mut client = Client::connect(([127, 0, 0, 1], port).into());
                let answer = client.try_send(VERSION).then(|| client.try_read_response("GET").ok()).flatten();
                assert!(answer.is_some() || cfg!(portable), "a connection was reset");
                answer.is_some_and(|answer| answer.text() == word)
            });
        }
        done.store(true, Ordering::Relaxed);
        knocking.join().unwrap();
    });
}

#[test]
fn no_connection_is_refused_or_reset_while_reloads_go_on() {
    let upstream = live();
    let gate = start(&upstream);
    let done = AtomicBool::new(false);
    let address = gate.address("http");
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|number| {
                let done = &done;
                scope.spawn(move || {
                    let mut kept = Client::connect(address);
                    let mut count = 0;
                    while !done.load(Ordering::Relaxed) {
                        let request = if number % 2 == 0 { VERSION } else { LIVE };
                        assert_eq!(kept.exchange(request).status(), 200);
                        assert_eq!(Client::connect(address).exchange(request).status(), 200);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for round in 0..30 {
            reload(&gate, &upstream, &BEFORE.replace("before", &format!("round {round}")));
        }
        done.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().expect("every exchange went well") > 0);
        }
    });
}

#[test]
fn stopping_drains_exchanges_in_flight() {
    let hold = Latch::new();
    let (_upstream, gate, mut busy) = held(&hold);
    let address = gate.address("http");
    let mut idle = gate.client();
    idle.exchange(VERSION).expect(200, "before");
    let stopping = thread::spawn(move || gate.stop());
    idle.expect_close();
    support::until("the listener refuses", || std::net::TcpStream::connect(address).is_err());
    hold.open();
    busy.read_response().expect(200, "alive");
    busy.expect_close();
    stopping.join().expect("the gate stops");
}

#[test]
fn the_shutdown_timeout_of_a_listener_holds_at_a_stop() {
    let hold = Latch::new();
    let held = hold.clone();
    let upstream = Upstream::each(move |connection, _| {
        held.wait();
        connection.send(ALIVE);
    });
    // The global timeout is an hour, so the gate ends only by the listener's own.
    let own = BEFORE
        .replace("20s", "1h")
        .replace("protocol: http\n", "protocol: http\n    shutdown_timeout: 20s\n");
    let own = own.replace("protocol: tcp\n", "protocol: tcp\n    shutdown_timeout: 0\n");
    let gate = TestGate::start(&own, &[("live", &upstream)]);
    let mut patient = gate.client();
    patient.send(LIVE);
    let mut raw = gate.client_of("raw");
    raw.send(b"!");
    upstream.wait_requests(1);
    support::until("the tunnel has begun", || gate.metric("smolgate_tunnels_open{listener=\"raw\"}") == 1.0);
    let stopping = thread::spawn(move || gate.stop());
    raw.expect_close();
    hold.open();
    patient.read_response().expect(200, "alive");
    stopping.join().expect("the gate stops");
}
