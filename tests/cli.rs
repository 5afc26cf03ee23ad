//! The command line as its users see it: the real program, its output and its exit codes.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};

use support::place::{Ended, Place};

const CONFIG: &str = r#"http_config: { port: ":8021" }
http_routes:
  - host: "*.example.com"
    target: "http://localhost:8085"
  - host: "admin.localhost"
    path_prefix: "/users"
    target: "http://localhost:8083"
    strip_path_prefix: true
  - host: "admin.localhost"
    methods: [GET, HEAD]
    target: "http://localhost:8084/base"
  - host: "old.localhost"
    redirect: { to: "https://new.localhost", status: 301 }
tcp: { port: ":8020", target: "localhost:8080" }
"#;

/// A configuration with two errors.
const BROKEN: &str = r#"http_config: { port: ":8021" }
http_routes:
  - host: "a.localhost"
    targt: "http://localhost:8083"
  - host: "b.localhost"
    target: "gopher://localhost:8083"
"#;

#[test]
fn a_valid_configuration_passes_every_spelling_of_check() {
    let place = Place::with(&[("gate.yml", CONFIG)]);
    for line in ["check -c gate.yml", "-c gate.yml check", "validate -c gate.yml", "-t -c gate.yml"] {
        let out = place.run(line).fine();
        assert!(out.starts_with("gate.yml is valid: 2 listeners, 4 rules"), "{out}");
    }
}

#[test]
fn all_errors_of_a_configuration_are_printed_at_once() {
    let place = Place::with(&[("gate.yml", BROKEN)]);
    for verb in ["check", "routes", "explain http://a.localhost:8021/", "run"] {
        let err = place.run(&format!("{verb} -c gate.yml")).failed(1);
        assert!(err.contains("gate.yml:4:5"), "{verb}: {err}");
        assert!(err.contains("did you mean `target`?"), "{verb}: {err}");
        assert!(err.contains("gate.yml:6:"), "{verb}: {err}");
    }
}

#[test]
fn piped_output_has_no_colours() {
    let place = Place::with(&[("gate.yml", BROKEN)]);
    for (name, value) in [("NO_COLOR", "1"), ("TERM", "dumb"), ("TERM", "xterm")] {
        let output = place.command("check -c gate.yml").env(name, value).output().unwrap();
        assert!(!output.stderr.contains(&0x1b));
    }
    assert!(!place.run("--help").fine().contains('\x1b'));
}

/// `script` of util-linux provides a terminal.
#[test]
fn a_terminal_has_colours_unless_no_color_is_set() {
    let place = Place::with(&[("gate.yml", BROKEN)]);
    let on_terminal = |variable: &[(&str, &str)]| {
        let program = env!("CARGO_BIN_EXE_smolgate");
        let mut command = Command::new("script");
        command.args(["-qec", &format!("'{program}' check -c gate.yml"), "/dev/null"]);
        command.current_dir(place.path()).stdin(Stdio::null()).env_remove("NO_COLOR").env("TERM", "xterm");
        command.envs(variable.iter().copied());
        command.output().ok().map(|output| output.stdout)
    };
    let Some(coloured) = on_terminal(&[]) else {
        eprintln!("skipped: there is no `script` here");
        return;
    };
    assert!(coloured.contains(&0x1b), "{}", String::from_utf8_lossy(&coloured));
    assert!(!on_terminal(&[("NO_COLOR", "1")]).unwrap().contains(&0x1b));
    assert!(on_terminal(&[("NO_COLOR", "")]).unwrap().contains(&0x1b));
    assert!(!on_terminal(&[("TERM", "dumb")]).unwrap().contains(&0x1b));
}

#[test]
fn the_configuration_is_searched_in_order() {
    let route = |name: &str| CONFIG.replace("old.localhost", name);
    let place = Place::with(&[
        ("smolgate.yml", &route("first")),
        ("config/smolgate.yml", &route("second")),
        ("env.yml", &route("env")),
        ("flag.yml", &route("flag")),
    ]);
    let found = |command: &mut Command| Ended::from(command.output().unwrap()).fine();
    let flag = found(place.command("routes -c flag.yml").env("CONFIG_FILE", "env.yml"));
    assert!(flag.contains("  flag  "), "{flag}");
    let env = found(place.command("routes").env("CONFIG_FILE", "env.yml"));
    assert!(env.contains("  env  "), "{env}");
    assert!(found(place.command("routes").env("CONFIG_FILE", "")).contains("  first  "));
    fs::remove_file(place.path().join("smolgate.yml")).unwrap();
    assert!(place.run("routes").fine().contains("  second  "));
}

