//! Certificates by records of DNS: every way to write one, the wait for the name servers, and wildcards. The authority
//! is `support/ca.rs`, the name server `support/dns.rs`; no other is ever asked.
#![cfg(feature = "acme")]

mod support;

#[path = "support/ca.rs"]
mod ca;
#[path = "support/dns.rs"]
mod dns;
#[path = "support/dns_services.rs"]
mod dns_services;

use std::fs;
use std::net::UdpSocket;
use std::sync::Arc;

use ca::{Asked, Fault, TestCa};
use dns::TestDns;
use rustix::process::Signal;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use support::gate::TestGate;
use support::program::Program;
use support::tls::Tls;
use support::{Latch, until};
use tempfile::TempDir;

const CONFIG: &str = r#"
acme:
  accept_terms: true
  ca: "{directory}"
  dns: { provider: {provider}, servers: "{server}", wait: 10ms }
store: "{dir}/store"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    tls: { acme: true }
    rules: [{ host: [{hosts}], respond: { body: hello } }]
"#;

/// A program for `exec` that appends what it is asked for to a file.
const HOOK: &str =
    "test -e \"$1/closed\" && { echo 'no such zone' >&2; exit 3; }\necho \"$2 $3 $4\" >>\"$1/records\"\n";

/// An authority, a name server, and a folder.
struct Scene {
    ca: TestCa,
    dns: TestDns,
    services: String,
    dir: TempDir,
}

impl Scene {
    fn new() -> Scene {
        let (ca, dns, dir) = (TestCa::start(), TestDns::start(), tempfile::tempdir().unwrap());
        fs::write(dir.path().join("hook.sh"), HOOK).unwrap();
        dns.read(dir.path().join("records"));
        let asked = dns.clone();
        ca.ask_dns(move |name, text| asked.shows(name, text));
        Scene { services: dns_services::start(&dns), ca, dns, dir }
    }

    /// The configuration for these hosts with this provider.
    fn config(&self, provider: &str, hosts: &str) -> String {
        CONFIG
            .replace("{provider}", provider)
            .replace("{directory}", &self.ca.directory())
            .replace("{server}", &self.dns.address.to_string())
            .replace("{services}", &self.services)
            .replace("{dir}", &self.dir.path().display().to_string())
            .replace("{hosts}", hosts)
    }

    fn gate(&self, provider: &str, hosts: &str) -> TestGate {
        TestGate::start(&self.config(provider, hosts), &[])
    }

    fn is_served(&self, https: std::net::SocketAddr, name: &str) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        Tls::connect(https, &config, name).is_ok()
    }

    fn wait_for(&self, gate: &TestGate, names: &[&str]) {
        for name in names {
            until("it is served", || self.is_served(gate.address("https"), name));
        }
    }
}

const EXEC: &str = r#"exec, command: [sh, "{dir}/hook.sh", "{dir}"]"#;

#[test]
fn every_provider_writes_and_removes_the_records_of_a_wildcard_and_its_parent() {
    for provider in [
        EXEC,
        r#"httpreq, url: "{services}/", username: user, password: password"#,
        r#"acme_dns, url: "{services}", username: user, password: password, subdomain: sub"#,
        r#"rfc2136, server: "{server}", key_name: key.test, secret: "c2VjcmV0""#,
        r#"rfc2136, server: "{server}", key_name: key.test, secret: "c2VjcmV0", zone: a.test"#,
        r#"cloudflare, url: "{services}", token: token"#,
    ] {
        let scene = Scene::new();
        if provider.starts_with("acme_dns") {
            scene.dns.alias("_acme-challenge.a.test", "sub.auth.test");
        }
        let gate = scene.gate(provider, "\"*.a.test\", a.test, x.a.test");
        scene.wait_for(&gate, &["a.test", "x.a.test", "y.a.test"]);
        let mut orders = scene.ca.orders();
        orders.sort_unstable();
        assert_eq!(orders, ["*.a.test", "a.test"], "{provider}: a host below a wildcard needs no own one");
        assert_eq!(scene.dns.complaints(), [""; 0], "{provider}");
        if !provider.starts_with("acme_dns") {
            until("nothing is left", || scene.dns.texts().is_empty());
        }
        assert!(!scene.is_served(gate.address("https"), "y.x.a.test"), "{provider}");
    }
}

