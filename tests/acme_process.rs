//! Certificates, as an operator has them: the program, its environment, its verbs, and its end in the middle of an
//! order.
#![cfg(all(feature = "acme", feature = "compose"))]

mod support;

#[path = "support/ca.rs"]
mod ca;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use ca::{Asked, Fault, TestCa};
use rustix::process::Signal;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use support::program::Program;
use support::tls::Tls;
use support::{Latch, until};
use tempfile::TempDir;

const CONFIG: &str = r#"
workers: 1
internal_api: { bind: "unix:{dir}/api" }
acme: { accept_terms: true, ca: "{directory}", challenges: http{more} }
store: "{dir}/store"
listeners:
  - { name: http, bind: "127.0.0.1:0", redirect_to_https: true }
  - name: https
    bind: "127.0.0.1:0"
    tls: { acme: true }
    rules: [{ host: a.test, respond: { body: hello } }]
"#;

const COMPOSE: &str = "services:
  web:
    image: nginx
    labels: { smolgate.host: a.test, smolgate.port: 80 }
";

fn start(dir: &Path, ca: &TestCa) -> Program {
    start_with(dir, ca, "")
}

/// As [`start`], with more keys of `acme`.
fn start_with(dir: &Path, ca: &TestCa, more: &str) -> Program {
    let file = dir.join("smolgate.yml");
    let text = CONFIG.replace("{dir}", &dir.display().to_string()).replace("{directory}", &ca.directory());
    let text = text.replace("{more}", more);
    fs::write(&file, text).unwrap();
    Program::start(|command| {
        command.arg("-c").arg(&file);
    })
}

fn ask(ca: &TestCa, gate: &Program) {
    ca.ask(gate.address("http"), gate.address("https"));
}

fn is_served(ca: &TestCa, gate: &Program) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(ca.root.clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = Arc::new(builder.with_root_certificates(roots).with_no_client_auth());
    Tls::connect(gate.address("https"), &config, "a.test").is_ok()
}

