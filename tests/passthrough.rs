//! Connections that are passed through: chosen by the TLS server name, or by the Host of the first request in
//! the clear. The target gets every byte, and so does the client.

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use smolgate::proxy_protocol;
use support::gate::TestGate;
use support::tls::{Authority, Leaf, Tls};
use support::{DEADLINE, pattern, until};
use tempfile::TempDir;

const CONFIG: &str = r#"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    tls: { certificates: "{dir}/ours.crt" }
    rules:
      - { host: ours.test, respond: { body: "from the gate" } }
      - { host: ["mail.test", "*.mail.test"], pass: "{target}" }
      - { host: dead.test, pass: "127.0.0.1:1" }
      - { respond: { body: "from the gate" } }
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: mail.test, pass: "{target}" }
      - { host: dead.test, pass: "127.0.0.1:1" }
      - { respond: { body: "from the gate" } }
"#;

struct Scene {
    gate: TestGate,
    authority: Authority,
    dir: TempDir,
}

/// A gate that passes `mail.test` through to `target`.
fn scene(config: &str, target: SocketAddr) -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    authority.issue(dir.path(), "ours", &["ours.test", "dead.test"]);
    let gate = TestGate::start(config, &[("dir", &dir.path().display()), ("target", &target)]);
    Scene { gate, authority, dir }
}

/// Accepts one connection and passes it to `serve`.
fn target<T: Send + 'static>(
    serve: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        serve(socket)
    });
    (address, serving)
}

/// Reads everything up to the end, then sends `answer`.
fn records(answer: Vec<u8>) -> (SocketAddr, JoinHandle<Vec<u8>>) {
    target(move |mut socket| {
        let mut all = Vec::new();
        socket.read_to_end(&mut all).unwrap();
        socket.write_all(&answer).unwrap();
        all
    })
}

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket
}

/// A target that terminates TLS itself, requires a certificate of `members`, and sends its subject.
fn members_only(leaf: &Leaf, members: &Authority) -> (SocketAddr, JoinHandle<()>) {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&members.file).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![CertificateDer::from_pem_file(&leaf.cert).unwrap()],
            rustls::pki_types::PrivateKeyDer::from_pem_file(&leaf.key).unwrap(),
        )
        .unwrap();
    target(move |socket| {
        let mut tls = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket);
        let mut asked = [0; 4];
        tls.read_exact(&mut asked).unwrap();
        let peer = tls.conn.peer_certificates().unwrap()[0].len();
        tls.write_all(format!("{peer}").as_bytes()).unwrap();
        tls.conn.send_close_notify();
        tls.flush().unwrap();
    })
}

#[test]
fn the_target_terminates_tls_and_sees_the_clients_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let theirs = Authority::new(dir.path(), "theirs.pem");
    let leaf = theirs.issue(dir.path(), "mail", &["a.mail.test"]);
    let member = theirs.issue(dir.path(), "member", &["somebody"]);
    let (address, serving) = members_only(&leaf, &theirs);
    let scene = scene(CONFIG, address);
    let config = Arc::new(theirs.client_with(&[], Some(&member), rustls::ALL_VERSIONS));
    let mut tls = Tls::connect(scene.gate.address("https"), &config, "a.mail.test").unwrap();
    assert_eq!(tls.shown(), CertificateDer::from_pem_file(&leaf.cert).unwrap());
    tls.write_all(b"who?").unwrap();
    let mut answer = String::new();
    tls.read_to_string(&mut answer).unwrap();
    let own = CertificateDer::from_pem_file(&member.cert).unwrap();
    assert_eq!(answer, own.len().to_string());
    serving.join().unwrap();
    let passed = "smolgate_tls_handshakes_total{listener=\"https\",result=\"passed\"}";
    assert_eq!(scene.gate.metric(passed), 1.0);
    // On the same listener, the gate terminates TLS for other names.
    let config = Arc::new(scene.authority.client(&[]));
    let mut client = Tls::connect(scene.gate.address("https"), &config, "ours.test").unwrap().client();
    assert_eq!(client.exchange("GET / HTTP/1.1\r\nHost: ours.test\r\n\r\n").text(), "from the gate");
}

