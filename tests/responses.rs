//! Responses of an upstream: forwarded, framed again, visibly cut, or replaced by 502.

mod support;

use support::gate::TestGate;
use support::message::{Framing, Head};
use support::upstream::Upstream;
use support::wire::End;
use support::{Latch, pattern, show, until};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - target: "http://{upstream}"
"#;

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn start(upstream: &Upstream) -> TestGate {
    TestGate::start(CONFIG, &[("upstream", upstream)])
}

/// An upstream that sends `response` to the first request of each connection and closes.
fn once(response: impl AsRef<[u8]>) -> Upstream {
    let response = response.as_ref().to_vec();
    Upstream::scripted(move |connection| {
        if connection.read_request().is_some() {
            connection.send(&response);
        }
    })
}

#[test]
fn fields_keep_their_order_case_and_bytes() {
    let upstream = Upstream::answers(
        b"HTTP/1.1 299 Odd \xe9 Reason\r\nserver: me\r\nSET-cookie: a=b\r\nSet-Cookie: c=d\r\nX-Empty:\r\nX-Bytes: \xff\r\n\
          Content-Length: 2\r\nDate: then\r\n\r\nok",
    );
    let gate = start(&upstream);
    let response = gate.exchange(GET);
    response.expect(299, "ok");
    assert!(
        response.head.raw.starts_with(b"HTTP/1.1 299 Odd \xe9 Reason\r\n"),
        "{}",
        show(&response.head.raw)
    );
    let kept: Vec<_> =
        response.head.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let sent = [
        ("server", "me"),
        ("SET-cookie", "a=b"),
        ("Set-Cookie", "c=d"),
        ("X-Empty", ""),
        ("X-Bytes", "\u{ff}"),
        ("Content-Length", "2"),
        ("Date", "then"),
        ("Via", "1.1 smolgate"),
    ];
    assert_eq!(kept, sent);
}

#[test]
fn hop_by_hop_fields_and_those_connection_names_are_dropped() {
    let upstream = Upstream::answers(
        "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Secret\r\nKeep-Alive: timeout=5\r\nX-Secret: 1\r\nProxy-Connection: x\r\n\
         Upgrade: h2c\r\nX-Kept: 2\r\nContent-Length: 0\r\n\r\n",
    );
    let gate = start(&upstream);
    let response = gate.exchange(GET);
    response.expect(200, "");
    for name in ["x-secret", "proxy-connection", "upgrade", "keep-alive"] {
        assert_eq!(response.get(name), None, "{name}");
    }
    assert_eq!(response.get("x-kept"), Some("2"));
}

#[test]
fn interim_responses_are_forwarded_in_order() {
    let upstream = Upstream::answers(
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n\
         HTTP/1.1 199 Odd\r\nX-N: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine",
    );
    let gate = start(&upstream);
    let mut client = gate.client();
    for _ in 0..2 {
        let response = client.exchange(GET);
        response.expect(200, "fine");
        let starts: Vec<_> = response.interim.iter().map(|head| head.start.as_str()).collect();
        assert_eq!(starts, ["HTTP/1.1 102 Processing", "HTTP/1.1 103 Early Hints", "HTTP/1.1 199 Odd"]);
        assert_eq!(response.interim[1].get("link"), Some("</a>; rel=preload"));
    }
    assert_eq!(upstream.connections(), 1);
}

/// RFC 9110, section 8.6: a 1xx or a 204 has no length. Readers that believe it wait for a body.
#[test]
fn interim_responses_have_no_length() {
    let upstream = Upstream::answers(
        "HTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine",
    );
    let response = start(&upstream).exchange(GET);
    response.expect(200, "fine");
    let interim = &response.interim[0];
    assert_eq!((interim.get("content-length"), interim.get("link")), (None, Some("</a>")));
}

