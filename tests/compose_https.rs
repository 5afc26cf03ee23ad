//! Labels over real sockets, on one port: services whose TLS the gate terminates, and services with `passthrough`.
//! Requests in the clear are tested too.

#![cfg(feature = "compose")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use smolgate::config::{MemoryInputs, load};
use smolgate::gate::Gate;
use support::DEADLINE;
use support::client::Client;
use support::message::Response;
use support::tls::{Authority, Leaf, Tls};
use support::upstream::Upstream;
use tempfile::TempDir;

/// A gate that reads `compose` and nothing else but its environment.
fn gate(compose: &str, certificates: &Path, https: bool) -> Gate {
    let inputs = MemoryInputs::new()
        .file("compose.yaml", compose)
        .env("SMOLGATE_HTTP_PORT", "127.0.0.1:0")
        .env("SMOLGATE_HTTPS_PORT", "127.0.0.1:0")
        .env("INTERNAL_API_PORT", "127.0.0.1:0")
        .env("LITEPROXY_ACME_DIR", certificates.display().to_string())
        .env("LITEPROXY_HTTPS_ENABLED", https.to_string());
    Gate::start(Box::new(move || load(&["compose.yaml".into()], &inputs))).expect("the gate starts")
}

/// An authority, and its folder of certificates.
fn authority() -> (TempDir, Authority) {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    (dir, authority)
}

#[track_caller]
fn get(address: SocketAddr, host: &str, target: &str) -> Response {
    Client::connect(address).exchange(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
}

/// A service that terminates TLS itself: it takes one connection, reads four bytes and sends them back.
fn echo_of_four(leaf: &Leaf) -> (SocketAddr, JoinHandle<()>) {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let (cert, key) = (
        CertificateDer::from_pem_file(&leaf.cert).unwrap(),
        PrivateKeyDer::from_pem_file(&leaf.key).unwrap(),
    );
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut tls = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket);
        let mut four = [0; 4];
        tls.read_exact(&mut four).unwrap();
        tls.write_all(&four).unwrap();
        tls.conn.send_close_notify();
        tls.flush().unwrap();
    });
    (address, serving)
}

/// Connects to `name` over TLS. The service's own certificate is shown, and its bytes come back.
#[track_caller]
fn meets_the_service(gate: &Gate, name: &str, theirs: &Authority, leaf: &Leaf) {
    let https = gate.address("https").expect("a listener for TLS");
    let mut tls = Tls::connect(https, &Arc::new(theirs.client(&["imap"])), name).unwrap();
    assert_eq!(tls.shown(), CertificateDer::from_pem_file(&leaf.cert).unwrap());
    tls.write_all(b"ping").unwrap();
    let mut answer = String::new();
    tls.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "ping");
}

