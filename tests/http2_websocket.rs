//! WebSocket over HTTP/2 (RFC 8441): from clients, to targets, and between both versions.
#![cfg(feature = "http2")]

mod support;

use async_tungstenite::tungstenite::handshake::derive_accept_key;
use support::gate::TestGate;
use support::http2::{DATA, HEADERS, Http2, SETTINGS, headers};
use support::http2_target::{Peer, Target};
use support::message::Request;
use support::upstream::{Connection, Upstream};
use support::wire::End;
use support::{Latch, pattern, until};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { path: "/short", target: "{target}", tunnel_timeout: "300ms" }
      - { path: "/own", respond: { body: "fine" } }
      - { path: "/get", methods: GET, target: "{target}" }
      - { path: "/**", methods: [GET, POST], target: "{target}" }
"#;

/// The fields of an extended CONNECT.
fn ask(path: &str) -> [(&str, &str); 6] {
    [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "a.test"),
        ("sec-websocket-version", "13"),
    ]
}

/// The key and its answer are those of RFC 6455, section 1.3.
const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const ANSWER: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// ENABLE_CONNECT_PROTOCOL.
const ALLOWED: [(u16, u32); 1] = [(8, 1)];

const CANCEL: u32 = 8;
const PROTOCOL_ERROR: u32 = 1;

fn gate(target: &impl std::fmt::Display) -> TestGate {
    TestGate::start(CONFIG, &[("target", target)])
}

fn http1(upstream: &Upstream) -> TestGate {
    gate(&format!("http://{upstream}"))
}

fn h2c(target: &Target) -> TestGate {
    gate(&format!("h2c://{target}"))
}

/// Accepts the handshake of a request.
fn switch(connection: &mut Connection, request: &Request) {
    let accept = derive_accept_key(request.head.get("sec-websocket-key").unwrap().as_bytes());
    connection.send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    ));
}

