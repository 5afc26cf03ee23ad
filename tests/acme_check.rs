//! The look at a name before an order, and the verbs that ask for one. The authority is `support/ca.rs`, the name server
//! `support/dns.rs`; no other is ever asked.
#![cfg(feature = "acme")]

mod support;

#[path = "support/ca.rs"]
mod ca;
#[path = "support/dns.rs"]
mod dns;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output};
use std::sync::Arc;
use std::thread;

use ca::{Asked, TestCa};
use dns::TestDns;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use support::gate::TestGate;
use support::tls::Tls;
use support::until;
use tempfile::TempDir;

const CONFIG: &str = r#"
acme:
  accept_terms: true
  ca: { directory: "{directory}"{staging} }
  challenges: [{challenges}]
  self_check: { resolvers: "{resolver}", http_port: {port}, https_port: {port} }
  {dns}
store: "{store}"
listeners:
  - { name: http, bind: "127.0.0.1:0", redirect_to_https: true }
  - name: https
    bind: "127.0.0.1:0"
    tls: { acme: true }
    rules: [{ host: {hosts}, respond: { body: hello } }]
"#;

/// An authority, its test system, a name server, and a folder.
struct Scene {
    ca: TestCa,
    staging: TestCa,
    dns: TestDns,
    store: TempDir,
    challenges: &'static str,
    provider: &'static str,
    with_staging: bool,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            ca: TestCa::start(),
            staging: TestCa::start(),
            dns: TestDns::start(),
            store: tempfile::tempdir().unwrap(),
            challenges: "http",
            provider: "",
            with_staging: false,
        }
    }

    /// A gate, whose names are asked for at this port.
    fn gate(&self, hosts: &str, port: u16) -> TestGate {
        let staging = match self.with_staging {
            true => format!(", staging_directory: \"{}\"", self.staging.directory()),
            false => String::new(),
        };
        let (directory, resolver, store) =
            (self.ca.directory(), self.dns.address, self.store.path().display());
        let names: support::gate::Names = &[
            ("directory", &directory),
            ("resolver", &resolver),
            ("store", &store),
            ("hosts", &hosts),
            ("port", &port),
            ("staging", &staging),
            ("challenges", &self.challenges),
            ("dns", &self.provider),
        ];
        let gate = TestGate::start(CONFIG, names);
        for ca in [&self.ca, &self.staging] {
            ca.ask(gate.address("http"), gate.address("https"));
        }
        gate
    }

    /// The result of `check` for `a.test`, whose addresses lead to a server that gives this answer.
    fn checked(&self, answer: &'static str) -> (bool, String) {
        let server = answering(answer);
        let gate = self.gate("a.test", server.port());
        answered(&gate, "check=a.test")
    }

    fn is_served(&self, gate: &TestGate, name: &str) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        Tls::connect(gate.address("https"), &config, name).is_ok()
    }
}

/// A server that is not the gate.
fn answering(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut socket in listener.incoming().map_while(Result::ok) {
            let mut some = [0; 4096];
            // The gate may have left.
            let _ = socket.read(&mut some);
            let _ = socket.write_all(answer.as_bytes());
        }
    });
    address
}

/// A port at which nothing listens.
fn closed() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The answer to a question that takes its time: whether all is well, and the text.
fn answered(gate: &TestGate, question: &str) -> (bool, String) {
    let response = gate.internal("POST", &format!("/certificates?{question}"));
    assert_eq!(response.status(), 200, "{}", response.text());
    let answer: Value = serde_json::from_str(&response.text()).unwrap();
    (answer["well"].as_bool().unwrap(), answer["text"].as_str().unwrap().to_owned())
}

/// The reason why a name waits.
fn reason(gate: &TestGate) -> String {
    let all: Value = serde_json::from_str(&gate.internal("GET", "/certificates").text()).unwrap();
    all[0]["error"].as_str().unwrap_or_default().to_owned()
}

const NGINX: &str =
    "HTTP/1.1 404 Not Found\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const CLOUDFLARE: &str = "HTTP/1.1 521 Down\r\nServer: cloudflare\r\nCF-RAY: 1-FRA\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
