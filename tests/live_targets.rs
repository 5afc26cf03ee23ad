//! Targets that are processes of their own, and die, hang, refuse, return and move while clients send requests.
//!
//! Each target is a `smolgate whoami`, which logs every request that it got. No client may get an error as long as
//! another endpoint is usable.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};
use smolgate::upstream::{Resolver, Unresolved};
use support::client::Client;
use support::gate::TestGate;
use support::program::Program;
use support::until;
use support::upstream::Blackhole;
use tempfile::TempDir;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A child process. It is killed on drop.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A running `smolgate whoami`.
struct Target {
    child: Killed,
    address: SocketAddr,
    /// Its log. A line of it tells of each request.
    log: Arc<Mutex<String>>,
}

impl Target {
    /// A target at a free port of 127.0.0.1.
    fn start() -> Target {
        Target::try_start(([127, 0, 0, 1], 0).into()).expect("a free port")
    }

    /// A target at this address; `None` if the address is in use.
    fn try_start(address: SocketAddr) -> Option<Target> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_smolgate"))
            .args(["whoami", "--log-level", "debug", "--bind", &address.ip().to_string()])
            .args(["--port", &address.port().to_string()])
            .env("NO_COLOR", "1")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, log) =
            (BufReader::new(child.stderr.take().unwrap()).lines(), Arc::new(Mutex::new(String::new())));
        let kept = log.clone();
        let (say, said): (_, Receiver<SocketAddr>) = channel();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if line.contains("whoami listens")
                    && let Some(address) =
                        line.rsplit_once("address=").and_then(|(_, text)| text.parse().ok())
                {
                    let _ = say.send(address);
                }
                kept.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        // The sender is gone when the process has ended.
        let child = Killed(child);
        let address = said.recv().ok()?;
        Some(Target { child, address, log })
    }

    /// Targets at one port of 127.0.0.1, 127.0.0.2 and so on.
    fn replicas<const COUNT: usize>() -> [Target; COUNT] {
        for _ in 0..20 {
            let mut all = vec![Target::start()];
            let port = all[0].address.port();
            all.extend((1..COUNT).map_while(|index| Target::try_start((local(index), port).into())));
            if let Ok(all) = all.try_into() {
                return all;
            }
        }
        panic!("no port is free at {COUNT} addresses");
    }

    /// The requests that it got, without health checks.
    fn requests(&self) -> usize {
        let log = self.log.lock().unwrap();
        log.lines().filter(|line| line.contains(" request client=") && !line.contains("/health")).count()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.0), signal).unwrap();
    }

    /// Kills it. Nothing listens at its address then.
    fn kill(self) -> SocketAddr {
        let address = self.address;
        drop(self.child);
        address
    }

    /// A new process at the address of one that was killed.
    fn again(address: SocketAddr) -> Target {
        let mut target = None;
        until("the address is free", || {
            target = Target::try_start(address);
            target.is_some()
        });
        target.unwrap()
    }
}

/// 127.0.0.1 is number 0.
fn local(index: usize) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, index as u8 + 1).into()
}

fn requests(targets: &[Target]) -> Vec<usize> {
    targets.iter().map(Target::requests).collect()
}

/// A gate in a process of its own, with one upstream, `all`.
struct Gate {
    program: Program,
    dir: TempDir,
}

impl Gate {
    /// A gate whose upstream has these targets and keys.
    fn start(workers: usize, targets: &[SocketAddr], keys: &str) -> Gate {
        let targets: Vec<String> = targets.iter().map(|address| format!("\"{address}\"")).collect();
        Gate::start_by(workers, &targets.join(", "), keys, |_, _| {})
    }

    /// Like [`Gate::start`]. `setup` may change the command; it gets the folder of the configuration.
    fn start_by(workers: usize, targets: &str, keys: &str, setup: impl FnOnce(&mut Command, &Path)) -> Gate {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("smolgate.yml");
        let text = format!(
            "workers: {workers}\ninternal_api: {{ bind: \"127.0.0.1:0\" }}\nlisteners:\n  - {{ name: http, bind: \
             \"127.0.0.1:0\", rules: [{{ upstream: all, response_timeout: 2s }}] }}\nupstreams:\n  all: {{ targets: \
             [{targets}], idle_timeout: 10m{keys} }}\n"
        );
        fs::write(&file, text).unwrap();
        let program = Program::start(|command| {
            setup(command, dir.path());
            command.arg("-c").arg(&file);
        });
        Gate { program, dir }
    }

