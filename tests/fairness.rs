//! One client that always has more requests must not block the others.
//!
//! It sends requests without waiting for responses, so one of them is always ready. If a worker served them
//! as long as there are some, each exchange of another client would take seconds.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Instant;

use support::gate::TestGate;
use support::upstream::Upstream;
use support::{DEADLINE, until};

const CONFIG: &str = r#"
max_connections: 100
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - path_prefix: /respond
        respond: { status: 200, body: "fine" }
      - path_prefix: /redirect
        redirect: { to: "http://b", status: 308 }
      - path_prefix: /forward
        target: "http://{upstream}"
"#;

/// Requests that are sent in one write, repeatedly.
const BATCH: usize = 2_000;

/// A client that never waits for a response. One thread writes requests, another discards the responses.
struct Flood {
    stream: TcpStream,
    ends: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
    /// Bytes of responses.
    seen: Arc<AtomicUsize>,
}

impl Flood {
    fn start(gate: &TestGate, request: &str) -> Flood {
        let stream = TcpStream::connect(gate.address("http")).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        let (ends, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let batch = request.repeat(BATCH);
        let (mut writing, ended) = (stream.try_clone().unwrap(), ends.clone());
        let writer =
            thread::spawn(
                move || while !ended.load(SeqCst) && writing.write_all(batch.as_bytes()).is_ok() {},
            );
        let (mut reading, counted) = (stream.try_clone().unwrap(), seen.clone());
        let reader = thread::spawn(move || {
            let mut bytes = vec![0; 256 * 1024];
            while let Ok(read @ 1..) = reading.read(&mut bytes) {
                counted.fetch_add(read, SeqCst);
            }
        });
        let flood = Flood { stream, ends, threads: vec![writer, reader], seen };
        until("the flood is under way", || flood.seen.load(SeqCst) > 100_000);
        flood
    }

    fn stop(self) {
        self.ends.store(true, SeqCst);
        let _ = self.stream.shutdown(Shutdown::Both);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Checks that other clients are served beside the flood, and that a reload succeeds.
fn others_are_served_beside(target: &str) {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let flood = Flood::start(&gate, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
    let (before, end) = (flood.seen.load(SeqCst), Instant::now() + DEADLINE);
    let mut client = gate.client();
    for served in 0..10 {
        client.exchange("GET /respond HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fine");
        client.exchange("GET /forward HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fine");
        gate.exchange("GET /respond HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fine");
        // Many times the usual duration. A busy worker would not finish half of the rounds.
        assert!(Instant::now() < end, "others starve: {served} rounds");
    }
    gate.reload().unwrap();
    assert_eq!(gate.internal("GET", "/readyz").status(), 200);
    assert!(flood.seen.load(SeqCst) > before, "the flood has ended");
    flood.stop();
    gate.stop();
}

/// One flood after the other, because each is enough work for a machine.
#[test]
fn a_flood_of_ready_requests_starves_no_other_client() {
    for target in ["/nothing", "/respond", "/redirect"] {
        others_are_served_beside(target);
    }
}