const ELSEWHERE: &str =
    "HTTP/1.1 301 Moved\r\nLocation: https://b.test/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

#[test]
fn an_address_that_leads_to_another_server_is_told_and_delays_the_order() {
    let scene = Scene::new();
    scene.dns.lead("a.test", "127.0.0.1");
    let gate = scene.gate("a.test", answering(NGINX).port());
    until("it waits", || {
        reason(&gate) == "not ordered yet: 127.0.0.1 answers, but it is not this gate (server: nginx)"
    });
    assert_eq!(scene.ca.count(Asked::NewOrder), 0);
    let all = gate.internal("GET", "/certificates").text();
    assert!(all.contains("next_attempt") && all.contains("waiting"), "{all}");
    // An operator may ask nevertheless.
    assert_eq!(gate.internal("POST", "/certificates?renew=a.test").status(), 202);
    until("it is served", || scene.is_served(&gate, "a.test"));
}

#[test]
fn a_name_that_leads_here_is_ordered_at_once() {
    let scene = Scene::new();
    scene.dns.lead("a.test", "127.0.0.1");
    // The port of the gate is not known before it starts, so a server in front leads to it.
    let (sender, receiver) = std::sync::mpsc::channel::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let to = receiver.recv().unwrap();
        for mut socket in listener.incoming().map_while(Result::ok) {
            let mut some = [0; 4096];
            let count = socket.read(&mut some).unwrap_or_default();
            let mut gate = std::net::TcpStream::connect(to).unwrap();
            gate.write_all(&some[..count]).unwrap();
            let mut answer = Vec::new();
            gate.read_to_end(&mut answer).unwrap();
            // The gate may have left.
            let _ = socket.write_all(&answer);
        }
    });
    let gate = scene.gate("a.test", port);
    sender.send(gate.address("http")).unwrap();
    until("it is served", || scene.is_served(&gate, "a.test"));
    let (is_well, text) = answered(&gate, "check=a.test");
    assert!(is_well && text.contains("A 127.0.0.1 leads here"), "{text}");
    assert!(text.contains("clock") && text.contains("store") && text.contains("caa"), "{text}");
}

#[test]
fn each_reason_why_an_address_is_no_good_has_its_sentence() {
    let scene = Scene::new();
    scene.dns.lead("a.test", "127.0.0.1");
    for (answer, expected) in [
        (NGINX, "127.0.0.1 answers, but it is not this gate (server: nginx)"),
        (
            CLOUDFLARE,
            "Cloudflare answers for it (status 521): tls-alpn-01 cannot work; http-01 works with SSL mode \"Full\", or use dns",
        ),
        (ELSEWHERE, "127.0.0.1 answers, but it is not this gate (it redirects to https://b.test/x)"),
    ] {
        let (is_well, text) = scene.checked(answer);
        assert!(!is_well && text.contains(expected), "{text}");
    }
    let gate = scene.gate("a.test", closed());
    let (is_well, text) = answered(&gate, "check=a.test");
    assert!(!is_well && text.contains("A 127.0.0.1 refuses port"), "{text}");
}

#[test]
fn an_ipv6_address_at_which_nothing_listens_is_told() {
    if TcpListener::bind("[::1]:0").is_err() {
        // This machine has no IPv6.
        return;
    }
    let scene = Scene::new();
    scene.dns.lead("a.test", "::1");
    let port = closed();
    let gate = scene.gate("a.test", port);
    let (is_well, text) = answered(&gate, "check=a.test");
    let expected = format!(
        "AAAA ::1 refuses port {port}, and the CA tries IPv6 first: remove the record or open the port"
    );
    assert!(!is_well && text.contains(&expected), "{text}");
}

#[test]
fn a_name_without_an_address_is_told() {
    let scene = Scene::new();
    let gate = scene.gate("a.test", closed());
    until("it waits", || reason(&gate).contains("a.test has no address: add a record A or AAAA"));
    assert_eq!(scene.ca.count(Asked::NewOrder), 0);
}

