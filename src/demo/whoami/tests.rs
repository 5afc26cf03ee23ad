//! Tests of the whole server over real sockets. Clients block, with a deadline on every read.

use super::{Options, Server};
use crate::internal_api::Phase;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Long enough for any machine. Only a failing test waits so long.
const DEADLINE: Duration = Duration::from_secs(30);

fn start() -> Server {
    Server::start(Options { port: 0, name: "api".to_owned(), ..Options::default() }).unwrap()
}

struct Client(BufReader<TcpStream>);

/// The status line and fields in one string, and the body.
type Answer = (String, String);

impl Client {
    fn new(server: &Server) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", server.address().port())).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Client(BufReader::new(stream))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let line = self.line();
            assert!(!line.is_empty(), "closed inside a head: {head:?}");
            head += &line;
        }
        head
    }

    fn bytes(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// Reads one answer with any framing.
    fn answer(&mut self) -> Answer {
        let head = self.head();
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        let body = match length {
            Some(length) => self.bytes(length.parse().unwrap()),
            None if head.contains("Transfer-Encoding: chunked\r\n") => self.chunks().concat(),
            None => self.rest(),
        };
        (head, body)
    }

    fn chunks(&mut self) -> Vec<String> {
        let mut chunks = Vec::new();
        loop {
            let size = usize::from_str_radix(self.line().trim_end(), 16).unwrap();
            let chunk = self.bytes(size);
            assert_eq!(self.line(), "\r\n");
            match size {
                0 => return chunks,
                _ => chunks.push(chunk),
            }
        }
    }

    /// Reads everything up to the close.
    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }
}

/// Sends one request that closes its connection.
fn ask(server: &Server, request: &str) -> Answer {
    let mut client = Client::new(server);
    client.send(request);
    client.answer()
}

#[test]
fn the_report_has_the_name_and_the_request() {
    let server = start();
    let mut client = Client::new(&server);
    let port = client.0.get_ref().local_addr().unwrap().port();
    client.send("POST /a?b=c HTTP/1.1\r\nhOst: x\r\nContent-Length: 5\r\n\r\nhello");
    let (head, body) = client.answer();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"), "{head}");
    // The listener accepts IPv6 too, but shows an IPv4 client with its IPv4 address.
    assert!(
        body.starts_with(&format!("Name: api\nClient: 127.0.0.1:{port}\nBody: 5 bytes, sha256 ")),
        "{body}"
    );
    assert!(body.ends_with("\n\nPOST /a?b=c HTTP/1.1\nhOst: x\nContent-Length: 5\n\nhello\n"), "{body}");
}

#[test]
fn json_comes_when_asked_for() {
    let server = start();
    for request in
        ["GET / HTTP/1.0\r\nAccept: text/x, application/json\r\n\r\n", "GET /?format=json HTTP/1.0\r\n\r\n"]
    {
        let (head, body) = ask(&server, request);
        assert!(head.contains("Content-Type: application/json\r\n"), "{head}");
        let report: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(report["name"], "api");
    }
}