/// Labels: a wildcard, a host below it, and a host without a certificate.
#[cfg(feature = "compose")]
#[test]
fn a_wildcard_of_a_label_is_ordered() {
    const LABELS: &str = "services:
  all:
    labels: { smolgate.host: \"*.a.test\", smolgate.target: \"http://127.0.0.1:1\" }
  one:
    labels: { smolgate.host: x.a.test, smolgate.target: \"http://127.0.0.1:1\" }
  none:
    labels: { smolgate.host: b.test, smolgate.target: \"http://127.0.0.1:1\", smolgate.acme: \"false\" }
";
    let scene = Scene::new();
    let (native, compose) = (scene.dir.path().join("smolgate.yml"), scene.dir.path().join("compose.yaml"));
    let text = scene.config(EXEC, "").replace("    rules: [{ host: [], respond: { body: hello } }]\n", "");
    let text = text.replace("listeners:", "listeners:\n  - { name: http, bind: \"127.0.0.1:0\" }");
    fs::write(
        &native,
        format!("internal_api: {{ bind: \"unix:{}/api\" }}{text}", scene.dir.path().display()),
    )
    .unwrap();
    fs::write(&compose, LABELS).unwrap();
    let gate = Program::start(|command| {
        command.arg("-c").arg(&native).arg("-c").arg(&compose);
    });
    until("it is served", || scene.is_served(gate.address("https"), "y.a.test"));
    assert!(scene.is_served(gate.address("https"), "x.a.test"));
    assert!(!scene.is_served(gate.address("https"), "b.test"));
    assert_eq!(scene.ca.orders(), ["*.a.test"], "{}", gate.log());
}

#[test]
fn the_authority_is_told_when_all_name_servers_have_the_record() {
    let scene = Scene::new();
    scene.dns.lag(3);
    let gate = scene.gate(EXEC, "a.test");
    scene.wait_for(&gate, &["a.test"]);
    assert_eq!(scene.ca.count(Asked::NewOrder), 1);
}

#[test]
fn name_servers_that_nobody_can_ask_cost_a_wait() {
    let scene = Scene::new();
    // Nothing listens there.
    let closed = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = scene.config(EXEC, "a.test").replace(&scene.dns.address.to_string(), &closed.to_string());
    let gate = TestGate::start(&config, &[]);
    scene.wait_for(&gate, &["a.test"]);
}

#[test]
fn a_program_that_fails_is_told_and_costs_no_order() {
    let scene = Scene::new();
    fs::write(scene.dir.path().join("closed"), "").unwrap();
    let gate = scene.gate(EXEC, "a.test");
    let told = || gate.internal("GET", "/certificates").text();
    until("it is told", || told().contains("no such zone"));
    fs::remove_file(scene.dir.path().join("closed")).unwrap();
    assert_eq!(gate.internal("POST", "/certificates?renew=a.test").status(), 202);
    scene.wait_for(&gate, &["a.test"]);
    assert_eq!(scene.ca.count(Asked::NewOrder), 1);
}

#[test]
fn a_server_that_refuses_is_told() {
    for (provider, expected) in [
        (r#"httpreq, url: "{services}""#, "answered 401"),
        (r#"cloudflare, url: "{services}", token: wrong"#, "answered 403"),
        (r#"rfc2136, server: "{server}", key_name: key.test, secret: "b3RoZXI=""#, "NOTAUTH"),
        (r#"exec, command: "{dir}/none""#, "cannot be run"),
    ] {
        let scene = Scene::new();
        let gate = scene.gate(provider, "a.test");
        let told = || gate.internal("GET", "/certificates").text();
        until("it is told", || told().contains(expected));
        assert!(!told().contains("wrong") && !told().contains("b3RoZXI="), "{}", told());
    }
}

#[test]
fn a_record_that_a_crash_has_left_is_removed() {
    let scene = Scene::new();
    let file = scene.dir.path().join("smolgate.yml");
    let api = format!("internal_api: {{ bind: \"unix:{}/api\" }}", scene.dir.path().display());
    fs::write(&file, api + &scene.config(EXEC, "\"*.a.test\"")).unwrap();
    let start = || {
        Program::start(|command| {
            command.arg("-c").arg(&file);
        })
    };
    let (reached, go_on) = (Latch::new(), Latch::new());
    scene.ca.fault(Asked::Challenge, Fault::Hold(reached.clone(), go_on.clone()));
    let gate = start();
    reached.wait();
    assert_eq!(scene.dns.texts().len(), 1);
    gate.signal(Signal::KILL);
    drop(gate);
    go_on.open();
    let gate = start();
    until("it is served", || scene.is_served(gate.address("https"), "x.a.test"));
    assert_eq!(scene.ca.orders(), ["*.a.test"]);
    until("nothing is left", || scene.dns.texts().is_empty());
}
