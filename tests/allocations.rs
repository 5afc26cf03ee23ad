//! A kept-alive exchange allocates nothing, after some exchanges that warm up.
//!
//! It is alone in its binary, because it counts the allocations of the whole process. Client and upstream are
//! raw loops over fixed buffers, so only the gate could allocate.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use smolgate::config::{self, MemoryInputs};
use smolgate::gate::Gate;

/// A rule that asks for a token, and forwards its claims.
const TOKENS: &str = r#"
  - host: "a.test"
    path_prefix: "/tokens"
    auth:
      jwt:
        keys: { secret: "a secret of sixty-four bytes that is written here, for tests only" }
        claims: { role: admin }
        forward: { X-User: sub }
    headers: { response: { set: { X-User: "{user} {claim.role}" } } }
    rate_limit: { requests: 1000000, per: 1s, by: user }
    target: "http://{upstream}"
"#;

const CONFIG: &str = r#"
workers: 1
internal_api: { bind: "127.0.0.1:0" }
http_config: { port: "127.0.0.1:0" }
http_routes:
  - host: "other.test"
    target: "http://127.0.0.1:1"
  # Rules with conditions are asked on the way, and none takes the request.
  - { host: "a.test", path_prefix: "/in", header: { X-A: "c*" }, drop: true }
  - { host: "a.test", path_prefix: "/in", query: { y: "x" }, drop: true }
  - { host: "**.test", path: ["/in/*/y", "/in/**.php"], not_from: 10.0.0.0/8, drop: true }
  - host: "a.test"
    path_prefix: "/policies"
    cors: "https://b.test"
    rate_limit: { requests: 1000000, per: 1s, fields: true }
    max_requests: 2
    target: "http://{upstream}"
  - host: "a.test"
    path: "/edited/{id}"
    share: 100%
    rewrite: "/{id}?from={path}"
    request_id: true
    traceparent: true
    headers:
      request: { set: { X-Id: "{id} {request_id} {client}" }, remove: ["X-A*"] }
      response: { set: { X-Id: "{id} {request_id}" }, default: { Cache-Control: no-store }, remove: Server }
    target: "http://{upstream}"
  - host: "a.test"
    path_prefix: "/in"
    strip_path_prefix: true
    target: "http://{upstream}"
"#;

/// Exchanges before the count, in which pools, tables and queues grow to their size.
const WARM_UP: usize = 200;
/// Exchanges that are counted.
const COUNTED: usize = 2_000;
/// Rounds of them.
const ROUNDS: usize = 10;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is passed to the system's allocator unchanged.
#[expect(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Reads from `stream` until the last bytes are `end`; `false` if the stream ends first. Never allocates.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> bool {
    let mut buffer = [0; 4096];
    let mut filled = 0;
    while !buffer[..filled].ends_with(end) {
        match stream.read(&mut buffer[filled..]) {
            Ok(read) if read > 0 => filled += read,
            _ => return false,
        }
    }
    true
}

fn upstream(request_end: &'static [u8], response: &'static [u8]) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                while read_until(&mut stream, request_end) {
                    stream.write_all(response).unwrap();
                }
            });
        }
    });
    address
}

/// Counts the allocations of [`COUNTED`] exchanges, in the best of [`ROUNDS`] rounds.
fn count(
    request: &'static [u8],
    request_end: &'static [u8],
    response: &'static [u8],
    response_end: &'static [u8],
) -> u64 {
    let tokens = if cfg!(feature = "jwt") { TOKENS } else { "" };
    let text =
        format!("{CONFIG}{tokens}").replace("{upstream}", &upstream(request_end, response).to_string());
    let inputs = MemoryInputs::new().file("smolgate.yml", text);
    let load = move || config::load(&[PathBuf::from("smolgate.yml")], &inputs);
    let gate = Gate::start(Box::new(load)).expect("a gate");
    let mut client = TcpStream::connect(gate.address("http").unwrap()).unwrap();
    client.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let mut exchange = || {
        client.write_all(request).unwrap();
        assert!(read_until(&mut client, response_end), "a whole response");
    };
    (0..WARM_UP).for_each(|_| exchange());
    let mut round = || {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        (0..COUNTED).for_each(|_| exchange());
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    // Other threads of the gate allocate now and then. What an exchange allocates shows in every round.
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}

/// A request with a token of PyJWT, for [`TOKENS`].
fn token_request() -> &'static [u8] {
    let made: serde_json::Value = serde_json::from_str(include_str!("tokens/pyjwt.json")).unwrap();
    let token = made["tokens"]["HS256"].as_str().unwrap();
    format!("GET /tokens HTTP/1.1\r\nHost: a.test\r\nAuthorization: Bearer {token}\r\n\r\n").leak().as_bytes()
}