#[test]
fn a_connection_carries_many_requests_pipelined_too() {
    let server = start();
    let mut client = Client::new(&server);
    let request =
        |number| format!("POST /{number} HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n");
    client.send(&(0..50).map(request).collect::<String>());
    for number in 0..50 {
        let (_, body) = client.answer();
        assert!(body.contains(&format!("\nPOST /{number} HTTP/1.1\n")), "{body}");
    }
    client.send("GET /last HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(client.answer().0.contains("Connection: close\r\n"));
    assert_eq!(client.rest(), "");
}

#[test]
fn unread_bodies_do_not_disturb_the_next_request() {
    let server = start();
    let mut client = Client::new(&server);
    client.send("POST /health HTTP/1.1\r\nContent-Length: 5\r\n\r\nhelloGET /next HTTP/1.1\r\n\r\n");
    assert_eq!(client.answer().1, "ok\n");
    assert!(client.answer().1.contains("GET /next HTTP/1.1"));
}

/// `smolgate healthcheck --address` asks a whoami too: in compose.yaml, its container has the image's health check.
#[test]
fn the_health_check_of_a_gate_understands_a_whoami() {
    let server = start();
    let (head, body) = ask(&server, "GET /readyz HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(Phase::of_answer(200, body.trim_end()), Some(Phase::Ready));
}

#[test]
fn echo_streams_back_before_the_body_is_whole() {
    let server = start();
    let mut client = Client::new(&server);
    client.send("POST /echo HTTP/1.1\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
    let head = client.head();
    assert!(
        head.contains("Content-Type: a/b\r\n") && head.contains("Transfer-Encoding: chunked\r\n"),
        "{head}"
    );
    assert_eq!((client.line().as_str(), client.line().as_str()), ("3\r\n", "one\r\n"));
    client.send("3\r\ntwo\r\n0\r\n\r\n");
    assert_eq!(client.chunks(), ["two"]);
    client.send("POST /prefix/echo HTTP/1.1\r\nContent-Length: 4\r\n\r\nfour");
    assert_eq!(client.answer().1, "four");
}

#[test]
fn expect_gets_its_continue_only_where_the_body_is_read() {
    let server = start();
    let mut client = Client::new(&server);
    for target in ["/echo", "/"] {
        client.send(&format!("POST {target} HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
        assert_eq!(client.head(), "HTTP/1.1 100 Continue\r\n\r\n");
        client.send("hi");
        assert!(client.answer().1.contains("hi"));
    }
    client.send("POST /health HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert!(client.answer().0.starts_with("HTTP/1.1 200 OK\r\n"));
    // The client may send the body or not, so only a close is unambiguous.
    assert_eq!(client.rest(), "");
}

#[test]
fn bytes_and_head_have_the_promised_length() {
    let server = start();
    let (head, body) = ask(&server, "GET /bytes?size=200KiB HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(head.contains("Content-Length: 204800\r\n"), "{head}");
    assert_eq!(body.len(), 204_800);
    for target in ["/bytes?size=1GB", "/stream?every=5m", "/echo", "/"] {
        let mut client = Client::new(&server);
        client.send(&format!("HEAD {target} HTTP/1.1\r\nConnection: close\r\n\r\n"));
        assert!(client.head().starts_with("HTTP/1.1 200 OK\r\n"));
        assert_eq!(client.rest(), "", "{target}");
    }
}

#[test]
fn pieces_come_one_by_one() {
    let server = start();
    let mut client = Client::new(&server);
    client.send("GET /stream?chunks=3&every=1ms HTTP/1.1\r\n\r\n");
    client.head();
    assert_eq!(client.chunks(), ["1 of 3 from api\n", "2 of 3 from api\n", "3 of 3 from api\n"]);
    client.send("GET /stream?chunks=1 HTTP/1.1\r\nAccept: text/event-stream\r\n\r\n");
    assert!(client.head().contains("Content-Type: text/event-stream\r\n"));
    assert_eq!(client.chunks(), ["data: 1 of 1 from api\n\n"]);
    // HTTP/1.0 has no chunks, so the close ends the body.
    let (head, body) =
        ask(&server, "GET /stream?chunks=2&every=1ms HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(head.contains("Connection: close\r\n") && !head.contains("chunked"), "{head}");
    assert_eq!(body, "1 of 2 from api\n2 of 2 from api\n");
}

#[test]
fn any_status_and_delay_can_be_asked_for() {
    let server = start();
    assert!(
        ask(&server, "GET /?status=503&delay=1ms HTTP/1.0\r\n\r\n")
            .0
            .starts_with("HTTP/1.1 503 Service Unav")
    );
    assert!(ask(&server, "GET /health?status=418 HTTP/1.0\r\n\r\n").0.starts_with("HTTP/1.1 418 \r\n"));
    for status in [204, 304] {
        let mut client = Client::new(&server);
        client.send(&format!("GET /?status={status} HTTP/1.1\r\n\r\nGET /health HTTP/1.1\r\n\r\n"));
        let head = client.head();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")) && !head.contains("Content-"), "{head}");
        assert_eq!(client.answer().1, "ok\n");
    }
    let (head, body) = ask(&server, "GET /?delay=soon HTTP/1.0\r\n\r\n");
    assert!(
        head.starts_with("HTTP/1.1 400 ") && body.starts_with("delay: `soon` is not a time"),
        "{head}{body}"
    );
}

#[test]
fn an_invalid_request_is_refused_and_its_connection_closed() {
    let server = start();
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    for (request, status) in
        [("GET /\r\n\r\n", 400), ("GET / HTTP/1.1\nHost: x\n\n", 400), (long.as_str(), 431)]
    {
        let mut client = Client::new(&server);
        client.send(request);
        let (head, _) = client.answer();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        assert_eq!(client.rest(), "");
    }
}

#[test]
fn websocket_echoes() {
    use async_tungstenite::tungstenite::Message;
    use futures_lite::StreamExt;
    let server = start();
    let port = server.address().port();
    smol::block_on(async {
        let stream = smol::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let url = format!("ws://localhost:{port}/deep/ws");
        let (mut socket, _) = async_tungstenite::client_async(url, stream).await.unwrap();
        let big = Message::binary(vec![7; 300_000]);
        for message in [Message::text("hello"), big] {
            socket.send(message.clone()).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), message);
        }
        socket.send(Message::Ping("p".into())).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong("p".into()));
        let stopped = smol::unblock(move || server.stop());
        let farewell = socket.next().await.unwrap().unwrap();
        assert!(matches!(farewell, Message::Close(Some(frame)) if frame.reason == "stopping"));
        stopped.await;
    });
    let server = start();
    assert!(ask(&server, "GET /ws HTTP/1.1\r\n\r\n").0.starts_with("HTTP/1.1 426 "));
}

#[test]
fn a_stop_closes_idle_connections_and_lets_the_others_end() {
    let server = start();
    let (mut idle, mut busy) = (Client::new(&server), Client::new(&server));
    idle.send("GET /health HTTP/1.1\r\n\r\n");
    idle.answer();
    busy.send("POST /echo HTTP/1.1\r\nContent-Length: 4\r\n\r\nfi");
    busy.head();
    assert_eq!(busy.bytes(2), "fi");
    let address = server.address();
    let stopping = std::thread::spawn(move || server.stop());
    assert_eq!(idle.rest(), "");
    busy.send("ve");
    assert_eq!(busy.bytes(2), "ve");
    assert_eq!(busy.rest(), "");
    stopping.join().unwrap();
    assert!(TcpStream::connect(("127.0.0.1", address.port())).is_err());
}
