//! The process as an operator sees it: signals, logs, systemd, the verbs that talk to it.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use support::upstream::Upstream;
use support::{Latch, until};
use tempfile::TempDir;

const CONFIG: &str = r#"
workers: 1
shutdown_timeout: "20s"
access_log: { to: "access.log", format: json }
internal_api: { bind: "unix:internal.sock", token: "secret" }
http_config: { port: "127.0.0.1:0" }
http_routes:
  - path_prefix: "/old"
    respond: { status: 200, body: "old" }
  - target: "http://{upstream}"
"#;

/// The longest wait. Nothing here takes a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running `smolgate run`.
struct Process {
    child: Child,
    dir: TempDir,
    /// The lines that it prints.
    said: Receiver<String>,
    address: SocketAddr,
}

impl Process {
    fn start(upstream: &Upstream, environment: &[(&str, &Path)]) -> Process {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("smolgate.yml");
        fs::write(&file, CONFIG.replace("{upstream}", &upstream.to_string())).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_smolgate"));
        command
            .args(["run", "-c"])
            .arg(&file)
            // Input without an end, as long as this process has it.
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("RUST_LOG")
            .env_remove("LOG_LEVEL");
        command.envs(environment.iter().copied());
        let mut child = command.spawn().unwrap();
        let (say, said) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| say.send(line)));
        let mut process = Process { child, dir, said, address: ([127, 0, 0, 1], 0).into() };
        let line = process.hear("listening: http on ");
        let address = line.split("http on ").nth(1).and_then(|rest| rest.split([';', ',']).next());
        process.address = address.and_then(|address| address.parse().ok()).expect("an address");
        process
    }

    /// The next line that contains `text`.
    #[track_caller]
    fn hear(&self, text: &str) -> String {
        loop {
            let line = self.said.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line with {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn get(&self, target: &str) -> String {
        let mut client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(client, "GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    }

    /// Runs another `smolgate` with the same configuration.
    fn verb(&self, verb: &str) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_smolgate"))
            .args([verb, "-c"])
            .arg(self.dir.path().join("smolgate.yml"))
            .output()
            .unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    }

    fn edit(&self, from: &str, to: &str) {
        let file = self.dir.path().join("smolgate.yml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        fs::write(&file, text.replace(from, to)).unwrap();
    }

    fn end(mut self) -> ExitStatus {
        let mut status = None;
        until("it ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

#[test]
fn a_logged_warning_names_its_level_once_and_directives_about_others_do_not_silence_it() {
    let upstream = Upstream::says("fine");
    // Without its own events at `info`, the address would not be printed.
    let gate = Process::start(&upstream, &[("RUST_LOG", Path::new("rustls=debug"))]);
    gate.edit("path_prefix: \"/old\"", "path_prefix: \"/old\"\n    in_the_clear: true");
    gate.signal(Signal::HUP);
    let line = gate.hear("`in_the_clear` changes nothing");
    assert!(line.contains("WARN") && !line.contains("warning"), "{line}");
    gate.signal(Signal::TERM);
    assert_eq!(gate.end().code(), Some(0));
}

#[test]
fn hup_reloads_and_a_broken_file_changes_nothing() {
    let upstream = Upstream::says("fine");
    let gate = Process::start(&upstream, &[]);
    gate.edit("body: \"old\"", "body: \"new\"");
    gate.signal(Signal::HUP);
    gate.hear("reloaded as generation 2");
    assert!(gate.get("/old").ends_with("\r\n\r\nnew"));
    gate.edit("respond:", "respnod:");
    gate.signal(Signal::HUP);
    gate.hear("did you mean");
    assert!(gate.get("/old").ends_with("\r\n\r\nnew"));
    gate.signal(Signal::TERM);
    assert_eq!(gate.end().code(), Some(0));
}

#[test]
fn reload_and_healthcheck_use_its_socket_and_its_token() {
    let upstream = Upstream::says("fine");
    let gate = Process::start(&upstream, &[]);
    let (code, text) = gate.verb("healthcheck");
    assert_eq!(code, Some(0), "{text}");
    gate.edit("body: \"old\"", "body: \"new\"");
    let (code, text) = gate.verb("reload");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("generation 2"), "{text}");
    assert!(gate.get("/old").ends_with("\r\n\r\nnew"));
    gate.signal(Signal::TERM);
    gate.end();
}

#[test]
fn usr1_reopens_the_access_log() {
    let upstream = Upstream::says("fine");
    let gate = Process::start(&upstream, &[]);
    let (log, moved) = (gate.dir.path().join("access.log"), gate.dir.path().join("access.log.1"));
    let has = |file: &Path, text: &str| fs::read_to_string(file).unwrap_or_default().contains(text);
    gate.get("/before?x=1");
    until("the first line is written", || has(&log, "/before?x=1"));
    fs::rename(&log, &moved).unwrap();
    gate.signal(Signal::USR1);
    gate.hear("access.log is opened again");
    until("the file is there again", || log.exists());
    gate.get("/after");
    until("the second line is written", || has(&log, "/after"));
    assert!(!has(&log, "/before") && !has(&moved, "/after"));
    let line = fs::read_to_string(&log).unwrap();
    let line: serde_json::Value = serde_json::from_str(line.lines().next().unwrap()).unwrap();
    assert_eq!((&line["status"], &line["method"]), (&200.into(), &"GET".into()), "{line}");
    gate.signal(Signal::TERM);
    gate.hear("stopped, ");
    gate.end();
}

#[test]
fn the_first_term_waits_for_an_exchange_and_the_second_does_not() {
    for patient in [true, false] {
        let (begun, finish) = (Latch::new(), Latch::new());
        let (begins, finishes) = (begun.clone(), finish.clone());
        let upstream = Upstream::scripted(move |connection| {
            connection.read_request();
            begins.open();
            finishes.wait();
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
        });
        let gate = Process::start(&upstream, &[]);
        let mut client = TcpStream::connect(gate.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        begun.wait();
        gate.signal(Signal::TERM);
        gate.hear("stopping");
        until("it accepts no more", || TcpStream::connect(gate.address).is_err());
        if patient {
            finish.open();
            let mut text = String::new();
            client.read_to_string(&mut text).unwrap();
            assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("fine"), "{text}");
            assert_eq!(gate.end().code(), Some(0));
        } else {
            gate.signal(Signal::INT);
            assert_eq!(gate.end().code(), Some(130));
            finish.open();
        }
    }
}

/// Reading an endless file takes a while. A signal is handled in the meantime.
#[test]
fn term_is_handled_during_a_reload() {
    let upstream = Upstream::says("fine");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let gate = Process::start(&upstream, &[("NOTIFY_SOCKET", &path)]);
    assert!(told().starts_with("READY=1\n"));
    gate.edit("body: \"old\"", "body: \"${file:/dev/stdin}\"");
    gate.signal(Signal::HUP);
    assert!(told().starts_with("RELOADING=1"));
    gate.signal(Signal::USR1);
    gate.signal(Signal::TERM);
    assert_eq!(told(), "STOPPING=1");
    assert_eq!(gate.end().code(), Some(0));
}

/// The first process of a container gets no signal that it does not catch.
#[cfg(target_os = "linux")]
#[test]
fn term_is_handled_while_the_configuration_is_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("smolgate.yml"), "internal_api: { token: \"${file:/dev/stdin}\" }\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_smolgate"));
    command.args(["run", "-c", "smolgate.yml"]).current_dir(dir.path()).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // Keep standard input open, so that it has no end.
    let input = child.stdin.take();
    let status = format!("/proc/{}/status", child.id());
    let catches = |text: &str| {
        let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        mask.is_some_and(|mask| {
            u64::from_str_radix(mask.trim(), 16).unwrap() & 1 << (Signal::TERM.as_raw() - 1) != 0
        })
    };
    until("TERM is caught", || catches(&fs::read_to_string(&status).unwrap()));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let mut ended = None;
    until("it ends", || {
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().code(), Some(0));
    drop(input);
}

#[test]
fn systemd_is_notified() {
    let upstream = Upstream::says("fine");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify.sock");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let gate = Process::start(&upstream, &[("NOTIFY_SOCKET", &path)]);
    assert_eq!(told(), "READY=1\nSTATUS=generation 1 is served");
    gate.signal(Signal::HUP);
    assert!(told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert!(told().starts_with("READY=1\nSTATUS=reloaded as generation 2: "));
    // The message has one line of the many that the error has.
    gate.edit("body: \"old\"", "bdy: \"old\"");
    gate.signal(Signal::HUP);
    assert!(told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    let refused = told();
    assert!(
        refused.starts_with("READY=1\nSTATUS=reload refused, nothing changed: error: `bdy`"),
        "{refused}"
    );
    assert_eq!(refused.lines().count(), 2, "{refused}");
    gate.signal(Signal::TERM);
    assert_eq!(told(), "STOPPING=1");
    gate.end();
}

/// sd_notify(3): a name that begins with `@`.
#[cfg(target_os = "linux")]
#[test]
fn systemd_is_notified_at_an_abstract_socket() {
    use std::os::linux::net::SocketAddrExt;
    let upstream = Upstream::says("fine");
    let name = format!("smolgate-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let gate = Process::start(&upstream, &[("NOTIFY_SOCKET", Path::new(&format!("@{name}")))]);
    let mut bytes = [0; 256];
    let length = socket.recv(&mut bytes).expect("a message");
    assert!(bytes[..length].starts_with(b"READY=1\n"));
    gate.signal(Signal::TERM);
    gate.end();
}

#[test]
fn a_port_in_use_is_named_and_is_exit_code_3() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("smolgate.yml");
    let address = taken.local_addr().unwrap();
    let text = format!(
        "internal_api: {{ bind: 'unix:i.sock' }}\nlisteners: [{{ name: web, bind: '{address}', protocol: http, \
         rules: [{{ respond: {{ status: 204 }} }}] }}]\n"
    );
    fs::write(&file, text).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_smolgate")).args(["run", "-c"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("listener `web`") && said.contains(&address.to_string()), "{said}");
    assert!(said.contains("another program listens there"), "{said}");
}
