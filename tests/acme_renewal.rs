//! Renewals when the authority wants them, kinds of certificates, and the test system after a failure. The authorities
//! are `support/ca.rs`; no other is ever asked.
#![cfg(feature = "acme")]

mod support;

#[path = "support/ca.rs"]
mod ca;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use ca::{Asked, Fault, TestCa};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use support::gate::TestGate;
use support::tls::Tls;
use support::until;
use tempfile::TempDir;

const CONFIG: &str = r#"
acme: { accept_terms: true, ca: { directory: "{directory}"{more} }, challenges: http }
store: "{store}"
listeners:
  - { name: http, bind: "127.0.0.1:0", redirect_to_https: true }
  - name: https
    bind: "127.0.0.1:0"
    tls: { acme: true }
    rules: [{ host: a.test, respond: { body: hello } }]
"#;

/// An authority, its test system, and a folder.
struct Scene {
    ca: TestCa,
    staging: TestCa,
    store: TempDir,
}

impl Scene {
    fn new() -> Scene {
        Scene { ca: TestCa::start(), staging: TestCa::start(), store: tempfile::tempdir().unwrap() }
    }

    /// A gate with more keys of `ca`.
    fn gate(&self, more: &str) -> TestGate {
        let more = more.replace("{staging}", &self.staging.directory());
        let (directory, store) = (self.ca.directory(), self.store.path().display());
        let names: support::gate::Names = &[("directory", &directory), ("store", &store), ("more", &more)];
        let gate = TestGate::start(CONFIG, names);
        self.ca.ask(gate.address("http"), gate.address("https"));
        self.staging.ask(gate.address("http"), gate.address("https"));
        gate
    }

    fn is_served(&self, gate: &TestGate) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        Tls::connect(gate.address("https"), &config, "a.test").is_ok()
    }

    fn folder(&self) -> PathBuf {
        let address = self.ca.directory().replace("http://", "").replace("/d", "").replace(':', "_");
        self.store.path().join(address)
    }

    /// Leaves the record of an earlier gate: one failure, whose wait is over.
    fn has_failed(&self) {
        fs::create_dir_all(self.folder().join("attempts")).unwrap();
        let record = r#"{ "failures": 1, "not_before": 0, "reason": "of an earlier gate" }"#;
        fs::write(self.folder().join("attempts/a.test.json"), record).unwrap();
    }
}

const STAGING: &str = ", staging_directory: \"{staging}\"";

#[test]
fn a_certificate_is_renewed_when_the_authority_wants_it_and_names_the_one_that_it_replaces() {
    let scene = Scene::new();
    scene.ca.windows(1);
    let gate = scene.gate("");
    until("it is renewed", || scene.folder().join("archive/a.test/2").exists());
    until("the window of the new one is known", || scene.ca.looked().len() == 2);
    let wishes = scene.ca.wishes();
    assert_eq!((wishes.len(), &wishes[0]["replaces"]), (2, &serde_json::Value::Null));
    assert_eq!(wishes[1]["replaces"], *scene.ca.looked()[0]);
    let record = scene.folder().join("attempts/a.test.json");
    until("it is kept", || {
        fs::read_to_string(&record).is_ok_and(|text| text.contains(&scene.ca.looked()[1]))
    });
    gate.stop();
    // A window that was told is not asked for again.
    let asked = scene.ca.count(Asked::Window);
    let gate = scene.gate("");
    until("it is known", || gate.internal("GET", "/certificates").text().contains("next_attempt"));
    assert!(scene.is_served(&gate));
    assert_eq!((scene.ca.count(Asked::Window), scene.ca.wishes().len()), (asked, 2));
}

#[test]
fn a_certificate_without_a_window_has_its_usual_time() {
    let scene = Scene::new();
    scene.ca.windows(1);
    scene.ca.fault(Asked::Window, Fault::Html);
    let gate = scene.gate("");
    until("it is served", || scene.is_served(&gate));
    until("it is asked for", || scene.ca.count(Asked::Window) > 0);
    until("it is known", || gate.internal("GET", "/certificates").text().contains("next_attempt"));
    assert_eq!(scene.ca.wishes().len(), 1);
}