#[test]
fn leading_zeros_of_a_response_length_are_removed() {
    for (theirs, ours, body) in [("010", "10", "hellohello"), ("00", "0", ""), ("0", "0", "")] {
        let upstream =
            Upstream::answers(format!("HTTP/1.1 200 OK\r\nContent-Length: {theirs}\r\n\r\n{body}"));
        let response = start(&upstream).exchange(GET);
        response.expect(200, body);
        assert_eq!(response.head.list("content-length"), [ours], "{theirs}");
    }
    let upstream = Upstream::answers("HTTP/1.1 304 Not Modified\r\nContent-Length: 010\r\n\r\n");
    assert_eq!(start(&upstream).exchange(GET).get("content-length"), Some("10"));
}

#[test]
fn interim_responses_are_forwarded_before_the_final_one_comes() {
    let hold = Latch::new();
    let held = hold.clone();
    let upstream = Upstream::each(move |connection, _| {
        connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        held.wait();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send(GET);
    assert_eq!(client.read_head().start, "HTTP/1.1 103 Early Hints");
    hold.open();
    client.read_response().expect(200, "fine");
}

#[test]
fn http_1_0_clients_get_no_interim_responses() {
    let upstream = Upstream::answers(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine",
    );
    let gate = start(&upstream);
    let response = gate.exchange("GET / HTTP/1.0\r\n\r\n");
    response.expect(200, "fine");
    assert!(response.interim.is_empty(), "{response:?}");
}

#[test]
fn interim_responses_without_end_are_502() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_request();
        while connection.try_send("HTTP/1.1 102 Processing\r\n\r\n".repeat(100)) {}
    });
    let gate = start(&upstream);
    let response = gate.exchange(GET);
    response.expect_own(502, "response_malformed");
    assert!(response.interim.len() < 10_000, "{}", response.interim.len());
}

#[test]
fn switching_protocols_unasked_is_502() {
    let upstream =
        once("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nraw");
    start(&upstream).exchange(GET).expect_own(502, "upgrade_failed");
}

