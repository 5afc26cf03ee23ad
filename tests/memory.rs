//! A stuck connection holds one buffer per direction and no more, whatever responds to it.
//!
//! The tests are alone in their binary and run one after the other, because they count the memory of the
//! process. Clients and targets are raw loops over fixed bytes, so the counted memory is the gate's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use smolgate::config::{self, MemoryInputs};
use smolgate::gate::Gate;
use smolgate::worker::LARGE_BUFFER_BYTES;

const CONFIG: &str = r#"
workers: 1
internal_api: { bind: "127.0.0.1:0" }
http_config: { port: "127.0.0.1:0" }
http_routes:
  - { path_prefix: /own, respond: { body: "{body}" } }
  - target: "http://{upstream}"
"#;

/// Connections. Each may hold megabytes of kernel memory.
const CLIENTS: usize = 12;

/// Bytes that a connection may take beside its two buffers: heads, tasks, futures. A build without
/// optimization has larger futures.
const BESIDE: usize = 64 * 1024;

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// One of many requests that get a local reply.
const OWN: &[u8] = b"GET /own HTTP/1.1\r\nHost: a\r\n\r\n";

/// The longest body that a rule may have.
const OWN_BODY_BYTES: usize = 1024 * 1024;

/// One chunk of many, never the last.
static CHUNK: [u8; 0x1000 + 8] = {
    let mut chunk = [b'x'; 0x1000 + 8];
    let (mut at, frame) = (0, *b"1000\r\n\r\n");
    while at < 8 {
        let place = if at < 6 { at } else { 0x1000 + at };
        chunk[place] = frame[at];
        at += 1;
    }
    chunk
};

struct Counting;

/// Bytes that are allocated now.
static LIVE: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed to the system's allocator unchanged.
#[expect(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The channel that collects stuck connections.
type Ends = (Sender<(usize, TcpStream)>, Receiver<(usize, TcpStream)>);

/// The lock that the running test holds.
static TURN: Mutex<()> = Mutex::new(());

/// Sends `head` and then `piece` repeatedly, until the connection is stuck for a while. Passes on the number
/// of bytes and the connection.
fn send_until_stuck(mut stream: TcpStream, head: &[u8], piece: &[u8], stuck: &Sender<(usize, TcpStream)>) {
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    stream.write_all(head).unwrap();
    let mut sent = 0;
    while stream.write_all(piece).is_ok() {
        sent += piece.len();
    }
    stuck.send((sent, stream)).unwrap();
}

/// A target that responds at once and without end, and reads only the head.
fn target(stuck: Sender<(usize, TcpStream)>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, stuck) = (stream.unwrap(), stuck.clone());
            std::thread::spawn(move || {
                stream.read_exact(&mut [0; 40]).unwrap();
                send_until_stuck(stream, RESPONSE, &CHUNK, &stuck);
            });
        }
    });
    address
}

/// Sends `head` and pieces from all clients until they, and `others`, are stuck. Returns bytes sent and bytes
/// held.
fn stuck(
    upstream: SocketAddr,
    head: &'static [u8],
    piece: &'static [u8],
    ends: (Ends, usize),
) -> (usize, usize) {
    let ((stuck, ends), others) = ends;
    let text = CONFIG.replace("{upstream}", &upstream.to_string());
    let text = text.replace("{body}", &"x".repeat(OWN_BODY_BYTES));
    let inputs = MemoryInputs::new().file("smolgate.yml", text);
    let load = move || config::load(&[PathBuf::from("smolgate.yml")], &inputs);
    let gate = Gate::start(Box::new(load)).expect("a gate");
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| TcpStream::connect(gate.address("http").unwrap()).unwrap()).collect();
    let before = LIVE.load(Ordering::Relaxed);
    for client in clients {
        let stuck = stuck.clone();
        std::thread::spawn(move || send_until_stuck(client, head, piece, &stuck));
    }
    let (sent, ends): (Vec<usize>, Vec<TcpStream>) = ends.iter().take(CLIENTS + others).unzip();
    let held = LIVE.load(Ordering::Relaxed).saturating_sub(before);
    drop(ends);
    gate.stop();
    (sent.iter().sum(), held)
}

#[test]
fn an_exchange_stuck_both_ways_holds_one_buffer_per_direction() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let ends = channel();
    let (sent, held) = stuck(target(ends.0.clone()), REQUEST, &CHUNK, (ends, CLIENTS));
    let most = CLIENTS * (2 * LARGE_BUFFER_BYTES + BESIDE);
    eprintln!("{sent} bytes were sent, {held} are held");
    assert!(sent > 2 * most, "{sent} bytes are too few to prove anything");
    assert!(held <= most, "{held} bytes are held for {CLIENTS} connections");
}

/// The body of a rule is in memory once, even if many clients do not read it.
#[test]
fn a_stuck_response_of_a_rule_holds_no_copy_of_its_body() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let nobody = SocketAddr::from(([127, 0, 0, 1], 1));
    let (sent, held) = stuck(nobody, b"", OWN, (channel(), 0));
    let most = CLIENTS * (2 * LARGE_BUFFER_BYTES + BESIDE);
    eprintln!("{} requests were sent, {held} bytes are held", sent / OWN.len());
    assert!(most < CLIENTS * OWN_BODY_BYTES, "a copy each would not be seen");
    assert!(held <= most, "{held} bytes are held for {CLIENTS} connections");
}
