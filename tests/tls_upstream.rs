//! `https://` targets: trust, server names, and the reasons of failures.

mod support;

use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use support::gate::TestGate;
use support::pattern;
use support::tls::{Authority, Tls};
use support::upstream::Upstream;
use support::wire::Transport;

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

/// Server names in the hellos, in order.
type Asked = Arc<Mutex<Vec<Option<String>>>>;

/// A TLS upstream with a certificate for `name`, and the server names that it received.
fn upstream(
    authority: &Authority,
    name: &str,
    script: impl Fn(&mut support::upstream::Connection) + Send + Sync + 'static,
) -> (Upstream, Asked) {
    let dir = tempfile::tempdir().unwrap();
    let config = authority.issue(dir.path(), "upstream", &[name]).server();
    let asked = Asked::default();
    let notes = asked.clone();
    let wrap = move |stream: TcpStream| -> Option<Box<dyn Transport>> {
        let tls = Tls::accept(stream, &config).ok()?;
        notes.lock().unwrap().push(tls.0.conn.server_name().map(str::to_owned));
        Some(Box::new(tls))
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
    /// Files of the authority that `trusted.test` and `named.test` trust, and of another one.
    authorities: [PathBuf; 2],
}

/// A gate before an upstream with a certificate for `name`.
fn scene(name: &str) -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let (ours, other) = (Authority::new(dir.path(), "ours.pem"), Authority::new(dir.path(), "other.pem"));
    let (upstream, asked) = upstream(&ours, name, fine);
    let (ca, other_ca) = (ours.file.display(), other.file.display());
    let gate =
        TestGate::start(CONFIG, &[("upstream", &upstream), ("ca", &ca), ("other_ca", &other_ca)]).keep(dir);
    Scene { gate, upstream, asked, authorities: [ours.file, other.file] }
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
        "the client's protocol"
    );
}

#[test]
fn authorities_that_a_reload_changes_apply_to_kept_connections_too() {
    let scene = scene("127.0.0.1");
    let [ours, other] = &scene.authorities;
    scene.gate.exchange(get("trusted.test")).expect(200, "fine");
    scene.gate.reload().unwrap();
    scene.gate.exchange(get("trusted.test")).expect(200, "fine");
    assert_eq!(scene.upstream.connections(), 1, "equal authorities keep the connection");
    std::fs::copy(other, ours).unwrap();
    scene.gate.reload().unwrap();
    scene.gate.exchange(get("trusted.test")).expect_own(502, "tls_certificate");
}

#[test]
fn the_configured_sni_is_sent_and_verified_instead_of_the_address() {
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
    assert_eq!(scene.upstream.requests().len(), 0, "no request before the certificate is verified");
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
fn a_private_authority_is_unknown_to_the_system() {
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
    let ca = Authority::new(dir.path(), "ours.pem");
    let file = ca.file.display();
    let gate = TestGate::start(CONFIG, &[("upstream", &plain), ("ca", &file), ("other_ca", &file)]);
    gate.exchange(get("trusted.test")).expect_own(502, "tls_failed");
}

#[test]
fn a_tls_stream_without_close_notify_never_ends_a_body_cleanly() {
    let dir = tempfile::tempdir().unwrap();
    let ours = Authority::new(dir.path(), "ours.pem");
    let (upstream, _) = upstream(&ours, "127.0.0.1", |connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\n\r\nuntil close");
        // The socket ends without the end of TLS. An attacker can cause that.
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
    let ours = Authority::new(dir.path(), "ours.pem");
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

/// The kernel accepts a connection for a target that never reads the client hello.
#[test]
fn a_target_that_does_not_finish_the_handshake_is_502() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules: [{ target: "https://{upstream}", tls: { insecure_skip_verify: true }, connect_timeout: 100ms }]
"#;
    let gate = TestGate::start(config, &[("upstream", &silent.local_addr().unwrap())]);
    gate.exchange(get("a.test")).expect_own(502, "tls_failed");
}
