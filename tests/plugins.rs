//! Plugins: every hook, and every way in which a plugin can misbehave, judged by what target and client received.
//!
//! The plugin is `tests/plugins/plugin.py`. Fields of requests tell it what to do.

#![cfg(feature = "plugins")]

mod support;

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::gate::TestGate;
use support::message::Response;
use support::until;
use support::upstream::Upstream;
use tempfile::TempDir;

const CONFIG: &str = r#"
plugins:
  p: { run: [python3, "{script}", "{folder}", "{mode}"], {settings} }
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { name: plain, host: plain.test, target: "{target}" }
      - { name: asked, plugins: p, target: "{target}" }
"#;

/// A gate with the plugin, and a target that says "fine".
struct Setup {
    gate: TestGate,
    target: Upstream,
    folder: TempDir,
}

fn script() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins/plugin.py").display().to_string()
}

impl Setup {
    fn new(mode: &str, settings: &str) -> Setup {
        let folder = tempfile::tempdir().unwrap();
        Setup::within(folder, mode, settings)
    }

    fn within(folder: TempDir, mode: &str, settings: &str) -> Setup {
        let target = Upstream::answers(
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nServer: target\r\nX-Secret: s\r\n\r\nfine",
        );
        let gate = TestGate::start(
            CONFIG,
            &[
                ("script", &script()),
                ("folder", &folder.path().display()),
                ("mode", &mode),
                ("settings", &settings),
                ("target", &target.address()),
            ],
        );
        Setup { gate, target, folder }
    }

    fn get(&self, lines: &str) -> Response {
        self.send(&format!("GET /a/b?c=d HTTP/1.1\r\nHost: app.test\r\n{lines}\r\n"))
    }

    fn send(&self, request: &str) -> Response {
        self.gate.exchange(request)
    }

    /// The notes of the plugin, of one kind.
    fn notes(&self, key: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        // The last line may not be whole.
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let notes = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        notes.filter(|note| note.get(key).is_some()).collect()
    }

    fn calls(&self, hook: u64) -> Vec<Value> {
        self.notes("t").into_iter().filter(|call| call["t"] == hook).map(|call| call["d"].clone()).collect()
    }

    fn calls_total(&self, hook: &str, result: &str) -> f64 {
        self.gate.metric(&format!(
            "smolgate_plugin_calls_total{{plugin=\"p\",hook=\"{hook}\",result=\"{result}\"}}"
        ))
    }

    /// Waits until requests pass again.
    fn wait_well(&self) {
        until("the plugin answers again", || self.get("").status() == 200);
    }
}

fn is_alive(pid: &Value) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn a_plugin_sees_the_request_and_the_target_gets_its_fields() {
    let setup = Setup::new("", "timeout: 15s");
    let response = setup.get("X-one: 1\r\nx-ONE: 2\r\nX-Plugin: forged\r\nx_plugin: forged\r\n");
    response.expect(200, "fine");
    let info = &setup.calls(1)[0];
    for (key, value) in [
        ("r", json!("asked")),
        ("m", json!("GET")),
        ("p", json!("/a/b")),
        ("q", json!("c=d")),
        ("d", json!("app.test")),
        ("ho", json!("app.test")),
        ("pr", json!("HTTP/1.1")),
    ] {
        assert_eq!(info[key], value, "{key}");
    }
    assert_eq!((&info["h"]["X-One"], &info["h"]["Host"]), (&json!("1"), &Value::Null));
    assert!(info["a"].as_str().unwrap().starts_with("127.0.0.1:"));
    let request = setup.target.request();
    assert_eq!(request.target(), "/a/b?c=d");
    let pid = setup.notes("pid")[0]["pid"].to_string();
    assert_eq!(request.head.all("x-plugin"), [&*pid], "the forged fields are gone");
    assert!(request.head.all("x_plugin").is_empty());
    assert_eq!(setup.calls_total("on_request", "ok"), 1.0);
    assert_eq!(setup.gate.metric("smolgate_plugin_up{plugin=\"p\"}"), 1.0);
}

#[test]
fn a_rule_without_plugins_asks_none() {
    let setup = Setup::new("", "timeout: 15s");
    setup.send("GET / HTTP/1.1\r\nHost: plain.test\r\nX-Do: crash\r\n\r\n").expect(200, "fine");
    assert!(setup.calls(1).is_empty());
}

