//! A compose file is edited a hundred times with a reload after each edit, under clients of every kind. No
//! client is refused, cut off or misrouted, and no resource grows.

#![cfg(feature = "compose")]

mod support;

#[path = "endurance/backend.rs"]
mod backend;
#[path = "endurance/clients.rs"]
mod clients;
#[path = "endurance/routes.rs"]
mod routes;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use backend::Backend;
use clients::{Scene, Tally, Way, Work};
use routes::{Fate, History, Routes};
use rustix::process::Signal;
use rustls::version::{TLS12, TLS13};
use support::program::Program;
use support::tls::Authority;
use support::until;

const BACKENDS: [&str; 4] = ["alpha", "beta", "gamma", "delta"];

const HOSTS: [&str; 8] = [
    "web.test",
    "chat.test",
    "mail.test",
    "roam.test",
    "post.test",
    "turn.test",
    "extra.test",
    routes::SECURE,
];

/// Edits of the file; a reload signal follows each.
const EDITS: usize = 100;

/// Edits after which the gate has reached its largest size.
const WARM: usize = 40;

/// Routes that no client requests. With them, a generation takes a third of a megabyte.
const BALLAST: usize = 500;

/// The most descriptors that a warm gate may add, beside one per silent client. There are half as many
/// clients, and connections to backends come and go.
const DESCRIPTORS: usize = 50;

/// The most kilobytes that a warm gate may add: silent clients take some hundred, and the allocator varies. A
/// leak per reload or per silent client would take far more.
const MEMORY: usize = 4 * 1024;

/// The change of edit `number`.
fn edit(routes: &mut Routes, number: usize) {
    let turn = |one, other| if (number / 10).is_multiple_of(2) { one } else { other };
    match number % 10 {
        0 => routes.set("roam.test", turn(Fate::Forwarded("beta"), Fate::Forwarded("alpha"))),
        1 => routes.set("extra.test", Fate::Forwarded("gamma")),
        2 => routes.set("post.test", turn(Fate::Passed("delta"), Fate::Passed("gamma"))),
        4 => routes.set("turn.test", turn(Fate::Passed("alpha"), Fate::Forwarded("alpha"))),
        5 => routes.set("extra.test", Fate::Rejected),
        6 => routes.set("roam.test", turn(Fate::Forwarded("alpha"), Fate::Forwarded("beta"))),
        7 => routes.set("post.test", turn(Fate::Passed("gamma"), Fate::Passed("delta"))),
        8 => routes.set("extra.test", Fate::Nobody),
        // A change that no client sees.
        _ => {}
    }
    routes.revision = number + 1;
}

/// Whether the edit is unreadable; every tenth is.
fn is_broken(number: usize) -> bool {
    number % 10 == 3
}

fn first() -> Routes {
    let mut routes = Routes::default();
    for (host, fate) in [
        ("web.test", Fate::Forwarded("alpha")),
        ("chat.test", Fate::Forwarded("beta")),
        ("mail.test", Fate::Passed("gamma")),
        ("roam.test", Fate::Forwarded("alpha")),
        ("post.test", Fate::Passed("gamma")),
        ("turn.test", Fate::Forwarded("alpha")),
        (routes::SECURE, Fate::Forwarded("delta")),
    ] {
        routes.set(host, fate);
    }
    routes
}

/// The gates over one file, and the number of their reloads.
struct Gates {
    programs: [Program; 2],
    ok: usize,
    failed: usize,
}

impl Gates {
    /// Waits until both have reloaded exactly once more, with or without success.
    fn reloaded(&mut self, well: bool) {
        *(if well { &mut self.ok } else { &mut self.failed }) += 1;
        for program in &self.programs {
            let counts = || (program.said("reloaded as generation"), program.said("reload refused"));
            until("it has reloaded", || counts() >= (self.ok, self.failed));
            assert_eq!(counts(), (self.ok, self.failed), "{}", program.log());
        }
    }

    fn hang_up(&self) {
        self.programs.iter().for_each(|program| program.signal(Signal::HUP));
    }

    /// Descriptors and kilobytes of each gate.
    fn holdings(&self) -> [(usize, usize); 2] {
        self.programs.each_ref().map(|program| (program.descriptors(), program.memory() / 1024))
    }

