//! `accept_proxy_protocol`: the header of a trusted peer names the client, and no other peer may send one.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use smolgate::proxy_protocol::{self, Version};
use support::gate::TestGate;
use support::tls::Authority;
use support::upstream::Upstream;
use support::wire::Transport;
use support::{DEADLINE, until};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    accept_proxy_protocol: ["127.0.0.0/8"]
    rules: [{ target: "http://{upstream}" }]
  - name: others
    bind: "127.0.0.1:0"
    accept_proxy_protocol: "192.0.2.1"
    rules: [{ target: "http://{upstream}" }]
"#;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

/// An upstream that responds with the client's address that it received.
fn tells() -> Upstream {
    Upstream::each(|connection, request| {
        let address = request.head.get("X-Real-IP").unwrap_or("nobody").to_owned();
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{address}", address.len()));
    })
}

fn header(version: Version) -> Vec<u8> {
    let mut header = Vec::new();
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    proxy_protocol::write(version, address("203.0.113.9:4711"), address("198.51.100.1:80"), &mut header);
    header
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

fn answer(mut socket: TcpStream) -> String {
    let mut answer = String::new();
    // A refusal may arrive as a reset.
    let _ = socket.read_to_string(&mut answer);
    answer
}

#[test]
fn the_announced_client_is_the_client() {
    let upstream = tells();
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    for version in [Version::V1, Version::V2] {
        let sent = [&header(version), GET].concat();
        for step in [1, 20, sent.len()] {
            let mut socket = connect(gate.address("http"));
            sent.chunks(step).for_each(|piece| socket.write_all(piece).unwrap());
            let answer = answer(socket);
            assert!(answer.ends_with("203.0.113.9"), "{version:?} in pieces of {step}: {answer}");
        }
    }
}

#[test]
fn with_a_local_header_the_peer_is_the_client() {
    let upstream = tells();
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00"] {
        let mut socket = connect(gate.address("http"));
        socket.write_all(&[header, GET].concat()).unwrap();
        assert!(answer(socket).ends_with("127.0.0.1"));
    }
}

#[test]
fn a_trusted_peer_without_a_valid_header_is_refused() {
    let upstream = tells();
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    for sent in [GET, b"PROXY TCP4 nonsense\r\n", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x01x"] {
        let mut socket = connect(gate.address("http"));
        socket.write_all(sent).unwrap();
        assert_eq!(answer(socket), "");
    }
    // A connection without a byte, such as a port scan, is no error.
    drop(connect(gate.address("http")));
    let refused = "smolgate_local_replies_total{reason=\"proxy_header\"}";
    until("they are counted", || gate.metric(refused) == 3.0);
    assert_eq!(gate.metric("smolgate_requests_total"), 0.0);
}

#[test]
fn a_header_of_an_untrusted_peer_is_not_accepted() {
    let upstream = tells();
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let mut socket = connect(gate.address("others"));
    socket.write_all(&[&header(Version::V1), GET].concat()).unwrap();
    assert!(answer(socket).starts_with("HTTP/1.1 400 "));
    let mut socket = connect(gate.address("others"));
    socket.write_all(GET).unwrap();
    assert!(answer(socket).ends_with("127.0.0.1"));
}