/// Counts the allocations of [`COUNTED`] exchanges over streams of one connection, in the best of [`ROUNDS`] rounds.
/// `request` writes a request for a stream, and each answer ends with DATA that has END_STREAM.
#[cfg(feature = "http2")]
fn count_streams(request: impl Fn(u32, &mut [u8; 512]) -> usize, target: &str) -> u64 {
    let text = CONFIG.replace("http://{upstream}", target);
    let inputs = MemoryInputs::new().file("smolgate.yml", text);
    let load = move || config::load(&[PathBuf::from("smolgate.yml")], &inputs);
    let gate = Gate::start(Box::new(load)).expect("a gate");
    let mut client = TcpStream::connect(gate.address("http").unwrap()).unwrap();
    client.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    client.set_nodelay(true).unwrap();
    client.write_all(smolgate::http2::PREFACE).unwrap();
    client.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0]).unwrap();
    let mut stream = 1;
    let mut exchange = || {
        let mut bytes = [0; 512];
        let length = request(stream, &mut bytes);
        client.write_all(&bytes[..length]).unwrap();
        while !read_frame(&mut client, stream) {}
        stream += 2;
    };
    (0..WARM_UP).for_each(|_| exchange());
    let mut round = || {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        (0..COUNTED).for_each(|_| exchange());
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    (0..ROUNDS).map(|_| round()).min().unwrap_or_default()
}

/// A target that answers each stream of HTTP/2 with a head and five bytes.
#[cfg(feature = "http2")]
fn upstream_of_http2() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_nodelay(true).unwrap();
            std::thread::spawn(move || while answer_frame(&mut stream).is_ok() {});
        }
    });
    address
}

/// Reads a frame, or the preface before the first, and answers the end of a request.
#[cfg(feature = "http2")]
fn answer_frame(stream: &mut TcpStream) -> std::io::Result<()> {
    let (mut head, mut payload) = ([0; 9], [0; 4096]);
    stream.read_exact(&mut head)?;
    if head.starts_with(b"PRI") {
        stream.read_exact(&mut payload[..smolgate::http2::PREFACE.len() - 9])?;
        // SETTINGS, their acknowledgement, and a window for all bodies.
        return stream.write_all(&[
            0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 4, 8, 0, 0, 0, 0, 0, 0x40, 0, 0, 0,
        ]);
    }
    let [_, l1, l2, kind, flags, s0, s1, s2, s3] = head;
    stream.read_exact(&mut payload[..usize::from(u16::from_be_bytes([l1, l2]))])?;
    if kind < 2 && flags & 1 == 1 {
        let status = [0, 0, 1, 1, 4, s0, s1, s2, s3, 0x88];
        let data = [0, 0, 5, 0, 1, s0, s1, s2, s3, b'h', b'e', b'l', b'l', b'o'];
        let mut answer = [0; 24];
        answer[..10].copy_from_slice(&status);
        answer[10..].copy_from_slice(&data);
        stream.write_all(&answer)?;
    }
    Ok(())
}

