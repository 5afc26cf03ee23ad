//! The access log of a gate that reads compose files: on standard output for a person, unless something else is said.

#![cfg(feature = "compose")]

mod support;

use std::fs;
use std::io::Read;

use rustix::process::Signal;
use support::client::Client;
use support::program::Program;
use support::upstream::Upstream;

/// The standard output of a gate after one exchange and its stop.
fn printed(native: &str, environment: &[(&str, &str)]) -> String {
    let (upstream, dir) = (Upstream::says("fine"), tempfile::tempdir().unwrap());
    let labels = format!("smolgate.host: a.test, smolgate.target: 'http://{}'", upstream.address());
    let compose = format!("services:\n  web: {{ image: web, labels: {{ {labels} }} }}\n");
    fs::write(dir.path().join("compose.yaml"), compose).unwrap();
    fs::write(dir.path().join("smolgate.yml"), native).unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let program = Program::start_with_output(writer.into(), |command| {
        let ports = ["SMOLGATE_HTTP_PORT", "INTERNAL_API_PORT"].map(|name| (name, "127.0.0.1:0"));
        command.args(["-c", "smolgate.yml", "--compose", "compose.yaml"]).current_dir(dir.path());
        command.envs(ports).envs(environment.iter().copied());
    });
    let request = "GET /x HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
    Client::connect(program.address("http")).exchange(request).expect(200, "fine");
    program.signal(Signal::TERM);
    let mut printed = String::new();
    reader.read_to_string(&mut printed).unwrap();
    printed
}

const NATIVE: &str = "workers: 1\n";

#[test]
fn it_is_for_a_person_by_default() {
    let printed = printed(NATIVE, &[]);
    let words: Vec<&str> = printed.split_whitespace().collect();
    assert_eq!(printed.lines().count(), 1, "{printed}");
    assert_eq!(
        (&words[1..3], &words[5..8]),
        (&["200", "GET"][..], &["127.0.0.1", "a.test/x", "->"][..]),
        "{printed}"
    );
    assert!(!printed.contains('\x1b'), "a pipe gets no colours: {printed}");
}

#[test]
fn a_variable_and_a_native_file_come_first() {
    assert_eq!(printed(NATIVE, &[("SMOLGATE_ACCESS_LOG", "off")]), "");
    assert_eq!(printed("workers: 1\naccess_log: off\n", &[]), "");
    assert!(printed(NATIVE, &[("SMOLGATE_ACCESS_LOG", "stdout")]).starts_with("{\"time\""));
    let combined = printed("access_log: { to: stdout, format: combined }\n", &[]);
    assert!(combined.contains("] \"GET /x HTTP/1.1\" 200 "), "{combined}");
}
