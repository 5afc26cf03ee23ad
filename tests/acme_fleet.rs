//! Several gates with one bucket: each name is ordered once, whatever happens to the gate that orders and to the bucket.
//! The authority is `support/ca.rs` and the bucket `support/s3.rs`; no other is ever asked.
#![cfg(feature = "s3")]

mod support;

#[path = "support/ca.rs"]
mod ca;
#[path = "support/dns.rs"]
mod dns;
#[path = "support/s3.rs"]
mod s3;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use ca::{Asked, Fault, TestCa};
use dns::TestDns;
use rustix::process::Signal;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use s3::S3;
use support::gate::TestGate;
use support::program::Program;
use support::tls::Tls;
use support::{Latch, until};
use tempfile::TempDir;

const CONFIG: &str = r#"
acme: { accept_terms: true, ca: {directory}, challenges: [{challenges}], {more} }
store: {store}
listeners:
  - { name: http, bind: "127.0.0.1:0", redirect_to_https: true }
  - name: https
    bind: "127.0.0.1:0"
    tls: { acme: true }
    rules: [{ host: [{hosts}], respond: { body: hello } }]
"#;

/// A lease with time enough for the other gates to read a challenge, on a busy machine too.
const LONG: &str = "12s";
/// The shortest lease.
const SHORT: &str = "3s";

/// An authority and a bucket.
struct Scene {
    ca: TestCa,
    s3: S3,
}

impl Scene {
    fn new() -> Scene {
        Scene { ca: TestCa::start(), s3: S3::start() }
    }

    fn gate(&self, store: &str, hosts: &str, challenges: &str) -> TestGate {
        self.gate_with(store, hosts, challenges, &[&self.ca], "self_check: false")
    }

    /// A gate with several authorities, best first, and more keys of `acme`.
    fn gate_with(&self, store: &str, hosts: &str, challenges: &str, cas: &[&TestCa], more: &str) -> TestGate {
        let cas: Vec<String> = cas.iter().map(|ca| format!("\"{}\"", ca.directory())).collect();
        let cas = format!("[{}]", cas.join(", "));
        let names: support::gate::Names = &[
            ("directory", &cas),
            ("store", &store),
            ("hosts", &hosts),
            ("challenges", &challenges),
            ("more", &more),
        ];
        TestGate::start(CONFIG, names)
    }

    /// A gate as a process of its own, for a.test.
    fn program(&self, store: &str, setup: impl FnOnce(&mut Command)) -> (Program, TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let api = format!("workers: 1\ninternal_api: {{ bind: \"unix:{}/api\" }}\n", dir.path().display());
        let directory = format!("\"{}\"", self.ca.directory());
        let text = CONFIG.replace("{directory}", &directory).replace("{store}", store);
        let text = text.replace("{more}", "self_check: false");
        let text = api + &text.replace("{hosts}", "a.test").replace("{challenges}", "http");
        let file = dir.path().join("smolgate.yml");
        fs::write(&file, text).unwrap();
        let program = Program::start(|command| {
            for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
                command.env_remove(name);
            }
            command.arg("-c").arg(&file);
            setup(command);
        });
        (program, dir)
    }

    fn is_served(&self, https: SocketAddr, name: &str) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
        Tls::connect(https, &config, name).is_ok()
    }

    fn ask(&self, gate: &TestGate) {
        self.ca.ask(gate.address("http"), gate.address("https"));
    }
}

/// The last error of a name, as the internal API tells it.
fn told(gate: &TestGate, name: &str) -> String {
    let all: serde_json::Value = serde_json::from_str(&gate.internal("GET", "/certificates").text()).unwrap();
    let found = all.as_array().unwrap().iter().find(|one| one["name"] == name).cloned().unwrap_or_default();
    found["error"].as_str().unwrap_or_default().to_owned()
}

/// The output of `smolgate certs`.
fn certs(dir: &TempDir) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smolgate"));
    command.args(["certs", "--address"]).arg(format!("unix:{}/api", Path::display(dir.path())));
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}

/// Waits three times as long as [`until`].
#[track_caller]
fn until_late(what: &str, mut condition: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + 2 * support::DEADLINE;
    while std::time::Instant::now() < end && !condition() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    until(what, condition);
}

