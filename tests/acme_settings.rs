//! Settings of orders for certificates: the kind of a key, and the program that is told of events. The authority is
//! `support/ca.rs`; no other is ever asked.
#![cfg(feature = "acme")]

mod support;

#[path = "support/ca.rs"]
mod ca;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair};
use ca::{Asked, Fault, TestCa};
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use support::gate::TestGate;
use support::tls::Tls;
use support::until;
use tempfile::TempDir;

const CONFIG: &str = r#"
acme: { accept_terms: true, ca: "{directory}", challenges: http, {more} }
store: "{store}"
listeners:
  - { name: http, bind: "127.0.0.1:0", redirect_to_https: true }
  - name: https
    bind: "127.0.0.1:0"
    tls: { acme: true }
    rules: [{ host: [{hosts}], respond: { body: hello } }]
"#;

struct Scene {
    ca: TestCa,
    dir: TempDir,
}

impl Scene {
    fn new() -> Scene {
        Scene { ca: TestCa::start(), dir: tempfile::tempdir().unwrap() }
    }

    fn gate(&self, hosts: &str, more: &str) -> TestGate {
        let (directory, store) = (self.ca.directory(), self.dir.path().join("store"));
        let names: support::gate::Names =
            &[("directory", &directory), ("store", &store.display()), ("hosts", &hosts), ("more", &more)];
        let gate = TestGate::start(CONFIG, names);
        self.ca.ask(gate.address("http"), gate.address("https"));
        gate
    }

    fn is_served(&self, gate: &TestGate, name: &str) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        Tls::connect(gate.address("https"), &config, name).is_ok()
    }

    /// A file of the certificate that is served.
    fn live(&self, name: &str, file: &str) -> std::path::PathBuf {
        let address = self.ca.directory().replace("http://", "").replace("/d", "").replace(':', "_");
        self.dir.path().join("store").join(address).join("live").join(name).join(file)
    }

    /// `on_event` with a program that runs this script of `sh`.
    fn on_event(&self, script: &str) -> String {
        let file = self.dir.path().join("hook.sh");
        fs::write(&file, script).unwrap();
        format!("on_event: [sh, \"{}\", \"{}\"]", file.display(), self.dir.path().display())
    }
}

fn renew(gate: &TestGate, name: &str) {
    assert_eq!(gate.internal("POST", &format!("/certificates?renew={name}")).status(), 202);
}

fn lines(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[test]
fn keys_are_of_the_kind_that_is_wished_for() {
    for kind in ["p384", "rsa2048"] {
        let scene = Scene::new();
        let gate = scene.gate("a.test", &format!("key: {kind}"));
        until("it is served", || scene.is_served(&gate, "a.test"));
        let key = PrivatePkcs8KeyDer::from_pem_file(scene.live("a.test", "privkey.pem")).unwrap();
        let der = key.secret_pkcs8_der();
        let bits = RsaKeyPair::from_pkcs8(der).map(|key| key.public_modulus_len() * 8).ok();
        let is_p384 = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, der).is_ok();
        assert_eq!((bits, is_p384), if kind == "p384" { (None, true) } else { (Some(2048), false) });
    }
}

#[test]
fn a_program_is_told_of_events_in_their_order() {
    let scene = Scene::new();
    let more = scene.on_event(
        "cat >> $1/json; echo >> $1/json\n\
         echo \"$ACME_EVENT $ACME_NAME $ACME_FOLDER|$ACME_REASON\" >> $1/told\n\
         test -r \"$ACME_FOLDER/fullchain.pem\" -a -r \"$ACME_FOLDER/privkey.pem\" && echo there >> $1/told\n",
    );
    let told = scene.dir.path().join("told");
    let gate = scene.gate("a.test", &more);
    until("the first event", || lines(&told).len() == 2);
    until("the wait", || gate.internal("GET", "/certificates").text().contains("next_attempt"));
    renew(&gate, "a.test");
    until("the second event", || lines(&told).len() == 4);
    let folder = scene.live("a.test", "");
    let folder = folder.display().to_string();
    let folder = folder.trim_end_matches('/');
    let expected = [
        format!("issued a.test {folder}|"),
        "there".into(),
        format!("renewed a.test {folder}|"),
        "there".into(),
    ];
    assert_eq!(lines(&told), expected);
    let events: Vec<Value> = lines(&scene.dir.path().join("json"))
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((events[0]["event"].as_str(), events[1]["event"].as_str()), (Some("issued"), Some("renewed")));
    assert!(events[0]["until"].as_i64().unwrap() > 0 && events[0]["reason"].is_null(), "{}", events[0]);
    assert!(events[0]["ca"].as_str().unwrap().starts_with("127.0.0.1"), "{}", events[0]);
}

#[test]
fn a_program_is_told_why_a_name_has_no_certificate() {
    let scene = Scene::new();
    let more = scene.on_event("echo \"$ACME_EVENT $ACME_NAME $ACME_NEXT $ACME_REASON\" >> $1/told\n");
    scene.ca.refuse("b.test");
    scene.ca.fault(Asked::NewOrder, Fault::RateLimited(3600));
    let told = scene.dir.path().join("told");
    let gate = scene.gate("b.test", &more);
    until("the limit", || lines(&told).iter().any(|line| line.starts_with("rate_limited b.test ")));
    // A wish that comes during an attempt is granted by it.
    until("the wait", || {
        let view = gate.internal("GET", "/certificates").text();
        view.contains("waiting") && view.contains("rateLimited")
    });
    renew(&gate, "b.test");
    until("the refusal", || lines(&told).iter().any(|line| line.starts_with("failed b.test ")));
    let all = lines(&told);
    let refused = all.iter().find(|line| line.starts_with("failed")).unwrap();
    let next: u64 = refused.split(' ').nth(2).unwrap().parse().unwrap();
    assert!(next > 1_700_000_000 && refused.contains("http-01: unauthorized: refused"), "{refused}");
}

#[test]
fn a_program_that_fails_or_never_ends_delays_no_certificate() {
    let scene = Scene::new();
    // It waits for a line that never comes.
    let more = scene.on_event("echo begun >> $1/told; mkfifo $1/fifo; read line < $1/fifo\n");
    let gate = scene.gate("a.test, b.test, c.test", &more);
    for name in ["a.test", "b.test", "c.test"] {
        until("it is served", || scene.is_served(&gate, name));
    }
    let told = scene.dir.path().join("told");
    until("the program runs", || !lines(&told).is_empty());
    until("the wait", || gate.internal("GET", "/certificates").text().matches("next_attempt").count() == 3);
    renew(&gate, "a.test");
    until("a.test is renewed", || scene.ca.orders().len() == 4);
    assert_eq!(lines(&told).len(), 1, "one program at a time");
}
