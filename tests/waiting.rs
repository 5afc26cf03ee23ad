//! Requests that wait, for a place or for an endpoint that works: after a reload, over workers, and as they are counted.

mod support;

use std::sync::{Arc, Condvar, Mutex};

use support::client::Client;
use support::gate::TestGate;
use support::upstream::{Blackhole, Connection, Refusing, Upstream};
use support::{DEADLINE, until};

const CONFIG: &str = r#"
workers: 2
listeners:
  - { name: http, bind: "127.0.0.1:0", client_gone: {gone}, rules: [{ upstream: one }] }
upstreams:
  one: { targets: [{targets}], {keys} }
"#;

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";

/// Responses that upstreams may send, and the paths of the requests that they have got.
#[derive(Clone, Default)]
struct Allowed(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    responses: usize,
    paths: Vec<String>,
}

impl Allowed {
    fn add(&self, count: usize) {
        self.0.0.lock().unwrap().responses += count;
        self.0.1.notify_all();
    }

    fn paths(&self) -> Vec<String> {
        self.0.0.lock().unwrap().paths.clone()
    }

    fn upstream(&self) -> Upstream {
        let allowed = self.clone();
        Upstream::scripted(move |connection: &mut Connection| {
            while let Some(request) = connection.read_request() {
                let (state, changed) = &*allowed.0;
                state.lock().unwrap().paths.push(request.target().to_owned());
                let waiting = state.lock().unwrap();
                let mut state =
                    changed.wait_timeout_while(waiting, DEADLINE, |state| state.responses == 0).unwrap().0;
                state.responses = state.responses.saturating_sub(1);
                drop(state);
                connection.send(FINE);
            }
        })
    }
}

fn quoted(targets: &[&dyn std::fmt::Display]) -> String {
    targets.iter().map(|target| format!("\"http://{target}\"")).collect::<Vec<_>>().join(", ")
}

fn start(targets: &[&dyn std::fmt::Display], keys: &str) -> TestGate {
    TestGate::start(CONFIG, &[("targets", &quoted(targets)), ("keys", &keys), ("gone", &"reset")])
}