/// Five gates, of which the first one orders, and the authority asks another one.
fn five_gates(challenges: &str, names: &[String]) {
    let scene = Scene::new();
    let (store, hosts) = (scene.s3.store(LONG), names.join(", "));
    // Challenges wait until the authority knows a gate to ask.
    let mut gates = vec![scene.gate(&store, &hosts, challenges)];
    until("the first gate orders", || scene.s3.writes("/lease") > 0);
    gates.extend((1..5).map(|_| scene.gate(&store, &hosts, challenges)));
    until("the last gate waits", || told(&gates[4], &names[0]).contains("another gate orders"));
    scene.ask(&gates[3]);
    for gate in &gates {
        for name in names {
            let why = format!("every gate serves {name}, of which the first says: ");
            until_late(&(why + &told(&gates[0], name)), || scene.is_served(gate.address("https"), name));
        }
    }
    let mut orders = scene.ca.orders();
    orders.sort();
    assert_eq!((&*orders, scene.ca.accounts()), (names, 1));
    for name in names {
        assert_eq!(scene.s3.writes(&format!("/live/{name}")), 1, "{name}");
    }
    let ordering = gates.iter().map(|gate| gate.metric("smolgate_store_orders_here"));
    assert_eq!(ordering.collect::<Vec<_>>(), [1.0, 0.0, 0.0, 0.0, 0.0]);
    let next = format!("smolgate_acme_next_attempt_timestamp_seconds{{name=\"{}\"}}", names[0]);
    assert!(gates[0].metric(&next) > 1.7e9);
    // Everything in the bucket is sealed.
    for (key, value) in scene.s3.objects() {
        assert!(key.starts_with("gates/127.0.0.1_") || key == "gates/lease", "{key}");
        assert!(!value.windows(5).any(|part| part == b"BEGIN" || part == b"order"), "{key}");
    }
    // A gate that starts now serves them all at once, and orders nothing.
    let late = scene.gate(&store, &hosts, challenges);
    assert!(names.iter().all(|name| scene.is_served(late.address("https"), name)));
    assert_eq!(scene.ca.count(Asked::NewOrder), names.len());
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("n{number:02}.test")).collect()
}

#[test]
fn five_gates_order_each_of_twenty_names_once() {
    five_gates("http", &names(20));
}

#[test]
fn any_gate_answers_a_challenge_inside_tls() {
    five_gates("tls", &names(2));
}

#[test]
fn a_gate_that_stops_hands_over_at_once() {
    let scene = Scene::new();
    // It would take thirteen minutes to find out that the first gate is gone.
    let store = scene.s3.store("10m");
    let first = scene.gate(&store, "a.test", "http");
    until("the first gate orders", || scene.s3.writes("/lease") > 0);
    first.stop();
    assert_eq!(scene.s3.writes("/lease"), 2, "it gives the lease back");
    let second = scene.gate(&store, "b.test", "http");
    scene.ask(&second);
    until("the second gate orders", || scene.ca.orders().contains(&"b.test".to_owned()));
}

/// The gate that orders stops in the middle of it, by `signal`, while the authority holds its answer.
fn taken_over(signal: Signal, asked: Asked) -> (Scene, (Program, TempDir), (Program, TempDir)) {
    let scene = Scene::new();
    let (reached, go_on) = (Latch::new(), Latch::new());
    scene.ca.fault(asked, Fault::Hold(reached.clone(), go_on.clone()));
    let store = scene.s3.store(SHORT);
    let first = scene.program(&store, |_| {});
    scene.ca.ask(first.0.address("http"), first.0.address("https"));
    until_late("the answer is held", || reached.is_open());
    let second = scene.program(&store, |_| {});
    until("the second gate waits", || certs(&second.1).contains("another gate orders"));
    first.0.signal(signal);
    scene.ca.ask(second.0.address("http"), second.0.address("https"));
    go_on.open();
    until_late("the second gate serves", || scene.is_served(second.0.address("https"), "a.test"));
    (scene, first, second)
}

#[test]
fn another_gate_goes_on_where_a_killed_one_was() {
    for asked in [Asked::Authorization, Asked::Finalize, Asked::Certificate] {
        let (scene, ..) = taken_over(Signal::KILL, asked);
        assert_eq!((scene.ca.orders().len(), scene.ca.accounts()), (1, 1), "{asked:?}");
    }
}

