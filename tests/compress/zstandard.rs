//! Compression with Zstandard: which client gets it, and that no byte waits.

use std::process::Command;

use super::support::Latch;
use super::support::message::Framing;
use super::support::upstream::Upstream;
use super::{HTML, answer, gate, gunzip, read_chunk, request, text};

/// Decodes Zstandard as far as it has come.
#[track_caller]
fn unzstd(bytes: &[u8]) -> Vec<u8> {
    let mut context = zstd_safe::DCtx::create();
    let (mut input, mut all) = (zstd_safe::InBuffer::around(bytes), Vec::new());
    while input.pos() < bytes.len() {
        let room = &mut [0; 1_000][..];
        let mut output = zstd_safe::OutBuffer::around(room);
        context.decompress_stream(&mut output, &mut input).expect("Zstandard");
        all.extend(output.as_slice());
    }
    all
}

#[test]
fn zstd_comes_before_gzip_unless_the_client_says_otherwise() {
    let body = text(100_000);
    let upstream = Upstream::answers(answer("Content-Type: text/html\r\nETag: \"a\"\r\n", &body));
    let gate = gate(&upstream);
    for (accept, coding) in [
        ("gzip, deflate, br, zstd", Some("zstd")),
        ("zstd;q=0.2", Some("zstd")),
        ("gzip, zstd;q=0.9", Some("gzip")),
        ("gzip, zstd;q=0", Some("gzip")),
        ("br", None),
    ] {
        let response = gate.exchange(request("GET", "/", &[&format!("Accept-Encoding: {accept}")]));
        assert_eq!(
            (response.get("content-encoding"), response.get("vary")),
            (coding, Some("Accept-Encoding"))
        );
        assert_eq!((response.status(), &response.body.fault), (200, &None));
        let bytes = &response.body.bytes;
        let plain = match coding {
            Some("zstd") => unzstd(bytes),
            Some(_) => gunzip(bytes),
            None => bytes.clone(),
        };
        assert!(plain == body.as_bytes(), "{accept}");
        assert_eq!(response.get("etag"), Some(if coding.is_some() { "W/\"a\"" } else { "\"a\"" }));
    }
    #[cfg(feature = "http2")]
    {
        let mut client = super::support::http2::Http2::connect(gate.address("http"));
        let fields = super::support::http2::get("/");
        let stream = client.request(&[&fields[..], &[("accept-encoding", "gzip, zstd")]].concat(), true);
        let answer = client.answer(stream);
        assert_eq!((answer.get("content-encoding"), answer.has_ended), (Some("zstd"), true));
        assert!(unzstd(&answer.body) == body.as_bytes());
    }
}

/// The target sends a byte when the client has decoded the one before.
#[test]
fn zstd_of_a_slow_target_is_never_held_back() {
    let latches: Vec<Latch> = (0..30).map(|_| Latch::new()).collect();
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
    let mut client = gate.client();
    client.send(request("GET", "/", &["Accept-Encoding: zstd"]));
    assert_eq!(client.read_head().get("content-encoding"), Some("zstd"));
    let mut bytes = Vec::new();
    for (number, latch) in latches.iter().enumerate() {
        latch.open();
        while unzstd(&bytes).len() <= number {
            bytes.extend(read_chunk(&mut client));
        }
        assert_eq!(unzstd(&bytes)[number], b'A' + number as u8);
    }
    assert_eq!(client.read_body(Framing::Chunked).fault, None);
}

/// A decoder that is not the library of the gate.
#[test]
fn zstd_is_read_by_other_programs() {
    let body = text(1_000_000);
    let upstream = Upstream::answers(answer(HTML, &body));
    let gate = gate(&upstream);
    let response = gate.exchange(request("GET", "/", &["Accept-Encoding: zstd"]));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &response.body.bytes).unwrap();
    let output = Command::new("zstd").args(["--decompress", "--stdout"]).arg(file.path()).output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: there is no `zstd` on this machine; this test proves less here");
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == body.as_bytes());
}
