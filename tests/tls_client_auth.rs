//! Client certificates: when they are required, and that no request can bypass them. A connection gives
//! access only to the names that its certificate was checked for.

mod support;

use std::io::{Read, Write};
use std::sync::Arc;

use support::gate::TestGate;
use support::tls::{Authority, Leaf, Tls};
use support::upstream::Upstream;
use tempfile::TempDir;

/// One listener with public and protected names.
const CONFIG: &str = r#"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    protocol: http
    tls:
      certificates:
        - { path: "{dir}/public.crt" }
        - { path: "{dir}/members.crt", client_auth: { ca: "{dir}/members-ca.pem" } }
        - { path: "{dir}/guests.crt", client_auth: { ca: "{dir}/members-ca.pem", mode: optional } }
    rules:
      - { host: public.test, respond: { body: public } }
      - { host: members.test, respond: { body: members } }
      - { host: guests.test, respond: { body: guests } }
      - respond: { body: anyone }
"#;

struct Scene {
    gate: TestGate,
    servers: Authority,
    member: Leaf,
    stranger: Leaf,
    dir: TempDir,
}

fn scene() -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let servers = Authority::new(dir.path(), "ca.pem");
    for name in ["public", "members", "guests"] {
        servers.issue(dir.path(), name, &[&format!("{name}.test")]);
    }
    let members = Authority::new(dir.path(), "members-ca.pem");
    let member = members.issue(dir.path(), "member", &["somebody"]);
    let stranger = servers.issue(dir.path(), "stranger", &["somebody"]);
    let gate = TestGate::start(CONFIG, &[("dir", &dir.path().display())]);
    Scene { gate, servers, member, stranger, dir }
}

impl Scene {
    /// The response of each host to a client that connected to `name` with the certificate `own`.
    fn ask(&self, name: &str, own: Option<&Leaf>, hosts: &[&str]) -> Result<Vec<(u16, String)>, String> {
        let config = Arc::new(self.servers.client_with(&[], own, rustls::ALL_VERSIONS));
        let mut tls = Tls::connect(self.gate.address("https"), &config, name).map_err(|e| e.to_string())?;
        // In TLS 1.3 the client finishes before the server has checked its certificate.
        let first = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", hosts[0]);
        tls.write_all(first.as_bytes()).map_err(|error| error.to_string())?;
        let mut byte = [0];
        tls.read_exact(&mut byte).map_err(|error| error.to_string())?;
        let mut client = Tls::connect(self.gate.address("https"), &config, name).unwrap().client();
        let ask = |host: &&str| {
            let response = client.exchange(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            (response.status(), response.text())
        };
        Ok(hosts.iter().map(ask).collect())
    }
}

#[test]
fn a_required_certificate_must_be_valid() {
    let scene = scene();
    let answer = scene.ask("members.test", Some(&scene.member), &["members.test"]).unwrap();
    assert_eq!(answer, [(200, "members".to_owned())]);
    let refused = scene.ask("members.test", None, &["members.test"]).unwrap_err();
    assert!(refused.contains("CertificateRequired"), "{refused}");
    let refused = scene.ask("members.test", Some(&scene.stranger), &["members.test"]).unwrap_err();
    assert!(refused.contains("received fatal alert"), "{refused}");
    let failed = "smolgate_tls_handshakes_total{listener=\"https\",result=\"failed\"}";
    support::until("both are counted", || scene.gate.metric(failed) == 2.0);
}

#[test]
fn an_optional_certificate_must_be_valid() {
    let scene = scene();
    for own in [None, Some(&scene.member)] {
        let answer = scene.ask("guests.test", own, &["guests.test"]).unwrap();
        assert_eq!(answer, [(200, "guests".to_owned())]);
    }
    let refused = scene.ask("guests.test", Some(&scene.stranger), &["guests.test"]).unwrap_err();
    assert!(refused.contains("received fatal alert"), "{refused}");
}

#[test]
fn a_connection_for_one_name_gives_no_access_to_a_name_with_other_demands() {
    let scene = scene();
    let hosts =
        ["public.test", "members.test", "MEMBERS.test.", "guests.test", "unknown.test", "public.test"];
    let answers = scene.ask("public.test", None, &hosts).unwrap();
    let status: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    assert_eq!(status, [200, 421, 421, 421, 200, 200], "{answers:?}");
    assert!(answers[1].1.contains("(misdirected: "), "{answers:?}");
    assert!(answers[1].1.contains("other client certificates are required"), "{answers:?}");
    let answers = scene.ask("members.test", Some(&scene.member), &["members.test", "public.test"]).unwrap();
    assert_eq!(answers.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 421]);
    assert_eq!(scene.gate.metric("smolgate_local_replies_total{reason=\"misdirected\"}"), 4.0);
}

#[test]
fn an_absolute_target_does_not_bypass_it() {
    let scene = scene();
    let config = Arc::new(scene.servers.client(&[]));
    let mut client = Tls::connect(scene.gate.address("https"), &config, "public.test").unwrap().client();
    let request = "GET http://members.test/ HTTP/1.1\r\nHost: public.test\r\n\r\n";
    assert_eq!(client.exchange(request).status(), 421);
}

