//! Limits on the requests and connections at an endpoint, and requests that wait for a place.

mod support;

use std::sync::{Arc, Condvar, Mutex};

use support::client::Client;
use support::gate::TestGate;
use support::upstream::{Connection, Refusing, Upstream};
use support::{DEADLINE, until};

const CONFIG: &str = r#"
workers: {workers}
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: [{ upstream: one }]
upstreams:
  one: { targets: {targets}, {keys} }
"#;

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// Responses that an upstream may send.
#[derive(Clone, Default)]
struct Allowed(Arc<(Mutex<usize>, Condvar)>);

impl Allowed {
    fn add(&self, count: usize) {
        *self.0.0.lock().unwrap() += count;
        self.0.1.notify_all();
    }

    fn take(&self) {
        let allowed = self.0.0.lock().unwrap();
        let (mut allowed, _) = self.0.1.wait_timeout_while(allowed, DEADLINE, |count| *count == 0).unwrap();
        *allowed = allowed.saturating_sub(1);
    }

    /// An upstream that responds to each request once that is allowed.
    fn upstream(&self) -> Upstream {
        let allowed = self.clone();
        Upstream::scripted(move |connection: &mut Connection| {
            while connection.read_request().is_some() {
                allowed.take();
                connection.send(FINE);
            }
        })
    }
}

fn start(workers: usize, upstreams: &[&Upstream], keys: &str) -> TestGate {
    let targets: Vec<String> = upstreams.iter().map(|one| format!("\"http://{one}\"")).collect();
    let targets = format!("[{}]", targets.join(", "));
    TestGate::start(CONFIG, &[("workers", &workers), ("targets", &targets), ("keys", &keys)])
}

fn waits(gate: &TestGate, result: &str) -> f64 {
    gate.metric(&format!("smolgate_upstream_waits_total{{upstream=\"one\",result=\"{result}\"}}"))
}

fn until_waiting(gate: &TestGate, count: usize) {
    let waiting = || gate.metric("smolgate_upstream_waiting{upstream=\"one\"}");
    until(&format!("{count} requests wait"), || waiting() == count as f64);
}

/// A client that has sent a request for this path.
fn client(gate: &TestGate, path: &str) -> Client {
    let mut client = gate.client();
    client.send(get(path));
    client
}

fn paths(upstream: &Upstream) -> Vec<String> {
    upstream.requests().iter().map(|request| request.target().to_owned()).collect()
}

#[test]
fn an_endpoint_gets_no_more_requests_than_it_may_have_from_all_workers_together() {
    let allowed = Allowed::default();
    let upstream = allowed.upstream();
    let gate = start(2, &[&upstream], "max_requests: 3");
    let mut first: Vec<Client> = (0..3).map(|_| client(&gate, "/first")).collect();
    upstream.wait_requests(3);
    for _ in 0..6 {
        let response = gate.exchange(get("/more"));
        response.expect_own(503, "target_busy");
        assert!(response.get("retry-after").is_some());
    }
    allowed.add(3);
    first.iter_mut().for_each(|client| client.read_response().expect(200, "fine"));
    assert_eq!(paths(&upstream), ["/first"; 3]);
    allowed.add(1);
    gate.exchange(get("/later")).expect(200, "fine");
}

#[test]
fn requests_wait_in_order_and_only_so_many() {
    let allowed = Allowed::default();
    let upstream = allowed.upstream();
    let gate = start(2, &[&upstream], "max_requests: 1, queue: { max: 4, timeout: 1h }");
    let mut clients = vec![client(&gate, "/0")];
    upstream.wait_requests(1);
    for number in 1..=4 {
        clients.push(client(&gate, &format!("/{number}")));
        until_waiting(&gate, number);
    }
    gate.exchange(get("/5")).expect_own(503, "target_busy");
    for (number, client) in clients.iter_mut().enumerate() {
        upstream.wait_requests(number + 1);
        allowed.add(1);
        client.read_response().expect(200, "fine");
    }
    assert_eq!(paths(&upstream), ["/0", "/1", "/2", "/3", "/4"]);
    until_waiting(&gate, 0);
    assert_eq!((waits(&gate, "served"), waits(&gate, "full")), (4.0, 1.0));
}

