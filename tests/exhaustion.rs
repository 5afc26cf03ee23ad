//! No file descriptor left to accept with: the gate serves whom it has, and the others later.
//!
//! Alone in its file: it lowers a limit of its whole process.

mod support;

use std::net::TcpStream;
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

#[test]
fn clients_that_cannot_be_accepted_now_are_accepted_later() {
    let gate = TestGate::start(CONFIG, &[]);
    let address = gate.address("http");
    let mut first = gate.client();
    first.exchange(GET).expect(200, "fine");
    // Made before the limit falls: connecting them takes no further descriptor of ours.
    let sockets: Vec<Socket> =
        (0..60).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket")).collect();
    let highest = sockets.iter().map(AsRawFd::as_raw_fd).max().expect("sixty of them") as u64;
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(highest + 11), maximum: limit.maximum }).unwrap();

    let mut clients: Vec<Client> = sockets
        .into_iter()
        .map(|socket| {
            socket.connect(&address.into()).expect("the system accepts for the gate");
            Client::over(TcpStream::from(socket))
        })
        .collect();
    for client in &mut clients {
        client.send(GET);
    }
    // At most ten of them could be accepted; whoever is in is served as if nothing were.
    for _ in 0..50 {
        first.exchange(GET).expect(200, "fine");
    }
    let answered = clients.iter().filter(|client| client.has_news()).count();
    assert!(answered < 30, "{answered} of 60 were accepted: descriptors did not run out");
    // The limit rises again, and nobody was lost in the queue.
    setrlimit(Resource::Nofile, limit).unwrap();
    for client in &mut clients {
        client.read_response().expect(200, "fine");
    }
    first.exchange(GET).expect(200, "fine");
}
