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
    for verb in ["check", "routes", "explain http://a.localhost:8021/", "run", "reload"] {
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
"
    );
}

#[test]
fn explain_shows_the_rule_that_wins_and_why_the_others_do_not() {
    let place = Place::with(&[("gate.yml", CONFIG)]);
    let explain = |line: &str| place.run(&format!("explain -c gate.yml {line}")).fine();
    assert_eq!(
        explain("http://admin.localhost:8021/users/7"),
        "\
GET http://admin.localhost:8021/users/7 on listener http (:8021)
  1  gate.yml:3  *.example.com /         no: host is admin.localhost, the rule wants *.example.com
  2  gate.yml:5  admin.localhost /users  wins -> http://localhost:8083 (prefix taken off: upstream sees /7)
"
    );
    assert_eq!(
        explain("-X POST http://admin.localhost:8021/usersx?q=1"),
        "\
POST http://admin.localhost:8021/usersx?q=1 on listener http (:8021)
  1  gate.yml:3   *.example.com /             no: host is admin.localhost, the rule wants *.example.com
  2  gate.yml:5   admin.localhost /users      no: path /usersx only begins like /users, which needs a whole segment
  3  gate.yml:9   GET,HEAD admin.localhost /  no: method is POST, the rule wants GET or HEAD
  4  gate.yml:12  old.localhost /             no: host is admin.localhost, the rule wants old.localhost
  no rule takes it: the answer is 404 (no_rule)
"
    );
    let based = explain("http://admin.localhost:8021/x?q=1");
    let wins = "wins -> http://localhost:8084/base (base path put in front: upstream sees /base/x?q=1)\n";
    assert!(based.ends_with(wins), "{based}");
    let moved = explain("http://old.localhost:8021/a?b=c");
    assert!(moved.ends_with("wins -> 301 to https://new.localhost/a?b=c\n"), "{moved}");
}

#[test]
fn explain_finds_the_listener() {
    let place = Place::with(&[("gate.yml", CONFIG)]);
    let only = place.run("explain -c gate.yml http://www.example.com/").fine();
    assert!(only.contains("note: no listener has port 80; this is the only one for HTTP\n"), "{only}");
    assert!(only.contains("  1  "), "{only}");
    let tcp = place.run("explain -c gate.yml http://localhost:8020/").fine();
    assert!(tcp.contains("on listener tcp (:8020)\n"), "{tcp}");
    assert!(tcp.contains("every byte -> localhost:8080; no rule is looked at"), "{tcp}");
    let named = place.run("explain -c gate.yml --listener http http://www.example.com/").fine();
    assert!(!named.contains("note:"), "{named}");
    let err = place.run("explain -c gate.yml --listener nobody http://www.example.com/").failed(2);
    assert!(err.contains("no listener is named `nobody`; there are http (:8021), tcp (:8020)"), "{err}");
}

#[test]
fn explain_knows_rules_that_decide_by_name_under_tls() {
    let config = r#"listeners:
  - name: https
    bind: 443
    tls: { certificates: ./certs }
    rules:
      - { host: "www.example.com", pass: "web:443" }
      - { host: "*.example.com", path_prefix: /api, drop: true }
      - { host: mail.example.com, pass: "mail:443" }
      - { host: evil.example.org, drop: true }
"#;
    let place = Place::with(&[("gate.yml", config)]);
    // The rule that comes too late has a warning as well.
    let explain = |line: &str| place.run(&format!("explain -c gate.yml {line}")).out;
    assert_eq!(
        explain("https://evil.example.org/x"),
        "\
GET https://evil.example.org/x on listener https (:443)
  the name asked for decides, before a byte is answered:
  1  gate.yml:6  www.example.com   no: host is evil.example.org, the rule wants www.example.com
  2  gate.yml:7  *.example.com     no: host is evil.example.org, the rule wants *.example.com
  3  gate.yml:8  mail.example.com  no: host is evil.example.org, the rule wants mail.example.com
  4  gate.yml:9  evil.example.org  wins -> dropped: the connection is closed without an answer
"
    );
    assert_eq!(
        explain("https://mail.example.com/"),
        "\
GET https://mail.example.com/ on listener https (:443)
  the name asked for decides, before a byte is answered:
  1  gate.yml:6  www.example.com  no: host is mail.example.com, the rule wants www.example.com
  2  gate.yml:7  *.example.com    takes the name, and what it does needs a request
  so TLS is terminated here, and the rules are asked again for the request:
  1  gate.yml:6  www.example.com /   no: host is mail.example.com, the rule wants www.example.com
  2  gate.yml:7  *.example.com /api  no: path is /, the rule wants /api or below
  3  gate.yml:8  mail.example.com /  wins -> the answer is 421 (misdirected)
"
    );
    let passed = explain("https://WWW.example.com:443/x");
    assert!(
        passed.ends_with("  1  gate.yml:6  www.example.com  wins -> passed on as it is to web:443\n"),
        "{passed}"
    );
    let address = explain("https://192.0.2.1/");
    assert!(address.contains("; no client asks for an address by name:\n"), "{address}");
    assert!(address.contains("no rule takes it: the answer is 404 (no_rule)"), "{address}");
}

