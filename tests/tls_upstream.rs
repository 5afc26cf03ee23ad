//! `https://` targets: what is trusted, which name is asked for, and how a failure is told.

mod support;

use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use support::gate::TestGate;
use support::pattern;
use support::upstream::Upstream;
use support::wire::Transport;
use tempfile::TempDir;

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - host: "trusted.test"
        target: "https://{upstream}"
        tls: { ca: "{ca}" }
      - host: "named.test"
        target: "https://{upstream}"
        tls: { ca: "{ca}", sni: "secret.test" }
      - host: "stranger.test"
        target: "https://{upstream}"
        tls: { ca: "{other_ca}" }
      - host: "system.test"
        target: "https://{upstream}"
      - host: "blind.test"
        target: "https://{upstream}"
        tls: { insecure_skip_verify: true }
"#;

/// A certificate authority in a file of its own.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
}

fn authority(dir: &TempDir, name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let file = dir.path().join(name);
    std::fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
    Authority { issuer: Issuer::new(params, key), file }
}

struct Tls(StreamOwned<ServerConnection, TcpStream>);

impl std::io::Read for Tls {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(into)
    }
}

impl std::io::Write for Tls {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Transport for Tls {
    fn socket(&self) -> &TcpStream {
        &self.0.sock
    }

    fn finish(&mut self) {
        self.0.conn.send_close_notify();
        let _ = std::io::Write::flush(&mut self.0);
        let _ = self.0.sock.shutdown(Shutdown::Write);
    }
}

/// Names asked for in the TLS hello, in order.
type Asked = Arc<Mutex<Vec<Option<String>>>>;

/// A TLS upstream with a certificate for `name`, and what it was asked for.
fn upstream(
    authority: &Authority,
    name: &str,
    script: impl Fn(&mut support::upstream::Connection) + Send + Sync + 'static,
) -> (Upstream, Asked) {
    let key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority.issuer).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(leaf.der().to_vec())], key)
        .unwrap();
    let config = Arc::new(config);
    let asked = Asked::default();
    let notes = asked.clone();
    let wrap = move |mut stream: TcpStream| -> Option<Box<dyn Transport>> {
        stream.set_read_timeout(Some(support::DEADLINE)).unwrap();
        let mut session = ServerConnection::new(config.clone()).unwrap();
        while session.is_handshaking() {
            session.complete_io(&mut stream).ok()?;
        }
        notes.lock().unwrap().push(session.server_name().map(str::to_owned));
        Some(Box::new(Tls(StreamOwned::new(session, stream))))
    };
    (Upstream::wrapped(wrap, script), asked)
}

fn fine(connection: &mut support::upstream::Connection) {
    while connection.read_request().is_some() {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    }
}

struct Scene {
    gate: TestGate,
    upstream: Upstream,
    asked: Asked,
}

/// A gate before an upstream with a certificate for `name`.
fn scene(name: &str) -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let (ours, other) = (authority(&dir, "ours.pem"), authority(&dir, "other.pem"));
    let (upstream, asked) = upstream(&ours, name, fine);
    let (ca, other_ca) = (ours.file.display(), other.file.display());
    let gate =
        TestGate::start(CONFIG, &[("upstream", &upstream), ("ca", &ca), ("other_ca", &other_ca)]).keep(dir);
    Scene { gate, upstream, asked }
}

fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[test]
fn a_certificate_of_the_named_authority_is_trusted() {
    let scene = scene("127.0.0.1");
    let mut client = scene.gate.client();
    client.exchange(get("trusted.test")).expect(200, "fine");
    client.exchange(get("trusted.test")).expect(200, "fine");
    assert_eq!(scene.upstream.connections(), 1, "a TLS connection is kept and used again");
    assert_eq!(*scene.asked.lock().unwrap(), [None], "an address is no server name");
    assert_eq!(
        scene.upstream.requests()[0].head.get("x-forwarded-proto"),
        Some("http"),
        "what the client spoke"
    );
}

#[test]
fn sni_is_asked_for_and_checked_instead_of_the_address() {
    let scene = scene("secret.test");
    scene.gate.exchange(get("named.test")).expect(200, "fine");
    assert_eq!(*scene.asked.lock().unwrap(), [Some("secret.test".to_owned())]);
    assert_eq!(scene.upstream.request().head.get("host"), Some(scene.upstream.to_string().as_str()));
}

#[track_caller]
fn refused(name: &str, host: &str) {
    let scene = scene(name);
    let mut client = scene.gate.client();
    client.exchange(get(host)).expect_own(502, "tls_certificate");
    assert_eq!(scene.upstream.requests().len(), 0, "nothing is said to a stranger");
}

#[test]
fn a_wrong_name_is_502() {
    refused("elsewhere.test", "trusted.test");
    refused("elsewhere.test", "named.test");
}

#[test]
fn a_certificate_of_another_authority_is_502() {
    refused("127.0.0.1", "stranger.test");
}

#[test]
fn the_systems_authorities_do_not_know_ours() {
    refused("127.0.0.1", "system.test");
}

#[test]
fn insecure_skip_verify_takes_any_certificate() {
    let scene = scene("elsewhere.test");
    scene.gate.exchange(get("blind.test")).expect(200, "fine");
}

#[test]
fn a_target_that_speaks_no_tls_is_502() {
    let plain = Upstream::scripted(|connection| {
        connection.read_some();
        connection.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let dir = tempfile::tempdir().unwrap();
    let ca = authority(&dir, "ours.pem");
    let file = ca.file.display();
    let gate = TestGate::start(CONFIG, &[("upstream", &plain), ("ca", &file), ("other_ca", &file)]);
    gate.exchange(get("trusted.test")).expect_own(502, "tls_failed");
}

#[test]
fn a_tls_stream_cut_without_goodbye_never_ends_a_body_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let ours = authority(&dir, "ours.pem");
    let (upstream, _) = upstream(&ours, "127.0.0.1", |connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\n\r\nuntil close");
        // The socket ends, TLS does not: an attacker can do that.
        connection.writer().expect("open").shutdown(Shutdown::Write).unwrap();
        connection.hang();
    });
    let file = ours.file.display();
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream), ("ca", &file), ("other_ca", &file)]);
    let response = gate.exchange(get("trusted.test"));
    assert!(response.body.fault.is_some() || response.status() == 502, "{response:?}");
}

#[test]
fn big_bodies_pass_through_tls_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let ours = authority(&dir, "ours.pem");
    let (upstream, _) = upstream(&ours, "127.0.0.1", |connection| {
        while let Some(request) = connection.read_request() {
            connection
                .send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", request.body.bytes.len()));
            connection.send(&request.body.bytes);
        }
    });
    let file = ours.file.display();
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream), ("ca", &file), ("other_ca", &file)]);
    let body = pattern(7, 3 << 20);
    let head = format!("POST / HTTP/1.1\r\nHost: trusted.test\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut client = gate.client();
    client.exchange([head.as_bytes(), &body].concat()).expect(200, &body);
    client.exchange(get("trusted.test")).expect(200, "");
}