#[test]
fn a_plugin_changes_the_path_and_the_query() {
    let setup = Setup::new("", "timeout: 15s");
    for (answer, target) in [
        (json!({"ok": true, "rp": "/new path"}), "/new%20path?c=d"),
        (json!({"ok": true, "cq": true}), "/a/b"),
        (json!({"ok": true, "cq": true, "rp": "/x"}), "/x"),
    ] {
        setup.get(&format!("X-Answer: {answer}\r\n")).expect(200, "fine");
        assert_eq!(setup.target.requests().last().unwrap().target(), target);
    }
    // The body behind a changed head is whole, and so is the next request.
    let mut client = setup.gate.client();
    for _ in 0..2 {
        client.send(
            "POST /old HTTP/1.1\r\nHost: app.test\r\nContent-Length: 5\r\nX-Answer: {\"ok\":true,\"rp\":\"/new\"}\r\n\r\nhello",
        );
        client.read_response().expect(200, "fine");
        let request = setup.target.requests().pop().unwrap();
        assert_eq!((request.target(), &*request.body.bytes), ("/new", &b"hello"[..]));
    }
}

#[test]
fn a_plugin_answers_and_drops() {
    let setup = Setup::new("", "timeout: 15s");
    let denied =
        setup.get("X-Answer: {\"ok\":false,\"s\":401,\"b\":\"go away\",\"h\":{\"X-Why\":\"key\"}}\r\n");
    denied.expect(401, "go away");
    assert_eq!(denied.get("x-why"), Some("key"));
    assert_eq!(denied.get("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(setup.get("X-Answer: {\"ok\":false}\r\n").status(), 403);
    let mut client = setup.gate.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Answer: {\"ok\":false,\"dr\":true}\r\n\r\n");
    assert!(client.read_to_end().0.is_empty(), "no response to a request that is dropped");
    setup.get("X-Answer: {\"ok\":false,\"fb\":true}\r\n").expect_own(503, "plugin_failed");
    assert!(setup.target.requests().is_empty());
    assert_eq!(setup.calls_total("on_request", "refused"), 4.0);
}

#[test]
fn answers_that_http_does_not_allow_are_failures() {
    let setup = Setup::new("", "timeout: 15s");
    for answer in [
        json!({"ok": true, "h": {"Content-Length": "7"}}),
        json!({"ok": true, "h": {"X-A": "b\r\nX-B: c"}}),
        json!({"ok": true, "rp": "/../secret"}),
        json!({"ok": false, "s": 99}),
    ] {
        setup.get(&format!("X-Answer: {answer}\r\n")).expect_own(503, "plugin_failed");
        // A success between them, so that the plugin is not left alone.
        assert_eq!(setup.get("").status(), 200);
    }
    assert_eq!(setup.target.requests().len(), 4);
}

#[test]
fn a_plugin_changes_responses() {
    let setup = Setup::new("", "timeout: 15s");
    let change = json!({"s": 404, "h": {"X-New": "yes", "Server": "hidden"}, "rm": ["x-secret"]});
    let response = setup.get(&format!("X-Change: {change}\r\n"));
    response.expect(404, "fine");
    assert_eq!((response.get("x-new"), response.get("server")), (Some("yes"), Some("hidden")));
    assert_eq!(response.get("x-secret"), None);
    let seen = &setup.calls(2)[0];
    assert_eq!((&seen["resp"]["s"], &seen["resp"]["h"]["X-Secret"]), (&json!(200), &json!("s")));
    assert_eq!(seen["req"]["p"], "/a/b");
    setup.get("").expect(200, "fine");
    // A change that HTTP does not allow, and no answer: the response is not sent.
    for lines in ["X-Change: {\"s\":204}\r\n", "X-Do-Response: garbage\r\n", "X-Do-Response: close\r\n"] {
        setup.get(lines).expect_own(503, "plugin_failed");
        setup.get("").expect(200, "fine");
    }
}

#[test]
fn a_plugin_hears_of_the_end_of_an_exchange() {
    let setup = Setup::new("", "timeout: 15s");
    setup.get("").expect(200, "fine");
    until("the end was told", || setup.calls(4).len() == 1);
    let end = &setup.calls(4)[0];
    assert_eq!((&end["r"], &end["tg"]), (&json!("asked"), &json!(setup.target.address().to_string())));
    assert!(end["rx"].as_u64().unwrap() > 20 && end["tx"].as_u64().unwrap() > 20);
    // A request that was refused has no end.
    assert_eq!(setup.get("X-Answer: {\"ok\":false}\r\n").status(), 403);
    setup.get("").expect(200, "fine");
    until("the end was told", || setup.calls(4).len() == 2);
}

#[test]
fn a_plugin_that_asks_for_bodies_sees_their_first_bytes() {
    let setup = Setup::new("body", "timeout: 15s");
    let long = "b".repeat(100_000);
    for body in ["hello", &long] {
        let length = body.len();
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}");
        setup.send(&request).expect(200, "fine");
        assert_eq!(setup.target.requests().last().unwrap().body.bytes, body.as_bytes());
    }
    let calls = setup.calls(1);
    assert_eq!(calls[0]["bd"], "aGVsbG8=");
    assert_eq!(calls[1]["bd"].as_str().unwrap().len(), (64 * 1024_usize).div_ceil(3) * 4);
    assert_eq!(calls[1]["cl"], 100_000);
}