#[test]
fn a_profile_is_asked_for_if_the_authority_has_it() {
    for (profiles, expected) in [(&["classic", "shortlived"][..], Some("shortlived")), (&["classic"], None)] {
        let scene = Scene::new();
        scene.ca.profiles(profiles);
        let gate = scene.gate(", profile: shortlived");
        until("it is served", || scene.is_served(&gate));
        assert_eq!(scene.ca.wishes()[0]["profile"].as_str(), expected);
    }
}

#[test]
fn after_a_failure_the_test_system_is_asked_first_and_its_certificate_is_never_served() {
    let scene = Scene::new();
    scene.has_failed();
    let gate = scene.gate(STAGING);
    until("it is served", || scene.is_served(&gate));
    assert_eq!((scene.staging.orders(), scene.ca.orders()), (vec!["a.test".into()], vec!["a.test".into()]));
    assert!(!scene.folder().join("archive/a.test/2").exists(), "one certificate is kept");
    until("it is known", || gate.internal("GET", "/certificates").text().contains("valid"));
    let ca = scene.folder().file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(gate.metric(&format!("smolgate_acme_orders_total{{ca=\"{ca}\",result=\"ok\"}}")), 1.0);
}

#[test]
fn a_name_that_fails_at_the_test_system_costs_no_order() {
    let scene = Scene::new();
    scene.has_failed();
    scene.staging.refuse("a.test");
    let gate = scene.gate(STAGING);
    until("it is told", || {
        gate.internal("GET", "/certificates").text().contains("at the test system: http-01")
    });
    assert_eq!((scene.ca.count(Asked::NewOrder), scene.staging.count(Asked::NewOrder)), (0, 1));
    // An operator may ask for a real one.
    assert_eq!(gate.internal("POST", "/certificates?renew=a.test").status(), 202);
    until("it is served", || scene.is_served(&gate));
}

#[test]
fn the_first_order_is_a_real_one() {
    let scene = Scene::new();
    let gate = scene.gate(STAGING);
    until("it is served", || scene.is_served(&gate));
    assert_eq!(scene.staging.count(Asked::Urls), 0);
}

#[test]
fn a_certificate_that_is_revoked_is_replaced_by_one_with_another_key() {
    let scene = Scene::new();
    let gate = scene.gate("");
    until("it is served", || scene.is_served(&gate));
    until("it is known", || gate.internal("GET", "/certificates").text().contains("valid"));
    let live = scene.folder().join("live/a.test");
    let (chain, key) =
        (fs::read(live.join("fullchain.pem")).unwrap(), fs::read(live.join("privkey.pem")).unwrap());
    assert_eq!(gate.internal("POST", "/certificates?revoke=a.test").status(), 202);
    until("there is another", || scene.folder().join("archive/a.test/2").exists());
    until("it is known", || fs::read(live.join("fullchain.pem")).is_ok_and(|new| new != chain));
    assert_ne!(fs::read(live.join("privkey.pem")).unwrap(), key);
    let first = CertificateDer::from_pem_slice(&chain).unwrap();
    assert_eq!(scene.ca.revoked(), [first.to_vec()]);
    assert_eq!(gate.internal("POST", "/certificates?revoke=b.test").status(), 404);
}

#[test]
fn a_certificate_that_was_revoked_is_replaced_after_a_restart_too() {
    let scene = Scene::new();
    let gate = scene.gate("");
    until("it is served", || scene.is_served(&gate));
    until("it is known", || gate.internal("GET", "/certificates").text().contains("next_attempt"));
    scene.ca.fault(Asked::NewOrder, Fault::Unavailable(1));
    assert_eq!(gate.internal("POST", "/certificates?revoke=a.test").status(), 202);
    until("the order has failed", || gate.internal("GET", "/certificates").text().contains("503"));
    assert!(scene.is_served(&gate), "it is served until there is another");
    gate.stop();
    let gate = scene.gate("");
    until("there is another", || scene.folder().join("archive/a.test/2").exists());
    assert!(scene.is_served(&gate));
    assert_eq!(scene.ca.revoked().len(), 1);
}
