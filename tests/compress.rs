//! Compression: which responses are compressed, what their heads say, and that no byte waits.

#![cfg(feature = "compress")]

#[cfg(feature = "http2")]
#[path = "compress/streams.rs"]
mod streams;
mod support;
#[cfg(feature = "zstd")]
#[path = "compress/zstandard.rs"]
mod zstandard;

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flate2::bufread::GzDecoder;
use flate2::{Decompress, FlushDecompress};
use support::client::Client;
use support::gate::TestGate;
use support::message::{Framing, Response};
use support::upstream::Upstream;
use support::{Latch, fingerprint, pattern};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    compress: true
    rules:
      - { path_prefix: /plain, compress: false, target: "{target}" }
      - { path_prefix: /all, compress: { level: 9, min: 0, types: ["image/*", "text/event-stream"], cookies: true }, target: "{target}" }
      - { path_prefix: /own, respond: { headers: { Content-Type: text/plain }, body: "{body}" } }
      - { target: "{target}" }
"#;

fn gate(upstream: &Upstream) -> TestGate {
    TestGate::start(CONFIG, &[("target", upstream), ("body", &text(3_000))])
}

/// A text of many words, without a line end.
fn text(length: usize) -> String {
    let words = (0..length / 5 + 1).map(|number| format!("word{} ", number * number % 1_009));
    let mut text: String = words.collect();
    text.truncate(length);
    text
}

fn request(method: &str, target: &str, fields: &[&str]) -> String {
    let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
}

fn get(gate: &TestGate, target: &str) -> Response {
    gate.exchange(request("GET", target, &["Accept-Encoding: gzip, br"]))
}

#[track_caller]
fn decoded(response: &Response) -> Vec<u8> {
    assert_eq!((response.status(), &response.body.fault), (200, &None), "{response:?}");
    assert_eq!(response.get("content-encoding"), Some("gzip"), "{response:?}");
    assert_eq!((response.get("content-length"), response.body.framing), (None, Framing::Chunked));
    gunzip(&response.body.bytes)
}

/// The bytes of a gzip stream, behind which nothing stands.
#[track_caller]
fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let (mut decoder, mut all) = (GzDecoder::new(bytes), Vec::new());
    decoder.read_to_end(&mut all).expect("a whole gzip stream");
    assert_eq!(decoder.into_inner(), b"");
    all
}

/// A 200 with these fields and a body of known length.
fn answer(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

const HTML: &str = "Content-Type: text/html\r\n";

#[test]
fn a_body_is_shorter_on_its_way_however_the_target_frames_it() {
    let body = text(300_000);
    let chunks: String =
        body.as_bytes().chunks(777).map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), str(chunk))).collect();
    let length = answer("Content-Type: text/html\r\nETag: \"a\"\r\nAccept-Ranges: bytes\r\n", &body);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\n{HTML}Transfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n{chunks}0\r\nX-End: yes\r\n\r\n"
    );
    let until_close = format!("HTTP/1.0 200 OK\r\n{HTML}\r\n{body}");
    let upstream = Upstream::each(move |connection, request| match request.target() {
        "/length" => connection.send(&length),
        "/chunked" => connection.send(&chunked),
        _ => {
            connection.send(&until_close);
            connection.close();
        }
    });
    let gate = gate(&upstream);
    let mut client = gate.client();
    for target in ["/length", "/chunked", "/until-close", "/length"] {
        let fields = ["Accept-Encoding: gzip;q=0.5", "Connection: TE", "TE: trailers"];
        let response = client.exchange(request("GET", target, &fields));
        assert!(decoded(&response) == body.as_bytes(), "{target}");
        assert!(response.body.bytes.len() < body.len() / 2, "{target}: {}", response.body.bytes.len());
        assert_eq!(response.get("vary"), Some("Accept-Encoding"), "{target}");
        let trailers = if target == "/chunked" { vec![("X-End".into(), "yes".into())] } else { Vec::new() };
        assert_eq!(response.body.trailers, trailers, "{target}");
        if target == "/length" {
            assert_eq!((response.get("etag"), response.get("accept-ranges")), (Some("W/\"a\""), None));
        }
    }
    // The target is asked as the client asks.
    assert_eq!(upstream.requests()[0].head.get("accept-encoding"), Some("gzip;q=0.5"));
}