/// Reads a frame. Whether it is the end of `stream`.
#[cfg(feature = "http2")]
fn read_frame(client: &mut TcpStream, stream: u32) -> bool {
    let (mut head, mut payload) = ([0; 9], [0; 4096]);
    client.read_exact(&mut head).unwrap();
    let [_, l1, l2, kind, flags, s0, s1, s2, s3] = head;
    client.read_exact(&mut payload[..usize::from(u16::from_be_bytes([l1, l2]))]).unwrap();
    assert!(!matches!(kind, 3 | 7), "the gate gave up");
    if kind == 0 {
        // Credit for what was taken.
        let credit = u32::from(u16::from_be_bytes([l1, l2])).to_be_bytes();
        let [c0, c1, c2, c3] = credit;
        client.write_all(&[0, 0, 4, 8, 0, 0, 0, 0, 0, c0, c1, c2, c3]).unwrap();
    }
    u32::from_be_bytes([s0, s1, s2, s3]) == stream && kind < 2 && flags & 1 == 1
}

/// Writes HEADERS with these fields, and DATA if there are any.
#[cfg(feature = "http2")]
fn write_request(stream: u32, fields: &[(&[u8], &[u8])], data: &[u8], out: &mut [u8; 512]) -> usize {
    let mut at = 9;
    let mut put = |bytes: &[u8]| {
        out[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
        at
    };
    let mut end = 9;
    for (name, value) in fields {
        for part in [&[0][..], &[name.len() as u8], name, &[value.len() as u8], value] {
            end = put(part);
        }
    }
    let (block, ends) = (end - 9, u8::from(data.is_empty()));
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    if !data.is_empty() {
        put(&[0, 0, data.len() as u8, 0, 1, s0, s1, s2, s3]);
        end = put(data);
    }
    let [_, _, l1, l2] = (block as u32).to_be_bytes();
    out[..9].copy_from_slice(&[0, l1, l2, 1, 4 | ends, s0, s1, s2, s3]);
    end
}

#[cfg(feature = "http2")]
const FIELDS: [(&[u8], &[u8]); 6] = [
    (b":method", b"GET"),
    (b":scheme", b"http"),
    (b":path", b"/in/x?y=z"),
    (b":authority", b"a.test"),
    (b"user-agent", b"test"),
    (b"x-a", b"b"),
];

#[cfg(feature = "http2")]
fn streams_allocate_nothing() {
    let get = |stream: u32, out: &mut [u8; 512]| write_request(stream, &FIELDS, b"", out);
    let post = |stream: u32, out: &mut [u8; 512]| {
        let mut fields = FIELDS;
        fields[0].1 = b"POST";
        write_request(stream, &fields, b"world", out)
    };
    let plain = upstream(
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    );
    assert_eq!(count_streams(get, &format!("http://{plain}")), 0, "GET over HTTP/2");
    let chunked = upstream(
        b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    );
    let posted = count_streams(post, &format!("http://{chunked}"));
    assert_eq!(posted, 0, "POST over HTTP/2, in chunks to the target and from it");
    let target = format!("h2c://{}", upstream_of_http2());
    // The box in which the stream to a target moves.
    let boxes = COUNTED as u64;
    assert!(count_streams(get, &target) <= boxes, "GET over HTTP/2 on both sides");
    assert!(count_streams(post, &target) <= boxes, "POST over HTTP/2 on both sides");
}

#[test]
fn a_kept_alive_exchange_allocates_nothing() {
    let get = count(
        b"GET /in/x?y=z HTTP/1.1\r\nHost: a.test\r\nUser-Agent: test\r\nAccept: */*\r\nX-A: b\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
        b"hello",
    );
    assert_eq!(get, 0, "GET with a response of known length");
    let post = count(
        b"POST /in HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"0\r\n\r\n",
    );
    assert_eq!(post, 0, "POST, chunked both ways");
    let policies = count(
        b"GET /policies HTTP/1.1\r\nHost: a.test\r\nOrigin: https://b.test\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"hello",
    );
    assert_eq!(policies, 0, "GET with CORS, a rate limit and a limit of open requests");
    let edited = count(
        b"GET /edited/7 HTTP/1.1\r\nHost: a.test\r\nX-A: b\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 5\r\n\r\nhello",
        b"hello",
    );
    assert_eq!(edited, 0, "GET with another path, other fields and an identity");
    if cfg!(feature = "jwt") {
        let with_token = count(
            token_request(),
            b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            b"hello",
        );
        assert_eq!(with_token, 0, "GET with a token that is known");
    }
    #[cfg(feature = "http2")]
    streams_allocate_nothing();
}