#[test]
fn a_reload_that_demands_more_applies_to_open_connections_and_sessions() {
    let scene = scene();
    let config = Arc::new(scene.servers.client(&[]));
    let connect = || Tls::connect(scene.gate.address("https"), &config, "public.test");
    let get = "GET / HTTP/1.1\r\nHost: public.test\r\n\r\n";
    let mut open = connect().unwrap().client();
    assert_eq!(open.exchange(get).status(), 200);
    let demanding = CONFIG.replace(
        r#"{ path: "{dir}/public.crt" }"#,
        r#"{ path: "{dir}/public.crt", client_auth: { ca: "{dir}/members-ca.pem" } }"#,
    );
    scene.gate.edit(&demanding, &[("dir", &scene.dir.path().display())]);
    scene.gate.reload().unwrap();
    assert_eq!(open.exchange(get).status(), 421);
    // A resumed session does not help: the client has a ticket and still needs a certificate.
    let mut tls = connect().unwrap();
    let mut byte = [0];
    let refused = tls.write_all(get.as_bytes()).and_then(|()| tls.read_exact(&mut byte));
    assert!(refused.unwrap_err().to_string().contains("CertificateRequired"));
}

#[test]
fn without_its_authorities_a_name_is_not_served() {
    let scene = scene();
    std::fs::write(scene.dir.path().join("members-ca.pem"), "nothing").unwrap();
    scene.gate.reload().unwrap();
    for name in ["members.test", "guests.test"] {
        let refused = scene.ask(name, Some(&scene.member), &[name]).unwrap_err();
        assert!(refused.contains("UnrecognisedName"), "{refused}");
    }
    assert!(scene.ask("public.test", None, &["public.test"]).is_ok());
}

const MEMBERS: &str = "GET / HTTP/1.1\r\nHost: members.test\r\n\r\n";

#[test]
fn clients_of_replaced_authorities_lose_access() {
    let scene = scene();
    let config = Arc::new(scene.servers.client_with(&[], Some(&scene.member), rustls::ALL_VERSIONS));
    let mut open = Tls::connect(scene.gate.address("https"), &config, "members.test").unwrap().client();
    assert_eq!(open.exchange(MEMBERS).status(), 200);
    // Equal authorities in another file content.
    let file = scene.dir.path().join("members-ca.pem");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("# ours\n{text}{text}")).unwrap();
    let said = scene.gate.reload().unwrap();
    assert!(said.contains("nothing changed"), "{said}");
    assert_eq!(open.exchange(MEMBERS).status(), 200);
    Authority::new(scene.dir.path(), "members-ca.pem");
    let said = scene.gate.reload().unwrap();
    assert!(said.contains("listener https: authorities of clients changed"), "{said}");
    assert_eq!(open.exchange(MEMBERS).status(), 421);
    let refused = scene.ask("members.test", Some(&scene.member), &["members.test"]).unwrap_err();
    assert!(refused.contains("received fatal alert"), "{refused}");
}

#[test]
fn clients_of_unreadable_authorities_lose_access() {
    let scene = scene();
    let config = Arc::new(scene.servers.client_with(&[], Some(&scene.member), rustls::ALL_VERSIONS));
    let mut open = Tls::connect(scene.gate.address("https"), &config, "members.test").unwrap().client();
    assert_eq!(open.exchange(MEMBERS).status(), 200);
    std::fs::remove_file(scene.dir.path().join("members-ca.pem")).unwrap();
    scene.gate.reload().unwrap();
    assert_eq!(open.exchange(MEMBERS).status(), 421);
}

#[test]
fn tunnels_end_with_the_authorities_that_admitted_them() {
    let dir = tempfile::tempdir().unwrap();
    let servers = Authority::new(dir.path(), "ca.pem");
    servers.issue(dir.path(), "members", &["members.test"]);
    servers.issue(dir.path(), "public", &["public.test"]);
    let member = Authority::new(dir.path(), "members-ca.pem").issue(dir.path(), "member", &["somebody"]);
    let echo = Upstream::scripted(|connection| {
        while let Some(bytes) = connection.read_some() {
            connection.send(bytes);
        }
    });
    let config = r#"
listeners:
  - name: raw
    bind: "127.0.0.1:0"
    protocol: tcp
    shutdown_timeout: "50ms"
    tls:
      certificates:
        - { path: "{dir}/members.crt", client_auth: { ca: "{dir}/members-ca.pem" } }
        - { path: "{dir}/public.crt" }
    target: "{echo}"
"#;
    let gate = TestGate::start(config, &[("dir", &dir.path().display()), ("echo", &echo)]);
    let tunnel = |name: &str| {
        let config = Arc::new(servers.client_with(&[], Some(&member), rustls::ALL_VERSIONS));
        let mut client = Tls::connect(gate.address("raw"), &config, name).unwrap().client();
        client.send("open");
        assert_eq!(client.read_exact(4), b"open");
        client
    };
    let (mut members, mut public) = (tunnel("members.test"), tunnel("public.test"));
    gate.reload().unwrap();
    members.send("stay");
    assert_eq!(members.read_exact(4), b"stay");
    Authority::new(dir.path(), "members-ca.pem");
    gate.reload().unwrap();
    assert!(members.try_read_exact(1).is_err(), "it ends");
    public.send("stay");
    assert_eq!(public.read_exact(4), b"stay");
}