#[test]
fn without_any_configuration_every_place_is_named() {
    if Path::new("/etc/smolgate/smolgate.yml").exists() {
        return;
    }
    let err = Place::with(&[]).run("check").failed(1);
    for part in ["$CONFIG_FILE", "smolgate.yml", "config/smolgate.yml", "/etc/smolgate/smolgate.yml"] {
        assert!(err.contains(part), "{err}");
    }
    assert_eq!(err.contains("`smolgate demo`"), cfg!(feature = "demo"), "{err}");
    let err = Place::with(&[]).run("check -c missing.yml").failed(1);
    assert!(err.contains("missing.yml"), "{err}");
}

#[test]
fn check_finds_files_and_folders_on_which_run_would_fail() {
    let listener = "listeners: [{ name: a, bind: 0, rules: [{ respond: { status: 200 } }] }]\n";
    let long = format!("/tmp/{}", "x".repeat(200));
    for (line, told) in [
        ("access_log: none/access.log", ":1) cannot be written: none/access.log: No such file"),
        ("access_log: folder", ":1) cannot be written: folder: Is a directory"),
        (
            "internal_api: { bind: \"unix:none/api\" }",
            "(`bind` of `internal_api`, or INTERNAL_API_PORT, says where): No such",
        ),
        ("internal_api: { bind: \"unix:gate.yml\" }", "says where): there is a file that is not a socket"),
        (
            &format!("internal_api: {{ bind: \"unix:{long}\" }}"),
            "says where): path must be shorter than SUN_LEN",
        ),
    ] {
        let place = Place::with(&[("gate.yml", &format!("{line}\n{listener}")), ("folder/file", "")]);
        let check = place.run("check -c gate.yml").failed(1);
        assert!(check.contains(told), "{line}: {check}");
        let run = place.run("run -c gate.yml").failed(3);
        assert!(run.contains(check.trim_end()), "{line}: {check} {run}");
    }
    // Nothing is created.
    for line in ["access_log: new.log", "internal_api: { bind: \"unix:new.sock\" }"] {
        let place = Place::with(&[("gate.yml", &format!("{line}\n{listener}"))]);
        place.run("check -c gate.yml").fine();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1, "{line}");
    }
}

#[test]
fn an_empty_configuration_is_an_error() {
    let place =
        Place::with(&[("gate.yml", ""), ("d/a.yml", "# nothing\n"), ("e/a.yml", ""), ("e/b.yml", CONFIG)]);
    for (name, files) in [("gate.yml", "gate.yml"), ("d", "d/a.yml")] {
        let err = place.run(&format!("check -c {name}")).failed(1);
        assert!(err.starts_with(&format!("error: {files}: the configuration is empty\n")), "{err}");
    }
    place.run("check -c e").fine();
}

#[test]
fn routes_is_an_aligned_table_in_rule_order() {
    let place = Place::with(&[("gate.yml", CONFIG)]);
    assert_eq!(
        place.run("routes -c gate.yml").fine(),
        "\
LISTENER      #  HOST             PATH    METHODS   ACTION                                      WRITTEN AT
http (:8021)  1  *.example.com    /       *         proxy -> http://localhost:8085              gate.yml:3
http (:8021)  2  admin.localhost  /users  *         proxy -> http://localhost:8083, prefix off  gate.yml:5
http (:8021)  3  admin.localhost  /       GET,HEAD  proxy -> http://localhost:8084/base         gate.yml:9
http (:8021)  4  old.localhost    /       *         redirect 301 -> https://new.localhost       gate.yml:12
tcp (:8020)   -  -                -       -         tcp -> localhost:8080                       gate.yml:14

LISTENER      BEFORE ITS RULES
http (:8021)  limits: head of 65536 bytes and 128 fields within 10s, target of 8192 bytes, idle for 60s
"
    );
}

