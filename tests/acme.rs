//! Certificates from a certificate authority: the way to one, and everything that can go wrong on it. The authority is
//! `support/ca.rs`; no other is ever asked.
#![cfg(feature = "acme")]

mod support;

#[path = "support/ca.rs"]
mod ca;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use ca::{Asked, Fault, TestCa};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use support::client::Client;
use support::gate::TestGate;
use support::tls::Tls;
use support::until;
use tempfile::TempDir;

/// One name on a listener of its own for TLS, and one in the clear that redirects.
const ONE: &str = r#"
acme: { accept_terms: true, email: ops@a.test, ca: "{directory}", challenges: [{challenges}] }
store: "{store}"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    redirect_to_https: true
    rules: [{ host: a.test, respond: { body: clear } }]
  - name: https
    bind: "127.0.0.1:0"
    tls: { acme: true }
    rules: [{ host: {hosts}, respond: { body: hello } }]
"#;

/// An authority, and a gate that orders from it.
struct Scene {
    ca: TestCa,
    store: TempDir,
}

impl Scene {
    fn new() -> Scene {
        Scene { ca: TestCa::start(), store: tempfile::tempdir().unwrap() }
    }

    /// A gate that orders certificates for these hosts by these challenges.
    fn gate(&self, hosts: &str, challenges: &str) -> TestGate {
        let (directory, store) = (self.ca.directory(), self.store.path().display());
        let names: support::gate::Names =
            &[("directory", &directory), ("store", &store), ("hosts", &hosts), ("challenges", &challenges)];
        let gate = TestGate::start(ONE, names);
        self.ca.ask(gate.address("http"), gate.address("https"));
        gate
    }

    /// A client that trusts the authority alone.
    fn trust(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// Whether the gate shows a certificate of the authority for the name.
    fn is_served(&self, gate: &TestGate, name: &str) -> bool {
        Tls::connect(gate.address("https"), &self.trust(), name).is_ok()
    }

    /// The folder of the authority in the store.
    fn folder(&self) -> std::path::PathBuf {
        let address = self.ca.directory().replace("http://", "").replace("/d", "").replace(':', "_");
        self.store.path().join(address)
    }
}

/// The state and the last error of a name, as the internal API tells them.
fn told(gate: &TestGate, name: &str) -> (String, String) {
    let all: serde_json::Value = serde_json::from_str(&gate.internal("GET", "/certificates").text()).unwrap();
    let found = all.as_array().unwrap().iter().find(|one| one["name"] == name).cloned().unwrap_or_default();
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("state"), text("error"))
}

