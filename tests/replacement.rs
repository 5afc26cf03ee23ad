//! A program that is replaced while it runs, and listening sockets that a service manager has opened.

mod support;

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use support::client::Client;
use support::program::Program;
use support::upstream::{Connection, Upstream};
use support::{Latch, until};
use tempfile::TempDir;

const CONFIG: &str = r#"
workers: 2
shutdown_timeout: 20s
internal_api: { bind: "unix:internal.sock" }
listeners:
  - { name: web, bind: "127.0.0.1:0", rules: [{ path_prefix: /own, respond: { body: old } }, { target: "http://{upstream}" }] }
  - { name: raw, bind: "127.0.0.1:0", protocol: tcp, target: "{upstream}" }
"#;

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nfine";

/// A gate with its folder, and the process that may have replaced it.
struct Scene {
    program: Program,
    folder: TempDir,
}

impl Scene {
    fn start(upstream: &Upstream) -> Scene {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("smolgate.yml"), CONFIG.replace("{upstream}", &upstream.to_string()))
            .unwrap();
        let program = Program::start(|command| {
            command.current_dir(folder.path());
        });
        Scene { program, folder }
    }

    fn edit(&self, from: &str, to: &str) {
        let file = self.folder.path().join("smolgate.yml");
        fs::write(&file, fs::read_to_string(&file).unwrap().replace(from, to)).unwrap();
    }

    fn get(&self, listener: &str, target: &str) -> String {
        get(self.program.address(listener), target).unwrap()
    }

    /// The process that the log names last.
    fn successor(&self) -> Pid {
        let log = self.program.log();
        let number = log.rsplit("process ").find_map(|rest| rest.split_once(" accepts")?.0.parse().ok());
        Pid::from_raw(number.unwrap_or_else(|| panic!("{log}"))).unwrap()
    }

    fn verb(&self, verb: &str) -> bool {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smolgate"));
        command.arg(verb).current_dir(self.folder.path()).output().unwrap().status.success()
    }
}

/// A response over a connection of its own. `None` if the connection was refused or reset.
fn get(address: SocketAddr, target: &str) -> Option<String> {
    let stream = TcpStream::connect(address).ok()?;
    let mut client = Client::over(stream);
    client.try_send(format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    client.try_read_response("GET").ok().map(|response| response.text())
}

/// Ends the clients, also after a panic.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn end(process: Pid) {
    kill_process(process, Signal::TERM).unwrap();
    until("the new process ends", || test_kill_process(process).is_err());
}

/// Clients with a connection for each request are served all the time, by one process or the other. A response that has
/// begun ends in the old one.
#[test]
fn a_new_process_goes_on_with_the_sockets() {
    let (begun, go_on) = (Latch::new(), Latch::new());
    let latches = (begun.clone(), go_on.clone());
    let upstream = Upstream::scripted(move |connection: &mut Connection| {
        let Some(request) = connection.read_request() else { return };
        if request.target() == "/slow" {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nslow");
            latches.0.open();
            latches.1.wait();
            return connection.send("ness");
        }
        connection.send(FINE);
    });
    let mut scene = Scene::start(&upstream);
    let addresses = ["web", "raw"].map(|listener| scene.program.address(listener));
    let (served, refused, is_over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let slow = scope.spawn(|| get(addresses[0], "/slow"));
        begun.wait();
        for number in 0..4 {
            let (served, refused, is_over, address) = (&served, &refused, &is_over, addresses[number % 2]);
            scope.spawn(move || {
                while !is_over.load(SeqCst) {
                    let is_fine = get(address, "/").is_some_and(|text| text == "fine");
                    if is_fine { served } else { refused }.fetch_add(1, SeqCst);
                }
            });
        }
        let _over = Over(&is_over);
        let served_more = |count: usize| {
            let before = served.load(SeqCst);
            until("further requests are served", || served.load(SeqCst) >= before + count);
        };
        served_more(50);
        scene.edit("body: old", "body: new");
        scene.program.signal(Signal::USR2);
        until("the new process accepts", || scene.program.said(" accepts connections") == 1);
        served_more(50);
        assert_eq!(get(addresses[0], "/own").as_deref(), Some("new"));
        go_on.open();
        assert_eq!(slow.join().unwrap().as_deref(), Some("slowness"));
        assert_eq!(scene.program.wait_end(), Some(0));
        served_more(50);
    });
    assert_eq!(refused.load(SeqCst), 0, "{}", scene.program.log());
    // The internal API is that of the new process, and its file is still there.
    assert!(scene.verb("healthcheck"));
    // It may be replaced too.
    let second = scene.successor();
    kill_process(second, Signal::USR2).unwrap();
    until("the third process accepts", || scene.program.said(" accepts connections") == 2);
    until("the second process ends", || test_kill_process(second).is_err());
    assert_eq!(scene.get("web", "/own"), "new");
    assert!(scene.verb("healthcheck"));
    end(scene.successor());
    assert!(!scene.folder.path().join("internal.sock").exists());
}

#[test]
fn a_new_process_that_cannot_start_changes_nothing() {
    let upstream = Upstream::answers(FINE);
    let mut scene = Scene::start(&upstream);
    scene.edit("body: old", "bodi: new");
    scene.program.signal(Signal::USR2);
    until("the log says why", || scene.program.said("did you mean `body`?") == 1);
    until("the old process goes on", || scene.program.said("the gate cannot be replaced, and goes on") == 1);
    assert_eq!((scene.get("web", "/own"), scene.get("raw", "/")), ("old".into(), "fine".into()));
    assert!(scene.verb("healthcheck"));
    scene.program.signal(Signal::TERM);
    assert_eq!(scene.program.wait_end(), Some(0));
}

/// Two sockets: one at the address of a listener, the other with the name of one.
#[test]
fn sockets_of_a_service_manager_are_used() {
    let upstream = Upstream::answers(FINE);
    let sockets = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses = sockets.each_ref().map(|socket| socket.local_addr().unwrap());
    let config = CONFIG
        .replace("{upstream}", &upstream.to_string())
        .replacen("127.0.0.1:0", &addresses[0].to_string(), 1)
        .replacen("127.0.0.1:0", "127.0.0.2:0", 1);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("smolgate.yml"), config).unwrap();
    // Copies that stay open in the new process, as the service manager leaves them.
    let copies = sockets.each_ref().map(|socket| rustix::io::dup(socket).unwrap());
    let numbers = copies.each_ref().map(|copy| copy.as_raw_fd());
    let mut command = Command::new("bash");
    let script = format!(
        "LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http:raw exec {} run 3<&{} 4<&{}",
        env!("CARGO_BIN_EXE_smolgate"),
        numbers[0],
        numbers[1]
    );
    command.args(["-c", &script]).current_dir(folder.path());
    let program = Program::start_command(Program::without_variables(&mut command));
    drop((copies, sockets));
    assert_eq!(program.address("web"), addresses[0]);
    assert_eq!(program.address("raw"), addresses[1]);
    for address in addresses {
        assert_eq!(get(address, "/").as_deref(), Some("fine"));
    }
}
