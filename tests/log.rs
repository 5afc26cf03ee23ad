//! The log of the real program: what a line about a failure says, and how repeated lines are folded. Exchanges as they
//! end, and the table of counters.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use support::client::Client;
use support::program::Program;
use support::until;
use support::upstream::{Refusing, Upstream};
use tempfile::TempDir;

const CONFIG: &str = r#"
log_format: {format}
workers: 2
internal_api: { bind: "127.0.0.1:0" }
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { name: closes, host: closes.test, target: "http://{closes}" }
      - { name: passed, host: passed.test, pass: "{refuses}" }
      - { name: two words, target: "http://{refuses}" }
  - name: limited
    bind: "127.0.0.1:0"
    rules: [{ rate_limit: 1000000/1s, respond: { body: fine } }]
"#;

struct Scene {
    program: Program,
    refuses: Refusing,
    _closes: Upstream,
    _dir: TempDir,
}

impl Scene {
    fn new(format: &str, environment: &[(&str, &str)]) -> Scene {
        let (refuses, dir) = (Refusing::new(), tempfile::tempdir().unwrap());
        // It reads the whole request, and closes instead of answering.
        let closes = Upstream::scripted(|connection| {
            connection.read_request();
        });
        let file = dir.path().join("smolgate.yml");
        let config = CONFIG.replace("{format}", format).replace("{closes}", &closes.address().to_string());
        fs::write(&file, config.replace("{refuses}", &refuses.to_string())).unwrap();
        let program = Program::start(|command| {
            command.arg("-c").arg(&file).envs(environment.iter().copied());
        });
        Scene { program, refuses, _closes: closes, _dir: dir }
    }

    fn fail(&self, request: &str) {
        let response = Client::connect(self.program.address("http")).exchange(request);
        assert_eq!(response.status(), 502, "{response:?}");
    }

    /// The only line with this text.
    #[track_caller]
    fn line(&self, text: &str) -> String {
        until(text, || self.program.said(text) > 0);
        let log = self.program.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(text)).collect();
        assert_eq!(lines.len(), 1, "{log}");
        lines[0].to_owned()
    }
}

fn get(host: &str, target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

#[test]
fn a_line_names_the_request_its_rule_and_its_upstream() {
    let scene = Scene::new("human", &[]);
    scene.fail(&get("a.test", "/x?token=secret"));
    let line = scene.line("exchange failed");
    for part in [
        " WARN exchange failed reason=connect_refused detail=\"",
        "method=GET host=a.test path=/x client=127.0.0.1 listener=http rule=\"two words\"",
        &format!(" upstream=http://{}", scene.refuses),
    ] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!line.contains("secret") && !line.contains("repeated"), "{line}");
}

/// The body was on its way, so its head is no longer in the input.
#[test]
fn a_line_names_a_request_with_a_body() {
    for framing in
        ["Content-Length: 4\r\n\r\nbody", "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"]
    {
        let scene = Scene::new("human", &[]);
        scene.fail(&format!("POST /pay?card=secret HTTP/1.1\r\nHost: closes.test\r\nX: y\r\n{framing}"));
        let line = scene.line("exchange failed");
        assert!(line.contains("reason=upstream_closed"), "{line}");
        assert!(line.contains(" method=POST host=closes.test path=/pay client="), "{line}");
        assert!(line.contains(" rule=closes upstream=") && !line.contains("secret"), "{line}");
    }
}

#[test]
fn values_of_a_client_cannot_look_like_fields_or_lines() {
    let scene = Scene::new("human", &[]);
    let long = "y".repeat(1_000);
    scene.fail(&get("a.test", &format!("/x=1\"rule=none\"{long}")));
    let line = scene.line("exchange failed");
    assert!(line.contains(" path=\"/x=1\\\"rule=none\\\"yyy"), "{line}");
    assert!(line.len() < 700, "{line}");
}