#[test]
fn a_request_that_waits_too_long_is_refused() {
    let allowed = Allowed::default();
    let upstream = allowed.upstream();
    let gate = start(1, &[&upstream], "max_requests: 1, queue: { max: 4, timeout: 300ms }");
    let mut first = client(&gate, "/first");
    upstream.wait_requests(1);
    gate.exchange("POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        .expect_own(503, "target_busy");
    assert_eq!(waits(&gate, "timeout"), 1.0);
    allowed.add(1);
    first.read_response().expect(200, "fine");
    assert_eq!(paths(&upstream), ["/first"]);
}

#[test]
fn a_client_that_leaves_makes_room_in_the_queue() {
    let allowed = Allowed::default();
    let upstream = allowed.upstream();
    let gate = start(1, &[&upstream], "max_requests: 1, queue: { max: 2, timeout: 1h }");
    let mut first = client(&gate, "/first");
    upstream.wait_requests(1);
    let leaving = client(&gate, "/leaving");
    until_waiting(&gate, 1);
    let mut staying = client(&gate, "/staying");
    until_waiting(&gate, 2);
    leaving.reset();
    until_waiting(&gate, 1);
    allowed.add(2);
    first.read_response().expect(200, "fine");
    staying.read_response().expect(200, "fine");
    assert_eq!(paths(&upstream), ["/first", "/staying"]);
    assert_eq!(waits(&gate, "gone"), 1.0);
}

#[test]
fn an_endpoint_with_room_is_preferred_and_one_that_refuses_leaves_the_queue_alone() {
    let allowed = Allowed::default();
    let (one, other, refusing) = (allowed.upstream(), allowed.upstream(), Refusing::new());
    let gate = start(1, &[&one, &other], "max_requests: 2");
    let mut clients: Vec<Client> = (0..4).map(|_| client(&gate, "/")).collect();
    one.wait_requests(2);
    other.wait_requests(2);
    gate.exchange(get("/")).expect_own(503, "target_busy");
    allowed.add(4);
    clients.iter_mut().for_each(|client| client.read_response().expect(200, "fine"));

    // A request that found the first endpoint dead waits for the second.
    let targets = format!("[\"http://{one}\", \"http://{refusing}\"]");
    let keys = "max_requests: 1, queue: { max: 2 }, eject: false";
    gate.edit(CONFIG, &[("workers", &1), ("targets", &targets), ("keys", &keys)]);
    gate.reload().unwrap();
    let mut clients = vec![client(&gate, "/a")];
    one.wait_requests(3);
    clients.push(client(&gate, "/b"));
    until_waiting(&gate, 1);
    allowed.add(2);
    clients.iter_mut().for_each(|client| client.read_response().expect(200, "fine"));
    assert_eq!(paths(&one)[2..], ["/a", "/b"]);
}

#[test]
fn a_reload_with_a_higher_limit_lets_those_that_wait_go_on() {
    let allowed = Allowed::default();
    let upstream = allowed.upstream();
    let gate = start(1, &[&upstream], "max_requests: 1, queue: { max: 9, timeout: 1h }");
    let mut clients: Vec<Client> = vec![client(&gate, "/first")];
    upstream.wait_requests(1);
    clients.extend((0..3).map(|_| client(&gate, "/waits")));
    until_waiting(&gate, 3);
    let targets = format!("[\"http://{upstream}\"]");
    let names = |keys: &'static str| -> [(&str, Box<dyn std::fmt::Display>); 3] {
        [("workers", Box::new(1)), ("targets", Box::new(targets.clone())), ("keys", Box::new(keys))]
    };
    let edit = |keys: &'static str| {
        let names = names(keys);
        let names: Vec<_> = names.iter().map(|(name, value)| (*name, &**value)).collect();
        gate.edit(CONFIG, &names);
        gate.reload().unwrap();
    };
    edit("max_requests: 3, queue: { max: 9, timeout: 1h }");
    upstream.wait_requests(3);
    until_waiting(&gate, 1);
    // A request of the new generation waits in a line of its own, and the limit is one for both.
    clients.push(client(&gate, "/new"));
    until_waiting(&gate, 2);
    assert_eq!(upstream.requests().len(), 3);
    // Without a limit no request waits.
    edit("tries: 3");
    upstream.wait_requests(5);
    allowed.add(5);
    clients.iter_mut().for_each(|client| client.read_response().expect(200, "fine"));
}

/// A limit that is not reached changes nothing: requests go in turn, and so do those without the key of a hash.
#[test]
fn requests_go_in_turn_below_the_limit() {
    for keys in [
        "max_requests: 5",
        "max_connections: 5",
        "balance: { hash: header.X }",
        "balance: strict_round_robin",
    ] {
        let upstreams = ["a", "b"].map(Upstream::says);
        let gate = start(1, &upstreams.each_ref(), keys);
        let mut client = gate.client();
        (0..8).for_each(|_| assert_eq!(client.exchange(get("/")).status(), 200));
        assert_eq!(upstreams.each_ref().map(|upstream| upstream.requests().len()), [4, 4], "{keys}");
    }
}