#[test]
fn routes_shows_what_a_listener_does_before_its_rules() {
    let config = r#"listeners:
  - name: web
    bind: 443
    accept_proxy_protocol: ["10.0.0.0/8"]
    trusted_proxies: ["10.1.0.0/16", "::1"]
    head_bytes_max: 16KiB
    tls:
      min_version: "1.3"
      certificates: [./certs, { path: staff.crt, client_auth: { ca: staff.pem } }]
      client_auth: { ca: ca.pem, mode: optional }
    rules: [{ target: "http://web:3000" }]
  - { name: bytes, protocol: tcp, bind: 993, accept_proxy_protocol: ["::1"], target: "mail:143" }
  - { name: moved, bind: 80, redirect_to_https: true }
"#;
    let place = Place::with(&[("gate.yml", config)]);
    let out = place.run("routes -c gate.yml").fine();
    let steps = "
LISTENER      BEFORE ITS RULES
web (:443)    PROXY header required from 10.0.0.0/8
web (:443)    TLS 1.3 within 10s, certificates: certs, staff.crt
web (:443)    client certificate optional, authorities: ca.pem
web (:443)    client certificate required, authorities: staff.pem, for the names of staff.crt
web (:443)    limits: head of 16384 bytes and 128 fields within 10s, target of 8192 bytes, idle for 60s
web (:443)    X-Forwarded-* and Forwarded kept from 10.1.0.0/16, ::1/128
bytes (:993)  PROXY header required from ::1/128
moved (:80)   limits: head of 65536 bytes and 128 fields within 10s, target of 8192 bytes, idle for 60s
moved (:80)   redirect_to_https 308 to port 443, except for ACME challenges and `in_the_clear` rules
";
    assert!(out.ends_with(steps), "{out}");
}

#[test]
fn routes_shows_the_proxy_header_that_a_target_gets() {
    let config = r#"listeners:
  - { name: web, bind: 80, rules: [{ host: a, pass: "a:1", send_proxy_protocol: v1 }, { pass: "b:1" }] }
  - { name: bytes, protocol: tcp, bind: 993, target: "mail:143", send_proxy_protocol: v2 }
"#;
    let out = Place::with(&[("gate.yml", config)]).run("routes -c gate.yml").fine();
    for action in [
        "pass -> a:1, behind a PROXY header (v1) ",
        "pass -> b:1  ",
        "tcp -> mail:143, behind a PROXY header (v2) ",
    ] {
        assert!(out.contains(action), "{action}: {out}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let place = Place::with(&[]);
    for line in [
        "nonsense",
        "--nonsense",
        "explain",
        "-t routes",
        "version -c x.yml",
        "--log-level loud",
        "completion nosuchshell",
        "healthcheck --address :99999",
    ] {
        let ended = place.run(line);
        assert!(!ended.failed(2).is_empty(), "{line}");
    }
}

#[test]
fn version_and_help_go_to_standard_output() {
    let place = Place::with(&[]);
    let version = concat!("smolgate ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(place.run("version").fine(), version);
    assert_eq!(place.run("--version").fine(), version);
    let help = place.run("--help").fine();
    for verb in ["run", "check", "routes", "explain", "reload", "healthcheck", "version", "completion"] {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb}: {help}");
    }
    for verb in ["demo", "whoami"] {
        assert_eq!(help.contains(&format!("\n  {verb} ")), cfg!(feature = "demo"), "{verb}: {help}");
    }
}

#[test]
fn bash_accepts_the_completion_script() {
    let place = Place::with(&[]);
    let script = place.run("completion bash").fine();
    assert!(script.contains("_smolgate()") && script.contains("explain"), "{script}");
    fs::write(place.path().join("completion"), &script).unwrap();
    let bash = Command::new("bash").args(["-n", "completion"]).current_dir(place.path()).output();
    match bash {
        Ok(output) => assert!(output.status.success(), "{output:?}"),
        Err(_) => eprintln!("skipped: there is no bash here"),
    }
    for shell in ["zsh", "fish"] {
        assert!(place.run(&format!("completion {shell}")).fine().contains("explain"));
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let rule = "  - { host: \"a.localhost\", path_prefix: \"/REPLACE\", target: \"http://localhost:1\" }\n";
    let rules: String = (0..5_000).map(|n| rule.replace("REPLACE", &format!("p{n}"))).collect();
    let config = format!("http_config: {{ port: \":8021\" }}\nhttp_routes:\n{rules}");
    let place = Place::with(&[("gate.yml", &config)]);
    for line in ["routes -c gate.yml", "completion bash", "--help"] {
        let mut command = place.command(line);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""), "{line}");
    }
}

/// Answers one request like an internal API, and returns the head of the request.
fn api(status: &'static str, body: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (address, answer(listener, status, body))
}

/// A gate that is ready, and that answers a second request with this.
fn ready_gate(status: &'static str, body: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let probed = answer(listener.try_clone().unwrap(), "200 OK", "ready\n");
    let served = thread::spawn(move || {
        let probe = probed.join().unwrap().to_ascii_lowercase();
        assert!(probe.starts_with("get /readyz ") && !probe.contains("authorization"), "{probe}");
        answer(listener, status, body).join().unwrap()
    });
    (address, served)
}

fn answer(listener: TcpListener, status: &'static str, body: &'static str) -> JoinHandle<String> {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let head: Vec<String> =
            lines.by_ref().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).unwrap();
        head.join("\n")
    })
}