/// All bytes that a plugin wants to see have one deadline, and not each its own.
#[test]
fn a_body_that_comes_byte_by_byte_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let target = Upstream::says("fine");
    let gate = TestGate::start(
        r#"
plugins: { p: { run: [python3, "{script}", "{folder}", body] } }
http_config: { port: "127.0.0.1:0" }
http_routes: [{ plugins: { names: [p], timeout: 500ms }, target: "{target}" }]
"#,
        &[("script", &script()), ("folder", &folder.path().display()), ("target", &target.address())],
    );
    let mut client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 60000\r\n\r\n");
    let mut writer = client.writer();
    let dripping = std::thread::spawn(move || {
        while writer.write_all(b"a").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    client.expect_close();
    let stalled = r#"smolgate_local_replies_total{reason="client_stalled"}"#;
    until("it is counted", || gate.metric(stalled) == 1.0);
    dripping.join().unwrap();
    assert!(target.requests().is_empty());
}

#[test]
fn a_plugin_of_messagepack_runs_as_it_is() {
    let setup = Setup::new("msgpack", "timeout: 15s");
    setup.get("").expect(200, "fine");
    assert_eq!(setup.target.request().head.get("x-user-id"), Some("42"));
    let frame = setup.notes("frame")[0]["frame"].as_str().unwrap().to_owned();
    // {"t": 1, "d": a binary}, which begins with the route "asked".
    assert!(frame.starts_with("82a174cc01a164c4"), "{frame}");
    assert!(frame.contains("a172a561736b6564a16da3474554"), "{frame}");
}

#[test]
fn a_failure_refuses_the_request_and_the_next_one_is_well() {
    let setup = Setup::new("", "timeout: 300ms");
    for what in ["silence", "garbage", "list", "surplus", "huge", "close", "half", "late"] {
        setup.get(&format!("X-Do: {what}\r\n")).expect_own(503, "plugin_failed");
        setup.wait_well();
    }
    let requests = setup.target.requests();
    assert!(requests.iter().all(|request| request.head.get("x-do").is_none()), "the target got none of them");
    assert!(requests.iter().all(|request| request.head.get("x-late").is_none()), "no answer is mixed up");
}

#[test]
fn slow_bytes_are_an_answer() {
    let setup = Setup::new("", "timeout: 15s");
    setup.get("X-Do: slow\r\n").expect(200, "fine");
    assert_eq!(setup.target.request().head.get("x-slow"), Some("yes"));
}

#[test]
fn a_failure_lets_the_request_pass_if_that_is_allowed() {
    let setup = Setup::new("", "timeout: 300ms, on_failure: allow");
    for what in ["silence", "garbage", "huge", "close"] {
        setup.get(&format!("X-Do: {what}\r\n")).expect(200, "fine");
        setup.wait_well();
    }
    assert_eq!(setup.target.requests()[0].head.get("x-plugin"), None);
}

#[test]
fn a_plugin_that_crashes_is_started_again() {
    let setup = Setup::new("", "timeout: 15s");
    for round in 0..2 {
        setup.get("X-Do: crash\r\n").expect_own(503, "plugin_failed");
        setup.wait_well();
        assert_eq!(setup.notes("pid").len(), round + 2);
    }
    assert_eq!(setup.gate.metric("smolgate_plugin_restarts_total{plugin=\"p\"}"), 2.0);
    // It was told of its rule each time.
    assert_eq!(setup.notes("route").len(), 3);
}

#[test]
fn rules_refuse_before_the_plugin_is_ready_and_others_serve() {
    let setup = Setup::new("dies", "timeout: 15s");
    setup.get("").expect_own(503, "plugin_failed");
    setup.send("GET / HTTP/1.1\r\nHost: plain.test\r\n\r\n").expect(200, "fine");
    let setup = Setup::new("dies", "on_failure: allow");
    setup.get("").expect(200, "fine");
}

#[test]
fn listening_begins_when_the_plugin_is_ready() {
    let folder = tempfile::tempdir().unwrap();
    let go = folder.path().join("go");
    let helper = std::thread::spawn({
        let calls = folder.path().join("calls");
        move || {
            until("the plugin was told of its rule", || {
                fs::read_to_string(&calls).unwrap_or_default().contains("route")
            });
            fs::write(go, "").unwrap();
        }
    });
    let setup = Setup::within(folder, "later", "timeout: 15s");
    helper.join().unwrap();
    // The very first request passes.
    setup.get("").expect(200, "fine");
    assert!(setup.folder.path().join("go").exists());
}

#[test]
fn a_socket_of_a_stranger_is_not_called() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.sock");
    // A socket of this process, which did not start as a child of the gate.
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    fs::write(folder.path().join("stranger"), path.display().to_string()).unwrap();
    let setup = Setup::within(folder, "stranger", "timeout: 15s");
    setup.get("").expect_own(503, "plugin_failed");
    assert!(setup.target.requests().is_empty());
    drop(listener);
}

