//! Certificates for addresses (RFC 8738): how they are proven, and which of them a client gets that names no host. The
//! authority is `support/ca.rs`; no other is ever asked.
#![cfg(feature = "acme")]

mod support;

#[path = "support/ca.rs"]
mod ca;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use ca::{Asked, Fault, TestCa};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use support::gate::TestGate;
use support::tls::{Authority, Tls};
use support::until;
use tempfile::TempDir;

const CONFIG: &str = r#"
acme: { accept_terms: true, ca: [{cas}], challenges: [{challenges}]{more} }
store: "{store}"
listeners:
  - { name: http, bind: "127.0.0.1:0", redirect_to_https: true }
  - name: https
    bind: "0.0.0.0:0"
    tls: { acme: true{tls} }
    rules: [{ host: [{hosts}], respond: { body: hello } }]
"#;

/// An authority, and a gate that orders from it.
struct Scene {
    ca: TestCa,
    dir: TempDir,
    challenges: &'static str,
    /// More keys of `acme`, and of `tls`.
    more: String,
    tls: String,
    /// Another authority.
    second: Option<TestCa>,
}

impl Scene {
    fn new() -> Scene {
        let (ca, dir) = (TestCa::start(), tempfile::tempdir().unwrap());
        Scene { ca, dir, challenges: "http", more: String::new(), tls: String::new(), second: None }
    }

    fn gate(&self, hosts: &str) -> TestGate {
        let cas = [Some(&self.ca), self.second.as_ref()].into_iter().flatten();
        let cas: Vec<String> = cas.map(|ca| format!("\"{}\"", ca.directory())).collect();
        let (cas, store) = (cas.join(", "), self.dir.path().join("store"));
        let names: support::gate::Names = &[
            ("cas", &cas),
            ("store", &store.display()),
            ("challenges", &self.challenges),
            ("more", &self.more),
            ("tls", &self.tls),
            ("hosts", &hosts),
        ];
        let gate = TestGate::start(CONFIG, names);
        let (http, https) = (gate.address("http"), at(&gate, "127.0.0.1"));
        self.ca.ask(http, https);
        self.second.iter().for_each(|ca| ca.ask(http, https));
        gate
    }

    /// Whether a client that connects to `to` gets a certificate of the authority that is for `name`. Without a name in
    /// its hello, if `name` is an address.
    fn is_served(&self, gate: &TestGate, to: &str, name: &str) -> bool {
        is_from(&self.ca, gate, to, name)
    }
}

fn is_from(ca: &TestCa, gate: &TestGate, to: &str, name: &str) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(ca.root.clone()).unwrap();
    Tls::connect(at(gate, to), &client(roots), name).is_ok()
}

fn client(roots: RootCertStore) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The listener at another address of this machine.
fn at(gate: &TestGate, address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), gate.address("https").port())
}

/// The view of a name.
fn told(gate: &TestGate, name: &str) -> Value {
    let all: Value = serde_json::from_str(&gate.internal("GET", "/certificates").text()).unwrap();
    all.as_array().unwrap().iter().find(|one| one["name"] == name).cloned().unwrap_or_default()
}

/// The answer to a question that takes its time.
fn answered(gate: &TestGate, question: &str) -> (bool, String) {
    let answer = gate.internal("POST", &format!("/certificates?{question}")).text();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    (answer["well"].as_bool().unwrap(), answer["text"].as_str().unwrap().to_owned())
}

#[test]
fn an_address_gets_its_certificate_by_either_challenge() {
    for challenges in ["http", "tls"] {
        for (host, name) in [("127.0.0.1", "127.0.0.1"), ("\"[2001:db8::7]\"", "2001:db8::7")] {
            let scene = Scene { challenges, ..Scene::new() };
            let gate = scene.gate(host);
            until("it is served", || scene.is_served(&gate, "127.0.0.1", name));
            assert_eq!(scene.ca.orders(), [name], "{challenges}");
            assert_eq!(scene.ca.wishes()[0].get("profile"), None, "the authority has none");
            until("it is told", || told(&gate, name)["state"] == "valid");
        }
    }
}