#[test]
fn reload_prints_the_answer_of_the_gate() {
    let place = Place::with(&[]);
    let (address, served) = ready_gate("200 OK", "2 rules changed in 3 ms\n");
    assert_eq!(place.run(&format!("reload --address {address}")).fine(), "2 rules changed in 3 ms\n");
    assert!(served.join().unwrap().starts_with("GET /reload HTTP/1.1"));

    let (address, served) = ready_gate("200 OK", "done");
    assert_eq!(place.run(&format!("reload --restart --address {address}")).fine(), "done\n");
    assert!(served.join().unwrap().starts_with("GET /reload?restart=true HTTP/1.1"));

    let broken = "reloaded in 3 ms, with an error:\nerror: one.key cannot be read\n";
    let (address, served) = ready_gate("200 OK", broken);
    assert_eq!(place.run(&format!("reload --address {address}")).failed(1), broken);
    served.join().unwrap();

    let (address, served) = ready_gate("422 Unprocessable Entity", "error: `targt` is not a key");
    let err = place.run(&format!("reload --address {address}")).failed(1);
    let nothing = "error: nothing has changed: the gate serves its earlier configuration\n";
    assert_eq!(err, format!("error: `targt` is not a key\n{nothing}"));
    served.join().unwrap();

    let (address, served) = ready_gate("401 Unauthorized", "no");
    let err = place.run(&format!("reload --address {address}")).failed(3);
    assert!(err.contains("answered 401; give its token with --token"), "{err}");
    served.join().unwrap();
}

#[test]
fn address_and_token_come_from_the_configuration() {
    let (address, served) = ready_gate("200 OK", "reloaded");
    let internal = format!("internal_api: {{ bind: \"{address}\", token: \"a-secret\" }}\n{CONFIG}");
    let place = Place::with(&[("smolgate.yml", &internal)]);
    assert_eq!(place.run("reload").fine(), "reloaded\n");
    let head = served.join().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("get /reload http/1.1"), "{head}");
    assert!(head.contains("\nauthorization: bearer a-secret"), "{head}");

    let (address, served) = ready_gate("200 OK", "reloaded");
    place.run(&format!("reload --address {address} --token another")).fine();
    assert!(served.join().unwrap().to_ascii_lowercase().contains("\nauthorization: bearer another"));
}

/// A gate that serves has its address, whatever its files hold by now.
#[test]
fn a_broken_configuration_does_not_hide_the_gate() {
    for rest in [BROKEN, "nonsense: [", "http_routes: \"\n", "\tx\n", "services: { a: { labels: [\n"] {
        let (address, served) = api("200 OK", "ready\n");
        let text = format!("internal_api:\n  bind: \"{address}\"\n{rest}");
        let place = Place::with(&[("smolgate.yml", &text)]);
        assert_eq!(place.run("healthcheck").fine(), "ready\n", "{rest}");
        served.join().unwrap();
    }
    for name in ["smolgate.yml", "compose.yaml", "none.yml"] {
        let (address, served) = api("200 OK", "ready\n");
        let place = Place::with(&[(name, "services: [\n")]);
        assert_eq!(
            place.run_with("healthcheck", &[("INTERNAL_API_PORT", &address)]).fine(),
            "ready\n",
            "{name}"
        );
        served.join().unwrap();
    }
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let text = format!("internal_api: {{ bind: \"{closed}\" }}\n{BROKEN}");
    let place = Place::with(&[("smolgate.yml", &text)]);
    for verb in ["healthcheck", "reload"] {
        let err = place.run(verb).failed(1);
        assert!(err.contains("did you mean `target`?"), "{err}");
        assert!(err.contains(&format!("the internal API at {closed} does not answer")), "{err}");
        assert!(err.contains("because the configuration has errors"), "{err}");
    }
}

