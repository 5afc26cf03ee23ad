//! Clients of HTTP/2 that others have written, against a gate: curl, nghttp and h2load, which share nghttp2, and Node.
//! Without a program, its test says so on standard error and proves nothing.
#![cfg(feature = "http2")]

mod support;

use std::process::{Command, Output};

use support::gate::TestGate;
use support::tls::Authority;
use support::upstream::Upstream;

/// A gate with TLS and without, in front of an upstream that sends each body back.
struct Setup {
    gate: TestGate,
    ca: std::path::PathBuf,
    dir: tempfile::TempDir,
}

impl Setup {
    fn new() -> Setup {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path(), "ca");
        let leaf = authority.issue(dir.path(), "a", &["localhost"]);
        let upstream = Upstream::each(|connection, request| {
            let body = match request.method() {
                "GET" => request.target().as_bytes(),
                _ => &request.body.bytes,
            };
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            connection.send(body);
        });
        let config = r#"
listeners:
  - { name: http, bind: "127.0.0.1:0", rules: [{ target: "http://{up}" }] }
  - name: tls
    bind: "127.0.0.1:0"
    tls: { certificates: { cert: "{cert}", key: "{key}" } }
    rules: [{ target: "http://{up}" }]
"#;
        let names: support::gate::Names =
            &[("up", &upstream), ("cert", &leaf.cert.display()), ("key", &leaf.key.display())];
        let gate = TestGate::start(config, names).keep(upstream);
        Setup { gate, ca: dir.path().join("ca"), dir }
    }

    fn url(&self, listener: &str, path: &str) -> String {
        let scheme = if listener == "tls" { "https" } else { "http" };
        format!("{scheme}://localhost:{}{path}", self.gate.address(listener).port())
    }

    /// A file with so many bytes.
    fn file(&self, bytes: &[u8]) -> String {
        let path = self.dir.path().join("body");
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }
}

/// Runs a program; `None` if it is not installed.
fn run(program: &str, arguments: &[&str]) -> Option<Output> {
    let output = Command::new(program).args(arguments).env("NO_PROXY", "*").output();
    let Ok(output) = output else {
        eprintln!("{program} is not installed, so nothing was tried");
        return None;
    };
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
    Some(output)
}

#[test]
fn curl_speaks_http2_with_prior_knowledge_and_by_alpn() {
    let setup = Setup::new();
    let bytes = support::pattern(3, 2_000_000);
    let file = setup.file(&bytes);
    let (ca, data) = (setup.ca.display().to_string(), format!("@{file}"));
    for (listener, how) in [("http", "--http2-prior-knowledge"), ("tls", "--http2")] {
        let url = setup.url(listener, "/a?b=c");
        let arguments = ["-sS", "-4", "--cacert", &ca, how, "-w", " %{http_version}", &url];
        let Some(output) = run("curl", &arguments) else { return };
        assert_eq!(String::from_utf8_lossy(&output.stdout), "/a?b=c 2");
        let output = run("curl", &["-sS", "-4", "--cacert", &ca, how, "--data-binary", &data, &url]).unwrap();
        assert!(output.stdout == bytes, "{} bytes came back", output.stdout.len());
        // From standard input the length is not known.
        let output = run(
            "curl",
            &["-sS", "-4", "--cacert", &ca, how, "-X", "PUT", "-T", &file, "-H", "Content-Length:", &url],
        );
        assert!(output.unwrap().stdout == bytes);
    }
}

#[test]
fn nghttp_and_h2load_get_all_responses() {
    let setup = Setup::new();
    let bytes = support::pattern(5, 100_000);
    let file = setup.file(&bytes);
    for listener in ["http", "tls"] {
        let url = setup.url(listener, "/x");
        if let Some(output) = run("nghttp", &["-d", &file, &url]) {
            assert!(output.stdout == bytes, "{} bytes came back", output.stdout.len());
        }
        for more in
            [&["-c", "4", "-m", "50", "-n", "2000"][..], &["-c", "2", "-m", "8", "-n", "100", "-d", &file]]
        {
            let Some(output) = run("h2load", &[more, &[&*url]].concat()) else { return };
            let count = more[5];
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains(&format!("{count} succeeded, 0 failed, 0 errored, 0 timeout")), "{text}");
            assert!(text.contains(&format!("status codes: {count} 2xx")), "{text}");
        }
    }
}

const NODE: &str = r#"
const http2 = require('http2');
const [url, ca] = process.argv.slice(1);
const client = http2.connect(url, { ca: require('fs').readFileSync(ca) });
client.on('error', error => { console.log(error); process.exit(1); });
const body = Buffer.alloc(300000, 'ab');
const ask = number => new Promise((resolve, reject) => {
  const stream = client.request({ ':method': 'POST', ':path': '/' + number });
  let length = 0;
  stream.on('response', headers => { if (headers[':status'] !== 200) reject(headers); });
  stream.on('data', data => { length += data.length; });
  stream.on('end', () => length === body.length ? resolve() : reject(new Error(length)));
  stream.on('error', reject);
  stream.end(body);
});
Promise.all([...Array(50).keys()].map(ask)).then(() => { console.log('all'); client.close(); }, error => { console.log(error); process.exit(1); });
"#;

#[test]
fn node_posts_fifty_bodies_at_once() {
    let setup = Setup::new();
    for listener in ["http", "tls"] {
        let (url, ca) = (setup.url(listener, ""), setup.ca.display().to_string());
        let arguments = ["--dns-result-order=ipv4first", "-e", NODE, &url, &ca];
        let Some(output) = run("node", &arguments) else { return };
        assert_eq!(String::from_utf8_lossy(&output.stdout), "all\n");
    }
}