#[test]
fn services_with_passthrough_stand_beside_those_whose_tls_the_gate_terminates() {
    let (dir, ours) = authority();
    let certs = dir.path().join("certs");
    let leaf = ours.issue(&certs, "web", &["web.test", "www.test"]);
    let theirs = Authority::new(dir.path(), "theirs.pem");
    let own = theirs.issue(dir.path(), "mail", &["mail.test"]);
    let (mail, serving) = echo_of_four(&own);
    let (web, clear) = (Upstream::says("web"), Upstream::says("mail in the clear"));
    let compose = format!(
        "services:
  web: {{ labels: {{ smolgate.host: web.test, smolgate.target: \"http://{}\", smolgate.redirect_from: www.test }} }}
  lone: {{ labels: {{ smolgate.host: lone.test, smolgate.target: \"http://{0}\" }} }}
  mail:
    labels:
      smolgate.host: mail.test
      smolgate.target: {mail}
      smolgate.port.http: {}
      smolgate.passthrough: true
",
        web.address(),
        clear.address().port()
    );
    let gate = gate(&compose, &certs, true);
    let (http, https) = (gate.address("http").unwrap(), gate.address("https").unwrap());
    meets_the_service(&gate, "mail.test", &theirs, &own);
    serving.join().unwrap();

    let config = Arc::new(ours.client(&[]));
    let connect = |name: &str| Tls::connect(https, &config, name);
    let tls = connect("web.test").unwrap();
    assert_eq!(tls.shown(), CertificateDer::from_pem_file(&leaf.cert).unwrap());
    tls.client().exchange("GET / HTTP/1.1\r\nHost: web.test\r\n\r\n").expect(200, "web");
    assert_eq!(web.request().head.get("X-Forwarded-Proto"), Some("https"));
    let moved = connect("www.test").unwrap().client().exchange("GET /a?b HTTP/1.1\r\nHost: www.test\r\n\r\n");
    assert_eq!((moved.status(), moved.get("Location")), (301, Some("https://web.test/a?b")));
    assert!(connect("lone.test").is_err(), "a name without a certificate gets none");

    for host in ["web.test", "lone.test", "nobody.test"] {
        let moved = get(http, host, "/x?y");
        let to = format!("https://{host}/x?y");
        assert_eq!((moved.status(), moved.get("Location")), (308, Some(to.as_str())));
    }
    get(http, "web.test", "/.well-known/acme-challenge/token").expect(200, "web");
    let targets: Vec<String> = web.requests().iter().map(|request| request.target().to_owned()).collect();
    assert_eq!(targets, ["/", "/.well-known/acme-challenge/token"]);
    for path in ["/", "/.well-known/acme-challenge/token"] {
        get(http, "mail.test", path).expect(200, "mail in the clear");
        let request = clear.requests().pop().unwrap();
        assert_eq!((request.target(), request.head.get("X-Forwarded-For")), (path, None));
    }
}

#[test]
fn without_https_the_gate_only_passes_tls_on() {
    let (dir, theirs) = authority();
    let own = theirs.issue(dir.path(), "mail", &["mail.test"]);
    let (mail, serving) = echo_of_four(&own);
    let (web, clear) = (Upstream::says("web"), Upstream::says("mail in the clear"));
    let compose = format!(
        "services:
  web: {{ labels: {{ smolgate.host: web.test, smolgate.target: \"http://{}\" }} }}
  mail:
    labels:
      - smolgate.host=*.test
      - smolgate.target=tcp://{mail}
      - smolgate.port.http={}
      - smolgate.passthrough=yes
",
        web.address(),
        clear.address().port()
    );
    let gate = gate(&compose, dir.path(), false);
    meets_the_service(&gate, "mail.test", &theirs, &own);
    serving.join().unwrap();
    let http = gate.address("http").unwrap();
    get(http, "web.test", "/").expect(200, "web");
    get(http, "mail.test", "/").expect(200, "mail in the clear");
}

#[test]
fn a_bad_passthrough_answers_503_in_the_clear_and_leaves_the_others_served() {
    let (dir, ours) = authority();
    let certs = dir.path().join("certs");
    ours.issue(&certs, "all", &["*.lan.test"]);
    let web = Upstream::says("web");
    let compose = format!(
        "services:
  web: {{ labels: {{ smolgate.host: \"*.lan.test\", smolgate.target: \"http://{}\" }} }}
  mail: {{ labels: {{ smolgate.host: mail.lan.test, smolgate.port: many, smolgate.passthrough: true }} }}
",
        web.address()
    );
    let gate = gate(&compose, &certs, true);
    let https = gate.address("https").unwrap();
    let ask = |host: &str| {
        let tls = Tls::connect(https, &Arc::new(ours.client(&[])), host).unwrap();
        tls.client().exchange(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    };
    ask("web.lan.test").expect(200, "web");
    // The response is never that of the wildcard's service.
    let why = "the service `mail` is not served: `many` is not a port\n";
    ask("mail.lan.test").expect(503, why);
    let http = gate.address("http").unwrap();
    for path in ["/", "/a?b", "/.well-known/acme-challenge/x"] {
        get(http, "mail.lan.test", path).expect(503, why);
    }
    assert_eq!(get(http, "web.lan.test", "/").status(), 308, "other services redirect to https");
}