#[test]
fn another_server_is_no_gate_and_gets_no_token() {
    let place = Place::with(&[]);
    for (status, body) in [
        ("200 OK", "Hostname: whoami\n"),
        ("200 OK", "ok"),
        ("404 Not Found", "nothing"),
        ("503 Busy", "ready"),
    ] {
        for (verb, code) in [("healthcheck", 1), ("reload", 3)] {
            let (address, served) = api(status, body);
            let err = place.run(&format!("{verb} --address {address} --token a-secret")).failed(code);
            assert!(err.contains("is not that of a gate"), "{err}");
            let head = served.join().unwrap();
            assert!(head.starts_with("GET /readyz ") && !head.contains("a-secret"), "{head}");
        }
    }
}

/// The wait for the first answer is short, although a reload may take minutes.
#[test]
fn a_silent_server_does_not_hold_a_reload() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let err = Place::with(&[]).run(&format!("reload --address {address}")).failed(3);
    assert!(err.contains("no answer in time"), "{err}");
}

#[test]
fn check_knows_the_variables_that_run_reads() {
    let place = Place::with(&[("smolgate.yml", CONFIG)]);
    let err = place.run_with("check", &[("LOG_LEVEL", "loud")]).failed(1);
    assert!(err.contains("\"loud\" is not a level"), "{err}");
    let Ended { code, err, .. } = place.run_with("check", &[("SMOLGATE_WACH", "true")]);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("warning: SMOLGATE_WACH is not a variable of the gate"), "{err}");
    assert!(err.contains("did you mean SMOLGATE_WATCH?"), "{err}");
    let Ended { err, .. } = place.run_with("check", &[("INTERNAL_API_PORT", "42030")]);
    assert!(err.contains("INTERNAL_API_PORT names this address"), "{err}");
}

#[test]
fn what_cannot_be_written_or_read_has_a_way_out() {
    let place = Place::with(&[("a.yml", "access_log: no/folder/access.log\nhttp_config: { port: 0 }\n")]);
    let err = place.run("check -c a.yml").failed(1);
    assert!(err.contains("make the folder of that path"), "{err}");
    fs::write(place.path().join("b.yml"), b"\xff\xfe").unwrap();
    let err = place.run("check -c b.yml").failed(1);
    assert!(err.contains("a configuration is text in UTF-8"), "{err}");
}

#[test]
fn a_gate_that_does_not_answer_is_an_error() {
    let place = Place::with(&[]);
    let (address, served) = api("503 Service Unavailable", "draining");
    let err = place.run(&format!("healthcheck --address {address}")).failed(1);
    assert!(err.contains("the gate is not ready: draining"), "{err}");
    served.join().unwrap();

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let err = place.run(&format!("healthcheck --address {closed}")).failed(1);
    assert!(err.contains(&format!("the internal API at {closed} does not answer")), "{err}");
    assert!(err.contains("Is the gate running"), "{err}");
    place.run(&format!("reload --address {closed}")).failed(3);
    place.run("reload --address unix:missing.sock").failed(3);
}

#[cfg(feature = "demo")]
#[test]
fn a_port_in_use_is_exit_code_3() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let place = Place::with(&[]);
    let err = place.run(&format!("whoami --bind 127.0.0.1 --port {port}")).failed(3);
    assert!(
        err.contains(&format!("cannot listen on 127.0.0.1:{port}: "))
            && err.contains("choose another --port"),
        "{err}"
    );
}

#[test]
fn an_unknown_level_is_exit_code_2() {
    let place = Place::with(&[("gate.yml", CONFIG)]);
    let mut command = place.command("run -c gate.yml");
    let ended = Ended::from(command.env("RUST_LOG", "==").output().unwrap());
    assert!(ended.failed(2).contains("RUST_LOG"));
}

#[test]
fn a_key_of_a_store_is_new_each_time_and_valid() {
    let key = || {
        let output = Command::new(env!("CARGO_BIN_EXE_smolgate")).args(["store", "key"]).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).unwrap()
    };
    let (one, other) = (key(), key());
    assert_ne!(one, other);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("smolgate.yml");
    for (key, code) in [(one.trim(), 0), (&one.trim()[1..], 1)] {
        let text = format!(
            "acme: ops@example.com\nstore: {{ s3: {{ bucket: b }}, key: \"{key}\" }}\nlisteners:\n  - {{ name: http, bind: 80, rules: [{{ respond: {{}} }}] }}\n"
        );
        fs::write(&file, text).unwrap();
        let output =
            Command::new(env!("CARGO_BIN_EXE_smolgate")).arg("check").arg("-c").arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
