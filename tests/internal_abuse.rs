//! Abuse of the internal API: garbage, slow peers, crowds. Other clients always get a response.

mod internal_support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use internal_support::{Answer, Api, PATIENCE, read_all};
use smolgate::internal_api::Limits;

#[test]
fn garbage_is_refused_and_the_next_request_is_served() {
    let api = Api::start();
    for (expected, bytes) in [
        (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        (400, b"GET / HTTP/1.1\nHost: a\n\n".to_vec()),
        (400, b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec()),
        (400, b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n".to_vec()),
        (
            411,
            b"POST /reload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: \xc3\xa9\r\n\r\n"
                .to_vec(),
        ),
        (413, b"POST /reload HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n".to_vec()),
        (431, vec![b'a'; 16 * 1024]),
        (431, [&b"GET / HTTP/1.1\r\n"[..], &b"A: b\r\n".repeat(2_000)].concat()),
        (505, b"GET / HTTP/1.0\r\n\r\n".to_vec()),
        (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
    ] {
        let answer = Answer::of(&api.raw(&bytes));
        assert_eq!(answer.status, expected, "{:?}", String::from_utf8_lossy(&bytes));
    }
    // A field that is not ASCII is neither refused nor causes a panic.
    let cookie = "GET /livez HTTP/1.1\r\nHost: a\r\nCookie: nom=é\r\n\r\n".as_bytes();
    assert_eq!(Answer::of(&api.raw(cookie)).status, 200);
    assert_eq!(api.fake.reloads.load(SeqCst), 0);
}

#[test]
fn slow_peers_are_cut() {
    let short = Duration::from_millis(50);
    let api = Api::with(None, Limits { head_time: short, body_time: short, ..Limits::default() });
    assert_eq!(read_all(&mut api.connect()), "", "a silent peer is closed without a response");
    assert_eq!(Answer::of(&api.raw(b"GET /livez HTTP/1.1\r\nHost: a\r\n")).status, 408);
    let body = b"POST /reload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc";
    assert_eq!(Answer::of(&api.raw(body)).status, 408);
    assert_eq!(api.fake.reloads.load(SeqCst), 0);
}

#[test]
fn dripping_bytes_does_not_extend_the_deadline() {
    let api = Api::with(None, Limits { head_time: Duration::from_millis(200), ..Limits::default() });
    let mut stream = api.connect();
    // The head never ends, and there is never a pause as long as the limit. So this loop ends only if the limit is
    // a total.
    stream.write_all(b"GET /livez HTTP/1.1\r\nX: ").unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut byte = [0; 1];
    for _ in 0..5_000 {
        match stream.read(&mut byte) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            _ => return,
        }
        if stream.write_all(b"a").is_err() {
            return;
        }
    }
    panic!("still open after 5,000 bytes");
}

#[test]
fn a_response_that_is_not_read_is_given_up() {
    // Without any time, only bytes that can be written at once are written.
    let api = Api::with(None, Limits { answer_time: Duration::ZERO, ..Limits::default() });
    let worker = api.fake.counters.worker();
    for index in 0..1_000 {
        worker.upstream(&Arc::from(format!("{index}-{}", "x".repeat(2_000)))).opened.add(1);
    }
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&api.address().into()).unwrap();
    let mut stuck = TcpStream::from(socket);
    stuck.set_read_timeout(Some(PATIENCE)).unwrap();
    stuck.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(stuck.peek(&mut [0; 1]).unwrap(), 1);
    // After a whole exchange, the time of the other connection is over too.
    assert_eq!(api.ask("GET /livez", "").status, 200);
    let answer = read_all(&mut stuck);
    let length: usize =
        answer.split_once("content-length: ").unwrap().1.split("\r\n").next().unwrap().parse().unwrap();
    assert!(answer.len() < length, "{} of {length}", answer.len());
}

#[test]
fn a_peer_that_does_not_read_loses_its_slot() {
    let api = Api::with(None, Limits { answer_time: PATIENCE, connections: 1, ..Limits::default() });
    let worker = api.fake.counters.worker();
    for index in 0..1_000 {
        worker.upstream(&Arc::from(format!("{index}-{}", "x".repeat(2_000)))).opened.add(1);
    }
    let mut stuck = api.connect();
    stuck.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(stuck.peek(&mut [0; 1]).unwrap(), 1);
    assert_eq!(api.ask("GET /livez", "").status, 200);
}

#[test]
fn a_thousand_silent_connections_displace_only_each_other() {
    let limits = Limits { head_time: PATIENCE, ..Limits::default() };
    let api = Api::with(None, limits);
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(4_096);
    let count = usize::try_from(hard).unwrap().saturating_sub(500).min(1_000);
    assert!(count > 2 * limits.connections, "the limit on open files is too low for this test: {hard}");
    let mut crowd: Vec<TcpStream> = (0..count).map(|_| api.connect()).collect();
    for line in ["GET /livez", "POST /reload", "GET /metrics"] {
        assert_eq!(api.ask(line, "").status, 200);
    }
    // All but the newest were closed. None was closed for its age, because that limit is far.
    for stream in &mut crowd[..count - limits.connections] {
        assert_eq!(read_all(stream), "");
    }
    let newest = crowd.last_mut().unwrap();
    newest.write_all(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(Answer::of(&read_all(newest)).status, 200);
}

#[test]
fn waiting_reloads_are_few_and_block_no_other_request() {
    let limits = Limits { connections: 8, ..Limits::default() };
    let api = Api::with(None, limits);
    let (open, gate) = smol::channel::unbounded();
    *api.fake.gate.lock().unwrap() = Some(gate);
    let ask = || {
        let mut stream = api.connect();
        stream.write_all(b"POST /reload HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        stream
    };
    let mut waiting: Vec<TcpStream> = (0..4).map(|_| ask()).collect();
    while api.fake.reloads.load(SeqCst) < 4 {
        std::thread::yield_now();
    }
    assert_eq!(Answer::of(&read_all(&mut ask())).status, 503, "a fifth is told to come back");
    // A crowd that wants slots cannot take those of the reloads.
    let _crowd: Vec<TcpStream> = (0..100).map(|_| api.connect()).collect();
    assert_eq!(api.ask("GET /livez", "").status, 200);
    for _ in 0..4 {
        smol::block_on(open.send(())).unwrap();
    }
    for stream in &mut waiting {
        assert_eq!(Answer::of(&read_all(stream)).status, 200);
    }
    *api.fake.gate.lock().unwrap() = None;
    assert_eq!(api.ask("POST /reload", "").status, 200);
}

#[test]
fn a_connection_inside_a_reload_keeps_its_slot() {
    let api = Api::with(None, Limits { connections: 1, ..Limits::default() });
    let (open, gate) = smol::channel::unbounded();
    *api.fake.gate.lock().unwrap() = Some(gate);
    let mut reloading = api.connect();
    reloading.write_all(b"POST /reload HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    while api.fake.reloads.load(SeqCst) < 1 {
        std::thread::yield_now();
    }
    let probe = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(api.raw(probe), "", "there is one slot, and it is taken");
    smol::block_on(open.send(())).unwrap();
    assert_eq!(Answer::of(&read_all(&mut reloading)).status, 200);
}
