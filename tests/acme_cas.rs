//! Several authorities in order, their clocks, and the keys of accounts. The authorities are `support/ca.rs`; no other is
//! ever asked.
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
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use support::gate::TestGate;
use support::tls::Tls;
use support::until;
use tempfile::TempDir;

const CONFIG: &str = r#"
acme: { accept_terms: true, ca: [{cas}], challenges: http }
store: "{store}"
listeners:
  - { name: http, bind: "127.0.0.1:0", redirect_to_https: true }
  - name: https
    bind: "127.0.0.1:0"
    tls: { acme: true }
    rules: [{ host: {hosts}, respond: { body: hello } }]
"#;

/// Authorities, best first, and a folder.
struct Scene {
    cas: Vec<TestCa>,
    store: TempDir,
}

impl Scene {
    fn new(count: usize) -> Scene {
        Scene { cas: (0..count).map(|_| TestCa::start()).collect(), store: tempfile::tempdir().unwrap() }
    }

    fn gate(&self, hosts: &str) -> TestGate {
        let cas: Vec<String> = self.cas.iter().map(|ca| format!("\"{}\"", ca.directory())).collect();
        let (cas, store) = (cas.join(", "), self.store.path().display());
        let names: support::gate::Names = &[("cas", &cas), ("store", &store), ("hosts", &hosts)];
        let gate = TestGate::start(CONFIG, names);
        self.cas.iter().for_each(|ca| ca.ask(gate.address("http"), gate.address("https")));
        gate
    }

    /// The index of the authority whose certificate is served.
    fn issuer(&self, gate: &TestGate, name: &str) -> Option<usize> {
        self.cas.iter().position(|ca| Tls::connect(gate.address("https"), &trust(&ca.root), name).is_ok())
    }

    fn folder(&self, index: usize) -> PathBuf {
        let address = self.cas[index].directory().replace("http://", "").replace("/d", "").replace(':', "_");
        self.store.path().join(address)
    }

    fn record(&self, index: usize, name: &str) -> Value {
        let text = fs::read_to_string(self.folder(index).join(format!("attempts/{name}.json")));
        serde_json::from_str(&text.unwrap_or_default()).unwrap_or_default()
    }
}

