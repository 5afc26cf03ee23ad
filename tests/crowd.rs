//! Thousands of kept connections at once, and the cost of each.
//!
//! It is alone in its file, because it measures the memory of its process.

mod support;

use std::net::TcpStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::client::Client;
use support::gate::TestGate;

const CONFIG: &str = r#"
max_connections: 20000
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    idle_timeout: "10m"
    rules:
      - respond: { status: 200, body: "fine" }
"#;

/// The number of connections.
const CROWD: usize = 8000;

/// The most bytes that one may cost the gate. A build without optimization has larger futures.
const BYTES_EACH_MAX: usize = if cfg!(debug_assertions) { 6 * 1024 } else { 1024 };

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Bytes of resident memory, if the system knows them.
fn resident() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(text.split(' ').nth(1)?.parse::<usize>().ok()? * rustix::param::page_size())
}

#[test]
fn thousands_of_idle_connections_take_little_memory() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    // Both ends of every connection are in this process.
    let files = limit.maximum.map_or(CROWD * 3, |files| files as usize);
    let crowd = CROWD.min((files - 300) / 2);
    if crowd < CROWD {
        eprintln!("only {crowd} connections: this machine lets a process have {files} files");
    }
    let gate = TestGate::start(CONFIG, &[]);
    // Of a client only the socket is kept, so the growth is the gate's.
    let join = |count: usize| -> Vec<TcpStream> {
        let all = (0..count).map(|_| {
            let mut client = gate.client();
            client.exchange(GET).expect(200, "fine");
            client.writer()
        });
        all.collect()
    };
    // Exclude allocations that happen once.
    let mut clients = join(200);
    let before = resident();
    clients.extend(join(crowd - 200));
    if let (Some(before), Some(after)) = (before, resident()) {
        let each = after.saturating_sub(before) / (crowd - 200);
        eprintln!("{crowd} idle connections, {each} bytes of memory each");
        assert!(each <= BYTES_EACH_MAX, "{each} bytes for an idle connection");
    }
    for client in clients.iter().step_by(97) {
        Client::over(client.try_clone().unwrap()).exchange(GET).expect(200, "fine");
    }
    // The gate must also survive that all clients leave at once.
    drop(clients);
    gate.exchange(GET).expect(200, "fine");
}