#[test]
fn the_header_comes_before_tls_and_is_sent_to_passthrough_targets() {
    let raw = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = raw.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    authority.issue(dir.path(), "ours", &["ours.test"]);
    let config = r#"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    accept_proxy_protocol: "127.0.0.1"
    tls: { certificates: "{dir}/ours.crt" }
    rules:
      - { host: mail.test, pass: "{target}", send_proxy_protocol: v2 }
      - { target: "http://{upstream}" }
"#;
    let upstream = tells();
    let names: support::gate::Names =
        &[("dir", &dir.path().display()), ("target", &target), ("upstream", &upstream)];
    let gate = TestGate::start(config, names);
    let name = |name: &str| rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let client = Arc::new(authority.client(&[]));

    let mut socket = connect(gate.address("https"));
    socket.write_all(&header(Version::V1)).unwrap();
    let session = rustls::ClientConnection::new(client.clone(), name("ours.test")).unwrap();
    let mut tls = support::tls::Tls(rustls::StreamOwned::new(session, socket));
    tls.write_all(GET).unwrap();
    tls.flush().unwrap();
    let mut answer = Vec::new();
    let _ = tls.read_to_end(&mut answer);
    assert!(answer.ends_with(b"203.0.113.9"), "{}", answer.escape_ascii());
    tls.finish();

    let mut hello = Vec::new();
    rustls::ClientConnection::new(client, name("mail.test")).unwrap().write_tls(&mut hello).unwrap();
    let mut socket = connect(gate.address("https"));
    socket.write_all(&[header(Version::V1), hello.clone()].concat()).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let (mut passed, _) = raw.accept().unwrap();
    let mut got = Vec::new();
    passed.read_to_end(&mut got).unwrap();
    assert_eq!(got, [header(Version::V2), hello].concat());
}

#[test]
fn tcp_listeners_send_the_header() {
    let raw = TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    authority.issue(dir.path(), "ours", &["ours.test"]);
    let config = r#"
listeners:
  - { name: v1, bind: "127.0.0.1:0", protocol: tcp, target: "{target}", send_proxy_protocol: v1 }
  - name: v2
    bind: "127.0.0.1:0"
    protocol: tcp
    target: "{target}"
    send_proxy_protocol: v2
    tls: { certificates: "{dir}/ours.crt" }
  - name: behind
    bind: "127.0.0.1:0"
    protocol: tcp
    target: "{target}"
    accept_proxy_protocol: "127.0.0.1"
    send_proxy_protocol: v2
"#;
    let names: support::gate::Names =
        &[("dir", &dir.path().display()), ("target", &raw.local_addr().unwrap())];
    let gate = TestGate::start(config, names);
    let received = || {
        let mut got = Vec::new();
        raw.accept().unwrap().0.read_to_end(&mut got).unwrap();
        let header = proxy_protocol::parse(&got).unwrap().unwrap();
        (header.addresses, got.starts_with(b"PROXY TCP4 "), got[header.len..].to_vec())
    };

    let mut socket = connect(gate.address("v1"));
    socket.write_all(b"hello").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let own = (socket.local_addr().unwrap(), gate.address("v1"));
    assert_eq!(received(), (Some(own), true, b"hello".to_vec()));

    let config = Arc::new(authority.client(&[]));
    let mut tls = support::tls::Tls::connect(gate.address("v2"), &config, "ours.test").unwrap();
    tls.write_all(b"hello").unwrap();
    tls.flush().unwrap();
    tls.finish();
    let own = (tls.socket().local_addr().unwrap(), gate.address("v2"));
    assert_eq!(received(), (Some(own), false, b"hello".to_vec()));

    let mut socket = connect(gate.address("behind"));
    socket.write_all(&[&header(Version::V1)[..], b"hello"].concat()).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let announced = proxy_protocol::parse(&header(Version::V1)).unwrap().unwrap().addresses;
    assert_eq!(received(), (announced, false, b"hello".to_vec()), "the client's address is forwarded");
}

#[test]
fn tcp_listeners_remove_the_header() {
    let raw = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = r#"
listeners:
  - { name: tcp, bind: "127.0.0.1:0", protocol: tcp, target: "{target}", accept_proxy_protocol: "127.0.0.1" }
"#;
    let gate = TestGate::start(config, &[("target", &raw.local_addr().unwrap())]);
    let mut socket = connect(gate.address("tcp"));
    socket.write_all(&[&header(Version::V2)[..], b"hello"].concat()).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let (mut passed, _) = raw.accept().unwrap();
    let mut got = Vec::new();
    passed.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"hello");
}