fn renew(gate: &TestGate, name: &str) {
    assert_eq!(gate.internal("POST", &format!("/certificates?renew={name}")).status(), 202);
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_host_gets_its_certificate_by_a_request_in_the_clear() {
    let scene = Scene::new();
    let gate = scene.gate("a.test", "http");
    until("it is served", || scene.is_served(&gate, "a.test"));
    let tls = Tls::connect(gate.address("https"), &scene.trust(), "a.test").unwrap();
    let response = tls.client().exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_eq!(response.text(), "hello");
    assert_eq!((scene.ca.orders(), scene.ca.accounts()), (vec!["a.test".to_owned()], 1));
    let live = scene.folder().join("live/a.test");
    assert!(
        fs::read_to_string(live.join("fullchain.pem")).unwrap().starts_with("-----BEGIN CERTIFICATE-----")
    );
    assert_eq!((mode(&live.join("privkey.pem")), mode(&scene.folder().join("account-key"))), (0o600, 0o600));
    until("the last write", || {
        told(&gate, "a.test").0 == "valid" && !scene.folder().join("pending/a.test").exists()
    });
    let ca = scene.folder().file_name().unwrap().to_str().unwrap().to_owned();
    let orders =
        |result: &str| gate.metric(&format!("smolgate_acme_orders_total{{ca=\"{ca}\",result=\"{result}\"}}"));
    assert_eq!((orders("ok"), orders("name_failed")), (1.0, 0.0));
    assert!(
        gate.metrics()
            .contains("smolgate_certificate_expiry_timestamp_seconds{listener=\"https\",name=\"a.test\"}")
    );
    // The challenge is over.
    let path = "/.well-known/acme-challenge/x";
    let request = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n");
    assert_eq!(Client::connect(gate.address("http")).exchange(request).text(), "clear");
}

#[test]
fn a_host_gets_its_certificate_by_a_handshake() {
    let scene = Scene::new();
    let gate = scene.gate("a.test", "tls");
    until("it is served", || scene.is_served(&gate, "a.test"));
    assert_eq!(gate.metric("smolgate_tls_handshakes_total{listener=\"https\",result=\"challenge\"}"), 1.0);
    // No challenge is open now: the protocol is not spoken.
    let mut config = ClientConfig::clone(&scene.trust());
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    assert!(Tls::connect(gate.address("https"), &Arc::new(config), "a.test").is_err());
}

#[test]
fn a_certificate_in_the_store_is_never_ordered_anew() {
    let scene = Scene::new();
    let gate = scene.gate("a.test", "http");
    until("it is served", || scene.is_served(&gate, "a.test"));
    gate.stop();
    for _ in 0..3 {
        let gate = scene.gate("a.test", "http");
        assert!(scene.is_served(&gate, "a.test"), "from the first handshake on");
        until("it is known", || told(&gate, "a.test").0 == "valid");
        gate.stop();
    }
    assert_eq!((scene.ca.count(Asked::NewOrder), scene.ca.count(Asked::Account)), (1, 2));
}

#[test]
fn a_host_that_a_reload_adds_is_ordered_at_once_and_others_stay() {
    let scene = Scene::new();
    let gate = scene.gate("a.test", "http");
    until("it is served", || scene.is_served(&gate, "a.test"));
    let (directory, store) = (scene.ca.directory(), scene.store.path().display());
    let names: support::gate::Names = &[
        ("directory", &directory),
        ("store", &store),
        ("hosts", &"[a.test, b.test]"),
        ("challenges", &"http"),
    ];
    gate.edit(ONE, names);
    gate.reload().unwrap();
    until("it is served", || scene.is_served(&gate, "b.test"));
    assert_eq!(scene.ca.orders(), ["a.test", "b.test"]);
}

#[test]
fn a_name_that_waits_has_a_stand_in_and_a_name_of_no_rule_has_none() {
    let scene = Scene::new();
    scene.ca.refuse("a.test");
    let gate = scene.gate("a.test", "http");
    until("it has failed", || told(&gate, "a.test").0 == "waiting" && !told(&gate, "a.test").1.is_empty());
    let error = Tls::connect(gate.address("https"), &scene.trust(), "a.test").err().unwrap().to_string();
    assert!(error.contains("certificate"), "{error}");
    let error = Tls::connect(gate.address("https"), &scene.trust(), "b.test").err().unwrap().to_string();
    assert!(error.contains("UnrecognisedName") || error.contains("UnrecognizedName"), "{error}");
}

#[test]
fn a_name_that_waits_can_be_refused_instead() {
    let scene = Scene::new();
    scene.ca.refuse("a.test");
    let text = ONE.replace("challenges:", "while_waiting: refuse, challenges:");
    let (directory, store) = (scene.ca.directory(), scene.store.path().display());
    let names: support::gate::Names =
        &[("directory", &directory), ("store", &store), ("hosts", &"a.test"), ("challenges", &"http")];
    let gate = TestGate::start(&text, names);
    let error = Tls::connect(gate.address("https"), &scene.trust(), "a.test").err().unwrap().to_string();
    assert!(error.contains("UnrecognisedName") || error.contains("UnrecognizedName"), "{error}");
}

#[test]
fn a_bad_name_delays_no_other_and_waits_for_its_next_attempt() {
    let scene = Scene::new();
    scene.ca.refuse("bad.test");
    let gate = scene.gate("[bad.test, a.test, b.test]", "http");
    until("they are served", || scene.is_served(&gate, "a.test") && scene.is_served(&gate, "b.test"));
    until("it has failed", || told(&gate, "bad.test").1.contains("unauthorized"));
    let (state, error) = told(&gate, "bad.test");
    assert_eq!(state, "waiting");
    assert!(error.contains("http-01") && error.contains("refused"), "{error}");
    // A restart loop makes no further order.
    gate.stop();
    for _ in 0..3 {
        let gate = scene.gate("[bad.test, a.test, b.test]", "http");
        until("it is known", || !told(&gate, "bad.test").1.is_empty());
        gate.stop();
    }
    assert_eq!(scene.ca.count(Asked::NewOrder), 3);
}

#[test]
fn faults_of_the_authority_are_survived_with_one_order() {
    for (asked, fault) in [
        (Asked::NewOrder, Fault::BadNonce),
        (Asked::Account, Fault::BadNonce),
        (Asked::Finalize, Fault::BadNonce),
        (Asked::Challenge, Fault::CutAfter),
        (Asked::Authorization, Fault::Unavailable(1)),
        (Asked::Finalize, Fault::CutBefore),
        (Asked::Finalize, Fault::CutAfter),
        (Asked::Order, Fault::Html),
        (Asked::Certificate, Fault::CutBefore),
        (Asked::Certificate, Fault::Unavailable(1)),
    ] {
        let scene = Scene::new();
        scene.ca.fault(asked, fault);
        let gate = scene.gate("a.test", "http");
        // Each failure is followed by one more attempt.
        let mut failed = String::new();
        until("it is served", || {
            let now = gate.internal("GET", "/certificates").text();
            if now.contains("error") && now.contains("waiting") && now != failed {
                renew(&gate, "a.test");
                failed = now;
            }
            scene.is_served(&gate, "a.test")
        });
        assert_eq!(scene.ca.orders(), ["a.test"], "{asked:?}");
        assert_eq!(scene.ca.accounts(), 1, "{asked:?}");
    }
}

#[test]
fn an_order_that_takes_its_time_is_waited_for() {
    let scene = Scene::new();
    scene.ca.slow(3);
    let gate = scene.gate("a.test", "http");
    until("it is served", || scene.is_served(&gate, "a.test"));
    assert_eq!(scene.ca.count(Asked::Finalize), 1);
}

#[test]
fn a_rate_limit_is_kept_over_a_restart() {
    let scene = Scene::new();
    scene.ca.fault(Asked::NewOrder, Fault::RateLimited(7_200));
    let gate = scene.gate("a.test", "http");
    until("it has failed", || told(&gate, "a.test").1.contains("rateLimited"));
    gate.stop();
    let gate = scene.gate("a.test", "http");
    until("it is known", || told(&gate, "a.test").1.contains("rateLimited"));
    let all: serde_json::Value = serde_json::from_str(&gate.internal("GET", "/certificates").text()).unwrap();
    let record = fs::read_to_string(scene.folder().join("attempts/a.test.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let modified = fs::metadata(scene.folder().join("attempts/a.test.json")).unwrap().modified().unwrap();
    let written = modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let wait = record["not_before"].as_u64().unwrap().saturating_sub(written);
    assert!((7_190..7_300).contains(&wait), "{wait}");
    assert!(all[0]["next_attempt"].is_string(), "{all}");
    assert_eq!(scene.ca.count(Asked::NewOrder), 1);
}

#[test]
fn a_limit_of_a_domain_holds_the_names_below_it_and_no_others() {
    let scene = Scene::new();
    scene.ca.fault(Asked::NewOrder, Fault::LimitedDomain("one.test", 7_200));
    let gate = scene.gate("a.one.test", "http");
    until("it has failed", || told(&gate, "a.one.test").1.contains("already issued for \"one.test\""));
    let (directory, store) = (scene.ca.directory(), scene.store.path().display());
    let names: support::gate::Names = &[
        ("directory", &directory),
        ("store", &store),
        ("hosts", &"[a.one.test, b.one.test, aone.test, c.test]"),
        ("challenges", &"http"),
    ];
    gate.edit(ONE, names);
    gate.reload().unwrap();
    for name in ["aone.test", "c.test"] {
        until("it is served", || scene.is_served(&gate, name));
    }
    until("it waits", || {
        told(&gate, "b.one.test").1 == "the limit of the CA for names below one.test is reached"
    });
    assert_eq!(scene.ca.count(Asked::NewOrder), 3);
    // An operator may know better.
    renew(&gate, "b.one.test");
    until("it is served", || scene.is_served(&gate, "b.one.test"));
}

#[test]
fn a_certificate_for_another_key_is_not_served_and_not_kept() {
    let scene = Scene::new();
    scene.ca.fault(Asked::Finalize, Fault::OtherKey);
    let gate = scene.gate("a.test", "http");
    until("it has failed", || told(&gate, "a.test").1.contains("cannot be used"));
    assert!(!scene.folder().join("live/a.test").exists());
    assert!(!scene.is_served(&gate, "a.test"));
}

#[test]
fn a_folder_that_cannot_be_written_orders_nothing() {
    let scene = Scene::new();
    fs::write(scene.store.path().join("file"), "").unwrap();
    let directory = scene.ca.directory();
    let store = scene.store.path().join("file");
    let names: support::gate::Names = &[
        ("directory", &directory),
        ("store", &store.display()),
        ("hosts", &"a.test"),
        ("challenges", &"http"),
    ];
    let gate = TestGate::start(ONE, names);
    until("it is told", || told(&gate, "a.test").1.contains("nothing is ordered"));
    assert_eq!(scene.ca.count(Asked::Urls), 0);
}

/// A store that takes no more writes, as a full disk does, at each step of an order.
#[test]
fn a_store_that_takes_no_more_costs_no_second_order() {
    // The file that is in the way, the orders that are made before, and whether a certificate was got.
    for (obstacle, orders, finalized) in [
        ("attempts/.a.test.json.new", 0, 0),
        ("orders.json", 0, 0),
        ("pending/.a.test.new", 1, 0),
        ("archive/a.test", 1, 1),
    ] {
        let scene = Scene::new();
        let path = scene.folder().join(obstacle);
        // A folder cannot be written to as a file, nor a file as a folder.
        match obstacle.starts_with("archive") {
            true => {
                fs::create_dir_all(scene.folder().join("archive")).unwrap();
                fs::write(&path, "").unwrap();
            }
            false => fs::create_dir_all(path.join("x")).unwrap(),
        }
        let gate = scene.gate("a.test", "http");
        until("it is told", || told(&gate, "a.test").1.contains("store cannot be used"));
        let counts = (scene.ca.count(Asked::NewOrder), scene.ca.count(Asked::Finalize));
        assert_eq!(counts, (orders, finalized), "{obstacle}");
        assert!(!scene.is_served(&gate, "a.test"), "{obstacle}");
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        renew(&gate, "a.test");
        until("it is served", || scene.is_served(&gate, "a.test"));
        assert_eq!((scene.ca.orders().len(), scene.ca.accounts()), (1, 1), "{obstacle}");
    }
}

#[test]
fn a_store_that_can_only_be_read_is_served_and_orders_nothing() {
    let scene = Scene::new();
    let gate = scene.gate("a.test", "http");
    until("it is served", || scene.is_served(&gate, "a.test"));
    until("it is known", || told(&gate, "a.test").0 == "valid");
    gate.stop();
    // The lock cannot be taken: as on a file system that is mounted read-only.
    fs::remove_file(scene.store.path().join("lock")).unwrap();
    fs::create_dir(scene.store.path().join("lock")).unwrap();
    let gate = scene.gate("[a.test, b.test]", "http");
    until("it is told", || told(&gate, "b.test").1.contains("nothing is ordered"));
    assert!(scene.is_served(&gate, "a.test"));
    assert_eq!(scene.ca.orders(), ["a.test"]);
}

#[test]
fn ten_bad_names_of_a_hundred_delay_no_good_one() {
    let scene = Scene::new();
    let names: Vec<String> = (0..100).map(|number| format!("n{number}.test")).collect();
    let is_bad = |number: usize| number.is_multiple_of(10);
    names
        .iter()
        .enumerate()
        .filter(|(number, _)| is_bad(*number))
        .for_each(|(_, name)| scene.ca.refuse(name));
    let gate = scene.gate(&format!("[{}]", names.join(", ")), "http");
    let states = || {
        let all: Vec<serde_json::Value> =
            serde_json::from_str(&gate.internal("GET", "/certificates").text()).unwrap();
        let count = |state: &str| {
            all.iter()
                .filter(|one| one["state"] == state && (state == "valid" || one["error"].is_string()))
                .count()
        };
        (count("valid"), count("waiting"))
    };
    until("all are decided", || states() == (90, 10));
    assert_eq!((scene.ca.orders().len(), scene.ca.accounts()), (100, 1));
    for (number, name) in names.iter().enumerate() {
        assert_eq!(scene.is_served(&gate, name), !is_bad(number), "{name}");
    }
}

#[test]
fn a_rule_can_have_no_certificate() {
    let scene = Scene::new();
    let text = ONE.replace(
        "rules: [{ host: {hosts},",
        "rules: [{ host: [b.test, c.test], acme: false, respond: {} }, { host: {hosts},",
    );
    let (directory, store) = (scene.ca.directory(), scene.store.path().display());
    let names: support::gate::Names = &[
        ("directory", &directory),
        ("store", &store),
        ("hosts", &"[a.test, c.test]"),
        ("challenges", &"http"),
    ];
    let gate = TestGate::start(&text, names);
    scene.ca.ask(gate.address("http"), gate.address("https"));
    until("they are served", || scene.is_served(&gate, "a.test") && scene.is_served(&gate, "c.test"));
    let mut orders = scene.ca.orders();
    orders.sort_unstable();
    assert_eq!(orders, ["a.test", "c.test"], "another rule wants c.test");
    let error = Tls::connect(gate.address("https"), &scene.trust(), "b.test").err().unwrap().to_string();
    assert!(error.contains("Unrecogni"), "{error}");
}

#[test]
fn a_host_with_a_certificate_in_a_file_is_not_ordered() {
    let scene = Scene::new();
    let dir = tempfile::tempdir().unwrap();
    let authority = support::tls::Authority::new(dir.path(), "ca.pem");
    authority.issue(dir.path(), "b", &["b.test"]);
    let (directory, store) = (scene.ca.directory(), scene.store.path().display());
    let text = ONE.replace("tls: { acme: true }", "tls: { acme: true, certificates: \"{dir}/b.crt\" }");
    let names: support::gate::Names = &[
        ("directory", &directory),
        ("store", &store),
        ("hosts", &"[a.test, b.test]"),
        ("challenges", &"http"),
        ("dir", &dir.path().display()),
    ];
    let gate = TestGate::start(&text, names);
    scene.ca.ask(gate.address("http"), gate.address("https"));
    until("it is served", || scene.is_served(&gate, "a.test"));
    assert!(Tls::connect(gate.address("https"), &Arc::new(authority.client(&[])), "b.test").is_ok());
    assert_eq!(scene.ca.orders(), ["a.test"]);
}

#[test]
fn a_certificate_can_be_renewed_by_hand_within_a_budget() {
    let scene = Scene::new();
    let gate = scene.gate("a.test", "http");
    until("it is served", || scene.is_served(&gate, "a.test"));
    for count in 2..=4 {
        until("it is idle", || {
            renew(&gate, "a.test");
            scene.ca.count(Asked::Certificate) >= count
        });
    }
    until("the last one is kept", || scene.folder().join("archive/a.test/4").exists());
    for _ in 0..3 {
        renew(&gate, "a.test");
    }
    until("it is known", || told(&gate, "a.test").0 == "valid");
    assert_eq!(scene.ca.count(Asked::NewOrder), 4);
    assert_eq!(gate.internal("POST", "/certificates?renew=b.test").status(), 404);
    assert_eq!(gate.internal("POST", "/certificates").status(), 400);
}
