//! Bytes after a response, without a request. The next request must not get them, wherever the gate or TLS
//! has buffered them. A connection without such bytes must stay in use.

mod support;

use std::net::TcpStream;

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use support::gate::TestGate;
use support::tls::{Authority, Tls};
use support::upstream::{Connection, Upstream};
use support::wire::Transport;

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - target: "{scheme}://{upstream}"
        {tls}
"#;

const TLS: &str = "tls: { insecure_skip_verify: true }";

const SURPLUS: &str = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsurplus";

/// Sizes of whole responses. Buffers are 2, 16 and 64 KiB, and a response may fill several of them in a row.
/// TLS records have 16 KiB at most.
const SIZES: [usize; 11] = [
    200,
    2048,
    4096,
    2 * 2048,
    16_384,
    2048 + 16_384,
    2 * 16_384,
    65_536,
    16_384 + 65_536,
    2048 + 16_384 + 65_536,
    2048 + 16_384 + 2 * 65_536,
];

/// Less than a record holds.
const LAST_BYTES: usize = 8192;

/// Responds to `/123` with a response of 123 bytes and more bytes behind it, and to any other path with the
/// path.
fn generous(connection: &mut Connection) {
    while let Some(request) = connection.read_request() {
        let head = String::from_utf8(request.head.raw.clone()).unwrap();
        let path = head.split(' ').nth(1).unwrap()[1..].to_owned();
        match path.parse::<usize>() {
            Ok(size) => {
                // Send the last bytes of the response and the surplus in one record and one packet. A later
                // surplus could not be distinguished from the next response.
                let bytes = [&response(size), SURPLUS.as_bytes()].concat();
                let (first, last) = bytes.split_at(bytes.len().saturating_sub(LAST_BYTES));
                connection.send(first);
                connection.send(last);
            }
            Err(_) => {
                connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()))
            }
        }
    }
}

/// A response of exactly `size` bytes.
fn response(size: usize) -> Vec<u8> {
    let head = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length:010}\r\n\r\n");
    let body = vec![b'x'; size - head(0).len()];
    [head(body.len()).as_bytes(), &body].concat()
}

/// A gate before a target with that version of TLS, or without TLS.
fn scene(version: Option<&'static SupportedProtocolVersion>) -> (Upstream, TestGate) {
    let upstream = target(version);
    let (scheme, tls) = if version.is_some() { ("https", TLS) } else { ("http", "") };
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream), ("scheme", &scheme), ("tls", &tls)]);
    (upstream, gate)
}

fn target(version: Option<&'static SupportedProtocolVersion>) -> Upstream {
    let Some(version) = version else { return Upstream::scripted(generous) };
    let dir = tempfile::tempdir().unwrap();
    let leaf = Authority::new(dir.path(), "ca.pem").issue(dir.path(), "target", &["127.0.0.1"]);
    let config = leaf.server_with(&[version]);
    let wrap = move |stream: TcpStream| -> Option<Box<dyn Transport>> {
        Some(Box::new(Tls::accept(stream, &config).ok()?))
    };
    Upstream::wrapped(wrap, generous)
}

fn ask(path: &str) -> String {
    format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[track_caller]
fn check_surplus(version: Option<&'static SupportedProtocolVersion>) {
    let (_upstream, gate) = scene(version);
    let mut client = gate.client();
    for size in SIZES.iter().flat_map(|size| size - 1..=size + 1) {
        let given = client.exchange(ask(&size.to_string()));
        assert_eq!((given.status(), given.body.fault.as_ref()), (200, None), "{size} bytes");
        // On this connection and on another, because target connections belong to no client.
        assert_eq!(client.exchange(ask("mine")).text(), "mine", "behind {size} bytes");
        assert_eq!(gate.exchange(ask("also")).text(), "also", "behind {size} bytes");
    }
}

#[test]
fn surplus_of_a_plain_target_is_for_no_client() {
    check_surplus(None);
}

#[test]
fn surplus_of_a_target_with_tls_1_3_is_for_no_client() {
    check_surplus(Some(&TLS13));
}

#[test]
fn surplus_of_a_target_with_tls_1_2_is_for_no_client() {
    check_surplus(Some(&TLS12));
}

/// A server with TLS 1.3 sends session tickets after the handshake, which no read asks for.
#[test]
fn without_surplus_a_connection_is_reused() {
    for version in [None, Some(&TLS12), Some(&TLS13)] {
        let (upstream, gate) = scene(version);
        let mut client = gate.client();
        for number in 0..4 {
            let path = format!("get-{number}");
            assert_eq!(client.exchange(ask(&path)).text(), path);
            // The gate checks a connection more closely before a request that must not be sent again.
            let post = format!("POST /post-{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
            assert_eq!(client.exchange(post).text(), format!("post-{number}"));
        }
        assert_eq!(upstream.connections(), 1, "{version:?}");
    }
}
