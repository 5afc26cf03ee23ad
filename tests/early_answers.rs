//! Targets that respond before they have read the request. The gate must not lose the boundary of the next
//! request.

mod support;

use std::collections::HashMap;
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use support::client::Client;
use support::gate::TestGate;
use support::message::Response;
use support::upstream::Upstream;
use support::{Latch, pattern};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - target: "http://{upstream}"
"#;

/// A request that occurs only inside the body of another one.
const INNER: &str = "GET /inner HTTP/1.1\r\nHost: inner.test\r\n\r\n";

/// Sizes of uploads, around the capacity of a socket without a reader. With some of them, the last bytes are
/// in the gate's pipe when the response arrives.
fn sizes() -> impl Iterator<Item = usize> {
    let fits = what_a_socket_takes();
    (0..20).map(move |step| fits - 200_000 + step * 30_000)
}

fn what_a_socket_takes() -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut writer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let _unread = listener.accept().unwrap();
    writer.set_write_timeout(Some(STUCK)).unwrap();
    let mut taken = 0;
    while let Ok(count) = writer.write(&[0; 16 * 1024]) {
        taken += count;
    }
    taken
}

/// The time after which a blocked sender counts as stuck.
const STUCK: Duration = Duration::from_millis(200);

/// A target that sends `413` once the client of an upload is stuck or has sent all of it. It reads none of
/// the upload and keeps its socket. Any other request gets its path as the response.
struct Refusing {
    upstream: Upstream,
    sent: Arc<Mutex<HashMap<String, Latch>>>,
}

impl Refusing {
    fn new() -> Self {
        let sent = Arc::new(Mutex::new(HashMap::<String, Latch>::new()));
        let (uploads, unread) = (sent.clone(), Mutex::new(Vec::new()));
        let upstream = Upstream::scripted(move |connection| {
            while let Some(head) = connection.read_head() {
                let upload = uploads.lock().unwrap().get(head.start.split(' ').nth(1).unwrap()).cloned();
                if let Some(latch) = upload {
                    latch.wait();
                    connection.send(
                        "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                    );
                    unread.lock().unwrap().push(connection.writer());
                    return connection.close();
                }
                let request = connection.read_body(head);
                let path = request.target().to_owned();
                connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()));
            }
        });
        Self { upstream, sent }
    }

    /// Sends `bytes`, an upload to `path` and maybe more, on a thread of its own. Returns whether all were
    /// written.
    fn send(&self, path: &str, mut writer: TcpStream, bytes: Vec<u8>) -> JoinHandle<bool> {
        let latch = Latch::new();
        self.sent.lock().unwrap().insert(path.into(), latch.clone());
        thread::spawn(move || {
            writer.set_write_timeout(Some(STUCK)).unwrap();
            let mut left = &bytes[..];
            while !left.is_empty() {
                match writer.write(left) {
                    Ok(count) => left = &left[count..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => latch.open(),
                    // The gate has closed.
                    Err(_) => break,
                }
            }
            latch.open();
            left.is_empty()
        })
    }
}

/// A body longer than the part that may be lost. A gate that loses its position is then among the inner
/// requests.
fn next_body() -> String {
    INNER.repeat(20_000)
}

/// Sends an upload and, behind it, a request whose body has other requests. Returns the responses up to the
/// end of the connection.
fn upload_and_ask(gate: &TestGate, target: &Refusing, path: &str, upload: &[u8]) -> Vec<Response> {
    let mut client = gate.client();
    let body = next_body();
    let next = format!("POST /next HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let sending = target.send(path, client.writer(), [upload, next.as_bytes()].concat());
    let mut answers = Vec::new();
    while answers.len() < 2
        && let Ok(answer) = client.try_read_response("POST")
    {
        answers.push(answer);
    }
    drop(client);
    sending.join().unwrap();
    answers
}

fn expect_no_request_from_inside_a_body(upload: impl Fn(&str, usize) -> Vec<u8>) {
    let target = Refusing::new();
    let gate = TestGate::start(CONFIG, &[("upstream", &target.upstream)]);
    let mut followed = 0;
    for size in sizes() {
        let path = format!("/upload/{size}");
        let answers = upload_and_ask(&gate, &target, &path, &upload(&path, size));
        assert_eq!(answers.first().map(Response::status), Some(413), "{size} bytes");
        if let Some(next) = answers.get(1) {
            next.expect(200, "/next");
            followed += 1;
        }
    }
    for request in target.upstream.requests() {
        assert_eq!(request.target(), "/next", "a part of a body was read as a request");
        assert_eq!(request.body.bytes, next_body().as_bytes());
    }
    assert_eq!(target.upstream.requests().len(), followed);
}

#[test]
fn a_refused_upload_of_known_length_takes_nothing_of_the_next_request() {
    expect_no_request_from_inside_a_body(|path, length| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {length}\r\n\r\n");
        // Inner requests follow each other closely, so a lost position soon meets one.
        let body = INNER.as_bytes().iter().cycle().take(length);
        head.bytes().chain(body.copied()).collect()
    });
}

#[test]
fn a_refused_chunked_upload_takes_nothing_of_the_next_request() {
    expect_no_request_from_inside_a_body(|path, length| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut upload = head.into_bytes();
        for _ in 0..length / 10_000 {
            upload.extend(b"2710\r\n");
            upload.extend(INNER.bytes().cycle().take(10_000));
            upload.extend(b"\r\n");
        }
        upload.extend(b"0\r\n\r\n");
        upload
    });
}

/// The client waits for each response before it sends the next request, as most clients do.
#[test]
fn after_a_refused_upload_the_client_goes_on_or_sees_a_close() {
    let target = Refusing::new();
    let gate = TestGate::start(CONFIG, &[("upstream", &target.upstream)]);
    let mut client: Option<Client> = None;
    for size in sizes() {
        let mut connection = client.take().unwrap_or_else(|| gate.client());
        let path = format!("/upload/{size}");
        let head = format!("POST {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {size}\r\n\r\n");
        let upload = [head.into_bytes(), pattern(7, size)].concat();
        let sending = target.send(&path, connection.writer(), upload);
        let Ok(refused) = connection.try_read_response("POST") else { panic!("{size} bytes: no response") };
        assert_eq!(refused.status(), 413, "{size} bytes");
        let all_sent = sending.join().unwrap();
        if refused.get("Connection") == Some("close") || !all_sent {
            continue;
        }
        let asked = format!("GET /after/{size} HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let answer = connection.try_send(&asked).then(|| connection.try_read_response("GET"));
        let Some(Ok(answer)) = answer else {
            panic!("{size} bytes: the next request was lost on a connection without `close`")
        };
        answer.expect(200, format!("/after/{size}"));
        client = Some(connection);
    }
}