#[test]
fn every_byte_arrives_both_ways_however_it_was_sent() {
    for step in [1, 40, 100_000] {
        let answer = pattern(2, 200_000);
        let (address, serving) = records(answer.clone());
        let scene = scene(CONFIG, address);
        let hello = scene.authority.hello("Mail.Test");
        let sent = [hello, pattern(1, if step == 1 { 100 } else { 300_000 })].concat();
        let mut socket = connect(scene.gate.address("https"));
        socket.set_nodelay(true).unwrap();
        sent.chunks(step).for_each(|piece| socket.write_all(piece).unwrap());
        // Half-close: the response comes after the client's end.
        socket.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        socket.read_to_end(&mut back).unwrap();
        assert!(back == answer, "{} bytes came back, sent in pieces of {step}", back.len());
        assert!(serving.join().unwrap() == sent, "sent in pieces of {step}");
    }
}

#[test]
fn in_the_clear_the_host_of_the_first_request_decides() {
    let (address, serving) = records(b"HTTP/1.1 204 No Content\r\n\r\nand more".to_vec());
    let scene = scene(CONFIG, address);
    let sent =
        b"GET /.well-known/acme-challenge/x HTTP/1.1\r\nhost: Mail.test:80\r\nConnection: keep-alive, X\r\n\
        X: 1\r\n\r\nPOST / HTTP/1.1\r\nHost: other.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let mut socket = connect(scene.gate.address("http"));
    socket.write_all(sent).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    socket.read_to_end(&mut back).unwrap();
    assert_eq!(back, b"HTTP/1.1 204 No Content\r\n\r\nand more");
    assert_eq!(serving.join().unwrap(), sent, "no field added or removed");
    let request = "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n";
    assert_eq!(scene.gate.exchange(request).text(), "from the gate");
}

#[test]
fn an_earlier_rule_takes_precedence() {
    let (address, _) = records(Vec::new());
    let config = CONFIG.replacen("{ host: ours.test,", "{ path_prefix: /only,", 1);
    let scene = scene(&config, address);
    let config = Arc::new(scene.authority.client(&[]));
    // Its path is not visible yet, and the rule might match. So the gate terminates TLS.
    let refused = Tls::connect(scene.gate.address("https"), &config, "mail.test").err().unwrap();
    assert!(refused.to_string().contains("UnrecognisedName"), "{refused}");
}

#[test]
fn a_decrypted_request_is_not_passed_through() {
    let (address, _) = records(Vec::new());
    let scene = scene(CONFIG, address);
    let config = Arc::new(scene.authority.client(&[]));
    let mut client = Tls::connect(scene.gate.address("https"), &config, "ours.test").unwrap().client();
    let response = client.exchange("GET / HTTP/1.1\r\nHost: mail.test\r\n\r\n");
    response.expect_own(421, "misdirected");
    let text = response.text();
    assert!(text.contains("passed on") && !text.contains("demanded"), "{text}");
}

#[test]
fn a_target_that_is_down_is_502_in_the_clear_and_a_close_under_tls() {
    let (address, _) = records(Vec::new());
    let scene = scene(CONFIG, address);
    let response = scene.gate.exchange("GET / HTTP/1.1\r\nHost: dead.test\r\n\r\n");
    response.expect_own(502, "connect_refused");
    let mut socket = connect(scene.gate.address("https"));
    socket.write_all(&scene.authority.hello("dead.test")).unwrap();
    assert_eq!(socket.read(&mut [0]).unwrap_or(0), 0);
    let refused = "smolgate_local_replies_total{reason=\"connect_refused\"}";
    until("both are counted", || scene.gate.metric(refused) == 2.0);
}

