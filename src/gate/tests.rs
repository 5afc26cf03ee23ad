//! Tests that need the inside of a gate, such as how long a generation lives.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::Gate;
use crate::config::{MemoryInputs, load};

const CONFIG: &str = r#"
internal_api: { bind: "127.0.0.1:0" }
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { host: passed.test, pass: "{target}" }
      - { host: upgraded.test, target: "http://{target}", pass_host: true }
  - name: raw
    bind: "127.0.0.1:0"
    protocol: tcp
    target: "{target}"
"#;

const DEADLINE: Duration = Duration::from_secs(20);

const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

fn read_head(socket: &mut TcpStream) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
}

/// Starts a target that switches protocols on every connection and then echoes.
fn target() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            thread::spawn(move || {
                read_head(&mut socket);
                socket.write_all(SWITCH).unwrap();
                let mut sink = socket.try_clone().unwrap();
                // Ends with an error when the test drops its connection.
                let _ = std::io::copy(&mut socket, &mut sink);
            });
        }
    });
    address
}

/// Opens a connection that has become a tunnel.
fn tunnel(gate: &Gate, listener: &str, host: &str) -> TcpStream {
    let mut socket = TcpStream::connect(gate.address(listener).unwrap()).unwrap();
    socket.set_read_timeout(Some(DEADLINE)).unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    read_head(&mut socket);
    socket
}

#[track_caller]
fn echoes(socket: &mut TcpStream) {
    socket.write_all(b"ping").unwrap();
    let mut back = [0; 4];
    socket.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"ping");
}

#[test]
fn a_tunnel_keeps_no_generation() {
    let inputs = MemoryInputs::new().file("smolgate.yml", CONFIG.replace("{target}", &target().to_string()));
    let gate = Gate::start(Box::new(move || load(&["smolgate.yml".into()], &inputs))).unwrap();
    let mut tunnels = [("http", "passed.test"), ("http", "upgraded.test"), ("raw", "any")]
        .map(|(listener, host)| tunnel(&gate, listener, host));
    tunnels.iter_mut().for_each(echoes);
    let old = Arc::downgrade(&gate.state.current().unwrap());
    assert!(old.strong_count() > 0);
    gate.reload(false).unwrap();
    let since = Instant::now();
    while old.strong_count() > 0 {
        assert!(since.elapsed() < DEADLINE, "{} still hold it", old.strong_count());
        thread::sleep(Duration::from_millis(5));
    }
    tunnels.iter_mut().for_each(echoes);
}

/// The niceness and the scheduling policy (proc(5), fields 19 and 41) of every thread of this process with that
/// name. Empty without `/proc`.
fn courtesy(name: &str) -> Vec<(i32, i32)> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    // A thread of another test may have ended in the meantime.
    let stats = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("stat")).ok());
    let named = format!(" ({name}) ");
    let behind = stats.filter_map(|stat| Some(stat.split_once(&named)?.1.to_owned()));
    let number = |fields: &str, at: usize| fields.split(' ').nth(at - 3).unwrap().parse().unwrap();
    behind.map(|fields| (number(&fields, 19), number(&fields, 41))).collect()
}

#[test]
fn threads_of_reloads_have_low_priority_and_new_workers_do_not() {
    const SCHED_IDLE: i32 = 5;
    let inputs = MemoryInputs::new().file("smolgate.yml", CONFIG.replace("{target}", &target().to_string()));
    let gate = Gate::start(Box::new(move || load(&["smolgate.yml".into()], &inputs))).unwrap();
    gate.reload(false).unwrap();
    gate.reload(true).unwrap();
    let ordinary = (rustix::process::getpriority_process(None).unwrap(), 0);
    let workers = courtesy("worker-0");
    assert!(workers.iter().all(|found| *found == ordinary), "{workers:?}");
    if cfg!(portable) || !Path::new("/proc/self/task").exists() {
        return;
    }
    // A thread has its name and its low priority only once it runs, which may take a while on a busy machine.
    let lowered = ((ordinary.0 + 5).min(19), 0);
    let since = Instant::now();
    loop {
        let (idle, nice) = (courtesy("when-idle"), courtesy("background"));
        if idle.iter().any(|(_, policy)| *policy == SCHED_IDLE) && nice.contains(&lowered) {
            return;
        }
        assert!(since.elapsed() < DEADLINE, "{idle:?} {nice:?}");
        thread::yield_now();
    }
}

#[test]
fn an_internal_api_that_cannot_listen_says_where_and_what_to_change() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let inputs = MemoryInputs::new().file("smolgate.yml", format!("internal_api: {{ bind: '{address}' }}"));
    let started = Gate::start(Box::new(move || load(&["smolgate.yml".into()], &inputs)));
    let error = started.err().expect("the address is taken").to_string();
    for part in [&*address, "`bind` of `internal_api`", "INTERNAL_API_PORT", "choose another address"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}