fn certs(dir: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smolgate"));
    command.args(["certs", "--address"]).arg(format!("unix:{}/api", dir.display())).args(more);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The process is killed while the authority holds its answer: everything is done there, and nothing is known here.
fn killed_at(asked: Asked) -> (TestCa, TempDir, Program) {
    let (ca, dir) = (TestCa::start(), tempfile::tempdir().unwrap());
    let (reached, go_on) = (Latch::new(), Latch::new());
    ca.fault(asked, Fault::Hold(reached.clone(), go_on.clone()));
    let gate = start(dir.path(), &ca);
    ask(&ca, &gate);
    reached.wait();
    gate.signal(Signal::KILL);
    drop(gate);
    go_on.open();
    ca.ask_nobody();
    let gate = start(dir.path(), &ca);
    ask(&ca, &gate);
    (ca, dir, gate)
}

/// Six of nine points. `Account` and `NewOrder` have tests of their own below, and `Challenge` has one in `acme_dns.rs`.
#[test]
fn an_order_that_a_crash_has_cut_off_is_taken_up_again() {
    for asked in
        [Asked::Urls, Asked::Nonce, Asked::Authorization, Asked::Finalize, Asked::Order, Asked::Certificate]
    {
        let (ca, dir, gate) = killed_at(asked);
        until("it is served", || is_served(&ca, &gate));
        assert_eq!((ca.orders().len(), ca.accounts()), (1, 1), "{asked:?}");
        drop((gate, dir));
    }
}

#[test]
fn an_order_that_is_not_known_here_is_not_made_again_at_once() {
    let (ca, dir, gate) = killed_at(Asked::NewOrder);
    let told = || text(&certs(dir.path(), &[]).stdout);
    until("it is known", || told().contains("waiting"));
    for _ in 0..3 {
        gate.signal(Signal::HUP);
    }
    until("it was reloaded", || gate.said("reloaded as generation") > 0);
    let record = fs::read_dir(dir.path().join("store")).unwrap().filter_map(Result::ok);
    let record = record.map(|entry| entry.path().join("attempts/a.test.json")).find(|path| path.exists());
    let record: serde_json::Value = serde_json::from_slice(&fs::read(record.unwrap()).unwrap()).unwrap();
    assert_eq!((&record["failures"], ca.count(Asked::NewOrder)), (&1.into(), 1), "{record}");
    // An operator may ask.
    let renewed = certs(dir.path(), &["renew", "a.test"]);
    assert!(renewed.status.success(), "{renewed:?}");
    until("it is served", || is_served(&ca, &gate));
    assert_eq!(ca.count(Asked::NewOrder), 2);
}

#[test]
fn a_crash_before_the_account_is_known_makes_no_second_one() {
    let (ca, dir, gate) = killed_at(Asked::Account);
    until("it is served", || is_served(&ca, &gate));
    assert_eq!((ca.orders().len(), ca.accounts()), (1, 1));
    drop(dir);
}

#[test]
fn a_program_for_events_that_fails_or_is_not_there_costs_a_warning_alone() {
    for (more, expected) in [
        (
            r#"[sh, -c, "echo first >&2; echo no good >&2; exit 3"]"#,
            "`on_event`: sh failed (exit status: 3): no good",
        ),
        // A program that it leaves behind keeps its errors open.
        (
            r#"[sh, -c, "sleep 60 & exit 4"]"#,
            "`on_event`: sh failed (exit status: 4): what it says is not known",
        ),
        ("/nowhere/at/all", "`on_event`: /nowhere/at/all cannot be run"),
    ] {
        let (ca, dir) = (TestCa::start(), tempfile::tempdir().unwrap());
        let gate = start_with(dir.path(), &ca, &format!(", on_event: {more}"));
        ask(&ca, &gate);
        until("it is told", || gate.said(expected) == 1);
        assert!(is_served(&ca, &gate), "{}", gate.log());
        assert_eq!((gate.said("certificate issued"), ca.orders().len()), (1, 1), "{}", gate.log());
    }
}

#[test]
fn variables_beside_a_compose_file_are_enough() {
    let (ca, dir) = (TestCa::start(), tempfile::tempdir().unwrap());
    fs::write(dir.path().join("compose.yaml"), COMPOSE).unwrap();
    let store = dir.path().join("certs");
    let start = || {
        Program::start(|command| {
            command
                .env("LITEPROXY_COMPOSE_FILE", dir.path().join("compose.yaml"))
                .env("LITEPROXY_HTTPS_ENABLED", "true")
                .env("LITEPROXY_ACME_EMAIL", "ops@a.test")
                .env("LITEPROXY_ACME_DIR", &store)
                .env("SMOLGATE_ACME_CA", ca.directory())
                .env("SMOLGATE_HTTP_PORT", "127.0.0.1:0")
                .env("SMOLGATE_HTTPS_PORT", "127.0.0.1:0")
                .env("INTERNAL_API_PORT", format!("unix:{}/api", dir.path().display()));
        })
    };
    let gate = start();
    ask(&ca, &gate);
    until("it is served", || is_served(&ca, &gate));
    until("it is told", || certs(dir.path(), &[]).status.success());
    let told = text(&certs(dir.path(), &[]).stdout);
    assert!(told.starts_with("NAME    STATE  UNTIL") && told.contains("a.test  valid  "), "{told}");
    assert_eq!(gate.said("certificate issued"), 1, "{}", gate.log());
    assert_eq!(gate.said("ERROR"), 0, "{}", gate.log());
    drop(gate);
    // The folder of the store is that of certificate files too. Nothing is taken for one of those.
    let gate = start();
    assert!(is_served(&ca, &gate));
    assert_eq!((ca.orders().len(), gate.said("ERROR")), (1, 0), "{}", gate.log());
}

#[test]
fn the_verb_says_what_there_is_not() {
    let (ca, dir) = (TestCa::start(), tempfile::tempdir().unwrap());
    ca.refuse("a.test");
    let gate = start(dir.path(), &ca);
    ask(&ca, &gate);
    until("it is told", || text(&certs(dir.path(), &[]).stdout).contains("unauthorized"));
    let told = certs(dir.path(), &[]);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    let told = certs(dir.path(), &["renew", "b.test"]);
    assert_eq!(
        (told.status.code(), text(&told.stderr).contains("no certificate is ordered for b.test")),
        (Some(2), true)
    );
    let told = certs(dir.path(), &["renew", "b.test&x"]);
    assert_eq!(told.status.code(), Some(2), "{told:?}");
    drop(gate);
    assert_eq!(certs(dir.path(), &[]).status.code(), Some(3));
}

#[test]
fn one_folder_belongs_to_one_gate() {
    let (ca, dir) = (TestCa::start(), tempfile::tempdir().unwrap());
    let first = start(dir.path(), &ca);
    ask(&ca, &first);
    until("it is served", || is_served(&ca, &first));
    let other = tempfile::tempdir().unwrap();
    fs::write(
        other.path().join("smolgate.yml"),
        CONFIG
            .replace("{dir}/store", &dir.path().join("store").display().to_string())
            .replace("{dir}", &other.path().display().to_string())
            .replace("{directory}", &ca.directory())
            .replace("{more}", "")
            .replace("host: a.test", "host: [a.test, b.test]"),
    )
    .unwrap();
    let second = Program::start(|command| {
        command.arg("-c").arg(other.path().join("smolgate.yml"));
    });
    until("it is told", || text(&certs(other.path(), &[]).stdout).contains("another gate orders"));
    assert!(is_served(&ca, &second), "what is there is served");
    assert_eq!(ca.orders(), ["a.test"]);
}

#[test]
fn a_folder_in_memory_is_told() {
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else { return };
    if rustix::fs::statfs(dir.path()).unwrap().f_type != 0x0102_1994 {
        // It is on a disk here.
        return;
    }
    let ca = TestCa::start();
    let gate = start(dir.path(), &ca);
    let store = dir.path().join("store");
    let expected = format!(
        "WARN {} is in memory (tmpfs): certificates are lost with it; name a folder on a disk",
        store.display()
    );
    until("it is told", || gate.log().contains(&expected));
}
