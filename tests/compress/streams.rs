//! Compression on streams of HTTP/2: the body goes out in frames, and no byte waits.

use flate2::{Decompress, FlushDecompress};

use super::support::Latch;
use super::support::http2::{Answer, Http2};
use super::support::upstream::Upstream;
use super::{HTML, answer, gate, gunzip, text};

/// The answer to a request on a stream.
#[track_caller]
fn on_stream(client: &mut Http2, method: &str, path: &str, more: &[(&str, &str)]) -> Answer {
    let stream = begin(client, method, path, more);
    client.answer(stream)
}

#[track_caller]
fn begin(client: &mut Http2, method: &str, path: &str, more: &[(&str, &str)]) -> u32 {
    let fields = [
        (":method", method),
        (":scheme", "http"),
        (":path", path),
        (":authority", "h"),
        ("accept-encoding", "gzip"),
    ];
    client.request(&[&fields, more].concat(), true)
}

#[test]
fn responses_on_streams_are_compressed() {
    let body = text(300_000);
    let length = answer("Content-Type: text/html\r\nETag: \"a\"\r\n", &body);
    let head = length[..length.len() - body.len()].to_owned();
    let chunked = format!(
        "HTTP/1.1 200 OK\r\n{HTML}Transfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n{:x}\r\n{body}\r\n0\r\nX-End: yes\r\n\r\n",
        body.len()
    );
    let until_close = format!("HTTP/1.0 200 OK\r\n{HTML}\r\n{body}");
    let upstream = Upstream::each(move |connection, request| match (request.method(), request.target()) {
        ("HEAD", _) => connection.send(&head),
        (_, "/304") => connection.send("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
        (_, "/length") => connection.send(&length),
        (_, "/chunked") => connection.send(&chunked),
        _ => {
            connection.send(&until_close);
            connection.close();
        }
    });
    let gate = gate(&upstream);
    let mut client = Http2::connect(gate.address("http"));
    for path in ["/length", "/chunked", "/until-close", "/own"] {
        let answer = on_stream(&mut client, "GET", path, &[("te", "trailers")]);
        assert_eq!((answer.status, answer.has_ended, answer.reset), (200, true, None), "{path}");
        let expected = if path == "/own" { &body[..3_000] } else { &body };
        assert!(answer.body.len() < expected.len() / 2, "{path}: {}", answer.body.len());
        assert!(gunzip(&answer.body) == expected.as_bytes(), "{path}");
        assert_eq!(
            (answer.get("content-encoding"), answer.get("vary")),
            (Some("gzip"), Some("Accept-Encoding"))
        );
        assert_eq!((answer.get("content-length"), answer.get("transfer-encoding")), (None, None), "{path}");
        let trailers = if path == "/chunked" { vec![("x-end".into(), "yes".into())] } else { Vec::new() };
        assert_eq!(answer.trailers, trailers, "{path}");
    }
    let head = on_stream(&mut client, "HEAD", "/length", &[]);
    assert_eq!((head.get("content-encoding"), head.get("content-length")), (Some("gzip"), None));
    assert_eq!((head.get("etag"), head.body.len(), head.has_ended), (Some("W/\"a\""), 0, true));
    let same = on_stream(&mut client, "GET", "/304", &[("if-none-match", "W/\"a\"")]);
    assert_eq!((same.status, same.get("etag"), same.body.len()), (304, Some("W/\"a\""), 0));
}

#[test]
fn each_byte_of_a_slow_target_arrives_on_its_stream() {
    let latches: Vec<Latch> = (0..10).map(|_| Latch::new()).collect();
    let opened = latches.clone();
    let upstream = Upstream::each(move |connection, _| {
        connection.send(format!("HTTP/1.1 200 OK\r\n{HTML}Transfer-Encoding: chunked\r\n\r\n"));
        for (number, latch) in opened.iter().enumerate() {
            latch.wait();
            connection.send(format!("1\r\n{}\r\n", char::from(b'A' + number as u8)));
        }
        connection.send("0\r\n\r\n");
    });
    let gate = gate(&upstream);
    let mut client = Http2::connect(gate.address("http"));
    let stream = begin(&mut client, "GET", "/", &[]);
    // The head comes before the first byte.
    assert_eq!(client.status(stream), 200);
    let mut all = Vec::with_capacity(1_000);
    let (mut state, mut read) = (Decompress::new_gzip(15), 0);
    for (number, latch) in latches.iter().enumerate() {
        latch.open();
        while all.len() <= number {
            client.until(|client| client.received(stream) > read);
            let body = client.seen(stream).body;
            state.decompress_vec(&body[read..], &mut all, FlushDecompress::Sync).expect("gzip");
            read = body.len();
        }
        assert_eq!(all[number], b'A' + number as u8);
    }
    assert_eq!(gunzip(&client.answer(stream).body), all);
}

#[test]
fn a_target_that_breaks_off_resets_the_stream() {
    let latch = Latch::new();
    let wait = latch.clone();
    let upstream = Upstream::each(move |connection, _| {
        connection.send(format!("HTTP/1.1 200 OK\r\n{HTML}Content-Length: 100000\r\n\r\n{}", text(5_000)));
        wait.wait();
        connection.close();
    });
    let gate = gate(&upstream);
    let mut client = Http2::connect(gate.address("http"));
    let stream = begin(&mut client, "GET", "/", &[]);
    assert_eq!(client.status(stream), 200);
    assert_eq!(client.seen(stream).get("content-encoding"), Some("gzip"));
    latch.open();
    let answer = client.answer(stream);
    assert!(!answer.has_ended && answer.reset.is_some(), "{answer:?}");
}