#[test]
fn a_process_that_forks_and_ends_leaves_nothing_behind() {
    let setup = Setup::new("fork", "timeout: 15s, on_failure: allow");
    until("it was started again", || {
        setup.gate.metric("smolgate_plugin_restarts_total{plugin=\"p\"}") >= 1.0
    });
    setup.get("").expect(200, "fine");
    let Setup { gate, folder, .. } = setup;
    gate.stop();
    let text = fs::read_to_string(folder.path().join("calls")).unwrap_or_default();
    let pids = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    for pid in pids.filter_map(|note| note.get("pid").cloned()) {
        until("the child has ended", || !is_alive(&pid));
    }
}

#[test]
fn noise_on_the_output_changes_nothing() {
    let setup = Setup::new("noisy", "timeout: 15s");
    setup.get("").expect(200, "fine");
    assert!(setup.target.request().head.get("x-plugin").is_some());
}

#[test]
fn only_so_many_calls_are_open_and_further_ones_fail_at_once() {
    let setup = Setup::new("", "timeout: 1h, max_calls: 2");
    let mut waiting = Vec::new();
    for count in 1..=2 {
        let mut client = setup.gate.client();
        client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Do: silence\r\n\r\n");
        waiting.push(client);
        until("the call is open", || setup.calls(1).len() == count);
    }
    setup.get("").expect_own(503, "plugin_failed");
    assert_eq!(setup.calls_total("on_request", "busy"), 1.0);
    // Calls of clients that have left make room.
    drop(waiting);
    setup.wait_well();
}

#[test]
fn the_chain_has_one_deadline_and_the_first_refusal_decides() {
    let folder = tempfile::tempdir().unwrap();
    let target = Upstream::says("fine");
    let gate = TestGate::start(
        r#"
plugins:
  a: { run: [python3, "{script}", "{folder}"], timeout: 1h }
  b: { run: [python3, "{script}", "{folder}", other], timeout: 1h }
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: short.test, plugins: { names: [a, b], timeout: 200ms }, target: "{target}" }
      - { plugins: [a, b], target: "{target}" }
"#,
        &[("script", &script()), ("folder", &folder.path().display()), ("target", &target.address())],
    );
    let get =
        |host: &str, lines: &str| gate.exchange(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n"));
    get("short.test", "X-Do: silence\r\n").expect_own(503, "plugin_failed");
    assert!(target.requests().is_empty());
    let calls = || fs::read_to_string(folder.path().join("calls")).unwrap().matches("\"t\": 1").count();
    let before = calls();
    get("a.test", "X-Answer: {\"ok\":false,\"s\":402}\r\n").expect(402, "");
    assert_eq!(calls(), before + 1, "the second plugin is not asked");
    get("a.test", "").expect(200, "fine");
    assert_eq!(calls(), before + 3);
}

#[test]
fn a_process_survives_reloads_and_ends_with_its_plugin() {
    let setup = Setup::new("", "timeout: 15s");
    let names = |mode: &'static str, settings: &'static str| (mode, settings);
    let edit = |yaml: &str, (mode, settings): (&'static str, &'static str)| {
        setup.gate.edit(
            yaml,
            &[
                ("script", &script()),
                ("folder", &setup.folder.path().display()),
                ("mode", &mode),
                ("settings", &settings),
                ("target", &setup.target.address()),
            ],
        );
        setup.gate.reload().unwrap();
    };
    setup.get("").expect(200, "fine");
    for round in 0..10 {
        // Another rule each time, and requests go on.
        let rule = format!(
            "    rules:\n      - {{ name: r{round}, host: r.test, plugins: p, target: \"{{target}}\" }}"
        );
        edit(&CONFIG.replace("    rules:", &rule), names("", "timeout: 15s"));
        setup.get("").expect(200, "fine");
        assert_eq!(setup.notes("pid").len(), 1, "the process is the same");
        let wanted = format!("r{round}");
        until("it was told of the rule", || setup.notes("route").iter().any(|note| note["route"] == wanted));
    }
    let first = setup.notes("pid")[0]["pid"].clone();
    assert!(is_alive(&first));
    // Another setting is another process. The new one serves before the old one ends.
    edit(CONFIG, names("", "timeout: 14s"));
    setup.get("").expect(200, "fine");
    let second = setup.notes("pid")[1]["pid"].clone();
    assert_eq!(setup.target.requests().last().unwrap().head.get("x-plugin"), Some(&*second.to_string()));
    until("the old process has ended", || !is_alive(&first));
    assert_eq!(setup.notes("end").len(), 1, "it has ended by itself");
    // A rule that asks no plugin any more.
    edit(&CONFIG.replace("plugins: p, ", ""), names("", "timeout: 14s"));
    setup.get("").expect(200, "fine");
}

