//! `smolgate demo`: a gate with a built-in configuration, two upstreams behind it, and the commands to try. It
//! uses free ports of the loopback address, and nothing on disk.
//!
//! The commands come from [`tries`]. A test sends each of them and checks the answer.

use super::whoami::{Options, Server};
use crate::config::{self, MemoryInputs};
use crate::gate::{CaughtSignals, Explainer, Gate};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// `{users}` and `{api}` stand for the addresses of the two upstreams.
const CONFIGURATION: &str = r#"access_log: { to: stdout, format: human }
internal_api: { bind: "127.0.0.1:0" }
http_config: { port: "127.0.0.1:0" }
http_routes:
  # Tried in this order; the first that matches wins.
  - host: "admin.localhost"
    path_prefix: "/users"
    strip_path_prefix: true
    target: "http://{users}"
  - host: "old.localhost"
    redirect: { to: "http://new.localhost", status: 308 }
  - path_prefix: "/hello"
    respond: { status: 200, body: "hello from the gate itself\n" }
  # Nothing listens there.
  - path_prefix: "/down"
    target: "http://127.0.0.1:1"
  # No host and no path: everything else.
  - target: "http://{api}"
tcp: { port: "127.0.0.1:0", target: "{users}" }
"#;

/// Runs until INT or TERM. The internal API explains by `explainer`. Fails if something cannot be started or printed.
pub fn run(explainer: Explainer) -> io::Result<()> {
    let mut caught = CaughtSignals::new()?;
    let Some(demo) = caught.unless_stopped(Demo::start)?.transpose()? else { return Ok(()) };
    demo.gate.explain_with(explainer);
    let mut out = io::stdout().lock();
    out.write_all(demo.guide().as_bytes())?;
    out.flush()?;
    drop(out);
    // Stop the gate first, because it needs its upstreams while it drains.
    demo.gate.serve_until_stopped(caught)?;
    demo.users.stop();
    demo.api.stop();
    Ok(())
}

struct Demo {
    gate: Gate,
    users: Server,
    api: Server,
    configuration: String,
}

impl Demo {
    fn start() -> io::Result<Demo> {
        let upstream = |name: &str| {
            Server::start(Options { port: 0, name: name.to_owned(), bind: Ipv4Addr::LOCALHOST.into() })
        };
        let (users, api) = (upstream("users")?, upstream("api")?);
        let configuration = CONFIGURATION
            .replace("{users}", &users.address().to_string())
            .replace("{api}", &api.address().to_string());
        let inputs = MemoryInputs::new().file("demo.yml", configuration.clone());
        let load = move || config::load(&[PathBuf::from("demo.yml")], &inputs);
        let gate = Gate::start(Box::new(load)).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Demo { gate, users, api, configuration })
    }

    fn address(&self, endpoint: Endpoint) -> SocketAddr {
        let address = match endpoint {
            Endpoint::Http => self.gate.address("http"),
            Endpoint::Tcp => self.gate.address("tcp"),
            Endpoint::Internal => self.gate.internal_address(),
        };
        address.expect("invariant: the built-in configuration has all three")
    }

    /// The configuration, and a command for each feature.
    fn guide(&self) -> String {
        let mut guide = String::from("A gate with this configuration runs until Ctrl-C:\n\n");
        for line in self.configuration.lines() {
            guide += &format!("    {line}\n");
        }
        guide += "\nTry in another terminal:\n";
        for attempt in tries() {
            guide +=
                &format!("\n  # {}\n  {}\n", attempt.shows, attempt.command(self.address(attempt.endpoint)));
        }
        guide
    }
}

/// The socket that a command connects to.
#[derive(Clone, Copy)]
enum Endpoint {
    Http,
    Tcp,
    Internal,
}

/// A command to try.
struct Try {
    shows: &'static str,
    endpoint: Endpoint,
    /// Options of curl other than header fields.
    options: &'static str,
    fields: &'static [(&'static str, &'static str)],
    target: &'static str,
    /// A part of the expected answer, in lower case.
    #[cfg_attr(not(test), expect(dead_code, reason = "the test's half of the table"))]
    answer: &'static str,
}