    /// Checks the metrics of both gates.
    fn check_counters(&self) {
        for program in &self.programs {
            // At the end, clients of WebSockets leave in the middle. This cuts tunnels and no exchange.
            let gone = |metrics: &str, name: &str| {
                let lines =
                    metrics.lines().filter(|line| line.starts_with(name) && line.contains("client_gone"));
                let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
                counts.sum::<u64>()
            };
            until("only tunnels have lost their clients", || {
                let metrics = program.metrics();
                gone(&metrics, "smolgate_local_replies") == gone(&metrics, "smolgate_tunnels_ended")
            });
            let metrics = program.metrics();
            let lines = metrics.lines().filter(|line| !line.starts_with('#') && !line.ends_with(" 0"));
            let said = |name| lines.clone().filter(move |line| line.starts_with(name));
            said("smolgate_tls_handshakes")
                .chain(said("smolgate_local_replies"))
                .for_each(|line| eprintln!("{line}"));
            let reloads: Vec<&str> = said("smolgate_reloads_total").collect();
            let expected = [
                format!("smolgate_reloads_total{{result=\"ok\"}} {}", self.ok),
                format!("smolgate_reloads_total{{result=\"failed\"}} {}", self.failed),
            ];
            assert_eq!(reloads, expected);
            eprintln!("{}", reloads.join(", "));
            for line in said("smolgate_local_replies") {
                let known = ["no_rule", "misdirected", "shutting_down", "client_gone"];
                assert!(known.iter().any(|reason| line.contains(reason)), "{line}");
            }
        }
    }
}

/// Replaces a file by another, as editors do, or writes over it.
fn write(file: &Path, text: &str, replace: bool) {
    if !replace {
        return fs::write(file, text).unwrap();
    }
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, file).unwrap();
}

/// Sets a flag on drop, even after a panic.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Starts the clients: kind, transport, work.
fn clients(
    clear: SocketAddr,
    secure: SocketAddr,
    plain: SocketAddr,
    all: &Authority,
) -> Vec<(&str, Way, Work)> {
    use Work::{BeSentAway, ComeAndGo, GiveUp, Stay, Talk, Wander, WanderAndTalk};
    const SERVED: &[&str] = &["web.test", "roam.test", "extra.test", routes::SECURE];
    const TURNING: &[&str] = &["web.test", "roam.test", "extra.test", "turn.test"];
    const PASSED: &[&str] = &["mail.test", "post.test"];
    let tls = || Way::tls(secure, all);
    vec![
        ("HTTP, kept", Way::Clear(clear), Stay(SERVED)),
        ("HTTP, new", Way::Clear(clear), ComeAndGo(TURNING)),
        ("HTTP, sent to HTTPS", Way::Clear(plain), BeSentAway("web.test")),
        ("HTTPS, kept", tls(), Stay(SERVED)),
        ("HTTPS, new", tls(), ComeAndGo(TURNING)),
        ("HTTPS, TLS 1.3 resumed", Way::resumed(secure, all, &TLS13), ComeAndGo(&["web.test", "roam.test"])),
        ("HTTPS, TLS 1.2 resumed", Way::resumed(secure, all, &TLS12), ComeAndGo(&["web.test", "roam.test"])),
        ("WebSocket", Way::Clear(clear), Talk("chat.test")),
        ("WebSocket, on to TLS", Way::Clear(clear), Talk(routes::SECURE)),
        ("WebSocket, moved", Way::Clear(clear), WanderAndTalk("roam.test")),
        ("WebSocket, TLS", tls(), Talk("chat.test")),
        ("WebSocket, TLS, moved", tls(), WanderAndTalk("roam.test")),
        ("answered early", Way::Clear(clear), GiveUp(&["web.test", routes::SECURE])),
        ("answered early, TLS", tls(), GiveUp(&["web.test", routes::SECURE])),
        ("passed by SNI, kept", tls(), Stay(&["mail.test"])),
        ("passed by SNI, new", tls(), ComeAndGo(PASSED)),
        ("passed by SNI, moved", tls(), Wander("post.test")),
        ("passed by Host, kept", Way::Clear(clear), Stay(&["mail.test"])),
        ("passed by Host, kept", Way::Clear(plain), Stay(&["mail.test"])),
        ("passed by Host, new", Way::Clear(plain), ComeAndGo(PASSED)),
        ("passed by Host, moved", Way::Clear(clear), Wander("post.test")),
    ]
}