#[test]
fn the_target_gets_the_address_of_the_client() {
    for (version, name) in [("v1", "mail.test"), ("v2", "mail.test")] {
        for (listener, over_tls) in [("https", true), ("http", false)] {
            let (address, serving) = records(Vec::new());
            let pass = format!("pass: \"{{target}}\", send_proxy_protocol: {version}");
            let scene = scene(&CONFIG.replace("pass: \"{target}\"", &pass), address);
            let first = if over_tls {
                scene.authority.hello(name)
            } else {
                format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n").into_bytes()
            };
            let mut socket = connect(scene.gate.address(listener));
            socket.write_all(&first).unwrap();
            let own = socket.local_addr().unwrap();
            socket.shutdown(Shutdown::Write).unwrap();
            let got = serving.join().unwrap();
            let header = proxy_protocol::parse(&got).unwrap().unwrap();
            assert_eq!(header.addresses, Some((own, scene.gate.address(listener))));
            assert_eq!(got.starts_with(b"PROXY TCP4 "), version == "v1");
            assert_eq!(got[header.len..], first);
        }
    }
}

#[test]
fn several_targets_take_turns_and_need_no_certificates() {
    let (one, first) = records(b"one".to_vec());
    let (two, second) = records(b"two".to_vec());
    let config = r#"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    tls: {}
    rules: [{ pass: ["{one}", "{two}"] }]
"#;
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    let gate = TestGate::start(config, &[("one", &one), ("two", &two)]);
    let mut answers = Vec::new();
    // The rule takes connections with and without a server name.
    for name in ["any.test", "192.0.2.1"] {
        let mut socket = connect(gate.address("https"));
        socket.write_all(&authority.hello(name)).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answers.push(answer);
    }
    answers.sort();
    assert_eq!(answers, ["one", "two"]);
    assert!(!first.join().unwrap().is_empty() && !second.join().unwrap().is_empty());
}

/// A target that echoes.
fn echo() -> (SocketAddr, JoinHandle<()>) {
    target(|mut socket| {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = socket.read(&mut bytes) {
            socket.write_all(&bytes[..count]).unwrap();
        }
    })
}

#[test]
fn a_connection_outlives_only_reloads_that_keep_its_rule() {
    let (address, _echo) = echo();
    let scene = scene(&format!("shutdown_timeout: 0\n{CONFIG}"), address);
    let mut socket = connect(scene.gate.address("https"));
    let hello = scene.authority.hello("mail.test");
    socket.write_all(&hello).unwrap();
    let mut back = vec![0; hello.len()];
    socket.read_exact(&mut back).unwrap();
    assert_eq!(back, hello);
    let names: support::gate::Names = &[("dir", &scene.dir.path().display()), ("target", &address)];
    let moved = CONFIG.replace("ours.test", "others.test");
    scene.gate.edit(&format!("shutdown_timeout: 0\n{moved}"), names);
    scene.gate.reload().unwrap();
    socket.write_all(b"still there?").unwrap();
    let mut back = [0; 12];
    socket.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"still there?");
    let gone = CONFIG.replace("pass: \"{target}\"", "pass: \"127.0.0.1:1\"");
    scene.gate.edit(&format!("shutdown_timeout: 0\n{gone}"), names);
    scene.gate.reload().unwrap();
    assert_eq!(socket.read(&mut [0]).unwrap_or(0), 0, "its rule has another target now");
}

#[test]
fn a_hello_is_matched_with_the_rules_at_its_arrival() {
    let (address, before) = records(Vec::new());
    let (other, after) = records(b"from the other one".to_vec());
    let scene = scene(CONFIG, address);
    let hello = scene.authority.hello("mail.test");
    let mut socket = connect(scene.gate.address("https"));
    let (first, rest) = hello.split_at(100);
    socket.write_all(first).unwrap();
    let received = "smolgate_connections_total{listener=\"https\"}";
    until("the gate has read it", || scene.gate.metric(received) > 0.0);
    scene.gate.edit(CONFIG, &[("dir", &scene.dir.path().display()), ("target", &other)]);
    scene.gate.reload().unwrap();
    socket.write_all(rest).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "from the other one");
    assert_eq!(after.join().unwrap(), hello);
    // The previous target gets no connection. This one lets it end.
    drop(TcpStream::connect(address).unwrap());
    assert_eq!(before.join().unwrap(), b"");
}
