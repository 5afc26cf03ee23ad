//! The HTTP/2 engine under `curl`, `nghttp` and `h2load`, which share no code with it.
//!
//! A small server drives the engine over a blocking socket, one thread for each connection. A GET gets as many bytes as
//! its query says, a POST gets its body back, and a body of an odd length has trailers behind it. Without a program,
//! its test says so on standard error and proves nothing.
#![cfg(feature = "http2")]

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

use smolgate::http::HeadLimits;
use smolgate::http2::{
    BlockEncoder, Connection, Event, Limits, Literals, OUTPUT_BYTES_MAX, StreamKey, WindowBudget, Workspace,
    encode_lines,
};

const LIMITS: Limits = Limits {
    streams: 100,
    head: HeadLimits { bytes: 64 * 1024, fields: 128, target: 8 * 1024 },
    extended_connect: false,
};

const HUFFMAN: Literals = Literals { huffman: true, never_indexed: false };

/// Accepts connections until the process ends.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || Server::new(stream.unwrap()).run());
        }
    });
    address
}

/// A connection of the server.
struct Server {
    tcp: TcpStream,
    connection: Connection,
    workspace: Workspace,
    out: Vec<u8>,
    /// The bodies of requests so far.
    uploads: HashMap<StreamKey, Vec<u8>>,
    /// The bodies of responses, and how many bytes of them were sent.
    downloads: HashMap<StreamKey, (Vec<u8>, usize)>,
}

impl Server {
    fn new(tcp: TcpStream) -> Server {
        tcp.set_nodelay(true).unwrap();
        let (mut out, budget) = (Vec::new(), WindowBudget::new(32 * 1024 * 1024));
        let connection = Connection::server(&LIMITS, &budget, Instant::now(), &mut out);
        let (uploads, downloads) = Default::default();
        Server { tcp, connection, workspace: Workspace::default(), out, uploads, downloads }
    }

    /// Serves until the client closes.
    fn run(mut self) {
        let (mut input, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
        while self.flush() {
            match self.tcp.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(read) => input.extend(&buffer[..read]),
            }
            let mut used = 0;
            while let Some(received) = self
                .connection
                .receive(&input[used..], Instant::now(), &mut self.workspace, &mut self.out)
                .expect("the client keeps to the protocol")
            {
                self.take(received.event, &input[used..]);
                used += received.bytes;
                if self.out.len() > OUTPUT_BYTES_MAX && !self.flush() {
                    return;
                }
            }
            input.drain(..used);
            self.send();
        }
    }

    fn flush(&mut self) -> bool {
        let written = self.tcp.write_all(&self.out).is_ok();
        self.out.clear();
        written
    }

    fn take(&mut self, event: Event, bytes: &[u8]) {
        match event {
            Event::Head { stream, ended, .. } => {
                let head = String::from_utf8_lossy(self.workspace.head());
                let size = head.split_once("/?").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
                match ended {
                    true => self.respond(stream, vec![b'x'; size.unwrap_or(5)]),
                    false => _ = self.uploads.insert(stream, Vec::new()),
                }
            }
            Event::Data { stream, data, ended } => {
                self.connection.release_capacity(stream, data.len(), &mut self.out);
                self.uploads.get_mut(&stream).unwrap().extend(&bytes[data]);
                if ended {
                    let body = self.uploads.remove(&stream).unwrap();
                    self.respond(stream, body);
                }
            }
            Event::Reset { stream, .. } => {
                self.downloads.remove(&stream);
                self.connection.close(stream, &mut self.out);
            }
            Event::Handled | Event::Settings | Event::Capacity(_) | Event::GoAway { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    fn respond(&mut self, stream: StreamKey, body: Vec<u8>) {
        let mut block = Vec::new();
        BlockEncoder::new(&mut block, HUFFMAN).status(200);
        encode_lines(b"content-type: text/plain\r\nServer: a-test\r\n", HUFFMAN, &mut block);
        self.connection.send_head(stream, &block, false, &mut self.out);
        self.downloads.insert(stream, (body, 0));
    }

    /// Sends as much of every body as the windows allow.
    fn send(&mut self) {
        let Server { connection, downloads, out, .. } = self;
        downloads.retain(|&stream, (body, sent)| {
            let has_trailers = body.len() % 2 == 1;
            while let Some((bytes, head)) = connection.send_data(stream, body.len() - *sent, !has_trailers) {
                out.extend(head);
                out.extend(&body[*sent..*sent + bytes]);
                *sent += bytes;
                if *sent == body.len() {
                    break;
                }
            }
            if *sent < body.len() {
                return true;
            }
            if has_trailers {
                let mut block = Vec::new();
                encode_lines(b"x-trailer: behind the body\r\n", HUFFMAN, &mut block);
                connection.send_head(stream, &block, true, out);
            }
            connection.close(stream, out);
            false
        });
    }
}

/// Runs a program against the server; `{}` in an argument is its origin. `None` if there is no such program.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    if Command::new(program).arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED: there is no `{program}` on this machine; this test proves nothing here");
        return None;
    }
    let origin = format!("http://{}", serve());
    let mut child = Command::new(program)
        .args(arguments.iter().map(|argument| argument.replace("{}", &origin)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    // A program that reads no input may be gone before it is written.
    let _ = writer.join().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stdout));
    Some(output.stdout)
}

const CURL: &[&str] = &[
    "--disable",
    "--silent",
    "--show-error",
    "--noproxy",
    "*",
    "--max-time",
    "20",
    "--http2-prior-knowledge",
];

fn curl(arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    run("curl", &[CURL, arguments].concat(), input)
}

#[test]
fn curl_downloads_bodies_of_every_size() {
    for size in ["0", "1", "16384", "65535", "65536", "5000001"] {
        let url = format!("{{}}/?{size}");
        let Some(body) = curl(&[&url], b"") else { return };
        assert_eq!(body.len().to_string(), size);
        assert!(body.iter().all(|byte| *byte == b'x'));
    }
}

#[test]
fn curl_gets_back_what_it_uploads() {
    let body: Vec<u8> = (0..3_000_000u32).map(|at| (at * 7 / 3) as u8).collect();
    let Some(echo) = curl(&["--data-binary", "@-", "{}/"], &body) else { return };
    assert!(echo == body, "{} bytes came back", echo.len());
}

#[test]
fn nghttp_finds_heads_data_and_trailers_in_their_order() {
    let Some(said) = run("nghttp", &["--verbose", "--header-table-size=0", "{}/?3"], b"") else { return };
    let said = String::from_utf8_lossy(&said).into_owned();
    let place = |text: &str| said.find(text).unwrap_or_else(|| panic!("no {text} in {said}"));
    assert!(place(":status: 200") < place("server: a-test"));
    assert!(place("server: a-test") < place("xxx"));
    assert!(place("xxx") < place("x-trailer: behind the body"));
    assert!(!said.contains("RST_STREAM"), "{said}");
}

#[test]
fn h2load_gets_every_response_over_shared_connections() {
    for (clients, streams) in [("4", "32"), ("1", "100"), ("16", "1")] {
        let arguments = ["-n", "2000", "-c", clients, "-m", streams, "{}/?1000"];
        let Some(said) = run("h2load", &arguments, b"") else { return };
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(said.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
        assert!(said.contains("status codes: 2000 2xx"), "{said}");
    }
}