#[test]
fn records_of_caa_that_name_another_authority_are_told() {
    let scene = Scene::new();
    scene.ca.set_identities(&["ca.test"]);
    scene.dns.lead("x.a.test", "127.0.0.1");
    scene.dns.restrict("a.test", "issue", "digicert.com");
    let gate = scene.gate("x.a.test", closed());
    let (is_well, text) = answered(&gate, "check=x.a.test");
    assert!(
        !is_well && text.contains("CAA of a.test allows digicert.com only; ca.test is not in it"),
        "{text}"
    );
    scene.dns.restrict("a.test", "issue", "ca.test");
    let (_, text) = answered(&gate, "check=x.a.test");
    assert!(text.contains("CAA of a.test allows the CA"), "{text}");
}

#[test]
fn a_clock_that_is_wrong_is_told() {
    let scene = Scene::new();
    scene.dns.lead("a.test", "127.0.0.1");
    for (ahead, is_bad, expected) in [
        (
            3 * 3_600,
            false,
            "the clock is 3 h behind the CA's: certificates would look \"not yet valid\" to us",
        ),
        (3 * 86_400, true, "the clock is 3 days behind the CA's"),
    ] {
        scene.ca.set_clock(ahead + 30);
        let (_, text) = scene.checked(NGINX);
        let line = text.lines().find(|line| line.contains(expected)).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(line.contains(" bad "), is_bad, "{line}");
    }
}

#[test]
fn a_doubt_delays_and_then_the_test_system_decides() {
    let mut scene = Scene::new();
    (scene.with_staging, scene.challenges) = (true, "http, tls");
    scene.dns.lead("a.test", "127.0.0.1");
    let gate = scene.gate("a.test", answering(NGINX).port());
    until("it waits", || reason(&gate).contains("not this gate"));
    assert_eq!((scene.ca.count(Asked::NewOrder), scene.staging.count(Asked::NewOrder)), (0, 0));
    // The whole way at the test system, of which nothing is kept.
    let (is_well, text) = answered(&gate, "test=a.test");
    assert!(is_well && text.contains("issues a certificate; it was thrown away"), "{text}");
    assert_eq!((scene.ca.count(Asked::NewOrder), scene.staging.orders()), (0, vec!["a.test".into()]));
    assert!(!scene.is_served(&gate, "a.test"));
    let kept = fs::read_dir(scene.store.path()).unwrap().filter_map(Result::ok);
    assert!(kept.filter(|entry| entry.path().join("live/a.test").exists()).count() == 0);
    scene.staging.refuse("a.test");
    let (is_well, text) = answered(&gate, "test=a.test");
    assert!(!is_well && text.contains("unauthorized") && text.contains("http-01"), "{text}");
}

#[test]
fn a_test_without_a_test_system_and_a_name_of_nobody_are_told() {
    let scene = Scene::new();
    scene.dns.lead("a.test", "127.0.0.1");
    let gate = scene.gate("a.test", closed());
    let (is_well, text) = answered(&gate, "test=a.test");
    assert!(!is_well && text.contains("no test system: name one with `staging_directory`"), "{text}");
    for question in ["check=b.test", "test=b.test", "dns=b.test"] {
        let response = gate.internal("POST", &format!("/certificates?{question}"));
        assert_eq!(
            (response.status(), response.text()),
            (404, "no certificate is ordered for b.test\n".into())
        );
    }
    for question in ["", "x=a.test", "rollover=a.test", "check=a.test&test=a.test"] {
        assert_eq!(gate.internal("POST", &format!("/certificates?{question}")).status(), 400, "{question}");
    }
}

