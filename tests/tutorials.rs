//! The tutorials of docs/migrate.md: files of other projects, and what the commands below them print.
//!
//! The commands run as they stand there. Only the ports are others, and `whoami` stands behind the gate.

#![cfg(all(feature = "demo", feature = "control"))]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::place::Place;
use support::program::Program;

/// A section of a page: its files, each with the first word behind `yaml` or `json5`, and the lines of its console blocks.
struct Section {
    files: Vec<(String, String)>,
    console: Vec<String>,
}

fn section(heading: &str) -> Section {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migrate.md")).unwrap();
    let text = page.split(&format!("\n## {heading}\n")).nth(1).expect("the section");
    let text = text.split("\n## ").next().unwrap_or_default();
    let (mut files, mut console) = (Vec::new(), Vec::new());
    for block in text.split("```").skip(1).step_by(2) {
        let (info, body) = block.split_once('\n').expect("a line that opens the block");
        match info.split_once(' ') {
            Some(("yaml" | "json5", format)) => files.push((format.to_owned(), body.to_owned())),
            None if info == "console" => console.extend(body.lines().map(str::to_owned)),
            _ => {}
        }
    }
    Section { files, console }
}

/// A `smolgate whoami` on a free port. Dropping it ends it.
struct Whoami(Child, SocketAddr);

impl Whoami {
    fn start() -> Whoami {
        let mut child = Command::new(env!("CARGO_BIN_EXE_smolgate"))
            .args(["whoami", "--bind", "127.0.0.1", "--port", "0"])
            .env("NO_COLOR", "1")
            .env_remove("RUST_LOG")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let address = lines.filter_map(|line| line.rsplit_once("address=")?.1.parse().ok()).next();
        Whoami(child, address.expect("its address"))
    }
}

impl Drop for Whoami {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Plays a section: starts what `whoami` and `smolgate` lines start, and wants each line below a `curl` in its output.
fn play(heading: &str, format: &str, address: &str, targets: &[u16]) {
    if Command::new("curl").arg("--version").output().is_err() {
        return;
    }
    let Section { files, console } = section(heading);
    let (_, mut text) = files.into_iter().find(|(name, _)| name == format).expect("its file");
    let all: Vec<Whoami> = targets.iter().map(|_| Whoami::start()).collect();
    for (port, whoami) in targets.iter().zip(&all) {
        let started = console.iter().any(|line| line.contains("whoami") && line.contains(&port.to_string()));
        assert!(started, "nothing starts port {port}");
        text = text.replace(&format!("127.0.0.1:{port}"), &whoami.1.to_string());
    }
    assert!(text.contains(address), "{text}");
    let name =
        if console.iter().any(|line| line.contains("config.json5")) { "config.json5" } else { "config.yaml" };
    let place = Place::with(&[(name, &text.replace(address, "127.0.0.1:0"))]);
    let gate = Program::start(|command| {
        command.arg(name).current_dir(place.path()).env("INTERNAL_API_PORT", "127.0.0.1:0");
    });
    let served = gate.address("http").to_string();
    let here = |written: &str| {
        let mut text = written.replace(address, &served);
        for (port, whoami) in targets.iter().zip(&all) {
            text = text.replace(&format!("127.0.0.1:{port}"), &whoami.1.to_string());
        }
        text
    };
    let (mut output, mut asked) = (String::new(), 0);
    for line in &console {
        match line.strip_prefix("$ ") {
            Some(command) if command.starts_with("curl ") || command.contains(" -c config.yaml") => {
                let command =
                    here(command).replacen("smolgate ", &format!("{} ", env!("CARGO_BIN_EXE_smolgate")), 1);
                let mut shell = Command::new("sh");
                let shell = shell.args(["-c", &command]).current_dir(place.path());
                let ran =
                    shell.env("INTERNAL_API_PORT", gate.internal_address().to_string()).output().unwrap();
                assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
                output = String::from_utf8(ran.stdout).unwrap().replace('\r', "");
                asked += 1;
            }
            Some(_) => output.clear(),
            None => {
                let line = here(line);
                assert!(output.lines().any(|printed| printed == line), "{line} is not in {output}");
            }
        }
    }
    assert!(asked >= 3, "only {asked} requests");
}

#[test]
fn the_tutorial_of_locci_proxy_works() {
    play("locci-proxy", "locci", "127.0.0.1:8484", &[3001, 3003]);
}

#[test]
fn the_tutorial_of_go_proxy_works() {
    play("go-proxy", "go-proxy", "127.0.0.1:8080", &[9000]);
}

#[cfg(feature = "prox")]
#[test]
fn the_tutorial_of_prox_works() {
    play("prox", "prox", "127.0.0.1:8080", &[3000, 3001]);
}