fn str(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn responses_that_stay_as_they_are() {
    let body = text(2_000);
    let answers = [
        ("/image", answer("Content-Type: image/png\r\n", &body)),
        ("/untyped", answer("", &body)),
        ("/short", answer(HTML, &body[..1_023])),
        ("/coded", answer("Content-Type: text/html\r\nContent-Encoding: br\r\n", &body)),
        ("/identity", answer("Content-Type: text/html\r\nContent-Encoding: identity\r\n", &body)),
        ("/fixed", answer("Content-Type: text/html\r\nCache-Control: no-transform\r\n", &body)),
        ("/cookie", answer("Content-Type: text/html\r\nSet-Cookie: a=b\r\n", &body)),
        ("/events", answer("Content-Type: text/event-stream\r\n", &body)),
        ("/plain", answer(HTML, &body)),
    ];
    let known = answers.clone();
    let upstream = Upstream::each(move |connection, request| {
        let known = known.iter().find(|(target, _)| *target == request.target());
        connection.send(&known.expect("a target of the list").1);
    });
    let gate = gate(&upstream);
    for (target, answer) in &answers {
        let response = get(&gate, target);
        assert_eq!(
            response.text().as_bytes(),
            &answer.as_bytes()[answer.len() - response.body.bytes.len()..]
        );
        assert!(response.get("content-length").is_some() && response.get("vary").is_none(), "{target}");
        assert_ne!(response.get("content-encoding"), Some("gzip"), "{target}");
    }
}

#[test]
fn a_client_that_takes_no_gzip_gets_the_plain_form_and_caches_are_told() {
    let body = text(2_000);
    let upstream = Upstream::answers(answer("Content-Type: text/html\r\nETag: \"a\"\r\n", &body));
    let gate = gate(&upstream);
    for accept in [
        "X-Nothing: 1",
        "Accept-Encoding: gzip;q=0",
        "Accept-Encoding: br, identity",
        "Accept-Encoding: *;q=0",
    ] {
        let response = gate.exchange(request("GET", "/", &[accept]));
        response.expect(200, &body);
        assert_eq!((response.get("vary"), response.get("etag")), (Some("Accept-Encoding"), Some("\"a\"")));
    }
    let old = "GET / HTTP/1.0\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n";
    let response = gate.exchange(old);
    response.expect(200, &body);
    assert_eq!(response.get("vary"), Some("Accept-Encoding"));
}

/// A list may be divided into lines (RFC 9110, section 5.3).
#[test]
fn each_line_of_accept_encoding_counts() {
    let body = text(2_000);
    let upstream = Upstream::answers(answer("Content-Type: text/html\r\n", &body));
    let gate = gate(&upstream);
    for (lines, coding) in [
        (["Accept-Encoding: br", "accept-encoding: gzip"], Some("gzip")),
        (["Accept-Encoding: gzip", "Accept-Encoding: gzip;q=0"], None),
        (["Accept-Encoding: gzip;q=0.5", "Accept-Encoding: identity"], None),
    ] {
        let response = gate.exchange(request("GET", "/", &lines));
        assert_eq!(response.get("content-encoding"), coding, "{lines:?}");
    }
}

#[test]
fn keys_say_which_responses_are_compressed() {
    let upstream = Upstream::each(|connection, request| {
        let fields = match request.target() {
            "/all/image" => "Content-Type: image/bmp\r\nSet-Cookie: a=b\r\n",
            "/all/events" => "Content-Type: text/event-stream\r\n",
            _ => HTML,
        };
        connection.send(answer(fields, "a"));
    });
    let gate = gate(&upstream);
    assert_eq!(decoded(&get(&gate, "/all/image")), b"a");
    assert_eq!(decoded(&get(&gate, "/all/events")), b"a");
    get(&gate, "/all/html").expect(200, "a");
}

#[test]
fn head_and_conditional_requests() {
    let body = text(2_000);
    let whole = answer("Content-Type: text/html\r\nETag: \"a\"\r\nVary: Origin\r\n", &body);
    let head = whole[..whole.len() - body.len()].to_owned();
    let upstream = Upstream::each(move |connection, request| {
        let wanted = request.head.get("if-none-match");
        match (request.method(), wanted, request.head.get("if-match"), request.head.get("range")) {
            ("HEAD", ..) => connection.send(&head),
            // A weak comparison (RFC 9110, section 13.1.2).
            (_, Some("W/\"a\"" | "\"a\""), ..) => connection.send("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n"),
            // A strong one, in which a weak tag is never equal (section 13.1.1).
            (_, _, Some(tag), _) if tag.starts_with("W/") => {
                connection.send("HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n");
            }
            (.., Some(_)) => connection.send(
                "HTTP/1.1 206 Partial Content\r\nContent-Type: text/html\r\nContent-Range: bytes 0-1/2000\r\nContent-Length: 2\r\n\r\nwo",
            ),
            _ => connection.send(&whole),
        }
    });
    let gate = gate(&upstream);
    let mut client = gate.client();
    let mut ask =
        |method: &str, more: &str| client.exchange(request(method, "/", &["Accept-Encoding: gzip", more]));
    let response = ask("HEAD", "X: 1");
    assert_eq!((response.status(), response.get("content-encoding")), (200, Some("gzip")));
    assert_eq!(
        (response.get("etag"), response.get("vary")),
        (Some("W/\"a\""), Some("Origin, Accept-Encoding"))
    );
    assert_eq!((response.get("content-length"), response.get("transfer-encoding")), (None, None));
    let whole = ask("GET", "X: 1");
    assert_eq!(decoded(&whole), body.as_bytes());
    let tag = whole.get("etag").expect("a tag").to_owned();
    let response = ask("GET", &format!("If-None-Match: {tag}"));
    assert_eq!((response.status(), response.get("etag")), (304, Some("W/\"a\"")));
    assert_eq!(response.get("vary"), Some("Accept-Encoding"));
    // A client that has the plain form names its tag, which is strong, and the 304 has that.
    let response = ask("GET", "If-None-Match: \"a\"");
    assert_eq!((response.status(), response.get("etag")), (304, Some("\"a\"")));
    assert_eq!(response.get("vary"), Some("Accept-Encoding"));
    assert_eq!(ask("PUT", &format!("If-Match: {tag}")).status(), 412);
    let response = ask("GET", "Range: bytes=0-1");
    response.expect(206, "wo");
    assert_eq!((response.get("content-encoding"), response.get("vary")), (None, None));
}

/// Reads a chunked body of gzip piece by piece.
struct Reader {
    client: Client,
    state: Decompress,
}

impl Reader {
    /// Reads chunks until `count` bytes were decoded.
    fn read(&mut self, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < count {
            let chunk = read_chunk(&mut self.client);
            let mut room = Vec::with_capacity(1_000);
            let before = self.state.total_in();
            self.state.decompress_vec(&chunk, &mut room, FlushDecompress::Sync).expect("gzip");
            assert_eq!(self.state.total_in() - before, chunk.len() as u64);
            all.extend(room);
        }
        all
    }
}

/// Reads a chunk that is not the last one.
fn read_chunk(client: &mut Client) -> Vec<u8> {
    let mut size = String::new();
    while !size.ends_with("\r\n") {
        size.push(char::from(client.read_exact(1)[0]));
    }
    let size = usize::from_str_radix(size.trim_end(), 16).expect("the size of a chunk");
    assert_ne!(size, 0, "the body has ended");
    let mut chunk = client.read_exact(size + 2);
    chunk.truncate(size);
    chunk
}

/// The target sends a byte when the client has decoded the one before.
#[test]
fn each_byte_of_a_slow_target_arrives_before_the_next_is_sent() {
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
    client.send(request("GET", "/", &["Accept-Encoding: gzip"]));
    // The head comes before the first byte.
    let head = client.read_head();
    assert_eq!(head.get("content-encoding"), Some("gzip"));
    let mut reader = Reader { client, state: Decompress::new_gzip(15) };
    for (number, latch) in latches.iter().enumerate() {
        latch.open();
        assert_eq!(reader.read(1), [b'A' + number as u8]);
    }
    assert_eq!(reader.client.read_body(Framing::Chunked).fault, None);
    // The connection serves the next request.
    let response = reader.client.exchange(request("GET", "/", &["Accept-Encoding: gzip"]));
    assert_eq!(decoded(&response).len(), 30);
}

#[test]
fn a_target_that_breaks_off_leaves_a_response_that_is_not_whole() {
    let latch = Latch::new();
    let wait = latch.clone();
    let upstream = Upstream::each(move |connection, _| {
        connection.send(format!("HTTP/1.1 200 OK\r\n{HTML}Content-Length: 100000\r\n\r\n{}", text(5_000)));
        wait.wait();
        connection.close();
    });
    let gate = gate(&upstream);
    let mut client = gate.client();
    client.send(request("GET", "/", &["Accept-Encoding: gzip"]));
    let head = client.read_head();
    assert_eq!(head.get("content-encoding"), Some("gzip"));
    latch.open();
    assert!(client.read_body(Framing::Chunked).fault.is_some());
}

/// Clients leave in the middle, more often than a worker has encoders. Each of them gives its encoder back.
#[test]
fn encoders_of_clients_that_left_serve_others() {
    let upstream = Upstream::each(|connection, _| {
        connection.send(format!("HTTP/1.1 200 OK\r\n{HTML}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"));
        connection.hang();
    });
    let quick = Upstream::answers(answer(HTML, &text(2_000)));
    let gate = TestGate::start(
        "http_config: { port: \"127.0.0.1:0\", compress: true }\nhttp_routes:\n  \
         - { path_prefix: /endless, target: \"{endless}\" }\n  - { target: \"{quick}\" }\n",
        &[("endless", &upstream), ("quick", &quick)],
    );
    for _ in 0..3 {
        let clients: Vec<Client> = (0..40)
            .map(|_| {
                let mut client = gate.client();
                client.send(request("GET", "/endless", &["Accept-Encoding: gzip"]));
                assert_eq!(client.read_head().get("content-encoding"), Some("gzip"));
                client
            })
            .collect();
        clients.into_iter().for_each(Client::reset);
        support::until("all exchanges have ended", || upstream.ended() == upstream.connections());
    }
    assert_eq!(decoded(&get(&gate, "/")).len(), 2_000);
}

/// At most 64 bodies are compressed at once by a worker. Further ones are sent as they are.
#[test]
fn more_responses_than_there_are_encoders() {
    let latch = Latch::new();
    let wait = latch.clone();
    let upstream = Upstream::each(move |connection, _| {
        connection.send(format!("HTTP/1.1 200 OK\r\n{HTML}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"));
        wait.wait();
        connection.send("0\r\n\r\n");
    });
    let gate = gate(&upstream);
    let mut clients: Vec<Client> = (0..70).map(|_| gate.client()).collect();
    let mut coded = 0;
    for client in &mut clients {
        client.send(request("GET", "/", &["Accept-Encoding: gzip"]));
        let head = client.read_head();
        assert_eq!(head.get("vary"), Some("Accept-Encoding"));
        coded += usize::from(head.get("content-encoding").is_some());
    }
    assert_eq!(coded, 64);
    latch.open();
    for client in &mut clients {
        assert_eq!(client.read_body(Framing::Chunked).fault, None);
    }
}

#[test]
fn a_long_body_of_noise_comes_through_unchanged() {
    let body = pattern(5, 3_000_000);
    let wire = [format!("HTTP/1.1 200 OK\r\n{HTML}Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body]
        .concat();
    let upstream = Upstream::answers(wire);
    let response = get(&gate(&upstream), "/");
    assert_eq!(fingerprint(&decoded(&response)), fingerprint(&body));
}

#[test]
fn responses_of_rules_are_compressed_too() {
    let upstream = Upstream::says("");
    let gate = gate(&upstream);
    let mut client = gate.client();
    for _ in 0..2 {
        let response = client.exchange(request("GET", "/own", &["Accept-Encoding: gzip"]));
        assert_eq!(decoded(&response), text(3_000).as_bytes());
    }
    let response = client.exchange(request("HEAD", "/own", &["Accept-Encoding: gzip"]));
    assert_eq!((response.get("content-encoding"), response.get("content-length")), (Some("gzip"), None));
    client.exchange(request("GET", "/own", &[])).expect(200, text(3_000));
    let last = client.exchange(request("GET", "/own", &["Accept-Encoding: gzip", "Connection: close"]));
    assert_eq!(decoded(&last), text(3_000).as_bytes());
    client.expect_close();
}

#[cfg(feature = "files")]
#[test]
fn files_are_compressed_too() {
    let dir = tempfile::tempdir().unwrap();
    for (name, length) in [("short.css", 2_000), ("long.js", 300_000), ("tiny.css", 1_023), ("a.png", 2_000)]
    {
        std::fs::write(dir.path().join(name), text(length)).unwrap();
    }
    let gate = TestGate::start(
        "http_config: { port: \"127.0.0.1:0\" }\nhttp_routes: [{ compress: true, files: \"{root}\" }]\n",
        &[("root", &dir.path().display())],
    );
    let mut client = gate.client();
    for (target, length) in [("/short.css", 2_000), ("/long.js", 300_000), ("/short.css", 2_000)] {
        let response = client.exchange(request("GET", target, &["Accept-Encoding: gzip"]));
        assert_eq!(decoded(&response), text(length).as_bytes());
        let tag = response.get("etag").expect("a tag").to_owned();
        assert!(tag.starts_with("W/"), "{tag}");
        let fields = ["Accept-Encoding: gzip", &format!("If-None-Match: {tag}")];
        let response = client.exchange(request("GET", target, &fields));
        assert_eq!((response.status(), response.get("etag")), (304, Some(&*tag)));
        let response =
            client.exchange(request("GET", target, &["Accept-Encoding: gzip", "Range: bytes=0-3"]));
        response.expect(206, "word");
        let response = client.exchange(request("HEAD", target, &["Accept-Encoding: gzip"]));
        assert_eq!((response.status(), response.get("content-encoding")), (200, Some("gzip")));
        client.exchange(request("GET", target, &[])).expect(200, text(length));
        // A 304 has the tag of the 200 that this client would get.
        for (tag, accept) in [(tag.as_str(), "gzip"), (tag.trim_start_matches("W/"), "br")] {
            for known in [tag, "*"] {
                let (accept, known) =
                    (format!("Accept-Encoding: {accept}"), format!("If-None-Match: {known}"));
                let response = client.exchange(request("GET", target, &[&accept, &known]));
                assert_eq!((response.status(), response.get("etag")), (304, Some(tag)));
                assert_eq!(response.get("vary"), Some("Accept-Encoding"));
            }
        }
    }
    for target in ["/tiny.css", "/a.png"] {
        let plain = client.exchange(request("GET", target, &["Accept-Encoding: gzip"]));
        let tag = plain.get("etag").expect("a tag");
        assert!(tag.starts_with('"'), "{tag}");
        for known in [tag, &format!("W/{tag}"), "*"] {
            let fields = ["Accept-Encoding: gzip", &format!("If-None-Match: {known}")];
            let response = client.exchange(request("GET", target, &fields));
            assert_eq!((response.status(), response.get("etag")), (304, Some(tag)), "{known}");
            assert_eq!(response.get("vary"), None);
        }
    }
}

#[test]
fn curl_and_python_read_what_is_sent() {
    let body = text(100_000);
    let upstream = Upstream::answers(answer(HTML, &body));
    let gate = gate(&upstream);
    let origin = format!("http://{}/", gate.address("http"));
    const SCRIPT: &str = "import gzip, sys, urllib.request as u\n\
        r = u.urlopen(u.Request(sys.argv[1], headers={'Accept-Encoding': 'gzip'}))\n\
        assert r.headers['Content-Encoding'] == 'gzip'\nsys.stdout.write(gzip.decompress(r.read()).decode())";
    let clients: [(&str, &[&str]); 2] = [
        (
            "curl",
            &["--disable", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--compressed"],
        ),
        ("python3", &["-c", SCRIPT]),
    ];
    for (program, arguments) in clients {
        if Command::new(program).arg("--version").stdout(Stdio::null()).status().is_err() {
            eprintln!("SKIPPED: there is no `{program}` on this machine; this test proves less here");
            continue;
        }
        let output = Command::new(program).args(arguments).arg(&origin).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout == body.as_bytes(), "{program}");
    }
    let accepts = upstream
        .requests()
        .into_iter()
        .all(|request| request.head.list("accept-encoding").contains(&"gzip".into()));
    assert!(accepts);
}

/// A body of noise, which stays as long as it was, is no faster than it may be. No machine is too slow for that.
#[test]
fn encoded_bodies_keep_their_speed() {
    let body = pattern(6, 30_000);
    let head = format!("HTTP/1.1 200 OK\r\n{HTML}Content-Length: {}\r\n\r\n", body.len());
    let upstream = Upstream::answers([head.as_bytes(), &body].concat());
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.txt"), &body).unwrap();
    let files = if cfg!(feature = "files") { "- { path: /a.txt, files: \"{root}\" }" } else { "" };
    let config = format!(
        "http_config: {{ port: \"127.0.0.1:0\", compress: true, speed: {{ download: 400kbit }} }}\n\
         http_routes:\n  {files}\n  - target: \"{{target}}\"\n"
    );
    let gate = TestGate::start(&config, &[("target", &upstream), ("root", &dir.path().display())]);
    // 50,000 bytes in a second, of which a tenth may come at once.
    let least = Duration::from_millis(500);
    for target in ["/", "/a.txt"] {
        let begin = Instant::now();
        assert!(decoded(&get(&gate, target)) == body, "{target}");
        assert!(begin.elapsed() >= least, "{target}: {:?}", begin.elapsed());
    }
}
