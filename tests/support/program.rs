//! The real program: its log, its resources, its signals.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use super::client::Client;
use super::until;

/// A running `smolgate run` with every line of its log. It is killed on drop.
pub struct Program {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Program {
    /// Starts the program with an empty environment, and waits until it listens.
    #[track_caller]
    pub fn start(setup: impl FnOnce(&mut Command)) -> Program {
        Program::start_between(Stdio::null(), Stdio::null(), setup)
    }

    /// Starts the program with a given standard input.
    #[track_caller]
    pub fn start_with_input(input: Stdio, setup: impl FnOnce(&mut Command)) -> Program {
        Program::start_between(input, Stdio::null(), setup)
    }

    /// Starts the program with a given standard output.
    #[track_caller]
    pub fn start_with_output(output: Stdio, setup: impl FnOnce(&mut Command)) -> Program {
        Program::start_between(Stdio::null(), output, setup)
    }

    #[track_caller]
    fn start_between(input: Stdio, output: Stdio, setup: impl FnOnce(&mut Command)) -> Program {
        let mut command = Command::new(env!("CARGO_BIN_EXE_smolgate"));
        setup(Program::without_variables(&mut command).arg("run"));
        Program::start_command(command.stdin(input).stdout(output))
    }

    /// Takes the variables for the program out.
    pub fn without_variables(command: &mut Command) -> &mut Command {
        for (name, _) in std::env::vars() {
            if name.starts_with("SMOLGATE_") || name.starts_with("LITEPROXY_") {
                command.env_remove(name);
            }
        }
        for name in ["CONFIG_FILE", "INTERNAL_API_PORT", "LOG_LEVEL", "RUST_LOG"] {
            command.env_remove(name);
        }
        command.env("NO_COLOR", "1")
    }

    /// Starts a command that becomes the program, and waits until it listens.
    #[track_caller]
    pub fn start_command(command: &mut Command) -> Program {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, kept) = (BufReader::new(child.stderr.take().unwrap()).lines(), log.clone());
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let program = Program { child, log };
        until("it listens", || program.said("listening: ") > 0);
        program
    }

    /// The whole log.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The number of times that the log has `what`.
    pub fn said(&self, what: &str) -> usize {
        self.log.lock().unwrap().matches(what).count()
    }

    /// The address of the listener `name` at the start.
    #[track_caller]
    pub fn address(&self, name: &str) -> SocketAddr {
        self.told(&format!("{name} on "))
    }

    /// The address of the internal API.
    #[track_caller]
    pub fn internal_address(&self) -> SocketAddr {
        self.told("internal API on ")
    }

    fn told(&self, before: &str) -> SocketAddr {
        let log = self.log();
        let line = log.lines().find_map(|line| Some(line.split_once("listening: ")?.1)).unwrap_or_default();
        let parts = line.split([',', ';']).map(str::trim);
        let address = parts.filter_map(|part| part.strip_prefix(before)).next();
        address.and_then(|address| address.parse().ok()).unwrap_or_else(|| panic!("no {before:?}: {log}"))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the process has ended. Returns its exit code.
    #[track_caller]
    pub fn wait_end(&mut self) -> Option<i32> {
        let mut status = None;
        until("it ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    /// The text of `/metrics`.
    #[track_caller]
    pub fn metrics(&self) -> String {
        let address = self.internal_address();
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        Client::connect(address).exchange(request).text()
    }

    /// The number of open descriptors.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(self.proc("fd")).unwrap().count()
    }

    /// Bytes of its private memory: resident, and not mapped from a file.
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(self.proc("status")).unwrap();
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.strip_suffix("kB"));
        kilobytes.and_then(|number| number.trim().parse::<usize>().ok()).expect("a number of kB") * 1024
    }

    /// Waits until the program has ended.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("it ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.expect("it has ended")
    }

    /// A path in `/proc` about the program.
    pub fn proc(&self, what: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.child.id())).join(what)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
