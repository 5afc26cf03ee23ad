//! Connections that are stuck both ways hold a buffer each way, and no more.
//!
//! Alone in its binary, because it counts the memory of the whole process. Clients and targets are
//! raw loops over fixed bytes, so that what is counted is the gate's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use smolgate::config::{self, Memory};
use smolgate::gate::Gate;
use smolgate::worker::LARGE_BUFFER_BYTES;

const CONFIG: &str = r#"
workers: 1
internal_api: { bind: "127.0.0.1:0" }
http_config: { port: "127.0.0.1:0" }
http_routes:
  - target: "http://{upstream}"
"#;

/// Connections, each of which may hold megabytes of the kernel's memory.
const CLIENTS: usize = 12;

/// What a connection may have of the gate beside its two buffers, in bytes: heads, tasks, futures.
/// A build without optimization has larger futures.
const BESIDE: usize = 64 * 1024;

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

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

// SAFETY: every call goes on to the system's allocator unchanged.
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

/// Sends `head` and then chunks, until nobody has taken any for a while; says how many bytes were sent,
/// and hands over the connection.
fn send_until_stuck(mut stream: TcpStream, head: &[u8], stuck: &Sender<(usize, TcpStream)>) {
    stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    stream.write_all(head).unwrap();
    let mut sent = 0;
    while stream.write_all(&CHUNK).is_ok() {
        sent += CHUNK.len();
    }
    stuck.send((sent, stream)).unwrap();
}

/// A target that answers at once and without end, and reads no more than the head.
fn target(stuck: Sender<(usize, TcpStream)>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, stuck) = (stream.unwrap(), stuck.clone());
            std::thread::spawn(move || {
                stream.read_exact(&mut [0; 40]).unwrap();
                send_until_stuck(stream, RESPONSE, &stuck);
            });
        }
    });
    address
}

#[test]
fn what_is_stuck_both_ways_holds_a_buffer_each_way() {
    let (stuck, ends) = channel();
    let text = CONFIG.replace("{upstream}", &target(stuck.clone()).to_string());
    let inputs = Memory::new().file("smolgate.yml", text);
    let load = move || config::load(&[PathBuf::from("smolgate.yml")], &inputs);
    let gate = Gate::start(Box::new(load)).expect("a gate");
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| TcpStream::connect(gate.address("http").unwrap()).unwrap()).collect();
    let before = LIVE.load(Ordering::Relaxed);
    for client in clients {
        let stuck = stuck.clone();
        std::thread::spawn(move || send_until_stuck(client, REQUEST, &stuck));
    }
    let (sent, ends): (Vec<usize>, Vec<TcpStream>) = ends.iter().take(2 * CLIENTS).unzip();
    let sent: usize = sent.iter().sum();
    let held = LIVE.load(Ordering::Relaxed).saturating_sub(before);
    let most = CLIENTS * (2 * LARGE_BUFFER_BYTES + BESIDE);
    eprintln!("{sent} bytes were sent, {held} are held");
    assert!(sent > 2 * most, "{sent} bytes are too few to prove anything");
    assert!(held <= most, "{held} bytes are held for {CLIENTS} connections");
    drop(ends);
    gate.stop();
}