#[test]
fn a_gate_that_was_paused_writes_nothing_when_it_wakes_up() {
    let (scene, first, second) = taken_over(Signal::STOP, Asked::Finalize);
    until("the last write", || certs(&second.1).contains("a.test  valid"));
    let writes = scene.s3.writes("/attempts/a.test.json");
    first.0.signal(Signal::CONT);
    // It was in the middle of its order, and learns that another gate has ended it.
    until_late("the first gate serves", || scene.is_served(first.0.address("https"), "a.test"));
    until_late("the first gate is done", || certs(&first.1).contains("a.test  valid"));
    assert_eq!((scene.ca.orders().len(), scene.s3.writes("/live/a.test")), (1, 1));
    assert_eq!(scene.s3.writes("/attempts/a.test.json"), writes, "{}", first.0.log());
}

#[test]
fn a_bucket_that_is_gone_for_a_while_costs_no_order() {
    let scene = Scene::new();
    let store = scene.s3.store(SHORT);
    let gates = [scene.gate(&store, "a.test", "http"), scene.gate(&store, "a.test", "http")];
    scene.ask(&gates[0]);
    for gate in &gates {
        until_late("it is served", || scene.is_served(gate.address("https"), "a.test"));
    }
    gates.into_iter().for_each(TestGate::stop);
    // Another name, whose order exists at the authority when the bucket is gone.
    let (reached, go_on) = (Latch::new(), Latch::new());
    scene.ca.fault(Asked::NewOrder, Fault::Hold(reached.clone(), go_on.clone()));
    let gates = [scene.gate(&store, "a.test, b.test", "http"), scene.gate(&store, "a.test, b.test", "http")];
    scene.ca.ask_nobody();
    until_late("the order is made", || reached.is_open());
    scene.s3.silence(true);
    go_on.open();
    let cut = scene.s3.cut();
    // Both gates ask in vain, and the lease ends meanwhile.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
    until("both have noticed", || scene.s3.cut() > cut + 8 && std::time::Instant::now() > end);
    assert!(gates.iter().all(|gate| scene.is_served(gate.address("https"), "a.test")));
    scene.s3.silence(false);
    for gate in &gates {
        scene.ask(gate);
    }
    for gate in &gates {
        until_late("b.test is served", || scene.is_served(gate.address("https"), "b.test"));
    }
    assert_eq!(scene.ca.orders(), ["a.test", "b.test"]);
}

#[test]
fn a_server_that_ignores_conditions_is_refused() {
    let scene = Scene::new();
    scene.s3.ignore_conditions();
    let gate = scene.gate(&scene.s3.store(SHORT), "a.test", "http");
    until("it is told", || told(&gate, "a.test").contains("ignores If-None-Match"));
    assert!(told(&gate, "a.test").contains("two gates could order at once"));
    assert_eq!((scene.ca.orders().len(), scene.s3.objects().len()), (0, 0));
}

#[test]
fn refusals_say_what_to_do() {
    for (code, sentence) in [
        ("RequestTimeTooSkewed", "set the clock"),
        ("AccessDenied", "needs the rights to list, get, put and delete"),
        ("AuthorizationHeaderMalformed", "mend `region`"),
        ("NotImplemented", "does not know conditions of writes"),
        ("SlowDown", "denies access"),
    ] {
        let scene = Scene::new();
        scene.s3.refuse(code);
        let gate = scene.gate(&scene.s3.store(SHORT), "a.test", "http");
        until(code, || told(&gate, "a.test").contains(sentence));
        assert_eq!(scene.ca.orders().len(), 0);
        let errors = ["lock", "read", "write"].map(|operation| {
            gate.metric(&format!("smolgate_store_errors_total{{operation=\"{operation}\"}}"))
        });
        assert!(errors.iter().sum::<f64>() > 0.0, "{code}: {errors:?}");
    }
    let scene = Scene::new();
    let wrong = |more: &str| scene.gate(&scene.s3.store_with(more, SHORT), "a.test", "http");
    let (user, secret) = ("access_key_id: other", "secret_access_key: wrong-secret");
    for (gate, sentence) in [
        (wrong(&format!("{user}, {secret}")), "does not know the access key other"),
        (
            wrong(&format!("access_key_id: gate, {secret}")),
            "the secret of the access key gate is not the right one",
        ),
    ] {
        until(sentence, || told(&gate, "a.test").contains(sentence));
        assert!(!told(&gate, "a.test").contains("wrong-secret"));
    }
    let store = scene.s3.store(SHORT).replace("bucket: store", "bucket: lost");
    let gate = scene.gate(&store, "a.test", "http");
    until("it is told", || told(&gate, "a.test").contains("the bucket lost does not exist"));
}