#[test]
fn an_endpoint_that_is_ready_again_takes_those_that_wait() {
    let allowed = Allowed::default();
    let (one, other) = (allowed.upstream(), allowed.upstream());
    let gate = start(1, &[&one, &other], "max_requests: 1, queue: { max: 9, timeout: 1h }");
    let order = |verb: &str| {
        let response = gate.internal("POST", &format!("/{verb}?which=one/{other}"));
        assert_eq!(response.status(), 200, "{response:?}");
    };
    order("drain");
    let mut clients = vec![client(&gate, "/first")];
    one.wait_requests(1);
    clients.push(client(&gate, "/waits"));
    until_waiting(&gate, 1);
    order("ready");
    other.wait_requests(1);
    allowed.add(2);
    clients.iter_mut().for_each(|client| client.read_response().expect(200, "fine"));
}

#[test]
fn a_tunnel_counts_as_long_as_it_lives() {
    const ASK: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n";
    let upstream = Upstream::scripted(|connection| {
        while let Some(request) = connection.read_request() {
            let upgrades = request.head.get("upgrade").is_some();
            connection.send(if upgrades { SWITCH } else { FINE });
            if upgrades {
                connection.read_to_end();
                return;
            }
        }
    });
    let gate = start(1, &[&upstream], "max_requests: 1, queue: { max: 9, timeout: 1h }");
    let mut tunnel = gate.client();
    tunnel.send(ASK);
    assert_eq!(tunnel.read_head().start, "HTTP/1.1 101 Switching Protocols");
    let mut waits = client(&gate, "/waits");
    until_waiting(&gate, 1);
    drop(tunnel);
    waits.read_response().expect(200, "fine");
}

#[test]
fn connections_of_a_tcp_listener_wait_too() {
    const TCP: &str = r#"
listeners: [{ name: tcp, bind: "127.0.0.1:0", protocol: tcp, upstream: one }]
upstreams:
  one: { targets: "{upstream}", max_requests: 1, queue: { max: 1, timeout: 1h } }
"#;
    let upstream = Upstream::answers(FINE);
    let gate = TestGate::start(TCP, &[("upstream", &upstream)]);
    let mut first = gate.client_of("tcp");
    first.exchange(get("/first")).expect(200, "fine");
    let mut second = gate.client_of("tcp");
    second.send(get("/second"));
    until_waiting(&gate, 1);
    gate.client_of("tcp").expect_close();
    assert_eq!(paths(&upstream), ["/first"]);
    drop(first);
    second.read_response().expect(200, "fine");
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn connections_have_a_limit_over_all_workers_and_idle_ones_make_room() {
    let upstream = Upstream::answers(FINE);
    let keys = "max_connections: 1, idle_timeout: 1h, queue: { max: 9, timeout: 1h }";
    let gate = start(2, &[&upstream], keys);
    // Connections of clients are spread over both workers, and one of the workers has the idle connection.
    let mut clients: Vec<Client> = (0..8).map(|_| gate.client()).collect();
    for turn in 0..32 {
        clients[turn % 8].exchange(get("/")).expect(200, "fine");
        until("at most one connection is open", || upstream.connections() <= upstream.ended() + 1);
    }
    assert_eq!(upstream.requests().len(), 32);
}

#[test]
fn a_request_waits_for_a_connection_and_is_refused_without_a_queue() {
    let allowed = Allowed::default();
    let upstream = allowed.upstream();
    let gate = start(1, &[&upstream], "max_connections: 1");
    let mut first = client(&gate, "/first");
    upstream.wait_requests(1);
    gate.exchange(get("/second")).expect_own(503, "target_busy");
    allowed.add(2);
    first.read_response().expect(200, "fine");
    gate.exchange(get("/third")).expect(200, "fine");
    assert_eq!((paths(&upstream), upstream.connections()), (vec!["/first".into(), "/third".into()], 1));
}

#[test]
fn so_many_idle_connections_are_kept() {
    for (keys, kept) in [("max_idle: 0", 0), ("max_idle: 2", 2)] {
        let allowed = Allowed::default();
        let upstream = allowed.upstream();
        let gate = start(1, &[&upstream], &format!("idle_timeout: 1h, {keys}"));
        let mut clients: Vec<Client> = (0..4).map(|_| client(&gate, "/")).collect();
        upstream.wait_requests(4);
        allowed.add(4);
        clients.iter_mut().for_each(|client| client.read_response().expect(200, "fine"));
        until("the others are closed", || upstream.ended() == 4 - kept);
        allowed.add(1);
        gate.exchange(get("/")).expect(200, "fine");
        assert_eq!(upstream.connections(), if kept > 0 { 4 } else { 5 }, "{keys}");
    }
}