impl Try {
    fn command(&self, address: SocketAddr) -> String {
        let options = if self.options.is_empty() { String::new() } else { format!(" {}", self.options) };
        let fields: String =
            self.fields.iter().map(|(name, value)| format!(" -H '{name}: {value}'")).collect();
        format!("curl{options}{fields} 'http://{address}{}'", self.target)
    }
}

#[rustfmt::skip]
fn tries() -> [Try; 11] {
    use Endpoint::{Http, Internal, Tcp};
    /// A request for WebSocket. The key is any 16 bytes in base64.
    const WEBSOCKET: &[(&str, &str)] = &[
        ("Connection", "Upgrade"), ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", "c21vbGdhdGUgaXMgc21vbA=="),
    ];
    [
        Try { shows: "by host and path prefix to `users`, which gets /7: the prefix is stripped", endpoint: Http,
              options: "", fields: &[("Host", "admin.localhost")], target: "/users/7", answer: "get /7 http/1.1" },
        Try { shows: "everything else goes to `api`; see what it received", endpoint: Http,
              options: "", fields: &[], target: "/anything?a=b", answer: "get /anything?a=b http/1.1" },
        Try { shows: "a redirect keeps path and query", endpoint: Http,
              options: "-i", fields: &[("Host", "old.localhost")], target: "/a?b=c", answer: "location: http://new.localhost/a?b=c" },
        Try { shows: "an answer without an upstream", endpoint: Http,
              options: "", fields: &[], target: "/hello", answer: "hello from the gate itself" },
        Try { shows: "when a target is down, the answer says why", endpoint: Http,
              options: "-i", fields: &[], target: "/down", answer: "connect_refused" },
        Try { shows: "a stream is passed on as it comes", endpoint: Http,
              options: "-N", fields: &[], target: "/stream?chunks=5&every=500ms", answer: "1 of 5 from api" },
        Try { shows: "WebSocket needs no option", endpoint: Http,
              options: "-i -N --max-time 1", fields: WEBSOCKET, target: "/ws", answer: "http/1.1 101 " },
        Try { shows: "raw TCP, here to `users`", endpoint: Tcp,
              options: "", fields: &[], target: "/", answer: "name: users" },
        Try { shows: "the internal API: rules in the order in which they are tried", endpoint: Internal,
              options: "", fields: &[], target: "/routes", answer: "admin.localhost" },
        Try { shows: "metrics for Prometheus", endpoint: Internal,
              options: "-s", fields: &[], target: "/metrics", answer: "# type smolgate_requests_total counter" },
        Try { shows: "reload (the built-in configuration never changes; with `smolgate run` edit the file first)", endpoint: Internal,
              options: "-X POST", fields: &[], target: "/reload", answer: "http/1.1 200 " },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpStream;
    use std::time::Duration;

    /// Sends the request that curl would send for `attempt`, and reads until the expected part is there.
    fn ask(attempt: &Try, address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let method = if attempt.options.contains("-X POST") { "POST" } else { "GET" };
        let mut request = format!("{method} {} HTTP/1.1\r\n", attempt.target);
        if !attempt.fields.iter().any(|(name, _)| *name == "Host") {
            request += &format!("Host: {address}\r\n");
        }
        for (name, value) in attempt.fields {
            request += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{request}\r\n").as_bytes()).unwrap();
        let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            let text = String::from_utf8_lossy(&answer).to_lowercase();
            if text.contains(attempt.answer) {
                return text;
            }
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return text,
                Ok(count) => answer.extend_from_slice(&piece[..count]),
            }
        }
    }

    #[test]
    fn every_command_shows_what_it_says() {
        let demo = Demo::start().unwrap();
        for attempt in tries() {
            let answer = ask(&attempt, demo.address(attempt.endpoint));
            assert!(answer.contains(attempt.answer), "{}: {answer}", attempt.shows);
        }
    }

    #[test]
    fn the_guide_has_the_real_addresses() {
        let demo = Demo::start().unwrap();
        let guide = demo.guide();
        for endpoint in [Endpoint::Http, Endpoint::Tcp, Endpoint::Internal] {
            assert!(guide.contains(&format!("'http://{}/", demo.address(endpoint))), "{guide}");
        }
        assert!(!guide.contains("{users}") && !guide.contains("{api}"), "{guide}");
    }
}