#[test]
fn another_key_opens_nothing_and_orders_nothing() {
    let scene = Scene::new();
    let store = scene.s3.store(SHORT);
    let first = scene.gate(&store, "a.test", "http");
    scene.ask(&first);
    until_late("it is served", || scene.is_served(first.address("https"), "a.test"));
    let other = store.replace(s3::KEY, "BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let second = scene.gate(&other, "a.test", "http");
    until("it is told", || told(&second, "a.test").contains("give all gates the same one"));
    // With both keys, it reads what the other one has sealed.
    let both =
        store.replace(s3::KEY, &format!("[BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=, {}]", s3::KEY));
    let third = scene.gate(&both, "a.test", "http");
    assert!(scene.is_served(third.address("https"), "a.test"));
    assert_eq!(scene.ca.orders(), ["a.test"]);
}

#[test]
fn the_access_key_may_come_from_the_environment_or_from_a_container() {
    let scene = Scene::new();
    let store = scene.s3.store_with("", SHORT);
    let [user, secret] = s3::LOGIN;
    let (gate, dir) = scene.program(&store, |_| {});
    until("it is told", || certs(&dir).contains("AWS_ACCESS_KEY_ID"));
    assert!(certs(&dir).contains("there is no access key"), "{}", gate.log());
    drop(gate);
    let (gate, _dir) = scene.program(&store, |command| {
        command.env("AWS_ACCESS_KEY_ID", user).env("AWS_SECRET_ACCESS_KEY", secret);
        command.env("AWS_SESSION_TOKEN", "of-the-environment");
    });
    until("it has the lease", || scene.s3.writes("/lease") > 0);
    assert!(scene.s3.tokens().contains(&"of-the-environment".to_owned()));
    drop(gate);
    let url = format!("{}/credentials", scene.s3.endpoint());
    let (gate, dir) = scene.program(&store, |command| {
        command.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
        command.env("AWS_CONTAINER_AUTHORIZATION_TOKEN", s3::CONTAINER_TOKEN);
    });
    until("it reads the lease", || scene.s3.tokens().contains(&"session".to_owned()));
    until("it waits for the one before, which was killed", || certs(&dir).contains("another gate orders"));
    assert!(!gate.log().contains(secret) && !gate.log().contains(s3::CONTAINER_TOKEN));
}

#[test]
fn any_gate_can_be_asked_for_a_new_certificate() {
    let scene = Scene::new();
    let store = scene.s3.store(SHORT);
    let first = scene.gate(&store, "a.test", "http");
    until("the first gate orders", || scene.s3.writes("/lease") > 0);
    let other = scene.gate(&store, "a.test", "http");
    scene.ask(&first);
    for gate in [&first, &other] {
        until_late("it is served", || scene.is_served(gate.address("https"), "a.test"));
    }
    assert_eq!(other.internal("POST", "/certificates?renew=a.test").status(), 202);
    until_late("it is renewed", || scene.s3.writes("/live/a.test") == 2);
    assert_eq!(other.internal("POST", "/certificates?revoke=a.test").status(), 202);
    until_late("it is revoked and renewed", || {
        scene.ca.revoked().len() == 1 && scene.s3.writes("/live/a.test") == 3
    });
    assert_eq!(scene.ca.count(Asked::NewOrder), 3, "each wish is carried out once");
}

#[test]
fn a_wish_outlives_the_gate_that_orders() {
    let scene = Scene::new();
    let store = scene.s3.store(SHORT);
    let first = scene.program(&store, |_| {});
    scene.ca.ask(first.0.address("http"), first.0.address("https"));
    until_late("it is served", || scene.is_served(first.0.address("https"), "a.test"));
    let second = scene.gate(&store, "a.test", "http");
    first.0.signal(Signal::KILL);
    scene.ask(&second);
    // The lease of the first gate has not ended yet.
    assert_eq!(second.internal("POST", "/certificates?renew=a.test").status(), 202);
    until_late("it is renewed", || scene.s3.writes("/live/a.test") == 2);
    assert_eq!(scene.ca.count(Asked::NewOrder), 2);
}

#[test]
fn a_gate_that_orders_at_one_authority_orders_at_all() {
    let (scene, second) = (Scene::new(), TestCa::start());
    let store = scene.s3.store(LONG);
    scene.ca.set_down(true);
    let cas = [&scene.ca, &second];
    let gates =
        ["a.test", "a.test"].map(|host| scene.gate_with(&store, host, "http", &cas, "self_check: false"));
    second.ask(gates[0].address("http"), gates[0].address("https"));
    until_late("the second authority issues", || second.orders() == ["a.test"]);
    let folder = |ca: &TestCa| ca.directory().split('/').nth(2).unwrap().replace(':', "_");
    assert_eq!(scene.s3.writes("/live/a.test"), scene.s3.writes(&format!("{}/live/a.test", folder(&second))));
    // The record at the first authority guards the name at all of them.
    assert!(scene.s3.writes(&format!("{}/attempts/a.test.json", folder(&scene.ca))) > 0);
    let leases = scene.s3.objects().into_iter().filter(|(key, _)| key.ends_with("/lease"));
    assert_eq!(leases.count(), 1, "one gate orders");
}

#[test]
fn a_key_is_replaced_without_an_order() {
    let scene = Scene::new();
    let old = scene.s3.store(SHORT);
    let new = "BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let gate = scene.gate(&old, "a.test", "http");
    scene.ask(&gate);
    until_late("it is served", || scene.is_served(gate.address("https"), "a.test"));
    gate.stop();
    let sealed: Vec<_> = scene.s3.objects().into_iter().filter(|(key, _)| !key.ends_with("/lease")).collect();
    let both = old.replace(s3::KEY, &format!("[{new}, {}]", s3::KEY));
    let gate = scene.gate(&both, "a.test, b.test", "http");
    scene.ask(&gate);
    until_late("b.test is served", || scene.is_served(gate.address("https"), "b.test"));
    until_late("everything is sealed with the new key", || {
        let now = scene.s3.objects();
        sealed.iter().all(|before| !now.contains(before))
    });
    gate.stop();
    // The old key is left out.
    let gate = scene.gate(&old.replace(s3::KEY, new), "a.test, b.test, c.test", "http");
    scene.ask(&gate);
    assert!(scene.is_served(gate.address("https"), "a.test"));
    until_late("c.test is served", || scene.is_served(gate.address("https"), "c.test"));
    assert_eq!((scene.ca.orders().len(), scene.ca.accounts()), (3, 1));
}

/// The answer to `check`: whether all is well, and the text.
fn checked(gate: &TestGate, name: &str) -> (bool, String) {
    let response = gate.internal("POST", &format!("/certificates?check={name}"));
    let answer: serde_json::Value = serde_json::from_str(&response.text()).unwrap();
    (answer["well"].as_bool().unwrap(), answer["text"].as_str().unwrap().to_owned())
}

#[test]
fn a_look_at_a_name_may_be_answered_by_any_gate() {
    let (scene, names) = (Scene::new(), TestDns::start());
    let store = scene.s3.store(SHORT);
    // Nothing can be ordered before the first gate is gone.
    scene.ca.set_down(true);
    names.lead("a.test", "127.0.0.1");
    let looks = |port: u16| {
        let at = format!("self_check: {{ resolvers: \"{}\", http_port: {port} }}", names.address);
        scene.gate_with(&store, "a.test", "http", &[&scene.ca], &at)
    };
    let first = scene.gate(&store, "a.test", "http");
    until("the first gate orders", || scene.s3.writes("/lease") > 0);
    // A gate that does not order looks, and the balancer leads to the one that does.
    let second = looks(first.address("http").port());
    until("the second gate waits", || told(&second, "a.test").contains("another gate orders"));
    let (is_well, text) = checked(&second, "a.test");
    assert!(is_well && text.contains("A 127.0.0.1 leads here"), "{text}");
    first.stop();
    second.stop();
    scene.ca.set_down(false);
    // A name that leads elsewhere is not ordered, with a bucket either.
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gate = looks(stranger.local_addr().unwrap().port());
    let _answers = std::thread::spawn(move || {
        for mut socket in stranger.incoming().map_while(Result::ok) {
            use std::io::{Read, Write};
            // The gate may have left.
            let _ = socket.read(&mut [0; 4096]);
            let _ = socket.write_all(
                b"HTTP/1.1 404 Not Found\r\nServer: nginx\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
    });
    until_late("it waits", || told(&gate, "a.test").contains("it is not this gate (server: nginx)"));
    assert_eq!(scene.ca.count(Asked::NewOrder), 0);
}