#[test]
fn a_client_without_a_name_gets_the_certificate_of_the_address_that_it_came_to() {
    let scene = Scene::new();
    let gate = scene.gate("a.test, \"[2001:db8::7]\", 192.0.2.7, 127.0.0.2, 127.0.0.3");
    for (to, name) in [("127.0.0.2", "127.0.0.2"), ("127.0.0.3", "127.0.0.3"), ("127.0.0.2", "a.test")] {
        until("it is served", || scene.is_served(&gate, to, name));
    }
    // A router leads others here: the first address of the same kind.
    until("the first of its kind", || scene.is_served(&gate, "127.0.0.1", "192.0.2.7"));
    assert!(!scene.is_served(&gate, "127.0.0.2", "127.0.0.3"));
    // The request reaches the rule of the address.
    let mut roots = RootCertStore::empty();
    roots.add(scene.ca.root.clone()).unwrap();
    let tls = Tls::connect(at(&gate, "127.0.0.2"), &client(roots), "127.0.0.2").unwrap();
    assert_eq!(tls.client().exchange("GET / HTTP/1.1\r\nHost: 127.0.0.2\r\n\r\n").text(), "hello");
    let mut orders = scene.ca.orders();
    orders.sort_unstable();
    assert_eq!(orders, ["127.0.0.2", "127.0.0.3", "192.0.2.7", "2001:db8::7", "a.test"]);
}

#[test]
fn a_default_certificate_comes_before_the_address_of_another_machine() {
    let mut scene = Scene::new();
    let names = ["a.test", "127.0.0.3"];
    let authority = Authority::new(scene.dir.path(), "authority");
    let leaf = authority.issue(scene.dir.path(), "default", &names);
    scene.tls = format!(
        ", default_certificate: {{ cert: \"{}\", key: \"{}\" }}",
        leaf.cert.display(),
        leaf.key.display()
    );
    let gate = scene.gate("192.0.2.7, 127.0.0.2, 127.0.0.3");
    until("it is served", || scene.is_served(&gate, "127.0.0.2", "127.0.0.2"));
    until("all are there", || told(&gate, "192.0.2.7")["state"] == "valid");
    let of_file = Arc::new(authority.client(&[]));
    for to in ["127.0.0.1", "127.0.0.3"] {
        Tls::connect(at(&gate, to), &of_file, "127.0.0.3").unwrap();
    }
    // An address in the default certificate is not ordered.
    let mut orders = scene.ca.orders();
    orders.sort_unstable();
    assert_eq!(orders, ["127.0.0.2", "192.0.2.7"]);
}

#[test]
fn an_address_waits_with_a_stand_in_or_is_refused() {
    for (more, expected) in [("", true), (", while_waiting: refuse", false)] {
        let scene = Scene { more: more.to_owned(), ..Scene::new() };
        scene.ca.set_down(true);
        let gate = scene.gate("127.0.0.1");
        until("it waits", || told(&gate, "127.0.0.1")["error"].is_string());
        let any = client(RootCertStore::empty());
        let error = Tls::connect(at(&gate, "127.0.0.1"), &any, "127.0.0.1").err().unwrap().to_string();
        assert_eq!(
            error.contains("UnknownIssuer") || error.contains("invalid peer certificate"),
            expected,
            "{error}"
        );
        assert_eq!(error.contains("UnrecognisedName"), !expected, "{error}");
    }
}

#[test]
fn dns_never_proves_an_address() {
    let mut scene = Scene { challenges: "dns", ..Scene::new() };
    let (hook, mark) = (scene.dir.path().join("hook"), scene.dir.path().join("mark"));
    fs::write(&hook, format!("echo \"$@\" >> {}\n", mark.display())).unwrap();
    scene.more = format!(
        ", dns: {{ provider: exec, command: [sh, \"{}\"], wait: 0s, timeout: 1s, servers: \"127.0.0.1:1\" }}",
        hook.display()
    );
    let gate = scene.gate("127.0.0.1");
    until("it is served", || scene.is_served(&gate, "127.0.0.1", "127.0.0.1"));
    assert!(!mark.exists(), "the program was run");
    let (is_well, text) = answered(&gate, "dns=127.0.0.1");
    assert!(is_well && text.contains("127.0.0.1 needs no record of DNS"), "{text}");
}