    fn client(&self) -> Client {
        Client::connect(self.program.address("http"))
    }

    /// The sum of the series that begin so.
    fn metric(&self, begin: &str) -> f64 {
        let text = self.program.metrics();
        let values =
            text.lines().filter_map(|line| line.strip_prefix(begin)?.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    }

    /// Opens so many connections to each of so many targets, which are idle then. Each of so many clients finds one
    /// after that, whatever the target. So no request is on a new connection when a target dies.
    fn warm_up(&self, targets: usize, connections: usize) {
        let opened = || self.metric("smolgate_upstream_connections_opened_total{");
        until("all connections are open", || {
            let mut clients: Vec<Client> = (0..targets * connections).map(|_| self.client()).collect();
            for client in &mut clients {
                client.send("GET /?delay=200ms HTTP/1.1\r\nHost: a\r\n\r\n");
            }
            clients.iter_mut().for_each(|client| assert_eq!(client.read_response().status(), 200));
            opened() >= (targets * connections) as f64
        });
    }

    /// Runs a verb of the command line on it. Returns whether it succeeded.
    fn verb(&self, words: &[&str]) -> bool {
        let status = Command::new(env!("CARGO_BIN_EXE_smolgate"))
            .args(words)
            .args(["--address", &self.program.internal_address().to_string()])
            .stdout(Stdio::null())
            .status();
        status.unwrap().success()
    }
}

/// Clients that send requests one after the other, each over its own connection.
struct Load {
    ends: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<BTreeMap<String, usize>>>,
}

impl Load {
    fn start(clients: usize, request: &'static str, connect: impl Fn() -> Client) -> Load {
        let (ends, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..clients).map(|_| {
            let (mut client, ends, done) = (connect(), ends.clone(), done.clone());
            thread::spawn(move || {
                let mut outcomes = BTreeMap::new();
                while !ends.load(SeqCst) {
                    let response = client.exchange(request);
                    let reason = response.reason().unwrap_or_default();
                    *outcomes.entry(format!("{} {reason}", response.status())).or_default() += 1;
                    done.fetch_add(1, SeqCst);
                    // The gate may close the connection after an error.
                    if response.status() != 200 {
                        break;
                    }
                }
                outcomes
            })
        });
        let clients = clients.collect();
        Load { ends, done, clients }
    }

    /// Waits for so many more requests.
    fn wait(&self, count: usize) {
        let before = self.done.load(SeqCst);
        until("more requests are done", || self.done.load(SeqCst) >= before + count);
    }