#[test]
fn a_record_that_a_person_writes_once_is_enough_for_names_and_wildcards() {
    let mut scene = Scene::new();
    (scene.challenges, scene.provider) =
        ("dns", "dns: { provider: static, servers: \"{server}\", wait: 10ms }");
    let provider = scene.provider.replace("{server}", &scene.dns.address.to_string());
    scene.provider = Box::leak(provider.into_boxed_str());
    scene.ca.set_persistent();
    scene.ca.set_identities(&["ca.test"]);
    let asked = scene.dns.clone();
    scene.ca.ask_dns(move |name, text| asked.shows(name, text));
    let gate = scene.gate("[\"*.a.test\", a.test]", closed());
    until("it is told", || reason(&gate).contains("write the record _validation-persist.a.test TXT"));
    let orders = scene.ca.count(Asked::NewOrder);
    for name in ["*.a.test", "a.test"] {
        let (is_well, text) = answered(&gate, &format!("dns={name}"));
        assert!(is_well, "{text}");
        let line =
            text.lines().find_map(|line| line.strip_prefix("_validation-persist.a.test. TXT ")).unwrap();
        let value = line.trim_matches('"');
        assert_eq!(value.ends_with("; policy=wildcard"), name.starts_with('*'), "{value}");
        assert!(text.contains("CAA 0 issue"), "{text}");
        scene.dns.add("_validation-persist.a.test", value);
    }
    for name in ["*.a.test", "a.test"] {
        assert_eq!(gate.internal("POST", &format!("/certificates?renew={name}")).status(), 202);
    }
    until("they are served", || scene.is_served(&gate, "a.test") && scene.is_served(&gate, "x.a.test"));
    assert_eq!((orders, scene.ca.count(Asked::NewOrder)), (2, 2), "the orders went on");
    assert_eq!(scene.dns.texts().len(), 2, "the records stay");
}

fn verb(gate: &TestGate, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smolgate"));
    command.arg("certs").args(words).arg("--address").arg(gate.internal_address().to_string());
    command.output().unwrap()
}

#[test]
fn the_verbs_print_what_the_gate_says() {
    let scene = Scene::new();
    scene.dns.lead("a.test", "127.0.0.1");
    let gate = scene.gate("a.test", answering(NGINX).port());
    until("it waits", || reason(&gate).contains("not this gate"));
    let text =
        |output: &Output| String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned();
    for (words, code, expected) in [
        (&["check"][..], 1, "not this gate (server: nginx)"),
        (&["check", "A.test"], 1, "address  bad"),
        (&["test", "a.test"], 1, "no test system"),
        (&["dns", "a.test"], 0, "a.test. A or AAAA: the addresses of this gate"),
        (&["a.test"], 1, "last error    not ordered yet"),
        (&["rollover"], 0, "the account has a new key"),
        (&["b.test"], 2, "no certificate is ordered for b.test"),
        (&["check", "b.test"], 2, "no certificate is ordered for b.test"),
        (&["test"], 2, "name a host: smolgate certs test NAME"),
        (&["rollover", "a.test"], 2, "for all names"),
        (&["renw", "a.test"], 2, "`renw` is no action of `certs`; there are renew, revoke, check"),
        (&["check", "a b"], 2, "is no name of a host"),
    ] {
        let output = verb(&gate, words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", text(&output));
        assert!(text(&output).contains(expected), "{words:?}: {}", text(&output));
    }
}

#[test]
fn a_name_that_no_authority_takes_is_held_and_nothing_is_asked() {
    let store = tempfile::tempdir().unwrap();
    // No request is sent to Let's Encrypt for such names.
    let text = r#"
acme: ops@example.com
store: "{store}"
listeners:
  - name: https
    bind: "127.0.0.1:0"
    tls: { acme: true }
    rules: [{ host: nas.local, respond: {} }]
"#;
    let gate = TestGate::start(text, &[("store", &store.path().display())]);
    until("it is told", || reason(&gate).contains("this name is not public"));
    assert!(gate.internal("GET", "/certificates").text().contains("\"held\""));
    assert_eq!(fs::read_dir(store.path()).unwrap().count(), 0);
}

#[test]
fn a_wildcard_without_a_challenge_of_dns_is_an_error_that_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("smolgate.yml");
    let text = "acme: ops@example.com\nlisteners:\n  - name: https\n    bind: 443\n    tls: { acme: true }\n    \
                rules: [{ host: \"*.example.com\", respond: {} }]\n";
    fs::write(&file, text).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_smolgate")).arg("check").arg("-c").arg(&file).output().unwrap();
    let told = String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("a wildcard is ordered with a DNS challenge only: set `dns` of `acme`, list the hosts"),
        "{told}"
    );
}
