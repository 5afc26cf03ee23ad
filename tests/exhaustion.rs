//! No file descriptor is left for `accept`. The gate serves its connected clients, and the others later. The
//! internal API still responds.
//!
//! It is alone in its file, because it lowers a limit of its process.

mod support;

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use support::client::Client;
use support::gate::TestGate;

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - respond: { status: 200, body: "fine" }
"#;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

const PROBE: &str = "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn sockets(count: usize) -> Vec<Socket> {
    (0..count).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket")).collect()
}

fn connect(socket: Socket, address: SocketAddr) -> Client {
    socket.connect(&address.into()).expect("the system accepts for the gate");
    Client::over(TcpStream::from(socket))
}

/// Sends one probe after the other and expects responses, even while a silent connection has the last
/// descriptor.
fn probe(sockets: Vec<Socket>, address: SocketAddr) {
    // Keep all clients open, because a close would free a descriptor.
    let mut clients: Vec<Client> = Vec::new();
    for (number, socket) in sockets.into_iter().enumerate() {
        let mut client = connect(socket, address);
        if number % 4 != 3 {
            client.send(PROBE);
            client.read_response().expect(200, "ready\n");
        }
        clients.push(client);
    }
}

#[test]
fn clients_that_cannot_be_accepted_now_are_accepted_later() {
    let gate = TestGate::start(CONFIG, &[]);
    let address = gate.address("http");
    let mut first = gate.client();
    first.exchange(GET).expect(200, "fine");
    // Created before the limit is lowered, so that connecting needs no further descriptor.
    let (sockets, probes) = (sockets(60), sockets(12));
    let highest = probes.iter().chain(&sockets).map(AsRawFd::as_raw_fd).max().expect("many of them") as u64;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(highest + 11), maximum: limit.maximum }).unwrap();

    let mut clients: Vec<Client> = sockets.into_iter().map(|socket| connect(socket, address)).collect();
    for client in &mut clients {
        client.send(GET);
    }
    // At most ten of them could be accepted. The connected client is served as before.
    for _ in 0..50 {
        first.exchange(GET).expect(200, "fine");
    }
    let answered = clients.iter().filter(|client| client.has_pending_event()).count();
    assert!(answered < 30, "{answered} of 60 were accepted: descriptors did not run out");
    while File::open("/dev/null").is_ok() {
        std::thread::yield_now();
    }
    probe(probes, gate.internal_address());
    // After the limit is raised, every connection of the queue is served.
    setrlimit(Resource::Nofile, limit).unwrap();
    for client in &mut clients {
        client.read_response().expect(200, "fine");
    }
    first.exchange(GET).expect(200, "fine");
}