fn reload(gate: &TestGate, targets: &[&dyn std::fmt::Display], keys: &str) {
    gate.edit(CONFIG, &[("targets", &quoted(targets)), ("keys", &keys), ("gone", &"reset")]);
    gate.reload().unwrap();
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn client(gate: &TestGate, path: &str) -> Client {
    let mut client = gate.client();
    client.send(get(path));
    client
}

fn until_waiting(gate: &TestGate, count: usize) {
    let waiting = || gate.metric("smolgate_upstream_waiting{upstream=\"one\"}");
    until(&format!("{count} requests wait"), || waiting() == count as f64);
}

fn waits(gate: &TestGate, result: &str) -> f64 {
    gate.metric(&format!("smolgate_upstream_waits_total{{upstream=\"one\",result=\"{result}\"}}"))
}

/// Sums a metric over its other labels.
fn sum(gate: &TestGate, name: &str) -> f64 {
    let text = gate.metrics();
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

const QUEUE: &str = "max_requests: 1, queue: { max: 50, timeout: 1h }";

#[test]
fn requests_in_the_queue_get_a_target_that_a_reload_adds_before_later_ones() {
    let (at_a, at_b) = (Allowed::default(), Allowed::default());
    let (a, b) = (at_a.upstream(), at_b.upstream());
    let gate = start(&[&a], QUEUE);
    let mut clients = vec![client(&gate, "/0")];
    a.wait_requests(1);
    for number in 1..=3 {
        clients.push(client(&gate, &format!("/{number}")));
        until_waiting(&gate, number);
    }
    reload(&gate, &[&a, &b], QUEUE);
    b.wait_requests(1);
    clients.push(client(&gate, "/4"));
    until_waiting(&gate, 3);
    at_b.add(4);
    clients[1..].iter_mut().for_each(|client| client.read_response().expect(200, "fine"));
    assert_eq!(at_b.paths(), ["/1", "/2", "/3", "/4"]);
    at_a.add(1);
    clients[0].read_response().expect(200, "fine");
    assert_eq!(at_a.paths(), ["/0"]);
}

#[test]
fn requests_in_the_queue_do_not_go_to_a_target_that_a_reload_took_out() {
    for keys in [QUEUE, "balance: { hash: path }"] {
        let (at_a, at_b) = (Allowed::default(), Allowed::default());
        let (a, b) = (at_a.upstream(), at_b.upstream());
        let gate = start(&[&a], QUEUE);
        let mut clients = vec![client(&gate, "/0")];
        a.wait_requests(1);
        for number in 1..=3 {
            clients.push(client(&gate, &format!("/{number}")));
            until_waiting(&gate, number);
        }
        reload(&gate, &[&b], keys);
        b.wait_requests(1);
        at_a.add(1);
        at_b.add(3);
        clients.iter_mut().for_each(|client| client.read_response().expect(200, "fine"));
        assert_eq!((at_a.paths().len(), at_b.paths().len()), (1, 3), "{keys}");
    }
}

#[test]
fn requests_that_are_held_get_a_target_that_a_reload_adds() {
    const CONFIG: &str = r#"
listeners:
  - { name: http, bind: "127.0.0.1:0", rules: [{ host: passed.test, pass: { upstream: raw } }, { upstream: one }] }
  - { name: tcp, bind: "127.0.0.1:0", protocol: tcp, upstream: raw }
upstreams:
  one: { targets: [{targets}], hold: 1h, hold_max: 1, {keys} }
  raw: { targets: [{targets}], hold: 1h }
"#;
    let (dead, live) = (Refusing::new(), Upstream::answers(FINE));
    let targets = format!("\"{dead}\"");
    let gate = TestGate::start(CONFIG, &[("targets", &targets), ("keys", &"tries: 2")]);
    let reload = |targets: &str, keys: &str| {
        gate.edit(CONFIG, &[("targets", &targets), ("keys", &keys)]);
        gate.reload().unwrap();
    };
    let mut clients = [gate.client(), gate.client(), gate.client_of("tcp")];
    clients[0].send(get("/"));
    clients[1].send("GET / HTTP/1.1\r\nHost: passed.test\r\n\r\n");
    clients[2].send(get("/"));
    until("all are held", || sum(&gate, "smolgate_upstream_held{") == 3.0);
    // The number of those that are held is one for all generations.
    reload(&targets, "tries: 3");
    gate.exchange(get("/")).expect_own(502, "connect_refused");
    reload(&format!("{targets}, \"{live}\""), "tries: 2");
    clients.iter_mut().for_each(|client| client.read_response().expect(200, "fine"));
    assert_eq!(live.requests().len(), 3);
}

#[test]
fn a_request_goes_on_waiting_if_its_upstream_has_left() {
    let at_a = Allowed::default();
    let (a, b) = (at_a.upstream(), Upstream::answers(FINE));
    let gate = start(&[&a], QUEUE);
    let mut clients = vec![client(&gate, "/0")];
    a.wait_requests(1);
    clients.push(client(&gate, "/1"));
    until_waiting(&gate, 1);
    let other = CONFIG.replace("upstream: one", "upstream: two").replace("\n  one:", "\n  two:");
    gate.edit(&other, &[("targets", &quoted(&[&b])), ("keys", &"tries: 2"), ("gone", &"reset")]);
    gate.reload().unwrap();
    // Its upstream has no limits any more.
    a.wait_requests(2);
    at_a.add(2);
    clients.iter_mut().for_each(|client| client.read_response().expect(200, "fine"));
    gate.exchange(get("/")).expect(200, "fine");
    assert_eq!((at_a.paths().len(), b.requests().len()), (2, 1));
}

#[test]
fn connections_are_given_in_order_over_all_workers() {
    const CLIENTS: usize = 24;
    let keys = "max_connections: 1, queue: { max: 50, timeout: 1h }";
    for _ in 0..4 {
        let allowed = Allowed::default();
        let (a, b) = (allowed.upstream(), allowed.upstream());
        let gate = start(&[&a, &b], keys);
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            clients.push(client(&gate, &format!("/{number}")));
            until("it waits or is at a target", || {
                let waiting = gate.metric("smolgate_upstream_waiting{upstream=\"one\"}") as usize;
                allowed.paths().len() + waiting == number + 1
            });
        }
        // One place becomes free at a time, at one or the other worker.
        for number in 3..=CLIENTS {
            allowed.add(1);
            until("the next one is at a target", || allowed.paths().len() == number);
        }
        allowed.add(2);
        clients.iter_mut().for_each(|client| client.read_response().expect(200, "fine"));
        let order: Vec<usize> = allowed.paths().iter().map(|path| path[1..].parse().unwrap()).collect();
        assert!(order.is_sorted(), "{order:?}");
    }
}

#[test]
fn without_a_queue_a_request_waits_until_an_idle_connection_has_made_room() {
    let upstream = Upstream::answers(FINE);
    let gate = start(&[&upstream], "max_connections: 1, idle_timeout: 1h");
    // Connections of clients are spread over both workers, and one of the workers has the idle connection.
    let mut clients: Vec<Client> = (0..8).map(|_| gate.client()).collect();
    for turn in 0..32 {
        clients[turn % 8].exchange(get("/")).expect(200, "fine");
        until("the connection is idle", || sum(&gate, "smolgate_target_requests_open{") == 0.0);
    }
    assert_eq!(upstream.requests().len(), 32);
    assert!(upstream.connections() > 1, "both workers had a connection");
}

#[test]
fn a_request_that_is_held_and_waits_is_counted_once() {
    let full = Blackhole::new();
    let keys = "max_requests: 1, queue: { max: 9, timeout: 1h }, hold: 1500ms, connect_timeout: 30ms";
    let gate = start(&[&full.address()], keys);
    let mut clients: Vec<Client> = (0..4).map(|_| client(&gate, "/")).collect();
    clients.iter_mut().for_each(|client| client.read_response().expect_own(503, "no_target"));
    let tries = sum(&gate, "smolgate_upstream_connections_failed_total{");
    assert!(tries > 8.0, "{tries} tries");
    let results = sum(&gate, "smolgate_upstream_waits_total{");
    assert!((3.0..=4.0).contains(&results), "{results} results");
    until_waiting(&gate, 0);
}

#[test]
fn a_client_that_ends_its_side_leaves_the_queue_only_with_fin() {
    for (gone, paths) in [("reset", vec!["/0", "/1"]), ("fin", vec!["/0"])] {
        let allowed = Allowed::default();
        let upstream = allowed.upstream();
        let names: support::gate::Names =
            &[("targets", &quoted(&[&upstream])), ("keys", &QUEUE), ("gone", &gone)];
        let gate = TestGate::start(CONFIG, names);
        let mut first = client(&gate, "/0");
        upstream.wait_requests(1);
        let mut ends = client(&gate, "/1");
        until_waiting(&gate, 1);
        ends.half_close();
        if gone == "fin" {
            until_waiting(&gate, 0);
            assert_eq!(waits(&gate, "gone"), 1.0);
        }
        allowed.add(2);
        first.read_response().expect(200, "fine");
        if gone == "reset" {
            ends.read_response().expect(200, "fine");
        }
        assert_eq!(allowed.paths(), paths);
    }
}