#[test]
fn json_stays_json() {
    let scene = Scene::new("json", &[]);
    scene.fail(&get("a.test", "/x?token=secret"));
    let line = scene.line("exchange failed");
    let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let told = ["message", "reason", "method", "host", "path", "listener", "rule"].map(|name| &line[name]);
    assert_eq!(told, ["exchange failed", "connect_refused", "GET", "a.test", "/x", "http", "two words"]);
}

/// The number of lines with this text, and the sum of their fields `repeated`, which count lines that were left out.
/// A line that ends with `repeatedly` is none of them.
/// Clients behind a proxy that is not trusted share one address.
#[test]
fn one_private_address_of_most_requests_is_told_once() {
    let scene = Scene::new("human", &[]);
    let ask = |count: usize| {
        let mut client = Client::connect(scene.program.address("limited"));
        for _ in 0..count {
            client.exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect(200, "fine");
        }
    };
    const TEXT: &str = "most requests come from one private address";
    ask(999);
    assert_eq!(scene.program.said(TEXT), 0);
    ask(3_002);
    let line = scene.line(TEXT);
    assert!(line.contains("WARN") && line.contains("client=127.0.0.1 listener=limited"), "{line}");
}

fn told(log: &str, text: &str) -> (usize, usize) {
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(text)).collect();
    let repeated = |line: &&str| line.split_once(" repeated=")?.1.split(' ').next()?.parse::<usize>().ok();
    let left_out: usize = lines.iter().filter_map(repeated).sum();
    (lines.iter().filter(|line| !line.contains("repeatedly")).count(), left_out)
}

#[test]
fn repeated_lines_are_folded_and_counted_in_silence() {
    const FAILURES: usize = 200;
    let scene = Scene::new("human", &[]);
    for _ in 0..FAILURES {
        scene.fail(&get("a.test", "/"));
    }
    let told = || told(&scene.program.log(), "exchange failed");
    until("all are told", || told().0 + told().1 == FAILURES);
    assert!(told().1 > 0, "{}", scene.program.log());
    // Another reason and another upstream have lines of their own.
    scene.fail("POST /pay HTTP/1.1\r\nHost: closes.test\r\nContent-Length: 4\r\n\r\nbody");
    scene.line("upstream_closed");
}

#[test]
fn a_stop_tells_what_was_left_out() {
    const FAILURES: usize = 100;
    let scene = Scene::new("human", &[]);
    for _ in 0..FAILURES {
        scene.fail(&get("passed.test", "/"));
    }
    scene.program.signal(Signal::TERM);
    until("all are told", || {
        let told = told(&scene.program.log(), "exchange failed");
        told.0 + told.1 == FAILURES
    });
}