fn trust(root: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// One name, as the internal API tells it.
fn told(gate: &TestGate, name: &str) -> Value {
    let all: Value = serde_json::from_str(&gate.internal("GET", "/certificates").text()).unwrap();
    all.as_array().unwrap().iter().find(|one| one["name"] == name).cloned().unwrap_or_default()
}

fn renew(gate: &TestGate, name: &str) {
    assert_eq!(gate.internal("POST", &format!("/certificates?renew={name}")).status(), 202);
}

/// Asks a question that takes its time: whether all is well, and the text.
fn answer(gate: &TestGate, question: &str) -> (bool, String) {
    let response = gate.internal("POST", &format!("/certificates?{question}"));
    assert_eq!(response.status(), 200, "{}", response.text());
    let answer: Value = serde_json::from_str(&response.text()).unwrap();
    (answer["well"].as_bool().unwrap(), answer["text"].as_str().unwrap().to_owned())
}

#[test]
fn the_next_authority_is_asked_when_the_first_is_down_and_the_first_again_later() {
    let scene = Scene::new(2);
    scene.cas[0].set_down(true);
    let gate = scene.gate("a.test");
    // A second failure follows after ten seconds.
    until("the second one has issued", || scene.issuer(&gate, "a.test") == Some(1));
    assert_eq!(scene.cas[1].orders(), ["a.test"]);
    assert_eq!(scene.cas[0].count(Asked::NewOrder), 0);
    until("it is told", || told(&gate, "a.test")["state"] == "valid");
    let now = told(&gate, "a.test");
    assert!(now["ca"].as_str().unwrap().starts_with("127.0.0.1"), "{now}");
    assert!(scene.folder(1).join("live/a.test").exists() && !scene.folder(0).join("live/a.test").exists());
    let history = scene.record(1, "a.test")["history"].clone();
    assert_eq!((history[0]["ca"].clone(), history[0]["reason"].clone()), (now["ca"].clone(), Value::Null));
    // After a restart, it is served whichever has issued it, and nothing is ordered.
    gate.stop();
    scene.cas[0].set_down(false);
    let gate = scene.gate("a.test");
    assert_eq!(scene.issuer(&gate, "a.test"), Some(1));
    until("it is known", || told(&gate, "a.test")["next_attempt"].is_string());
    assert_eq!(scene.cas[0].count(Asked::NewOrder) + scene.cas[1].count(Asked::NewOrder), 1);
    // The first one again.
    renew(&gate, "a.test");
    until("the first one has issued", || scene.issuer(&gate, "a.test") == Some(0));
    gate.stop();
    let gate = scene.gate("a.test");
    assert_eq!(scene.issuer(&gate, "a.test"), Some(0), "the newest one is served");
}

#[test]
fn a_limit_or_a_refusal_of_one_authority_is_no_reason_to_wait_for_another() {
    for fault in [Fault::RateLimited(7_200), Fault::Problem("rejectedIdentifier"), Fault::Problem("caa")] {
        let scene = Scene::new(2);
        scene.cas[0].fault(Asked::NewOrder, fault);
        let gate = scene.gate("a.test");
        until("the second one has issued", || scene.issuer(&gate, "a.test") == Some(1));
        let counts = [0, 1].map(|index| scene.cas[index].count(Asked::NewOrder));
        assert_eq!(counts, [1, 1]);
        assert!(scene.record(0, "a.test")["not_before"].as_u64().unwrap() > 0);
    }
}

#[test]
fn a_name_that_fails_by_itself_waits_for_the_first_authority() {
    let scene = Scene::new(2);
    scene.cas[0].refuse("a.test");
    let gate = scene.gate("[a.test, b.test]");
    until("it has failed", || {
        told(&gate, "a.test")["error"].as_str().unwrap_or_default().contains("unauthorized")
    });
    until("the other is served", || scene.issuer(&gate, "b.test") == Some(0));
    assert_eq!(scene.cas[1].count(Asked::Urls), 0);
    let attempts = told(&gate, "a.test")["attempts"].clone();
    assert!(attempts[0]["error"].as_str().unwrap().contains("refused"), "{attempts}");
}

#[test]
fn an_order_that_another_authority_made_needless_is_forgotten() {
    let scene = Scene::new(2);
    // The order is known, then the authority is down.
    scene.cas[0].fault(Asked::Finalize, Fault::Unavailable(1));
    // Each look is sent five times.
    (0..5).for_each(|_| scene.cas[0].fault(Asked::Order, Fault::Unavailable(0)));
    let gate = scene.gate("a.test");
    until("its order waits", || told(&gate, "a.test")["error"].as_str().unwrap_or_default().contains("503"));
    renew(&gate, "a.test");
    until("the second one has issued", || scene.issuer(&gate, "a.test") == Some(1));
    until("the order is forgotten", || scene.record(0, "a.test")["order"] == Value::Null);
    until("its key is removed", || !scene.folder(0).join("pending/a.test").exists());
}

#[test]
fn an_account_gets_another_key_and_goes_on() {
    let scene = Scene::new(1);
    let gate = scene.gate("[a.test]");
    until("it is served", || scene.issuer(&gate, "a.test") == Some(0));
    let key = || fs::read(scene.folder(0).join("account-key")).unwrap();
    let before = key();
    let (is_well, text) = answer(&gate, "rollover");
    assert!(is_well && text.contains("the account has a new key"), "{text}");
    assert_ne!(key(), before);
    assert!(!scene.folder(0).join("next-account-key").exists());
    assert_eq!((scene.cas[0].count(Asked::KeyChange), scene.cas[0].accounts()), (1, 1));
    // Orders are signed with it, now and after a restart.
    renew(&gate, "a.test");
    until("it is renewed", || scene.folder(0).join("archive/a.test/2").exists());
    gate.stop();
    let gate = scene.gate("[a.test, b.test]");
    until("it is served", || scene.issuer(&gate, "b.test") == Some(0));
    assert_eq!(scene.cas[0].accounts(), 1);
}

#[test]
fn a_change_of_the_key_whose_answer_is_lost_is_found_out() {
    // The authority has done it, or not.
    for (fault, is_changed) in [(Fault::CutAfter, true), (Fault::CutBefore, false)] {
        for restarts in [false, true] {
            let scene = Scene::new(1);
            let gate = scene.gate("a.test");
            until("it is served", || scene.issuer(&gate, "a.test") == Some(0));
            let before = fs::read(scene.folder(0).join("account-key")).unwrap();
            scene.cas[0].fault(Asked::KeyChange, fault.clone());
            let (is_well, text) = answer(&gate, "rollover");
            assert!(!is_well && text.contains("does not answer"), "{text}");
            assert!(scene.folder(0).join("next-account-key").exists());
            let gate = if restarts {
                gate.stop();
                scene.gate("a.test")
            } else {
                gate
            };
            until("it is renewed", || {
                renew(&gate, "a.test");
                scene.folder(0).join("archive/a.test/2").exists()
            });
            until("it is settled", || !scene.folder(0).join("next-account-key").exists());
            let after = fs::read(scene.folder(0).join("account-key")).unwrap();
            assert_eq!((after != before, scene.cas[0].accounts()), (is_changed, 1), "restarts: {restarts}");
        }
    }
}

#[test]
fn an_authority_that_refuses_a_key_leaves_the_old_one() {
    let scene = Scene::new(1);
    let gate = scene.gate("a.test");
    until("it is served", || scene.issuer(&gate, "a.test") == Some(0));
    scene.cas[0].fault(Asked::KeyChange, Fault::Problem("badPublicKey"));
    let (is_well, text) = answer(&gate, "rollover");
    assert!(!is_well && text.contains("badPublicKey"), "{text}");
    assert!(!scene.folder(0).join("next-account-key").exists());
    renew(&gate, "a.test");
    until("it is renewed", || scene.folder(0).join("archive/a.test/2").exists());
}

const DAY: i64 = 86_400;

#[test]
fn a_clock_that_is_wrong_orders_nothing_that_the_store_has() {
    let scene = Scene::new(1);
    // The clock of this machine is a year ahead, so the certificate has expired here.
    scene.cas[0].set_clock(-365 * DAY);
    scene.cas[0].set_life(-365 * DAY - 3_600, -275 * DAY);
    let gate = scene.gate("a.test");
    until("it is ordered", || scene.folder(0).join("live/a.test").exists());
    until("it is valid", || told(&gate, "a.test")["state"] == "valid");
    for _ in 0..2 {
        gate.reload().unwrap();
    }
    gate.stop();
    let gate = scene.gate("a.test");
    until("it is served again", || told(&gate, "a.test")["state"] == "valid");
    until("it is told", || {
        told(&gate, "a.test")["error"].as_str().unwrap_or_default().contains("365 days ahead")
    });
    assert_eq!(scene.cas[0].count(Asked::NewOrder), 1);
}

#[test]
fn limits_are_counted_by_the_clock_of_the_authority() {
    let scene = Scene::new(1);
    scene.cas[0].set_clock(0);
    let gate = scene.gate("a.test");
    until("it is served", || scene.issuer(&gate, "a.test") == Some(0));
    for count in 2..=4 {
        until("it is renewed", || {
            renew(&gate, "a.test");
            scene.cas[0].count(Asked::Certificate) >= count
        });
    }
    let issued = || scene.record(0, "a.test")["issued"].as_array().map_or(0, Vec::len);
    until("the last one is known", || issued() == 4 && !scene.folder(0).join("pending/a.test").exists());
    gate.stop();
    // For this machine, these days are long over.
    let file = scene.folder(0).join("attempts/a.test.json");
    let text = fs::read_to_string(&file).unwrap();
    let mut record: Value = serde_json::from_str(&text).unwrap();
    for key in ["issued", "tried"] {
        for at in record[key].as_array_mut().unwrap() {
            *at = (at.as_i64().unwrap() - 30 * DAY).into();
        }
    }
    fs::write(&file, record.to_string()).unwrap();
    scene.cas[0].set_clock(-30 * DAY);
    let gate = scene.gate("a.test");
    until("it is known", || told(&gate, "a.test")["state"] == "valid");
    renew(&gate, "a.test");
    until("it is refused", || {
        told(&gate, "a.test")["error"].as_str().unwrap_or_default().contains("30 days ahead")
    });
    assert_eq!(scene.cas[0].count(Asked::NewOrder), 4);
}
