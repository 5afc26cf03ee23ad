//! Listeners that terminate TLS: the certificate for each name, and handshakes that fail.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{AlertDescription, ClientConfig, NamedGroup};
use support::gate::TestGate;
use support::tls::{Authority, Leaf, Tls};
use support::upstream::Upstream;
use support::{DEADLINE, pattern, until};
use tempfile::TempDir;

/// A folder of certificates: one for a name, one with a wildcard.
const CONFIG: &str = r#"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    protocol: http
    tls: { certificates: "{certs}", handshake_timeout: 60s }
    rules:
      - path_prefix: "/up"
        target: "http://{upstream}"
      - respond: { body: "fine" }
"#;

struct Scene {
    gate: TestGate,
    authority: Authority,
    dir: TempDir,
    one: Leaf,
    many: Leaf,
    upstream: Upstream,
}

fn scene(config: &str) -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    let certs = dir.path().join("certs");
    let one = authority.issue(&certs, "one", &["one.test"]);
    let many = authority.issue(&certs, "many", &["*.many.test"]);
    authority.issue(dir.path(), "fallback", &["fallback.test"]);
    let upstream = Upstream::each(|connection, request| {
        let text = String::from_utf8(request.head.raw.clone()).unwrap();
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()));
    });
    let path = dir.path().display();
    let gate =
        TestGate::start(config, &[("certs", &certs.display()), ("dir", &path), ("upstream", &upstream)]);
    Scene { gate, authority, dir, one, many, upstream }
}

impl Scene {
    fn address(&self) -> SocketAddr {
        self.gate.address("https")
    }

    fn connect(&self, name: &str) -> std::io::Result<Tls> {
        Tls::connect(self.address(), &self.config(), name)
    }

    fn config(&self) -> Arc<ClientConfig> {
        Arc::new(self.authority.client(&["http/1.1"]))
    }

    fn handshakes(&self, result: &str) -> f64 {
        let series = format!("smolgate_tls_handshakes_total{{listener=\"https\",result=\"{result}\"}}");
        self.gate.metric(&series)
    }
}

fn der(leaf: &Leaf) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(&leaf.cert).unwrap()
}

fn get(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// The alert of a failed handshake.
#[track_caller]
fn alert(result: std::io::Result<Tls>) -> AlertDescription {
    let error = match result {
        Ok(_) => panic!("the handshake succeeded"),
        Err(error) => error,
    };
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => panic!("no alert: {error:?}"),
    }
}

