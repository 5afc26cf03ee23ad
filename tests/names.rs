//! Names of targets, with a resolver that the tests control.

mod support;

use std::collections::HashSet;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use smolgate::upstream::{Resolver, Unresolved};
use support::gate::TestGate;
use support::upstream::{Blackhole, Upstream};
use support::wire::End;
use support::{Latch, until};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - host: passed.test
        pass: "target.test:{port}"
        connect_timeout: {patience}
      - target: "http://target.test:{port}"
        connect_timeout: {patience}
  - name: tcp
    bind: "127.0.0.1:0"
    protocol: tcp
    target: "target.test:{port}"
    connect_timeout: {patience}
"#;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A resolver that counts queries, waits for a latch, and returns the addresses it holds.
#[derive(Clone)]
struct Told {
    asked: Arc<AtomicUsize>,
    latch: Latch,
    addresses: Arc<Mutex<Vec<IpAddr>>>,
}

impl Told {
    fn new(addresses: &[IpAddr]) -> Told {
        let told = Told::hanging();
        *told.addresses.lock().unwrap() = addresses.to_vec();
        told.latch.open();
        told
    }

    fn hanging() -> Told {
        Told { asked: Arc::default(), latch: Latch::new(), addresses: Arc::default() }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn start(&self, port: u16, patience: &str) -> TestGate {
        TestGate::start_asking(self.clone(), CONFIG, &[("port", &port), ("patience", &patience)])
    }
}

impl Resolver for Told {
    fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Unresolved> {
        assert_eq!(host, "target.test");
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.latch.wait();
        match &self.addresses.lock().unwrap()[..] {
            [] => Err(Unresolved::NoAddress(io::ErrorKind::NotFound.into())),
            addresses => Ok(addresses.to_vec()),
        }
    }
}

fn local(last: u8) -> IpAddr {
    IpAddr::from([127, 0, 0, last])
}

#[test]
fn a_name_that_does_not_exist_is_queried_once_a_second() {
    let told = Told::new(&[]);
    let gate = told.start(80, "20s");
    let (began, mut client) = (Instant::now(), gate.client());
    for _ in 0..200 {
        client.exchange(GET).expect_own(502, "name_not_found");
    }
    let asked = told.asked();
    assert!(asked as u64 <= 1 + began.elapsed().as_secs(), "{asked} queries");
}

#[test]
fn the_name_of_a_refusing_target_is_queried_once_a_second() {
    let told = Told::new(&[local(1)]);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gate = told.start(port, "20s");
    let (began, mut client) = (Instant::now(), gate.client());
    for _ in 0..200 {
        client.exchange(GET).expect_own(502, "connect_refused");
    }
    let asked = told.asked();
    assert!(asked as u64 <= 1 + began.elapsed().as_secs(), "{asked} queries");
}

#[test]
fn the_deadline_of_a_connection_includes_its_name() {
    let told = Told::hanging();
    let gate = told.start(80, "100ms");
    let mut client = gate.client();
    client.exchange(GET).expect_own(502, "name_not_found");
    client.exchange(GET).expect_own(502, "name_not_found");
    assert_eq!(told.asked(), 1, "the query is still running");
    assert_ne!(gate.client_of("tcp").expect_close(), End::Deadline);
    told.latch.open();
}

#[test]
fn a_silent_address_does_not_block_the_next() {
    let blackhole = Blackhole::new();
    let port = blackhole.address().port();
    let upstream = Upstream::at((local(2), port).into(), "fine");
    let gate = Told::new(&[local(1), local(2)]).start(port, "1h");
    for _ in 0..4 {
        gate.exchange(GET).expect(200, "fine");
    }
    assert_eq!(upstream.requests().len(), 4);
}

#[test]
fn a_client_reset_during_a_query_or_a_connect_ends_the_exchange() {
    let gone = "smolgate_local_replies_total{reason=\"client_gone\"}";
    let blackhole = Blackhole::new();
    let (hanging, silent) = (Told::hanging(), Told::new(&[local(1)]));
    for (told, number) in [(&hanging, 1), (&silent, 2)] {
        for (listener, host) in [("http", "a"), ("http", "passed.test"), ("tcp", "any")] {
            let gate = told.start(blackhole.address().port(), "1h");
            let mut client = gate.client_of(listener);
            client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            until("the name is queried", || told.asked() > 0);
            told.asked.store(0, Ordering::SeqCst);
            client.reset();
            until(&format!("the exchange ends: {listener} {host} {number}"), || gate.metric(gone) >= 1.0);
        }
    }
    hanging.latch.open();
}

/// A resolver that knows `good.test`. It gives no answer for any other name: the first query fails, and the later ones
/// hang.
#[derive(Clone, Default)]
struct Silent {
    asked: Arc<Mutex<HashSet<String>>>,
    latch: Latch,
}

impl Resolver for Silent {
    fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Unresolved> {
        if host == "good.test" {
            return Ok(vec![local(1)]);
        }
        if !self.asked.lock().unwrap().insert(host.into()) {
            self.latch.wait();
        }
        Err(Unresolved::Temporary(io::ErrorKind::TimedOut.into()))
    }
}

#[test]
fn names_that_get_no_answer_delay_no_other_name() {
    const SILENT: usize = 20;
    let upstream = Upstream::says("fine");
    let rule = |number| {
        format!("  - {{ host: \"{number}\", target: \"http://{number}.test\", connect_timeout: 50ms }}\n")
    };
    let rules: String = (0..SILENT).map(rule).collect();
    let config = format!(
        "http_config: {{ port: \"127.0.0.1:0\" }}\nhttp_routes:\n{rules}  - {{ target: \"http://good.test:{{port}}\", connect_timeout: 10s }}\n"
    );
    let resolver = Silent::default();
    let gate = TestGate::start_asking(resolver.clone(), &config, &[("port", &upstream.address().port())]);
    let mut client = gate.client();
    let mut ask_all = || {
        for number in 0..SILENT {
            let request = format!("GET / HTTP/1.1\r\nHost: {number}\r\n\r\n");
            client.exchange(request).expect_own(502, "name_not_found");
        }
        Instant::now()
    };
    let failed = ask_all();
    // A failure is remembered for a second.
    until("the failures are forgotten", || failed.elapsed() > Duration::from_secs(1));
    ask_all();
    gate.exchange(GET).expect(200, "fine");
    resolver.latch.open();
}