#[test]
fn explain_knows_redirects_to_https() {
    let config = r#"listeners:
  - name: http
    bind: 80
    redirect_to_https: { status: 301, port: 8443 }
    rules:
      - { path_prefix: /.well-known/acme-challenge, target: "http://acme:8402" }
      - { path_prefix: /healthz, in_the_clear: true, redirect: /fine }
"#;
    let place = Place::with(&[("gate.yml", config)]);
    let explain = |line: &str| place.run(&format!("explain -c gate.yml {line}")).fine();
    let said = |status: u16| {
        format!("  redirect_to_https comes before the rules: {status} to https://a.test:8443/x?y\n")
    };
    assert!(explain("http://A.test./x?y").ends_with(&said(301)));
    assert!(explain("-X POST http://a.test/x?y").ends_with(&said(308)));
    let challenge = explain("http://a.test/.well-known/acme-challenge/x");
    assert!(challenge.contains("wins -> http://acme:8402"), "{challenge}");
    let stays = explain("http://a.test/healthz");
    assert!(stays.ends_with("wins -> 308 to /fine\n"), "{stays}");
    let routes = place.run("routes -c gate.yml").fine();
    assert!(routes.contains("  redirect 308 -> /fine, in the clear  "), "{routes}");
}

#[test]
fn explain_knows_paths_that_may_be_read_as_guarded() {
    let config = r#"listeners:
  - name: http
    bind: 80
    redirect_to_https: true
    rules:
      - { path_prefix: /admin/public, in_the_clear: true, target: "http://web:3001" }
      - { path_prefix: /admin, in_the_clear: true, respond: { status: 403 } }
      - { in_the_clear: true, target: "http://web:3000" }
"#;
    let place = Place::with(&[("gate.yml", config)]);
    let explain = |line: &str| place.run(&format!("explain -c gate.yml {line}")).fine();
    let said =
        "wins -> the answer is 400 (path_ambiguous): some servers read this path as one that rule 2 guards\n";
    for path in ["//admin%2Fusers", "//admin//public", "/x/%252e%252e/admin", "//x/admin"] {
        let guarded = explain(&format!("http://a.test{path}"));
        assert!(guarded.ends_with(said), "{path}: {guarded}");
    }
    for (path, port) in [("//users", 3000), ("/admin/public//b", 3001), ("//admin/public", 3000)] {
        let other = explain(&format!("http://a.test{path}"));
        assert!(other.ends_with(&format!("wins -> http://web:{port}\n")), "{path}: {other}");
    }
}

#[test]
fn explain_refuses_requests_that_the_gate_would_refuse() {
    let place = Place::with(&[("gate.yml", CONFIG)]);
    let out = place.run("explain -c gate.yml http://www.example.com:8021/a/%2e%2E/b").fine();
    assert!(out.contains("no rule is looked at: the answer is 400 (request_target): "), "{out}");
    let err = place.run("explain -c gate.yml ftp://x/").failed(2);
    assert!(err.contains("cannot read the URL"), "{err}");
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
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        let head: Vec<String> =
            lines.by_ref().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
        stream.write_all(answer.as_bytes()).unwrap();
        head.join("\n")
    });
    (address, served)
}

#[test]
fn reload_prints_the_answer_of_the_gate() {
    let place = Place::with(&[]);
    let (address, served) = api("200 OK", "2 rules changed in 3 ms\n");
    assert_eq!(place.run(&format!("reload --address {address}")).fine(), "2 rules changed in 3 ms\n");
    assert!(served.join().unwrap().starts_with("GET /reload HTTP/1.1"));

    let (address, served) = api("200 OK", "done");
    assert_eq!(place.run(&format!("reload --restart --address {address}")).fine(), "done\n");
    assert!(served.join().unwrap().starts_with("GET /reload?restart=true HTTP/1.1"));

    let broken = "reloaded in 3 ms, with an error:\nerror: one.key cannot be read\n";
    let (address, served) = api("200 OK", broken);
    assert_eq!(place.run(&format!("reload --address {address}")).failed(1), broken);
    served.join().unwrap();

    let (address, served) = api("422 Unprocessable Entity", "error: `targt` is not a key");
    let err = place.run(&format!("reload --address {address}")).failed(1);
    assert_eq!(err, "error: `targt` is not a key\n");
    served.join().unwrap();

    let (address, served) = api("401 Unauthorized", "no");
    let err = place.run(&format!("reload --address {address}")).failed(3);
    assert!(err.contains("answered 401; give its token with --token"), "{err}");
    served.join().unwrap();
}

#[test]
fn address_and_token_come_from_the_configuration() {
    let (address, served) = api("200 OK", "ready");
    let internal = format!("internal_api: {{ bind: \"{address}\", token: \"a-secret\" }}\n{CONFIG}");
    let place = Place::with(&[("smolgate.yml", &internal)]);
    assert_eq!(place.run("healthcheck").fine(), "ready\n");
    let head = served.join().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("get /readyz http/1.1"), "{head}");
    assert!(head.contains("\nauthorization: bearer a-secret"), "{head}");

    let (address, served) = api("200 OK", "ready");
    place.run(&format!("healthcheck --address {address} --token another")).fine();
    assert!(served.join().unwrap().to_ascii_lowercase().contains("\nauthorization: bearer another"));
}

#[test]
fn a_gate_that_does_not_answer_is_an_error() {
    let place = Place::with(&[]);
    let (address, served) = api("503 Service Unavailable", "draining");
    let err = place.run(&format!("healthcheck --address {address}")).failed(1);
    assert!(err.contains("answered 503") && err.contains("draining"), "{err}");
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
    assert!(err.contains(&format!("cannot listen on port {port}")), "{err}");
}

#[test]
fn an_unknown_level_is_exit_code_2() {
    let place = Place::with(&[("gate.yml", CONFIG)]);
    let mut command = place.command("run -c gate.yml");
    let ended = Ended::from(command.env("RUST_LOG", "==").output().unwrap());
    assert!(ended.failed(2).contains("RUST_LOG"));
}
