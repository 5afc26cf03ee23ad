//! Paths to a FIFO, a device or a pipe. The program waits for none of them and reads none without limit.

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;
use support::client::Client;
use support::gate::TestGate;
use support::place::{Ended, Place};
use support::program::Program;
use support::until;

const SERVES: &str = "workers: 1
internal_api: { bind: \"127.0.0.1:0\" }
http_config: { port: \"127.0.0.1:0\" }
http_routes: [{ respond: { body: fine } }]
";

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Runs the program with `input` on its standard input. It must end by itself, and soon.
#[track_caller]
fn run(place: &Place, line: &str, input: Stdio) -> Ended {
    let mut command = place.command(line);
    let mut child = command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let end = std::time::Instant::now() + support::DEADLINE;
    while child.try_wait().unwrap().is_none() {
        if std::time::Instant::now() > end {
            child.kill().unwrap();
            panic!("`{line}` does not end");
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    Ended::from(child.wait_with_output().unwrap())
}

#[test]
fn a_fifo_is_an_error_in_place_of_any_file() {
    let text = |key: &str| {
        format!("services: {{ web: {{ {key}, labels: {{ smolgate.host: a.test, smolgate.port: 80 }} }} }}")
    };
    let place = Place::with(&[
        ("token.yml", "internal_api: { token: \"${file:fifo}\" }"),
        ("labels.yml", &text("label_file: fifo")),
        ("included.yml", &text("image: a")),
        ("env.yml", "include: [{ path: included.yml, env_file: fifo }]"),
        ("extends.yml", &text("extends: { file: fifo, service: web }")),
        ("one.yml", "http_config: { port: 1, tls: { certificates: fifo } }\nhttp_routes: [{ respond: {} }]"),
        (
            "folder.yml",
            "http_config: { port: 1, tls: { certificates: certs } }\nhttp_routes: [{ respond: {} }]",
        ),
        ("ca.yml", "http_config: { port: 1 }\nhttp_routes: [{ target: \"https://a\", tls: { ca: fifo } }]"),
        ("folder/a.yml", ""),
        ("certs/README", ""),
    ]);
    for name in ["fifo", "folder/b.yml", "certs/a.crt", "certs/notes.txt"] {
        make_fifo(&place.path().join(name));
    }
    for file in [
        "fifo",
        "folder",
        "token.yml",
        "labels.yml",
        "env.yml",
        "extends.yml",
        "one.yml",
        "folder.yml",
        "ca.yml",
    ] {
        let said = run(&place, &format!("check -c {file}"), Stdio::null()).err;
        assert!(said.contains("cannot be read: it is a FIFO"), "{file}: {said}");
        assert!(!said.contains("notes.txt"), "{file}: {said}");
    }
}

#[test]
fn an_endless_file_is_not_read_to_its_end() {
    let place = Place::with(&[("token.yml", "internal_api: { token: \"${file:/dev/zero}\" }")]);
    for line in ["check -c token.yml", "check -c /dev/zero"] {
        let said = run(&place, line, Stdio::null()).failed(1);
        assert!(said.contains("/dev/zero") && said.contains("it is a device"), "{said}");
    }
    let said = run(&place, "check -c /dev/stdin", File::open("/dev/zero").unwrap().into()).failed(1);
    assert!(said.contains("/dev/stdin cannot be read: it is longer than 16MiB"), "{said}");
}

#[test]
fn a_configuration_may_come_from_standard_input() {
    let place = Place::with(&[("smolgate.yml", SERVES)]);
    let from_file = File::open(place.path().join("smolgate.yml")).unwrap();
    let (piped, mut writer) = std::io::pipe().unwrap();
    writer.write_all(SERVES.as_bytes()).unwrap();
    drop(writer);
    for input in [Stdio::from(from_file), Stdio::from(piped)] {
        let said = run(&place, "check -c /dev/stdin", input).fine();
        assert!(said.starts_with("/dev/stdin is valid: 1 listener, 1 rule"), "{said}");
    }
}

/// A pipe gives its bytes once. The gate reads them at the start and uses them at every reload.
#[test]
fn a_gate_that_was_started_with_a_pipe_reloads_its_content() {
    let (piped, mut writer) = std::io::pipe().unwrap();
    writer.write_all(SERVES.as_bytes()).unwrap();
    drop(writer);
    let gate = Program::start_with_input(piped.into(), |command| {
        command.args(["-c", "/dev/stdin"]);
    });
    let address = gate.address("http");
    Client::connect(address).exchange(GET).expect(200, "fine");
    gate.signal(Signal::HUP);
    until("it is reloaded", || gate.said("reloaded as generation 2: nothing changed") > 0);
    Client::connect(address).exchange(GET).expect(200, "fine");
}

#[test]
fn an_access_log_may_be_a_pipe_or_a_device_and_waits_for_no_reader() {
    let place = Place::with(&[("smolgate.yml", &format!("access_log: fifo\n{SERVES}"))]);
    let fifo = place.path().join("fifo");
    make_fifo(&fifo);
    let said = run(&place, "run -c smolgate.yml", Stdio::null()).failed(3);
    assert!(said.contains("fifo: nothing reads from it"), "{said}");

    let gate = TestGate::start(&SERVES.replace("workers: 1\n", "access_log: /dev/null\nworkers: 1\n"), &[]);
    gate.exchange(GET).expect(200, "fine");
    let logged =
        SERVES.replace("workers: 1\n", "access_log: { to: \"{fifo}\", format: combined }\nworkers: 1\n");
    gate.edit(&logged, &[("fifo", &fifo.display())]);
    let error = gate.reload().expect_err("nothing reads from it");
    assert!(error.contains("nothing reads from it"), "{error}");
    gate.exchange(GET).expect(200, "fine");
    let reader = fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    gate.reload().expect("something reads from it");
    gate.exchange(GET).expect(200, "fine");
    let mut line = [0; 9];
    (&reader).read_exact(&mut line).unwrap();
    assert_eq!(&line, b"127.0.0.1");
}

/// `/dev/stdout` may be a file, a pipe or a terminal.
#[test]
fn an_access_log_may_be_standard_output_by_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("smolgate.yml");
    fs::write(&file, format!("access_log: /dev/stdout\n{SERVES}")).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let gate = Program::start_with_output(writer.into(), |command| {
        command.arg("-c").arg(&file);
    });
    Client::connect(gate.address("http")).exchange(GET).expect(200, "fine");
    let mut byte = [0];
    reader.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"{");
}