#[test]
fn requests_pass_through_a_storm_of_reloads() {
    let setup = Setup::new("", "timeout: 15s");
    std::thread::scope(|scope| {
        let storm = scope.spawn(|| (0..30).for_each(|_| drop(setup.gate.reload().unwrap())));
        let mut pids = HashSet::new();
        while !storm.is_finished() {
            setup.get("").expect(200, "fine");
            let request = setup.target.requests().pop().unwrap();
            pids.insert(request.head.get("x-plugin").unwrap().to_owned());
        }
        assert_eq!(pids.len(), 1);
    });
}

#[test]
fn a_process_that_does_not_end_is_killed_with_the_gate() {
    let setup = Setup::new("stays", "timeout: 15s");
    setup.get("").expect(200, "fine");
    let pid = setup.notes("pid")[0]["pid"].clone();
    assert!(is_alive(&pid));
    let Setup { gate, .. } = setup;
    gate.stop();
    assert!(!is_alive(&pid), "the gate ends after its plugins");
}

#[test]
fn a_plugin_that_no_rule_asks_runs_if_it_starts_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = |settings: &str| {
        CONFIG.replace("plugins: p, ", "").replace("{settings}", settings).replace("{mode}", "")
    };
    let target = Upstream::says("fine");
    let start = |settings: &str| {
        TestGate::start(
            &yaml(settings),
            &[("script", &script()), ("folder", &folder.path().display()), ("target", &target.address())],
        )
    };
    let gate = start("timeout: 15s");
    gate.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fine");
    gate.stop();
    let calls = folder.path().join("calls");
    assert!(!calls.exists(), "it did not run");
    let gate = start("autostart: true");
    let text = fs::read_to_string(&calls).unwrap();
    assert!(text.contains("\"route\": \"\", \"match\": null"), "{text}");
    drop(gate);
}

#[test]
fn a_plugin_decides_about_connections_that_are_passed_on() {
    for (mode, is_passed) in [("", true), ("reject", false)] {
        let folder = tempfile::tempdir().unwrap();
        let target = Upstream::says("fine");
        let gate = TestGate::start(
            &CONFIG.replace("plugins: p, target: ", "plugins: p, pass: "),
            &[
                ("script", &script()),
                ("folder", &folder.path().display()),
                ("mode", &mode),
                ("settings", &"timeout: 15s"),
                ("target", &target.address()),
            ],
        );
        let response = gate.exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
        assert!(calls.contains("\"t\": 3") && calls.contains("\"a\": \"127.0.0.1:"), "{calls}");
        if is_passed {
            response.expect(200, "fine");
        } else {
            response.expect_own(403, "plugin_refused");
            assert!(target.requests().is_empty());
        }
    }
}

/// Runs a plugin of the documentation: a request with its key passes, and another one does not.
fn check_example(run: &str) {
    let target = Upstream::says("fine");
    let gate = TestGate::start(
        r#"
plugins:
  keys: { run: {run}, timeout: 15s }
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { plugins: keys, target: "{target}" }
"#,
        &[("run", &run), ("target", &target.address())],
    );
    let get = |lines: &str| gate.exchange(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n"));
    get("").expect(401, "no key\n");
    get("X-Key: sesame\r\nX-User: root\r\n").expect(200, "fine");
    assert_eq!(target.request().head.all("x-user"), ["ann"]);
}

#[test]
fn the_example_in_python_runs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/plugin.py");
    check_example(&format!("\"{}\"", path.display()));
}

#[test]
fn the_example_in_rust_runs() {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--example", "plugin", "--message-format", "json"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let text = String::from_utf8(built.stdout).unwrap();
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let program = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next();
    check_example(&format!("\"{}\"", program.expect("a program was built").display()));
}
