//! The gate under `curl`, a widespread client that is not part of this project.
//!
//! Without `curl`, each test says so on standard error and proves nothing.

mod support;

use std::process::{Command, Stdio};

use support::gate::TestGate;
use support::upstream::Upstream;
use support::{fingerprint, pattern};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - path_prefix: "/old"
        redirect: { to: "{self}/new", status: 301 }
      - path_prefix: "/api"
        target: "http://{upstream}"
        strip_path_prefix: true
      - path_prefix: "/new"
        target: "http://{upstream}"
"#;

/// An upstream that responds with the fingerprint and the length of the body it received.
fn judge() -> Upstream {
    Upstream::each(|connection, request| {
        let body = &request.body.bytes;
        let text =
            format!("{} {} {} {:016x}\n", request.method(), request.target(), body.len(), fingerprint(body));
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len()));
        if request.method() != "HEAD" {
            connection.send(text);
        }
    })
}

/// Runs `curl` against a gate before [`judge`]; `{}` in an argument is the gate's origin. `None` if there is
/// no curl.
fn curl(arguments: &[&str]) -> Option<String> {
    if Command::new("curl").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED: there is no `curl` on this machine; this test proves nothing here");
        return None;
    }
    let upstream = judge();
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream), ("self", &"http://gate.test")]);
    let origin = format!("http://{}", gate.address("http"));
    let arguments = arguments.iter().map(|argument| argument.replace("{}", &origin));
    let output = Command::new("curl")
        .args(["--disable", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*"])
        .args(arguments)
        .output()
        .expect("curl starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    Some(said)
}

#[test]
fn get_and_head() {
    let empty = fingerprint(b"");
    let Some(said) = curl(&["{}/api/users/7?q=1"]) else { return };
    assert_eq!(said, format!("GET /users/7?q=1 0 {empty:016x}\n"));
    let said = curl(&["--head", "{}/api"]).expect("curl is installed");
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
}

#[test]
fn several_requests_on_one_connection() {
    let write = ["--write-out", "%{num_connects} ", "{}/api/1", "{}/api/2", "{}/api/3"];
    let Some(said) = curl(&write) else { return };
    let empty = fingerprint(b"");
    let lines: Vec<_> = (1..=3).map(|n| format!("GET /{n} 0 {empty:016x}\n{} ", u8::from(n == 1))).collect();
    assert_eq!(said, lines.concat());
}

#[test]
fn uploads_with_a_length_and_chunked_and_with_an_expectation() {
    let dir = tempfile::tempdir().unwrap();
    let body = pattern(8, 3 << 20);
    let file = dir.path().join("body");
    std::fs::write(&file, &body).unwrap();
    let (file, print) = (file.to_str().expect("a plain path"), fingerprint(&body));
    let upload = format!("@{file}");
    for extra in [
        ["-H", "X-Nothing: 1"],
        ["-H", "Transfer-Encoding: chunked"],
        ["-H", "Expect: 100-continue"],
        ["-H", "Expect:"],
    ] {
        let Some(said) = curl(&[extra[0], extra[1], "--data-binary", &upload, "{}/api"]) else { return };
        assert_eq!(said, format!("POST / {} {print:016x}\n", body.len()), "{extra:?}");
    }
}

#[test]
fn a_redirect_is_shown() {
    let Some(said) = curl(&["--write-out", "%{http_code} %{redirect_url}", "{}/old/page"]) else { return };
    assert!(said.ends_with("301 http://gate.test/new"), "{said}");
}

#[test]
fn http_1_0_and_no_rule() {
    let empty = fingerprint(b"");
    let Some(said) = curl(&["--http1.0", "{}/new"]) else { return };
    assert_eq!(said, format!("GET /new 0 {empty:016x}\n"));
    let said = curl(&["--write-out", "%{http_code} %header{proxy-status}", "{}/nowhere"])
        .expect("curl is installed");
    assert!(said.ends_with("404 smolgate; error=destination_not_found; details=\"no_rule\""), "{said}");
}