/// An upstream of HTTP/1.1 that accepts each handshake, and then follows a script.
fn switching(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Upstream {
    Upstream::scripted(move |connection| {
        let Some(request) = connection.read_request() else { return };
        switch(connection, &request);
        script(connection);
    })
}

fn echo(connection: &mut Connection) {
    while let Some(bytes) = connection.read_some() {
        connection.send(bytes);
    }
}

/// A target of HTTP/2 that accepts each handshake, and then calls `take` with each frame behind it.
fn accepting(take: impl Fn(&mut Peer, &support::http2::Frame) + Send + Sync + 'static) -> Target {
    Target::wrapped(
        |stream| Some(Box::new(stream)),
        &ALLOWED,
        move |peer, _| {
            while let Ok(frame) = peer.next() {
                match frame.kind {
                    HEADERS => peer.head(
                        frame.stream,
                        &[(":status", "200"), ("sec-websocket-protocol", "chat")],
                        false,
                    ),
                    _ => take(peer, &frame),
                }
            }
        },
    )
}

fn echoing() -> Target {
    accepting(|peer, frame| {
        if frame.kind == DATA {
            peer.data(frame.stream, &frame.payload, frame.flags & 1 != 0);
        }
    })
}

/// Opens a tunnel on a stream.
#[track_caller]
fn open(client: &mut Http2, path: &str) -> u32 {
    let stream = client.request(&ask(path), false);
    assert_eq!(client.status(stream), 200, "{:?}", client.seen(stream));
    stream
}

/// Sends bytes, and reads until as many came back.
#[track_caller]
fn exchange(client: &mut Http2, stream: u32, bytes: &[u8]) {
    let before = client.received(stream);
    client.data(stream, bytes, false);
    client.until(|client| client.received(stream) >= before + bytes.len());
    assert!(client.seen(stream).body[before..] == *bytes, "the echo differs");
}

#[test]
fn a_stream_becomes_a_websocket_of_http_1_1() {
    let upstream = switching(echo);
    let gate = http1(&upstream);
    let mut client = Http2::connect(gate.address("http"));
    let mut fields = ask("/get").to_vec();
    // A client has no reason to send these, and a target must not see them.
    fields.extend([
        ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("sec-websocket-accept", "x"),
        ("origin", "o"),
    ]);
    let stream = client.request(&fields, false);
    assert_eq!(client.status(stream), 200);
    let answer = client.seen(stream);
    assert_eq!(answer.get("sec-websocket-protocol"), Some("chat"));
    for gone in ["connection", "upgrade", "sec-websocket-accept", "transfer-encoding", "content-length"] {
        assert_eq!(answer.get(gone), None, "{gone}");
    }
    exchange(&mut client, stream, b"\x81\x05hello");
    // Another stream of the connection is not disturbed.
    client.exchange("/own").expect(200, "fine");
    exchange(&mut client, stream, b"\r\n\r\n\0\xff");
    let asked = upstream.request();
    assert_eq!(asked.head.start, "GET /get HTTP/1.1");
    assert_eq!(
        (asked.head.get("x-forwarded-host"), asked.head.get("upgrade")),
        (Some("a.test"), Some("websocket"))
    );
    assert_eq!(asked.head.list("connection"), ["upgrade"]);
    assert_eq!(asked.head.get("sec-websocket-version"), Some("13"));
    assert_eq!((asked.head.get("origin"), asked.head.get("sec-websocket-accept")), (Some("o"), None));
    assert_eq!(asked.head.get("transfer-encoding"), None);
    let key = asked.head.get("sec-websocket-key").unwrap();
    assert!(key.len() == 24 && key.ends_with("==") && !key.starts_with("AAAAAAAA"), "{key}");
}

#[test]
fn keys_of_two_handshakes_differ() {
    let upstream = switching(echo);
    let gate = http1(&upstream);
    let mut client = Http2::connect(gate.address("http"));
    (0..2).for_each(|_| _ = open(&mut client, "/"));
    let keys: Vec<_> = upstream
        .requests()
        .iter()
        .map(|request| request.head.get("sec-websocket-key").unwrap().to_owned())
        .collect();
    assert_ne!(keys[0], keys[1]);
}

#[test]
fn clients_are_told_that_they_may_ask() {
    let upstream = Upstream::says("fine");
    let gate = http1(&upstream);
    let mut client = Http2::connect(gate.address("http"));
    let settings = client.next().unwrap();
    assert_eq!(settings.kind, SETTINGS);
    let entries: Vec<&[u8]> = settings.payload.chunks(6).collect();
    assert!(entries.contains(&&[0, 8, 0, 0, 0, 1][..]), "{entries:?}");
}

#[test]
fn a_megabyte_goes_both_ways_within_the_windows() {
    let upstream = switching(echo);
    for target in [format!("http://{upstream}"), format!("h2c://{}", echoing())] {
        let gate = self::gate(&target);
        let mut client = Http2::connect(gate.address("http"));
        let stream = open(&mut client, "/");
        for piece in pattern(7, 1 << 20).chunks(32_000) {
            let before = client.received(stream);
            piece.chunks(16_000).for_each(|part| client.data(stream, part, false));
            client.until(|client| client.received(stream) == before + piece.len());
            assert!(client.seen(stream).body[before..] == *piece, "{target}");
        }
    }
}

#[test]
fn a_client_with_a_shut_window_stops_its_target_and_loses_nothing() {
    let bytes = pattern(8, 16 << 20);
    let sent = bytes.clone();
    let done = Latch::new();
    let all_sent = done.clone();
    let upstream = switching(move |connection| {
        connection.send(&sent);
        all_sent.open();
        connection.half_close();
        connection.read_to_end();
    });
    let gate = http1(&upstream);
    let mut client = Http2::connect(gate.address("http"));
    client.takes_data = false;
    let stream = open(&mut client, "/");
    client.until(|client| client.received(stream) == 65_535);
    assert!(!done.is_open(), "sixteen megabytes fit into no buffers");
    client.takes_data = true;
    [0, stream].iter().for_each(|id| client.window(*id, 65_535));
    assert!(client.answer(stream).body == bytes);
}

#[test]
fn each_side_may_end_first() {
    // The client ends its side, and gets the last words.
    let upstream = switching(|connection| {
        let (bytes, end) = connection.read_to_end();
        connection.send(format!("{} bytes, {end:?}", bytes.len()));
    });
    let target = accepting(|peer, frame| {
        if frame.kind == DATA && frame.flags & 1 != 0 {
            let words = format!("{} bytes, Clean", peer.seen(frame.stream).body.len());
            peer.data(frame.stream, words, true);
        }
    });
    for (what, target) in [("http", upstream.to_string()), ("h2c", target.to_string())] {
        let gate = self::gate(&format!("{what}://{target}"));
        let mut client = Http2::connect(gate.address("http"));
        let stream = open(&mut client, "/");
        client.data(stream, b"hello", false);
        client.data(stream, b"", true);
        client.answer(stream).expect(200, "5 bytes, Clean");
    }
    // The target ends its side, and gets the last words.
    let upstream = switching(|connection| {
        connection.send("bye");
        connection.half_close();
        connection.read_to_end();
    });
    let gate = http1(&upstream);
    let mut client = Http2::connect(gate.address("http"));
    let stream = open(&mut client, "/");
    client.until(|client| client.seen(stream).has_ended);
    client.data(stream, b"last words", true);
    assert_eq!(upstream.wait_end(0), End::Clean);
    assert!(upstream.received()[0].ends_with(b"last words"));
    let seen = client.answer(stream);
    seen.expect(200, "bye");
}

#[test]
fn a_reset_passes_on_to_the_other_side() {
    // From the client.
    let upstream = switching(echo);
    let gate = http1(&upstream);
    let mut client = Http2::connect(gate.address("http"));
    let stream = open(&mut client, "/");
    exchange(&mut client, stream, b"hello");
    client.reset(stream, CANCEL);
    assert_eq!(upstream.wait_end(0), End::Reset);
    client.exchange("/own").expect(200, "fine");

    let target = echoing();
    let gate = h2c(&target);
    let mut client = Http2::connect(gate.address("http"));
    let stream = open(&mut client, "/");
    exchange(&mut client, stream, b"hello");
    client.reset(stream, CANCEL);
    assert_eq!(target.request().reset, Some(CANCEL));

    // From the target.
    let upstream = switching(|connection| {
        connection.read_exact(4);
        connection.reset();
    });
    let target = accepting(|peer, frame| {
        if frame.kind == DATA {
            peer.reset(frame.stream, CANCEL);
        }
    });
    for target in [format!("http://{upstream}"), format!("h2c://{target}")] {
        let gate = self::gate(&target);
        let mut client = Http2::connect(gate.address("http"));
        let stream = open(&mut client, "/");
        client.data(stream, b"fail", false);
        assert_eq!(client.answer(stream).reset, Some(CANCEL), "{target}");
        client.exchange("/own").expect(200, "fine");
    }
}

#[test]
fn data_before_the_answer_are_held_back() {
    let hold = Latch::new();
    let held = hold.clone();
    let upstream = Upstream::scripted(move |connection| {
        let Some(request) = connection.read_request() else { return };
        held.wait();
        switch(connection, &request);
        let bytes = connection.read_exact(5);
        connection.send(bytes.unwrap_or_default());
    });
    let gate = http1(&upstream);
    let mut client = Http2::connect(gate.address("http"));
    let stream = client.request(&ask("/"), false);
    client.data(stream, b"early", false);
    upstream.wait_requests(1);
    client.ping();
    client.exchange("/own").expect(200, "fine");
    assert!(upstream.received()[0].ends_with(b"\r\n\r\n"), "{}", support::show(&upstream.received()[0]));
    hold.open();
    assert_eq!(client.status(stream), 200);
    client.until(|client| client.received(stream) == 5);
    assert_eq!(client.seen(stream).body, b"early");
}

#[test]
fn a_target_that_does_not_switch_is_no_success() {
    let answers = [
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", 403, ""),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 502, "upgrade_failed"),
        ("HTTP/1.1 204 No Content\r\n\r\n", 502, "upgrade_failed"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            502,
            "upgrade_failed",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            502,
            "upgrade_failed",
        ),
        // The answer to another key.
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            502,
            "upgrade_failed",
        ),
    ];
    for (answer, status, reason) in answers {
        let upstream = Upstream::scripted(move |connection| {
            connection.read_request();
            connection.send(answer);
            connection.hang();
        });
        let gate = http1(&upstream);
        let mut client = Http2::connect(gate.address("http"));
        let stream = client.request(&ask("/"), false);
        client.data(stream, b"never for the target", false);
        client.until(|client| client.seen(stream).has_ended);
        let seen = client.seen(stream);
        match reason {
            "" => assert_eq!((seen.status, &*seen.body), (status, &b"no"[..])),
            reason => seen.expect_own(status, reason),
        }
        assert!(upstream.received()[0].ends_with(b"\r\n\r\n"), "{answer}");
        client.exchange("/own").expect(200, "fine");
    }
    // A response of the gate's own is none either.
    let gate = http1(&Upstream::says("x"));
    let mut client = Http2::connect(gate.address("http"));
    let stream = client.request(&ask("/own"), false);
    assert_eq!(client.status(stream), 501);
}