/// Starts two gates over one file: one in the clear, one that terminates TLS.
fn start(file: &Path, certificates: &Path, authority: &Authority) -> Gates {
    let common = |command: &mut Command| {
        let anywhere = "127.0.0.1:0";
        command.env("SMOLGATE_COMPOSE_FILE", file).env("SMOLGATE_WATCH", "true");
        // The system's authorities, by which the gate verifies its targets.
        command.env("SSL_CERT_FILE", &authority.file).env_remove("SSL_CERT_DIR");
        for name in ["SMOLGATE_HTTP_PORT", "SMOLGATE_HTTPS_PORT", "INTERNAL_API_PORT"] {
            command.env(name, anywhere);
        }
    };
    let clear = Program::start(common);
    let secure = Program::start(|command| {
        common(command);
        command.env("SMOLGATE_HTTPS_ENABLED", "true").env("SMOLGATE_ACME_DIR", certificates);
    });
    Gates { programs: [clear, secure], ok: 0, failed: 0 }
}

#[test]
fn edits_of_the_file_disturb_no_client() {
    let dir = tempfile::tempdir().unwrap();
    let (file, certificates) = (dir.path().join("compose.yaml"), dir.path().join("certs"));
    let authority = Authority::new(dir.path(), "ca.pem");
    let certificate = authority.issue(&certificates, "gate", &HOSTS).certificate();
    let names: Vec<&str> = HOSTS.into_iter().chain(["127.0.0.1"]).collect();
    let backends = BACKENDS.map(|name| Backend::start(name, &authority.issue(dir.path(), name, &names)));
    fs::write(&file, first().compose(&backends, BALLAST)).unwrap();
    let mut gates = start(&file, &certificates, &authority);
    let [clear, secure] = &gates.programs;
    let ways = [Way::Clear(clear.address("http")), Way::tls(secure.address("https"), &authority)];
    let all = clients(clear.address("http"), secure.address("https"), secure.address("http"), &authority);
    let (history, done) = (History::new(first()), AtomicBool::new(false));
    let scene = &Scene { history, backends: backends.into(), certificate, done };
    thread::scope(|scope| {
        // Stops the clients even if an assertion fails.
        let ends = Ends(&scene.done);
        let working = all.iter().map(|(kind, way, work)| (*kind, scope.spawn(move || scene.work(way, work))));
        let working: Vec<_> = working.collect();
        let (mut routes, mut idle, mut warm) = (first(), Vec::new(), None);
        for number in 0..EDITS {
            assert!(working.iter().all(|(_, client)| !client.is_finished()), "a client has ended early");
            change(&mut gates, scene, &mut routes, &file, number);
            idle.extend(ways.iter().map(|way| scene.idle(way, "web.test")));
            if number + 1 == WARM {
                warm = Some(gates.holdings());
            }
        }
        let (warm, end) = (warm.expect("the gate was warm"), gates.holdings());
        eprintln!("descriptors and kB: {warm:?} after {WARM} edits, {end:?} after {EDITS}");
        drop(ends);
        for (kind, client) in working {
            let Tally { exchanges, connections } = client.join().expect("every response was right");
            eprintln!("{kind:24} {exchanges:8} exchanges on {connections:6} connections");
            assert!(exchanges >= EDITS, "{kind}: too few exchanges");
        }
        for (warm, end) in warm.iter().zip(end) {
            assert!(end.0 <= warm.0 + DESCRIPTORS + EDITS - WARM, "descriptors pile up");
            assert!(end.1 <= warm.1 + MEMORY, "memory piles up");
        }
    });
    gates.check_counters();
}

/// One edit and one reload signal, with their expected effects.
fn change(gates: &mut Gates, scene: &Scene, routes: &mut Routes, file: &Path, number: usize) {
    let well = !is_broken(number);
    let mut text = routes.compose(&scene.backends, BALLAST);
    if well {
        edit(routes, number);
        text = routes.compose(&scene.backends, BALLAST);
        scene.history.begin(routes.clone());
    } else {
        text.push_str("  - {");
    }
    write(file, &text, number.is_multiple_of(2));
    gates.reloaded(well);
    if well {
        scene.history.settle();
    }
    gates.hang_up();
    gates.reloaded(well);
}