    /// Ends the load. Every response must have been 200.
    #[track_caller]
    fn end(self) {
        self.ends.store(true, SeqCst);
        for client in self.clients {
            let outcomes = client.join().expect("no connection of a client breaks");
            assert!(outcomes.keys().all(|outcome| outcome == "200 "), "{outcomes:?}");
        }
    }
}

#[test]
fn requests_are_spread_over_three_processes_within_a_tenth() {
    for (connections, each) in [(1, 300), (64, 15)] {
        let targets = Target::replicas::<3>();
        let gate = Gate::start(2, &targets.each_ref().map(|target| target.address), "");
        thread::scope(|scope| {
            for _ in 0..connections {
                scope.spawn(|| {
                    let mut client = gate.client();
                    (0..each).for_each(|_| assert_eq!(client.exchange(GET).status(), 200));
                });
            }
        });
        let total = connections * each;
        until("all is logged", || requests(&targets).iter().sum::<usize>() == total);
        let spread = requests(&targets);
        eprintln!("{connections} connections: {spread:?}");
        let (least, most) = (total / 3 * 9 / 10, total / 3 * 11 / 10);
        assert!(spread.iter().all(|count| (least..=most).contains(count)), "{connections}: {spread:?}");
    }
}

/// The number of clients under load. It is larger than what the budget of further tries has at once.
const CLIENTS: usize = 32;

#[test]
fn a_killed_target_costs_no_client_an_error_and_is_used_when_it_returns() {
    let [dying, living] = Target::replicas::<2>();
    // With `hold`, a request on a connection that was new when the target died is sent again too.
    let gate = Gate::start(1, &[dying.address, living.address], ", hold: 1h, eject: { for: 1s }");
    gate.warm_up(2, CLIENTS);
    let load = Load::start(CLIENTS, GET, || gate.client());
    load.wait(500);
    let address = dying.kill();
    load.wait(500);
    let before = living.requests();
    assert!(gate.metric("smolgate_target_ejections_total{") >= 1.0);
    let returned = Target::again(address);
    until("it gets requests again", || returned.requests() > 0);
    load.wait(500);
    load.end();
    assert!(living.requests() > before);
    eprintln!(
        "connections that failed after the target was killed under {CLIENTS} clients: {}",
        gate.metric("smolgate_upstream_connections_failed_total{")
    );
}

#[test]
fn a_hanging_target_fails_three_requests_and_gets_no_more() {
    let [hanging, living] = Target::replicas::<2>();
    let gate = Gate::start(1, &[hanging.address, living.address], ", eject: { for: 1h }");
    let mut client = gate.client();
    (0..4).for_each(|_| assert_eq!(client.exchange(GET).status(), 200));
    hanging.signal(Signal::STOP);
    let mut failures = 0;
    for _ in 0..30 {
        let response = client.exchange(GET);
        match response.status() {
            200 => {}
            504 => {
                failures += 1;
                client = gate.client();
            }
            _ => panic!("{response:?}"),
        }
    }
    assert_eq!(failures, 3);
    hanging.signal(Signal::CONT);
    until("it reads what it got", || hanging.requests() == 5);
    until("all is logged", || living.requests() == 29);
}

#[test]
fn a_hanging_target_is_found_by_its_check_and_is_used_when_it_goes_on() {
    let [hanging, living] = Target::replicas::<2>();
    let health = ", eject: false, health: { path: /health, interval: 50ms, timeout: 2s, fall: 2, rise: 2 }";
    let gate = Gate::start(1, &[hanging.address, living.address], health);
    let up =
        || gate.metric(&format!("smolgate_target_up{{upstream=\"all\",target=\"{}\"}}", hanging.address));
    until("both were checked", || gate.metric("smolgate_health_checks_total{") >= 2.0);
    hanging.signal(Signal::STOP);
    until("it is down", || up() == 0.0);
    let load = Load::start(4, GET, || gate.client());
    load.wait(200);
    assert_eq!(hanging.requests(), 0);
    hanging.signal(Signal::CONT);
    until("it gets requests", || hanging.requests() > 0);
    load.end();
    assert!(living.requests() > 200);
}

#[test]
fn a_silent_address_costs_no_client_an_error() {
    let (hole, living) = (Blackhole::new(), Target::start());
    let keys = ", connect_timeout: 1s, eject: { for: 1h }";
    let gate = Gate::start(1, &[hole.address(), living.address], keys);
    let load = Load::start(4, GET, || gate.client());
    load.wait(200);
    load.end();
    let failed = gate.metric("smolgate_upstream_connections_failed_total{");
    // Each client may be waiting for it when the third failure ejects it.
    assert!((3.0..=6.0).contains(&failed), "{failed}");
}

#[test]
fn requests_wait_for_a_target_that_was_killed() {
    let target = Target::start();
    let gate = Gate::start(1, &[target.address], ", hold: 1h");
    gate.warm_up(1, CLIENTS);
    let load = Load::start(CLIENTS, GET, || gate.client());
    let mut target = target;
    for _ in 0..3 {
        load.wait(200);
        let address = target.kill();
        let failed = || gate.metric("smolgate_upstream_connections_failed_total{");
        let before = failed();
        until("every client waits", || failed() >= before + CLIENTS as f64);
        target = Target::again(address);
    }
    load.wait(200);
    load.end();
}

#[test]
fn a_target_that_was_drained_is_replaced_without_an_error_to_any_request() {
    let [old, other] = Target::replicas::<2>();
    let gate = Gate::start(2, &[old.address, other.address], "");
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let load = Load::start(8, post, || gate.client());
    load.wait(200);
    let name = format!("all/{}", old.address);
    assert!(gate.verb(&["drain", &name, "--wait"]));
    let counted = gate
        .metric(&format!("smolgate_target_requests_total{{upstream=\"all\",target=\"{}\"}}", old.address));
    until("all is logged", || old.requests() as f64 == counted);
    load.wait(200);
    assert_eq!(old.requests() as f64, counted);
    let new = Target::again(old.kill());
    assert!(gate.verb(&["ready", &name]));
    until("it gets requests again", || new.requests() > 0);
    load.end();
}

#[test]
fn a_backup_serves_while_the_others_are_dead() {
    let [main, backup] = Target::replicas::<2>();
    let targets = format!("\"{}\", {{ target: \"{}\", backup: true }}", main.address, backup.address);
    let gate = Gate::start_by(1, &targets, ", eject: { for: 1s }", |_, _| {});
    let mut client = gate.client();
    (0..20).for_each(|_| assert_eq!(client.exchange(GET).status(), 200));
    until("all is logged", || main.requests() == 20);
    assert_eq!(backup.requests(), 0);
    let address = main.kill();
    (0..20).for_each(|_| assert_eq!(client.exchange(GET).status(), 200));
    until("the backup has logged them", || backup.requests() == 20);
    let main = Target::again(address);
    until("the first is used again", || {
        assert_eq!(client.exchange(GET).status(), 200);
        main.requests() > 0
    });
}

#[test]
fn a_sticky_client_moves_without_an_error_when_its_target_is_killed() {
    let [dying, living] = Target::replicas::<2>();
    let gate = Gate::start(1, &[dying.address, living.address], ", sticky: { cookie: at }");
    let mut client = gate.client();
    let response = client.exchange(GET);
    let cookie = response.get("set-cookie").and_then(|value| value.split(';').next()).unwrap().to_owned();
    let mut ask = |cookie: &str| {
        let response = client.exchange(format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\n\r\n"));
        assert_eq!(response.status(), 200);
        response.get("set-cookie").and_then(|value| value.split(';').next()).map(str::to_owned)
    };
    (0..10).for_each(|_| assert_eq!(ask(&cookie), None));
    until("all is logged", || dying.requests() == 11);
    drop(dying);
    let moved = ask(&cookie).expect("another cookie");
    (0..10).for_each(|_| assert_eq!(ask(&moved), None));
    until("all is logged", || living.requests() == 11);
}

/// A resolver for a gate in this process, where no process may have an /etc/hosts of its own.
#[derive(Clone)]
struct Known(Arc<Mutex<IpAddr>>);

impl Resolver for Known {
    fn resolve(&self, _: &str) -> Result<Vec<IpAddr>, Unresolved> {
        Ok(vec![*self.0.lock().unwrap()])
    }
}

/// Requests under load go to the first target, and after `moves` to the second. The first is killed, as a container
/// that was replaced, before its name leads to the second.
fn follows_a_name(targets: [Target; 2], connect: impl Fn() -> Client, moves: impl FnOnce()) {
    let [old, new] = targets;
    let load = Load::start(8, GET, connect);
    load.wait(200);
    assert_eq!(new.requests(), 0);
    drop(old);
    moves();
    until("the new address is used", || new.requests() > 0);
    load.wait(200);
    load.end();
}

#[test]
fn a_name_that_moves_to_another_process_costs_no_client_an_error() {
    let targets = Target::replicas::<2>();
    let target = format!("\"http://moving.test:{}\"", targets[0].address.port());
    let is_possible = Command::new("unshare")
        .args(["--map-root-user", "--mount", "mount", "--bind", "/etc/hosts", "/etc/hosts"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    let hosts = |index: usize| format!("{} moving.test\n", local(index));
    if is_possible {
        let gate = Gate::start_by(1, &target, ", hold: 1h", |command, dir| {
            fs::write(dir.join("hosts"), hosts(0)).unwrap();
            let program = std::mem::replace(command, Command::new("unshare"));
            let script = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
            command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
            command.arg(dir.join("hosts")).arg(program.get_program()).args(program.get_args());
            for (name, value) in program.get_envs() {
                match value {
                    Some(value) => command.env(name, value),
                    None => command.env_remove(name),
                };
            }
        });
        // Written in place: the mount shows this file, and not its name.
        let moves = || fs::write(gate.dir.path().join("hosts"), hosts(1)).unwrap();
        follows_a_name(targets, || gate.client(), moves);
    } else {
        let known = Known(Arc::new(Mutex::new(local(0))));
        let config = "listeners: [{ name: http, bind: \"127.0.0.1:0\", rules: [{ upstream: all }] }]\nupstreams: { all: \
                      { targets: [{target}], hold: 1h } }\n";
        let gate = TestGate::start_asking(known.clone(), config, &[("target", &target)]);
        follows_a_name(targets, || gate.client(), || *known.0.lock().unwrap() = local(1));
    }
}