#[test]
fn the_certificate_is_chosen_by_the_server_name() {
    let scene = scene(CONFIG);
    for (name, leaf) in [
        ("one.test", &scene.one),
        ("ONE.test", &scene.one),
        ("a.many.test", &scene.many),
        ("b.many.test", &scene.many),
    ] {
        let tls = scene.connect(name).unwrap();
        assert_eq!(tls.shown(), der(leaf), "{name}");
        assert_eq!(tls.0.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
        let mut client = tls.client();
        assert_eq!(client.exchange(get(name, "/")).text(), "fine");
        assert_eq!(client.exchange(get(name, "/again")).text(), "fine", "the connection is kept");
    }
    assert_eq!(scene.handshakes("ok"), 4.0);
}

#[test]
fn a_name_without_a_certificate_gets_none() {
    let scene = scene(CONFIG);
    for name in ["two.test", "many.test", "a.b.many.test", "127.0.0.1"] {
        assert_eq!(alert(scene.connect(name)), AlertDescription::UnrecognisedName, "{name}");
    }
    until("all are counted", || scene.handshakes("unrecognized_name") == 4.0);
    assert_eq!(scene.handshakes("ok"), 0.0);
}

#[test]
fn a_default_certificate_is_for_all_other_names() {
    let config = CONFIG.replace("tls: {", "tls: { default_certificate: \"{dir}/fallback.crt\",");
    let scene = scene(&config);
    let fallback = CertificateDer::from_pem_file(scene.dir.path().join("fallback.crt")).unwrap();
    assert_eq!(scene.connect("fallback.test").unwrap().shown(), fallback);
    assert_eq!(scene.connect("one.test").unwrap().shown(), der(&scene.one));
    // The client rejects the certificate for this name, so the gate has sent it.
    let error = scene.connect("two.test").err().unwrap();
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[test]
fn a_listed_certificate_is_the_default_by_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    let listed = authority.issue(dir.path(), "listed", &["listed.test"]);
    // The key is not where a path alone would find it.
    std::fs::rename(dir.path().join("listed.key"), dir.path().join("elsewhere.key")).unwrap();
    let config = r#"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    protocol: http
    tls:
      certificates: [{ cert: "{dir}/listed.crt", key: "{dir}/elsewhere.key" }]
      default_certificate: "{dir}/listed.crt"
    rules: [respond: {}]
"#;
    let gate = TestGate::start(config, &[("dir", &dir.path().display())]);
    let connect = |name: &str| {
        let config = Arc::new(authority.client(&["http/1.1"]));
        Tls::connect(gate.address("https"), &config, name)
    };
    assert_eq!(connect("listed.test").unwrap().shown(), der(&listed));
    // The client rejects the certificate for this name, so the gate has sent it.
    let error = connect("other.test").err().unwrap();
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[test]
fn the_target_gets_https_as_the_protocol() {
    let scene = scene(CONFIG);
    let text = scene.connect("one.test").unwrap().client().exchange(get("one.test", "/up")).text();
    assert!(text.contains("X-Forwarded-Proto: https"), "{text}");
    assert!(text.contains(";proto=https"), "{text}");
    assert!(!text.contains("proto=http\r"), "{text}");
    drop(scene.upstream);
}

#[test]
fn both_versions_and_the_post_quantum_group_are_spoken() {
    let scene = scene(CONFIG);
    for (version, name) in [(&rustls::version::TLS12, "TLSv1_2"), (&rustls::version::TLS13, "TLSv1_3")] {
        let config = Arc::new(scene.authority.client_with(&[], None, &[version]));
        let tls = Tls::connect(scene.address(), &config, "one.test").unwrap();
        assert_eq!(format!("{:?}", tls.0.conn.protocol_version().unwrap()), name);
    }
    let tls = scene.connect("one.test").unwrap();
    let group = tls.0.conn.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
}

#[test]
fn an_old_version_can_be_switched_off() {
    let scene = scene(&CONFIG.replace("tls: {", "tls: { min_version: \"1.3\","));
    let config = Arc::new(scene.authority.client_with(&[], None, &[&rustls::version::TLS12]));
    let refused = Tls::connect(scene.address(), &config, "one.test");
    assert_eq!(alert(refused), AlertDescription::ProtocolVersion);
    scene.connect("one.test").unwrap();
    until("it is counted", || scene.handshakes("failed") == 1.0);
}

#[test]
fn a_protocol_that_is_not_spoken_is_refused() {
    let scene = scene(CONFIG);
    let config = Arc::new(scene.authority.client(&["spdy/3"]));
    let refused = Tls::connect(scene.address(), &config, "one.test");
    assert_eq!(alert(refused), AlertDescription::NoApplicationProtocol);
    let config = Arc::new(scene.authority.client(&["http/1.0"]));
    let tls = Tls::connect(scene.address(), &config, "one.test").unwrap();
    assert_eq!(tls.0.conn.alpn_protocol(), Some(&b"http/1.0"[..]));
    assert_eq!(tls.client().exchange("GET / HTTP/1.0\r\nHost: one.test\r\n\r\n").text(), "fine");
    let config = Arc::new(scene.authority.client(&["spdy/3", "http/1.0", "http/1.1"]));
    let tls = Tls::connect(scene.address(), &config, "one.test").unwrap();
    assert_eq!(tls.0.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[test]
fn a_session_is_resumed_at_another_worker_and_after_a_reload() {
    let scene = scene(&format!("workers: 3\n{CONFIG}"));
    let config = scene.config();
    let resumed = |config: &Arc<ClientConfig>| {
        let tls = Tls::connect(scene.address(), config, "one.test").unwrap();
        let kind = tls.0.conn.handshake_kind().unwrap();
        // The ticket comes with or before the first response.
        assert_eq!(tls.client().exchange(get("one.test", "/")).text(), "fine");
        kind == rustls::HandshakeKind::Resumed
    };
    assert!(!resumed(&config));
    for _ in 0..12 {
        assert!(resumed(&config));
    }
    scene.gate.reload().unwrap();
    assert!(resumed(&config), "tickets outlive a reload");
}

#[test]
fn a_renewed_certificate_is_served_after_a_reload() {
    let scene = scene(CONFIG);
    let mut kept = scene.connect("one.test").unwrap().client();
    assert_eq!(kept.exchange(get("one.test", "/")).text(), "fine");
    let before = der(&scene.one);
    let after = scene.authority.issue(&scene.dir.path().join("certs"), "one", &["one.test", "new.test"]);
    assert_eq!(scene.connect("one.test").unwrap().shown(), before, "not before the reload");
    let said = scene.gate.reload().unwrap();
    assert!(said.contains(": listener https: 1 certificate (one.test) changed ("), "{said}");
    let said = scene.gate.reload().unwrap();
    assert!(said.contains(": nothing changed ("), "{said}");
    assert_eq!(scene.connect("one.test").unwrap().shown(), der(&after));
    assert_eq!(scene.connect("new.test").unwrap().shown(), der(&after));
    assert_eq!(kept.exchange(get("one.test", "/")).text(), "fine", "an open connection goes on");
}

/// A deploy hook of a certificate client must not take this for success.
#[test]
fn a_reload_names_the_errors_of_certificates_that_it_goes_on_without() {
    let scene = scene(CONFIG);
    let said = scene.gate.reload().unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    let key = scene.dir.path().join("certs/one.key");
    std::fs::write(&key, "no key").unwrap();
    let said = scene.gate.reload().unwrap();
    let (first, errors) = said.split_once('\n').expect("more than a line");
    assert!(first.starts_with("reloaded as generation 3: ") && first.contains(" ms), with "), "{said}");
    assert!(errors.starts_with("error: ") && errors.contains("one.key"), "{said}");
}

#[test]
fn a_renewed_certificate_is_served_without_a_reload_if_files_are_watched() {
    let scene = scene(&format!("watch: true\n{CONFIG}"));
    let certs = scene.dir.path().join("certs");
    scene.authority.issue(&certs, "new", &["new.test"]);
    // In certbot's layout, one folder deeper.
    let live = scene.authority.issue(&certs.join("live.test"), "live", &["live.test"]);
    std::fs::rename(&live.key, certs.join("live.test/privkey.pem")).unwrap();
    std::fs::rename(&live.cert, certs.join("live.test/fullchain.pem")).unwrap();
    for name in ["new.test", "live.test"] {
        until("the new certificates are shown", || scene.connect(name).is_ok());
    }
    let before = scene.connect("live.test").unwrap().shown();
    let live = scene.authority.issue(&certs.join("live.test"), "next", &["live.test"]);
    std::fs::rename(&live.key, certs.join("live.test/privkey.pem")).unwrap();
    std::fs::rename(&live.cert, certs.join("live.test/fullchain.pem")).unwrap();
    until("the renewed one is shown", || scene.connect("live.test").unwrap().shown() != before);
}

#[test]
fn a_certificate_that_cannot_be_used_does_not_affect_the_others() {
    let scene = scene(CONFIG);
    let certs = scene.dir.path().join("certs");
    std::fs::write(certs.join("broken.crt"), "no PEM at all").unwrap();
    let lonely = scene.authority.issue(&certs, "lonely", &["lonely.test"]);
    std::fs::remove_file(&lonely.key).unwrap();
    let mixed = scene.authority.issue(&certs, "mixed", &["mixed.test"]);
    std::fs::copy(&scene.one.key, &mixed.key).unwrap();
    scene.gate.reload().unwrap();
    scene.connect("one.test").unwrap();
    scene.connect("a.many.test").unwrap();
    for name in ["lonely.test", "mixed.test"] {
        assert_eq!(alert(scene.connect(name)), AlertDescription::UnrecognisedName, "{name}");
    }
}

#[test]
fn the_old_certificate_is_served_until_a_usable_one_or_its_removal() {
    let scene = scene(CONFIG);
    let certs = scene.dir.path().join("certs");
    let (one, many) = (der(&scene.one), der(&scene.many));
    let outdated = || scene.gate.metric("smolgate_certificates_outdated");
    let names = ["one.test", "a.many.test"];
    let shown = || names.map(|name| scene.connect(name).unwrap().shown());
    assert_eq!(outdated(), 0.0);
    std::fs::write(&scene.one.cert, "half a certif").unwrap();
    scene.authority.issue_expired(&certs, "many", &["*.many.test"]);
    scene.gate.reload().unwrap();
    assert_eq!((shown(), outdated()), ([one.clone(), many.clone()], 2.0));
    // The next one cannot be used either.
    let next = scene.authority.issue(&certs, "one", &["one.test"]);
    std::fs::copy(&scene.many.key, &next.key).unwrap();
    scene.gate.reload().unwrap();
    assert_eq!((shown(), outdated()), ([one.clone(), many], 2.0));
    // One is valid again, the other is removed.
    let next = scene.authority.issue(&certs, "one", &["one.test"]);
    std::fs::remove_file(&scene.many.cert).unwrap();
    scene.gate.reload().unwrap();
    assert_eq!(outdated(), 0.0);
    assert_eq!(scene.connect("one.test").unwrap().shown(), der(&next));
    assert_eq!(alert(scene.connect("a.many.test")), AlertDescription::UnrecognisedName);
    // A certificate that the configuration no longer names is removed too, even if its file is broken.
    std::fs::write(&next.cert, "half a certif").unwrap();
    let elsewhere = CONFIG.replacen("{certs}", "{dir}/fallback.crt", 1);
    let names: support::gate::Names =
        &[("certs", &certs.display()), ("dir", &scene.dir.path().display()), ("upstream", &scene.upstream)];
    scene.gate.edit(&elsewhere, names);
    scene.gate.reload().unwrap();
    assert_eq!(outdated(), 0.0);
    assert_eq!(alert(scene.connect("one.test")), AlertDescription::UnrecognisedName);
}

#[test]
fn the_expiry_of_each_certificate_is_a_metric() {
    let scene = scene(CONFIG);
    scene.authority.issue_expired(&scene.dir.path().join("certs"), "old", &["old.test"]);
    scene.gate.reload().unwrap();
    let series = "smolgate_certificate_expiry_timestamp_seconds{listener=\"https\",name=\"old.test\"}";
    // 2002-02-03.
    assert_eq!(scene.gate.metric(series), 1_012_694_400.0);
    let text = scene.gate.metrics();
    assert!(text.contains("listener=\"https\",name=\"*.many.test\""), "{text}");
}

#[test]
fn slow_handshakes_delay_no_other_client() {
    let scene = scene(CONFIG);
    // More of them than workers, stuck before, inside and after their hello.
    let mut slow = Vec::new();
    for bytes in [&b""[..], b"\x16\x03\x01\x02\x00\x01", &hello("one.test")] {
        for _ in 0..4 {
            let mut socket = TcpStream::connect(scene.address()).unwrap();
            socket.write_all(bytes).unwrap();
            slow.push(socket);
        }
    }
    for _ in 0..4 {
        let mut client = scene.connect("one.test").unwrap().client();
        assert_eq!(client.exchange(get("one.test", "/")).text(), "fine");
    }
    drop(slow);
    until("the clients that left are counted", || scene.handshakes("client_gone") == 12.0);
}

#[test]
fn stalled_handshakes_make_room_for_the_next() {
    let scene = scene(CONFIG);
    let hello = hello("one.test");
    let stall = |_| {
        let mut socket = TcpStream::connect(scene.address()).unwrap();
        socket.write_all(&hello).unwrap();
        socket
    };
    // More than the unfinished handshakes of a worker, long before their timeout.
    let stalled: Vec<TcpStream> = (0..700).map(stall).collect();
    for _ in 0..3 {
        let mut client = scene.connect("one.test").unwrap().client();
        assert_eq!(client.exchange(get("one.test", "/")).text(), "fine");
    }
    until("the handshakes that have waited longest are ended", || scene.handshakes("timeout") >= 188.0);
    drop(stalled);
    until("the others end", || scene.handshakes("timeout") + scene.handshakes("client_gone") == 700.0);
}

#[test]
fn a_handshake_has_a_deadline() {
    let scene = scene(&CONFIG.replace("60s", "50ms"));
    for bytes in [&b""[..], b"\x16", &hello("one.test")] {
        let mut socket = TcpStream::connect(scene.address()).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        socket.write_all(bytes).unwrap();
        // Closed, or reset because of unread bytes.
        let mut rest = Vec::new();
        if let Err(error) = socket.read_to_end(&mut rest) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
    }
    until("all are counted", || scene.handshakes("timeout") == 3.0);
}

#[test]
fn a_hello_in_pieces_is_a_hello() {
    let scene = scene(CONFIG);
    let hello = hello("a.many.test");
    for step in [1, 7, 100] {
        let mut socket = TcpStream::connect(scene.address()).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        hello.chunks(step).for_each(|piece| socket.write_all(piece).unwrap());
        let mut answer = [0; 6];
        socket.read_exact(&mut answer).unwrap();
        // A handshake record with a server hello.
        assert_eq!((answer[0], answer[5]), (22, 2), "pieces of {step}");
    }
}

#[test]
fn other_bytes_than_tls_are_refused_with_a_reason() {
    let scene = scene(CONFIG);
    let mut socket = TcpStream::connect(scene.address()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");

    let mut socket = TcpStream::connect(scene.address()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    // A handshake record with something else than a client hello.
    socket.write_all(&[22, 3, 1, 0, 4, 2, 0, 0, 0]).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, [21, 3, 3, 0, 2, 2, 50], "a fatal decode_error");
    until("both are counted", || scene.handshakes("not_tls") == 2.0);
}

#[test]
fn large_bodies_pass_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    authority.issue(&dir.path().join("certs"), "one", &["one.test"]);
    let upstream = Upstream::each(|connection, request| {
        let body = request.body.bytes.clone();
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        connection.send(body);
    });
    let certs = dir.path().join("certs");
    let gate = TestGate::start(CONFIG, &[("certs", &certs.display()), ("upstream", &upstream)]);
    let config = Arc::new(authority.client(&[]));
    let mut client = Tls::connect(gate.address("https"), &config, "one.test").unwrap().client();
    let body = pattern(7, 300_000);
    let head = format!("POST /up HTTP/1.1\r\nHost: one.test\r\nContent-Length: {}\r\n\r\n", body.len());
    let response = client.exchange([head.as_bytes(), &body].concat());
    assert_eq!(response.status(), 200);
    assert!(response.body.bytes == body, "the body has changed");
}

#[test]
fn tcp_listeners_terminate_tls_too() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    let leaf = authority.issue(dir.path(), "mail", &["mail.test"]);
    let echo = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = echo.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = echo.accept().unwrap();
        let mut all = Vec::new();
        socket.read_to_end(&mut all).unwrap();
        socket.write_all(&all).unwrap();
    });
    let config = r#"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    protocol: tcp
    tls: { certificates: { cert: "{cert}", key: "{key}" } }
    target: "{target}"
"#;
    let (cert, key) = (leaf.cert.display(), leaf.key.display());
    let gate = TestGate::start(config, &[("cert", &cert), ("key", &key), ("target", &target)]);
    // Any protocol, because the gate does not inspect the bytes inside.
    let config = Arc::new(authority.client(&["imap"]));
    let mut tls = Tls::connect(gate.address("https"), &config, "mail.test").unwrap();
    let bytes = pattern(3, 100_000);
    tls.write_all(&bytes).unwrap();
    support::wire::Transport::finish(&mut tls);
    let mut back = Vec::new();
    tls.read_to_end(&mut back).unwrap();
    assert!(back == bytes, "{} of {} bytes came back", back.len(), bytes.len());
    server.join().unwrap();
}

#[test]
fn the_access_log_names_version_and_cipher() {
    let scene = scene(&format!("access_log: \"{{dir}}/access.log\"\n{CONFIG}"));
    scene.connect("one.test").unwrap().client().exchange(get("one.test", "/"));
    let file = scene.dir.path().join("access.log");
    let line = || std::fs::read_to_string(&file).unwrap_or_default();
    until("there is a line", || line().ends_with('\n'));
    let value: serde_json::Value = serde_json::from_str(&line()).unwrap();
    assert_eq!(value["tls_version"], "TLSv1.3");
    assert!(value["tls_cipher"].as_str().unwrap().starts_with("TLS13_"), "{value}");
}

#[test]
fn openssl_gets_a_certificate_only_for_a_known_name() {
    if !is_there("openssl") {
        return;
    }
    let scene = scene(CONFIG);
    let ask = |name: &str| {
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &scene.address().to_string(), "-servername", name])
            .args(["-verify_return_error", "-CAfile", &scene.authority.file.display().to_string()])
            .stdin(Stdio::null())
            .output()
            .expect("openssl starts");
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    for name in ["x.many.test", "X.MANY.test", "one.test."] {
        let said = ask(name);
        assert!(said.contains("Verify return code: 0 (ok)"), "{name}: {said}");
    }
    let said = ask("stranger.test");
    assert!(said.contains("no peer certificate available") && said.contains("unrecognized name"), "{said}");
}

#[test]
fn curl_gets_a_response() {
    if !is_there("curl") {
        return;
    }
    let scene = scene(CONFIG);
    let port = scene.address().port();
    let output = Command::new("curl")
        .args(["--disable", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*"])
        .args(["--resolve", &format!("one.test:{port}:127.0.0.1")])
        .args(["--cacert", &scene.authority.file.display().to_string()])
        .arg(format!("https://one.test:{port}/"))
        .output()
        .expect("curl starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "fine", "{output:?}");
}

fn is_there(program: &str) -> bool {
    let there =
        Command::new(program).arg("version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        eprintln!("SKIPPED: there is no `{program}` on this machine; this test proves nothing here");
    }
    there
}

/// The first flight of a client that asks for `name`.
fn hello(name: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca.pem");
    let name = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
    let config = Arc::new(authority.client(&[]));
    let mut session = rustls::ClientConnection::new(config, name).unwrap();
    let mut bytes = Vec::new();
    session.write_tls(&mut bytes).unwrap();
    bytes
}