#[test]
fn what_is_no_websocket_is_refused_before_any_target() {
    let upstream = Upstream::says("reached");
    let gate = http1(&upstream);
    let change = |name: &str, value: Option<&'static str>| -> Vec<(&'static str, &'static str)> {
        let known =
            ask("/").into_iter().map(|(known, old)| (known, if known == name { value } else { Some(old) }));
        known.filter_map(|(known, value)| Some((known, value?))).collect()
    };
    for protocol in ["connect-udp", "connect-ip", "h2c", "http", "tls", "x"] {
        let mut client = Http2::connect(gate.address("http"));
        let stream = client.request(&change(":protocol", Some(protocol)), false);
        client.until(|client| client.seen(stream).has_ended);
        client.seen(stream).expect_own(501, "protocol_unknown");
    }
    let malformed = [
        ("no path", change(":path", None)),
        ("no scheme", change(":scheme", None)),
        ("no authority", change(":authority", None)),
        ("an empty protocol", change(":protocol", Some(""))),
        ("two protocols", change(":protocol", Some("websocket, h2c"))),
        ("a protocol with a version", change(":protocol", Some("HTTP/2.0"))),
        ("a line in the protocol", change(":protocol", Some("websocket\r\nx: y"))),
        ("GET", change(":method", Some("GET"))),
        ("asterisk", change(":path", Some("*"))),
        ("a length", [&ask("/")[..], &[("content-length", "5")]].concat()),
        ("upgrade", [&ask("/")[..], &[("upgrade", "websocket")]].concat()),
        ("protocol twice", [&[(":protocol", "websocket")], &ask("/")[..]].concat()),
    ];
    for (what, fields) in malformed {
        let mut client = Http2::connect(gate.address("http"));
        let stream = client.request(&fields, false);
        assert_eq!(client.answer(stream).reset, Some(PROTOCOL_ERROR), "{what}");
        client.exchange("/own").expect(200, "fine");
    }
    // A plain CONNECT is refused as before.
    let mut client = Http2::connect(gate.address("http"));
    let stream = client.request(&[(":method", "CONNECT"), (":authority", "a.test:443")], false);
    client.until(|client| client.seen(stream).has_ended);
    client.seen(stream).expect_own(405, "request_method");
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn a_head_inside_a_tunnel_ends_it() {
    let upstream = switching(echo);
    let gate = http1(&upstream);
    let mut client = Http2::connect(gate.address("http"));
    let stream = open(&mut client, "/");
    client.raw(headers(stream, &[("x-end", "1")], true));
    assert_eq!(client.answer(stream).reset, Some(PROTOCOL_ERROR));
    assert_eq!(upstream.wait_end(0), End::Reset);
    client.exchange("/own").expect(200, "fine");
}

