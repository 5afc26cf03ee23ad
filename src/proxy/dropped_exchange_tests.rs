//! Exchanges that are dropped at each of their awaits, with the connections they hold. The client gets the beginning
//! of its response and a close. The next client gets its own response.

use std::cell::Cell;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use super::client::Client;
use super::{ActiveListener, Idle, connection, handshake_limit};
use crate::config::{self, MemoryInputs};
use crate::generation::{
    DateHeader, Generation, GenerationHandle, ListenerSnapshot, Permits, Upstreams, WorkerState,
};
use crate::http::FieldTable;
use crate::log::AccessSwitch;
use crate::metrics::Counters;
use crate::tls::TicketKeys;
use crate::upstream::{NameCache, Pools};
use crate::worker::{self, Listener, Worker};

/// Bytes of a body that is larger than sockets and pipes, so that both directions wait.
const LARGE: usize = 6_000_000;

const DEADLINE: Duration = Duration::from_secs(20);

thread_local! {
    /// How many times the next exchange may be pending; `None`: without a limit.
    static LEFT: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Exchanges that end when they are pending more often than they may be.
struct Dropped {
    futures: Pin<Box<dyn Future<Output = Option<Client>>>>,
    left: Option<usize>,
}

fn serve(client: Client) -> Dropped {
    Dropped { futures: Box::pin(connection::serve_requests(client)), left: LEFT.get() }
}

impl Future for Dropped {
    type Output = Option<Client>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Client>> {
        let Poll::Pending = self.futures.as_mut().poll(cx) else { return Poll::Ready(None) };
        match self.left.as_mut() {
            Some(0) => Poll::Ready(None),
            Some(left) => {
                *left -= 1;
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }
}

/// A target that answers with the path. It sets `strange` if it gets a request that no client has sent.
fn target(strange: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let strange = strange.clone();
            std::thread::spawn(move || answer(stream.unwrap(), &strange));
        }
    });
    address
}

fn answer(mut stream: TcpStream, strange: &AtomicBool) {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    while let Some(head) = read_head(&mut stream) {
        let Some(path) = head.split(' ').nth(1).filter(|path| PATHS.contains(path)) else {
            strange.store(true, Ordering::SeqCst);
            return;
        };
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        let body = if path == "/large" { "/large".repeat(LARGE / 6) } else { path.to_owned() };
        let response = match path {
            "/upgrade" => "HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned(),
            _ => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
        };
        if path == "/early" && stream.write_all(response.as_bytes()).is_err() {
            return;
        }
        if std::io::copy(&mut (&stream).take(length), &mut std::io::sink()).is_err() {
            return;
        }
        if path != "/early" && stream.write_all(response.as_bytes()).is_err() {
            return;
        }
        if path == "/upgrade" {
            let _ = std::io::copy(&mut &stream, &mut &stream);
            return;
        }
    }
}

fn read_head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

const PATHS: [&str; 7] = ["/small", "/short", "/long", "/early", "/large", "/upgrade", "/check"];

/// Opens a listener with one rule on this worker. Its exchanges run in [`serve`].
fn open(worker: &Worker, target: SocketAddr) -> SocketAddr {
    let yaml =
        format!("http_config: {{ port: \"127.0.0.1:1\" }}\nhttp_routes:\n  - target: \"http://{target}\"\n");
    let memory = MemoryInputs::default().file("smolgate.yml", &yaml);
    let plan = config::load(&[PathBuf::from("smolgate.yml")], &memory)
        .unwrap_or_else(|error| panic!("{error}"))
        .plan;
    let (names, tickets) = (NameCache::default(), TicketKeys::default());
    let generation =
        Generation::new(1, Arc::new(plan), &names, &tickets, &Arc::default(), AccessSwitch::default(), None);
    let (handle, _) =
        GenerationHandle::new(Arc::new(generation.unwrap_or_else(|_| panic!("it can be built"))));
    let permits = Permits::new(100);
    let idle = Idle::new(worker, &permits);
    let state = Rc::new(WorkerState {
        pools: Pools::new(worker, 0),
        worker: worker.clone(),
        counters: Counters::new().worker(),
        listening: Default::default(),
        plugin_links: Default::default(),
        table: FieldTable::new().into(),
        date: DateHeader::default(),
        permits,
        streams: Default::default(),
        handshakes: handshake_limit(),
    });
    let snapshot = Rc::new(ListenerSnapshot::new(&Rc::new(Upstreams::new(state, handle)), 0));
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    ActiveListener::open_with(snapshot, idle, Listener::new(worker, socket).unwrap(), serve);
    address
}

/// Sends these bytes and returns the response, until the connection ends or `enough` has come.
fn ask(address: SocketAddr, request: &[u8], enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let (mut writer, bytes) = (stream.try_clone().unwrap(), request.to_vec());
    // The write fails if smolgate closes.
    let sending = std::thread::spawn(move || drop(writer.write_all(&bytes)));
    let (mut seen, mut piece) = (Vec::new(), vec![0; 100_000]);
    while !enough(&seen)
        && let Ok(count @ 1..) = stream.read(&mut piece)
    {
        seen.extend(&piece[..count]);
    }
    drop(stream.shutdown(std::net::Shutdown::Both));
    sending.join().unwrap();
    seen
}

/// Whether these bytes are the beginning of a response with `body`.
fn is_beginning(seen: &[u8], body: &[u8]) -> bool {
    let Some(end) = seen.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return seen.is_empty() || b"HTTP/1.1 ".starts_with(&seen[..seen.len().min(9)]);
    };
    let head_is_right = seen.starts_with(b"HTTP/1.1 200 OK\r\n") || seen.starts_with(b"HTTP/1.1 101 ");
    head_is_right && body.starts_with(&seen[end + 4..])
}

#[test]
fn an_exchange_dropped_at_any_await_leaves_nothing_to_the_next() {
    let strange = Arc::new(AtomicBool::new(false));
    let target = target(strange.clone());
    let inner = "GET /inner HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = |path: &str, length: usize| {
        let body: String = inner.chars().cycle().take(length).collect();
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let requests = [
        ("GET /small HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "/small".to_owned()),
        (post("/short", 300), "/short".to_owned()),
        (post("/long", LARGE), "/long".to_owned()),
        (post("/early", LARGE), "/early".to_owned()),
        ("GET /large HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), "/large".repeat(LARGE / 6)),
        (
            "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nping"
                .to_owned(),
            "ping".to_owned(),
        ),
    ];
    let ended = worker::run(|worker| async move {
        let address = open(&worker, target);
        for (request, body) in requests {
            for times in 0..12 {
                LEFT.set(Some(times));
                let (bytes, expected) = (request.clone().into_bytes(), body.clone().into_bytes());
                let right = smol::unblock(move || {
                    let seen = ask(address, &bytes, |seen| seen.ends_with(&expected));
                    is_beginning(&seen, &expected)
                });
                assert!(right.await, "{} dropped after {times}", &request[..20]);
                LEFT.set(None);
                let check = b"GET /check HTTP/1.1\r\nHost: a\r\n\r\n";
                let seen = smol::unblock(move || ask(address, check, |seen| seen.ends_with(b"/check"))).await;
                let seen = String::from_utf8(seen).unwrap();
                assert!(
                    seen.starts_with("HTTP/1.1 200 OK\r\n") && seen.ends_with("\r\n\r\n/check"),
                    "after {} dropped after {times}: {seen:?}",
                    &request[..20]
                );
            }
        }
    });
    ended.unwrap();
    assert!(!strange.load(Ordering::SeqCst), "the target got a request that was never sent");
}