#[test]
fn an_address_is_ordered_with_the_profile_for_it_and_names_are_not() {
    let scene = Scene::new();
    scene.ca.profiles(&["classic", "shortlived"]);
    let gate = scene.gate("127.0.0.1, a.test");
    until("both are served", || {
        ["127.0.0.1", "a.test"].iter().all(|name| scene.is_served(&gate, "127.0.0.1", name))
    });
    for wish in scene.ca.wishes() {
        let expected = (wish["identifiers"][0]["type"] == "ip").then_some("shortlived");
        assert_eq!(wish["profile"].as_str(), expected, "{wish}");
    }
}

#[test]
fn an_authority_that_refuses_an_address_is_told_with_a_hint_and_the_next_one_is_asked() {
    let scene = Scene { second: Some(TestCa::start()), ..Scene::new() };
    scene.ca.profiles(&["classic"]);
    scene.ca.fault(Asked::NewOrder, Fault::Problem("malformed"));
    let gate = scene.gate("127.0.0.1");
    let second = scene.second.as_ref().unwrap();
    until("the second authority has issued it", || is_from(second, &gate, "127.0.0.1", "127.0.0.1"));
    until("it is told", || told(&gate, "127.0.0.1")["state"] == "valid");
    let attempts = told(&gate, "127.0.0.1")["attempts"].to_string();
    assert!(attempts.contains("the CA does not have the profile `shortlived`"), "{attempts}");
}

/// A server in front that leads to an address which comes later, because a gate's port is not known before it starts.
fn front() -> (u16, std::sync::mpsc::Sender<SocketAddr>) {
    let (sender, receiver) = std::sync::mpsc::channel::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let to = receiver.recv().unwrap();
        for mut socket in listener.incoming().map_while(Result::ok) {
            let mut some = [0; 4096];
            let count = socket.read(&mut some).unwrap_or_default();
            let mut gate = TcpStream::connect(to).unwrap();
            gate.write_all(&some[..count]).unwrap();
            let mut answer = Vec::new();
            gate.read_to_end(&mut answer).unwrap();
            // The gate may have left.
            let _ = socket.write_all(&answer);
        }
    });
    (port, sender)
}

#[test]
fn a_look_at_an_address_asks_the_address_itself() {
    let mut scene = Scene::new();
    scene.ca.profiles(&["shortlived"]);
    let (port, leads_to) = front();
    scene.more = format!(", self_check: {{ http_port: {port} }}");
    let gate = scene.gate("127.0.0.1, 127.0.0.2");
    leads_to.send(gate.address("http")).unwrap();
    let (is_well, text) = answered(&gate, "check=127.0.0.1");
    assert!(is_well, "{text}");
    for expected in [
        "profile  fine     shortlived is asked for",
        "caa      fine     no record of CAA concerns an address",
        "address  fine     127.0.0.1 leads here",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    let (is_well, text) = answered(&gate, "check=127.0.0.2");
    let refused = format!("127.0.0.2 refuses port {port}: let it lead to this gate");
    assert!(!is_well && text.contains(&refused), "{text}");
}

#[test]
fn explain_says_which_certificate_an_address_has() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("smolgate.yml");
    let text = format!(
        "acme: ops@a.test\nstore: {}\nlisteners:\n  - name: https\n    bind: 443\n    tls: {{ acme: true }}\n    \
         rules: [{{ host: [203.0.113.7, \"[2001:db8::7]\"], respond: {{}} }}]\n",
        dir.path().join("store").display()
    );
    fs::write(&file, text).unwrap();
    for (url, name) in [("https://203.0.113.7/", "203.0.113.7"), ("https://[2001:db8::7]/", "2001:db8::7")] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smolgate"));
        let output = command.args(["explain", url, "-c"]).arg(&file).output().unwrap();
        let told = String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned();
        assert!(told.contains(&format!("ordered, as that of {name}: not ordered yet")), "{told}");
    }
}