#[test]
fn a_websocket_of_http_1_1_becomes_a_stream() {
    let target = echoing();
    let gate = h2c(&target);
    let mut client = gate.client();
    let switched = client.exchange(ASK.replace("\r\n\r\n", "\r\nOrigin: o\r\n\r\n"));
    assert_eq!((switched.status(), switched.get("upgrade")), (101, Some("websocket")));
    assert_eq!(switched.get("sec-websocket-accept"), Some(ANSWER));
    assert_eq!(switched.get("sec-websocket-protocol"), Some("chat"));
    let large = pattern(9, 500_000);
    // The target sends what it has received without a look at its windows.
    for bytes in [b"\x81\x00".as_slice(), b"\r\n\r\n\0\xff"].into_iter().chain(large.chunks(30_000)) {
        client.send(bytes);
        assert!(client.read_exact(bytes.len()) == bytes);
    }
    client.half_close();
    assert_eq!(client.read_to_end(), (Vec::new(), End::Clean));
    // The end of the tunnel is that of the stream, and its connection goes on.
    assert_eq!(gate.exchange(ASK).status(), 101);
    assert_eq!((target.connections(), target.requests().len()), (1, 0), "a request is noted if it is reset");
}

#[test]
fn an_extended_connect_has_the_fields_of_the_rfc() {
    let target = Target::wrapped(
        |stream| Some(Box::new(stream)),
        &ALLOWED,
        |peer, _| {
            let asked = peer.next_head().unwrap();
            let fields =
                asked.fields.iter().map(|(name, value)| format!("{name}={value}\n")).collect::<String>();
            // A length has no meaning in front of a tunnel.
            peer.head(asked.stream, &[(":status", "200"), ("content-length", "0")], false);
            peer.data(asked.stream, fields, true);
            peer.wait_closed();
        },
    );
    let gate = h2c(&target);
    let mut client = gate.client();
    let switched = client.exchange(ASK);
    assert_eq!((switched.status(), switched.get("content-length")), (101, None));
    let (fields, end) = client.read_to_end();
    assert_eq!(end, End::Clean);
    let fields = String::from_utf8(fields).unwrap();
    assert!(
        fields.starts_with(":method=CONNECT\n:protocol=websocket\n:scheme=http\n:path=/chat\n:authority="),
        "{fields}"
    );
    for (name, is_there) in [
        ("sec-websocket-version", true),
        ("sec-websocket-key", false),
        ("upgrade", false),
        ("connection", false),
    ] {
        assert_eq!(fields.contains(&format!("\n{name}=")), is_there, "{name}: {fields}");
    }
}