/// A verb that asks the gate of a scene, with its output, which is no terminal.
fn asking(scene: &Scene, arguments: &[&str]) -> Child {
    let address = scene.program.internal_address().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_smolgate"));
    Program::without_variables(&mut command).args(arguments).args(["--address", &address]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The number of lines that the tail of a scene has been asked for so far: those readers that the gate has.
fn wait_readers(scene: &Scene, count: usize) {
    let address = scene.program.internal_address();
    // With four readers, a further one is refused. Until then, each try comes and leaves.
    let read = || {
        let mut client = Client::connect(address);
        client.send(format!("GET /tail?rule=none HTTP/1.1\r\nHost: {address}\r\n\r\n"));
        (client.read_head().start.contains(" 200 "), client)
    };
    until("the readers are there", || {
        let mine: Vec<_> = (0..4 - count).map(|_| read()).collect();
        mine.iter().all(|(is_reader, _)| *is_reader) && !read().0
    });
}

#[test]
fn tail_prints_exchanges_as_they_end() {
    let scene = Scene::new("human", &[]);
    let mut human = asking(&scene, &["tail", "--status", "5xx"]);
    let mut json =
        asking(&scene, &["tail", "--json", "--host", "closes.test", "--reason", "upstream_closed"]);
    wait_readers(&scene, 2);
    scene.fail(&get("a.test", "/first"));
    scene.fail(
        "POST /pay HTTP/1.1\r\nHost: closes.test:8080\r\nCookie: secret\r\nContent-Length: 4\r\n\r\nbody",
    );
    let mut lines = BufReader::new(human.stdout.take().unwrap()).lines().map(Result::unwrap);
    let (first, second) = (lines.next().unwrap(), lines.next().unwrap());
    assert!(first.contains("  502  GET ") && first.contains("a.test/first"), "{first}");
    assert!(first.ends_with("  connect_refused") && !first.contains('\x1b'), "{first}");
    assert!(second.contains("  502  POST ") && second.ends_with("  upstream_closed"), "{second}");
    let line = BufReader::new(json.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let exchange: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!((&exchange["target"], &exchange["rule"]), (&"/pay".into(), &"closes".into()), "{line}");
    assert!(!line.contains("secret"), "{line}");

    // A stop ends what follows it.
    scene.program.signal(Signal::TERM);
    let ended = human.wait_with_output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.code() == Some(3) && told.contains("the gate has stopped"), "{told}");
    json.wait().unwrap();
}

#[test]
fn tail_says_what_is_wrong_with_its_options() {
    let scene = Scene::new("human", &[]);
    for (arguments, wrong) in [
        (&["tail", "--status", "teapot"][..], "write a status, 404, or a class, 5xx"),
        (&["tail", "--reason", "because"], "there is no such reason"),
        (&["tail", "--slow", "soon"], "`--slow soon` is no duration"),
    ] {
        let ended = asking(&scene, arguments).wait_with_output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert!(ended.status.code() == Some(2) && told.contains(wrong), "{told}");
    }
}

#[test]
fn top_prints_one_table_where_there_is_no_terminal() {
    let scene = Scene::new("human", &[]);
    scene.fail(&get("a.test", "/"));
    let ended = asking(&scene, &["top"]).wait_with_output().unwrap();
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success(), "{text}");
    assert!(
        text.starts_with(concat!("smolgate ", env!("CARGO_PKG_VERSION"), "  ready  generation 1  up ")),
        "{text}"
    );
    let row = |start: &str| {
        let line =
            text.lines().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no {start}: {text}"));
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("two words")[1..], ["*/", "proxy", "0", "1", "0", "1"]);
    assert_eq!(row("connect_refused")[1..4], ["502", "0", "1"]);
    assert_eq!(row(&format!("http://{}", scene.refuses))[1], scene.refuses.to_string());
    assert!(!text.contains('\x1b'), "{text}");
}

/// In a terminal, the table stays until `q`, and then the screen is as it was. `script` is the terminal.
#[test]
fn top_fills_a_terminal_and_gives_it_back() {
    let scene = Scene::new("human", &[]);
    let (program, address) = (env!("CARGO_BIN_EXE_smolgate"), scene.program.internal_address());
    let mut command = Command::new("script");
    Program::without_variables(&mut command).args([
        "-qec",
        &format!("'{program}' top --address {address}"),
        "/dev/null",
    ]);
    let Ok(mut child) = command.stdin(Stdio::piped()).stdout(Stdio::piped()).env("TERM", "xterm").spawn()
    else {
        eprintln!("skipped: there is no `script` here");
        return;
    };
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = Vec::new();
    let mut read_until = |text: &str| {
        let mut piece = [0; 4096];
        while !String::from_utf8_lossy(&shown).contains(text) {
            let read = screen.read(&mut piece).unwrap();
            assert!(read > 0, "no {text:?}: {}", String::from_utf8_lossy(&shown));
            shown.extend_from_slice(&piece[..read]);
        }
    };
    read_until("/ filter  q quit");
    read_until("\nRULE ");
    keys.write_all(b"/tw").unwrap();
    read_until("filter: tw_");
    keys.write_all(b"o\rq").unwrap();
    // The screen before comes back.
    read_until("\x1b[?1049l");
    assert!(child.wait().unwrap().success());
}