#[test]
fn heads_that_are_not_well_formed_are_502() {
    let ok = "HTTP/1.1 200 OK\r\n";
    let rows: &[(&str, Vec<u8>)] = &[
        ("two lengths", format!("{ok}Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc").into()),
        ("two equal lengths", format!("{ok}Content-Length: 2\r\nContent-Length: 2\r\n\r\nab").into()),
        ("length list", format!("{ok}Content-Length: 2, 2\r\n\r\nab").into()),
        ("length with a sign", format!("{ok}Content-Length: +2\r\n\r\nab").into()),
        (
            "length and chunked",
            format!("{ok}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n").into(),
        ),
        ("unknown coding", format!("{ok}Transfer-Encoding: cow\r\n\r\nab").into()),
        ("compressed coding", format!("{ok}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n").into()),
        ("chunked twice", format!("{ok}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n").into()),
        ("bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nab".to_vec()),
        ("bare CR in a value", format!("{ok}X: a\rb\r\nContent-Length: 2\r\n\r\nab").into()),
        ("NUL in a value", format!("{ok}X: a\0b\r\nContent-Length: 2\r\n\r\nab").into()),
        ("folded", format!("{ok}X: a\r\n b\r\nContent-Length: 2\r\n\r\nab").into()),
        ("space before the colon", format!("{ok}Content-Length : 2\r\n\r\nab").into()),
        ("no colon", format!("{ok}nonsense\r\nContent-Length: 2\r\n\r\nab").into()),
        ("name that is no token", format!("{ok}X(y): a\r\nContent-Length: 2\r\n\r\nab").into()),
        ("status of two digits", b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nab".to_vec()),
        ("status of four digits", b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nab".to_vec()),
        ("status beyond the classes", b"HTTP/1.1 999999 OK\r\nContent-Length: 2\r\n\r\nab".to_vec()),
        ("status without a class", b"HTTP/1.1 042 OK\r\nContent-Length: 2\r\n\r\nab".to_vec()),
        ("status of letters", b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nab".to_vec()),
        ("another version", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nab".to_vec()),
        ("another protocol", b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec()),
    ];
    let mut wrong = Vec::new();
    for (name, bytes) in rows {
        let upstream = once(bytes);
        let gate = start(&upstream);
        let response = gate.exchange(GET);
        if (response.status(), response.reason()) != (502, Some("response_malformed")) {
            wrong.push(format!("{name}: {} {:?}", response.status(), response.reason()));
        }
        upstream.wait_end(0);
        if upstream.requests().len() != 1 {
            wrong.push(format!("{name}: asked {} times", upstream.requests().len()));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_head_without_end_is_502() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\n");
        let block = format!("X-Filler: {}\r\n", "v".repeat(1000)).repeat(50);
        while connection.try_send(&block) {}
    });
    start(&upstream).exchange(GET).expect_own(502, "response_too_large");
}

#[test]
fn a_body_that_ends_too_early_never_ends_cleanly() {
    let rows = [
        ("length, closed", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
        ("length, no byte", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"),
        ("no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        ("inside a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhello"),
        ("inside a chunk line", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1"),
        (
            "inside the trailers",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n",
        ),
        (
            "bad chunk size",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n+1\r\nx\r\n0\r\n\r\n",
        ),
        ("chunk without CRLF", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n"),
    ];
    for (name, bytes) in rows {
        let upstream = once(bytes);
        let gate = start(&upstream);
        let mut client = gate.client();
        let response = client.exchange(GET);
        // Either the gate had not begun to respond, or the cut can be seen.
        let seen = response.body.fault.is_some() || response.status() == 502;
        assert!(seen, "{name}: a clean end: {response:?}");
        if response.status() == 200 {
            assert!(b"hello".starts_with(&response.body.bytes), "{name}: {response:?}");
            client.expect_close();
        }
    }
}

#[test]
fn a_reset_inside_a_body_never_ends_cleanly() {
    for framing in [
        "Content-Length: 10\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "X: until-close\r\n\r\nhello",
    ] {
        let hold = Latch::new();
        let held = hold.clone();
        let upstream = Upstream::scripted(move |connection| {
            connection.read_request();
            connection.send(format!("HTTP/1.1 200 OK\r\n{framing}"));
            held.wait();
            connection.reset();
        });
        let gate = start(&upstream);
        let mut client = gate.client();
        client.send(GET);
        let head = client.read_head();
        hold.open();
        let body = client.read_body(head.framing(Framing::UntilClose));
        assert!(body.fault.is_some(), "{framing:?}: a clean end: {body:?}");
    }
}

#[test]
fn bytes_after_the_body_reach_no_client() {
    for framed in
        ["Content-Length: 4\r\n\r\nfine", "Transfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n"]
    {
        let upstream = Upstream::each(move |connection, request| {
            let extra = if request.target() == "/first" {
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
            } else {
                ""
            };
            connection.send(format!("HTTP/1.1 200 OK\r\n{framed}{extra}"));
        });
        let gate = start(&upstream);
        let mut client = gate.client();
        client.exchange("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fine");
        client.exchange("GET /second HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fine");
        client.exchange("GET /third HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fine");
        assert_eq!(upstream.connections(), 2, "{framed:?}");
    }
}

#[test]
fn an_unasked_response_on_an_idle_connection_reaches_no_client() {
    let spoken = Latch::new();
    let speaks = spoken.clone();
    let upstream = Upstream::each(move |connection, request| {
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
        if request.target() == "/first" {
            // Wait until the client has its response, so that these bytes are no longer part of it.
            Latch::wait(&speaks);
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
            connection.hang();
        }
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.exchange("GET /first HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fine");
    spoken.open();
    upstream.wait_end(0);
    client.exchange("GET /second HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fine");
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn a_body_until_close_is_chunked_for_1_1_and_closed_for_1_0() {
    let upstream = once("HTTP/1.1 200 OK\r\nX: y\r\n\r\nuntil close");
    let gate = start(&upstream);
    let mut client = gate.client();
    for _ in 0..2 {
        let response = client.exchange(GET);
        response.expect(200, "until close");
        assert_eq!(response.body.framing, Framing::Chunked);
    }
    let mut client = gate.client();
    let response = client.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    response.expect(200, "until close");
    assert_eq!(response.body.framing, Framing::UntilClose);
    assert_eq!(response.get("transfer-encoding"), None);
}

#[test]
fn a_chunked_body_is_closed_for_1_0() {
    let upstream = Upstream::answers(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
    );
    let gate = start(&upstream);
    let mut client = gate.client();
    let response = client.exchange("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    response.expect(200, "hello!");
    assert_eq!((response.body.framing, response.get("transfer-encoding")), (Framing::UntilClose, None));
}

#[test]
fn chunks_are_encoded_again_and_trailers_need_te() {
    let upstream = Upstream::answers(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n05;x=y\r\nhello\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\
         X-Forwarded-User: evil\r\nX_Forwarded-For: evil\r\nTrue-Client-IP: evil\r\nForwarded: for=evil\r\n\
         X-Forwarded: evil\r\nX.Forwarded+User: evil\r\n\r\n",
    );
    let gate = start(&upstream);
    let mut client = gate.client();
    let plain = client.exchange(GET);
    plain.expect(200, "hello");
    assert_eq!(
        (plain.body.framing, plain.body.extensions.len(), plain.body.trailers.len()),
        (Framing::Chunked, 0, 0)
    );
    let asked = client.exchange("GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
    asked.expect(200, "hello");
    assert_eq!(asked.body.trailers, [("X-Sum".to_owned(), "1".to_owned())]);
}

#[test]
fn responses_without_a_body_have_none_whatever_their_length_says() {
    let upstream = Upstream::each(|connection, request| {
        let status = request.target().trim_start_matches('/').to_owned();
        connection.send(format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\nETag: \"e\"\r\n\r\n"));
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    for (method, status) in [("HEAD", 200), ("GET", 304), ("HEAD", 404), ("GET", 304)] {
        let response = client.exchange(format!("{method} /{status} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((response.status(), response.get("content-length")), (status, Some("5")), "{method}");
        assert_eq!(response.get("etag"), Some("\"e\""));
    }
    // RFC 9110, section 8.6: a 204 has no length.
    let empty = client.exchange("GET /204 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((empty.status(), empty.get("content-length"), empty.get("etag")), (204, None, Some("\"e\"")));
    assert_eq!(client.exchange("HEAD /200 HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200);
    assert_eq!(upstream.connections(), 1, "their connection is reused");
}

#[test]
fn a_response_to_head_may_name_chunked_framing() {
    let upstream = Upstream::each(|connection, request| {
        let body = if request.method() == "HEAD" { "" } else { "4\r\nfine\r\n0\r\n\r\n" };
        connection.send(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}"));
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    assert_eq!(client.exchange("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").status(), 200);
    client.exchange(GET).expect(200, "fine");
}

/// OpenWrt's uhttpd and others announce both lengths of a body that does not follow.
#[test]
fn both_lengths_pass_where_no_body_follows() {
    let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nETag: \"e\"\r\n\r\n";
    let upstream = Upstream::each(move |connection, request| {
        connection.send(format!("HTTP/1.1 {} X\r\n{both}", request.target().trim_start_matches('/')));
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    for (number, (method, status)) in [("HEAD", 200), ("GET", 304), ("HEAD", 404)].into_iter().enumerate() {
        let response = client.exchange(format!("{method} /{status} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!((response.status(), response.get("etag")), (status, Some("\"e\"")), "{method}");
        assert_eq!((response.get("content-length"), response.get("transfer-encoding")), (None, None));
        assert_eq!(upstream.connections(), number + 1, "no connection is used again");
    }
    for status in [200, 204, 404] {
        client
            .exchange(format!("GET /{status} HTTP/1.1\r\nHost: a\r\n\r\n"))
            .expect_own(502, "response_malformed");
    }
}

#[test]
fn after_an_http_1_0_response_the_connection_is_not_reused() {
    let upstream = Upstream::answers("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    let gate = start(&upstream);
    let mut client = gate.client();
    let response = client.exchange(GET);
    response.expect(200, "fine");
    assert_eq!(response.head.start, "HTTP/1.1 200 OK");
    client.exchange(GET).expect(200, "fine");
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn a_status_line_is_normalized() {
    let lines = [
        ("HTTP/1.1 200 Fine, thank you", "HTTP/1.1 200 Fine, thank you"),
        ("HTTP/1.1 200 ", "HTTP/1.1 200 "),
        ("HTTP/1.1 200", "HTTP/1.1 200 "),
        ("HTTP/1.0 404 Not here", "HTTP/1.1 404 Not here"),
        ("HTTP/1.0 999", "HTTP/1.1 999 "),
    ];
    for (theirs, ours) in lines {
        for (first, kept) in [("X-A: 1", "X-A: 1"), ("Keep-Alive: timeout=9\r\nX-A: 1", "X-A: 1")] {
            let upstream = Upstream::answers(format!("{theirs}\r\n{first}\r\nContent-Length: 0\r\n\r\n"));
            let raw = start(&upstream).exchange(GET).head.raw;
            let want = format!("{ours}\r\n{kept}\r\nContent-Length: 0\r\n");
            assert!(raw.starts_with(want.as_bytes()), "{theirs:?}: {}", show(&raw));
        }
    }
}

#[test]
fn connection_close_of_the_upstream_is_not_forwarded() {
    let upstream = Upstream::answers("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine");
    let gate = start(&upstream);
    let mut client = gate.client();
    for _ in 0..2 {
        let response = client.exchange(GET);
        response.expect(200, "fine");
        assert!(!response.head.list("connection").contains(&"close".to_owned()), "{response:?}");
    }
    assert_eq!(upstream.connections(), 2);
}

/// The end is sent in one packet with the last bytes. Because of bytes from the client, the close after it is
/// a reset, which must not discard the last bytes.
#[test]
fn a_last_response_arrives_even_if_the_client_still_sends() {
    let step = Latch::new();
    let told = step.clone();
    let upstream = Upstream::each(move |connection, _| {
        told.wait();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    upstream.wait_requests(1);
    client.send("and another thing");
    step.open();
    client.read_response().expect(200, "fine");
}

#[test]
fn a_stream_is_never_buffered() {
    let steps: Vec<Latch> = (0..3).map(|_| Latch::new()).collect();
    let told = steps.clone();
    let upstream = Upstream::each(move |connection, _| {
        connection
            .send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (number, step) in told.iter().enumerate() {
            step.wait();
            connection.send(format!("9\r\ndata: {number}\n\n\r\n"));
        }
        connection.send("0\r\n\r\n");
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send(GET);
    let head: Head = client.read_head();
    assert_eq!(head.get("content-type"), Some("text/event-stream"));
    for (number, step) in steps.iter().enumerate() {
        step.open();
        let wanted = format!("9\r\ndata: {number}\n\n\r\n");
        assert_eq!(client.read_exact(wanted.len()), wanted.as_bytes());
    }
    assert_eq!(client.read_exact(5), b"0\r\n\r\n");
}

#[test]
fn a_client_that_leaves_ends_the_upstream_exchange() {
    for begun in [true, false] {
        let upstream = Upstream::scripted(move |connection| {
            connection.read_request();
            if begun {
                connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            }
            connection.hang();
        });
        let gate = start(&upstream);
        let mut client = gate.client();
        client.send(GET);
        if begun {
            client.read_head();
        } else {
            upstream.wait_requests(1);
        }
        client.reset();
        assert!(matches!(upstream.wait_end(0), End::Clean | End::Reset), "response begun: {begun}");
        let gone = "smolgate_local_replies_total{reason=\"client_gone\"}";
        until("it is counted", || gate.metric(gone) == 1.0);
    }
}

#[test]
fn big_responses_of_every_framing_pass_unchanged() {
    let body = pattern(3, 4 << 20);
    for framing in ["length", "chunked", "close"] {
        let bytes = body.clone();
        let upstream = Upstream::scripted(move |connection| {
            connection.read_request();
            match framing {
                "length" => {
                    connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len()))
                }
                "chunked" => connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
                _ => connection.send("HTTP/1.1 200 OK\r\n\r\n"),
            }
            for chunk in bytes.chunks(77_777) {
                match framing {
                    "chunked" => connection
                        .send([format!("{:X}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()),
                    _ => connection.send(chunk),
                }
            }
            if framing == "chunked" {
                connection.send("0\r\n\r\n");
            }
        });
        let gate = start(&upstream);
        gate.exchange(GET).expect(200, &body);
    }
}