#[test]
fn a_target_of_http2_may_refuse() {
    let target = Target::wrapped(
        |stream| Some(Box::new(stream)),
        &ALLOWED,
        |peer, _| {
            while let Some(asked) = peer.next_head() {
                peer.respond(asked.stream, &[(":status", "403"), ("x-why", "no")], "not you");
            }
        },
    );
    let gate = h2c(&target);
    gate.exchange(ASK).expect(403, "not you");
    let mut client = Http2::connect(gate.address("http"));
    let stream = client.request(&ask("/"), false);
    client.until(|client| client.seen(stream).has_ended);
    assert_eq!((client.seen(stream).status, client.seen(stream).get("x-why")), (403, Some("no")));
}

#[test]
fn a_target_that_takes_none_over_http2_gets_none() {
    let target = Target::says("plain");
    let gate = h2c(&target);
    gate.exchange(ASK).expect_own(502, "upgrade_failed");
    let mut client = Http2::connect(gate.address("http"));
    let stream = client.request(&ask("/"), false);
    client.until(|client| client.seen(stream).has_ended);
    client.seen(stream).expect_own(502, "upgrade_failed");
    // The connection serves other requests.
    gate.exchange("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n").expect(200, "plain");
    assert_eq!((target.requests().len(), target.connections()), (1, 1));
}

#[test]
fn silence_ends_the_stream_and_not_its_connection() {
    let upstream = switching(echo);
    let gate = http1(&upstream);
    let mut client = Http2::connect(gate.address("http"));
    let stream = open(&mut client, "/short");
    assert_eq!(client.answer(stream).reset, Some(CANCEL));
    upstream.wait_end(0);
    client.exchange("/own").expect(200, "fine");
    assert_eq!(client.go_aways, []);
}

#[test]
fn a_tunnel_is_counted_and_logged_and_ends_with_its_rule() {
    let upstream = switching(echo);
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let config = format!("access_log: \"{}\"\nshutdown_timeout: 0\n{CONFIG}", log.display());
    let target = format!("http://{upstream}");
    let gate = TestGate::start(&config, &[("target", &target)]);
    let metric = |name: &str, labels: &str| gate.metric(&format!("smolgate_{name}{{{labels}}}"));
    let mut client = Http2::connect(gate.address("http"));
    let stream = open(&mut client, "/chat");
    exchange(&mut client, stream, b"hello");
    assert_eq!(metric("tunnels_open", "listener=\"http\""), 1.0);
    // Its rule is gone, and that of the next request is not.
    gate.edit(&config.replace("{target}", "http://127.0.0.1:1"), &[]);
    gate.reload().expect("the reload is fine");
    assert_eq!(client.answer(stream).reset, Some(CANCEL));
    client.exchange("/own").expect(200, "fine");
    assert_eq!(client.go_aways, []);
    let ended = || metric("tunnels_ended_total", "listener=\"http\",result=\"shutting_down\"");
    until("its end is counted", || ended() == 1.0);
    assert_eq!(metric("tunnels_open", "listener=\"http\""), 0.0);
    let lines = || std::fs::read_to_string(&log).unwrap_or_default();
    until("there are two lines", || lines().lines().count() == 2);
    let line: serde_json::Value = serde_json::from_str(lines().lines().next().unwrap()).unwrap();
    let known =
        (line["status"].as_u64(), line["target"].as_str(), line["reason"].as_str(), line["method"].as_str());
    assert_eq!(known, (Some(200), Some("/chat"), Some("shutting_down"), Some("GET")), "{line}");
    assert_eq!(
        (line["bytes_out"].as_u64() >= Some(5), line["bytes_in"].as_u64() >= Some(5)),
        (true, true),
        "{line}"
    );
}

#[test]
fn a_shutdown_leaves_a_tunnel_its_time_and_then_ends_it() {
    let upstream = switching(echo);
    let config = format!("shutdown_timeout: 1s\n{CONFIG}");
    let target = format!("http://{upstream}");
    let gate = TestGate::start(&config, &[("target", &target)]);
    let mut client = Http2::connect(gate.address("http"));
    let stream = open(&mut client, "/chat");
    let stopping = std::thread::spawn(move || gate.stop());
    client.until(|client| !client.go_aways.is_empty());
    exchange(&mut client, stream, b"still here");
    client.wait_closed();
    stopping.join().unwrap();
    assert_eq!(upstream.wait_end(0), End::Clean);
}
