//! Upgraded connections: a WebSocket through a client library, and the rules of the upgrade byte by byte.

mod support;

use std::net::{SocketAddr, TcpStream};

use async_tungstenite::client_async;
use async_tungstenite::tungstenite::{self, Message};
use smol::future::FutureExt;
use smol::stream::StreamExt;
use smol::{Async, Timer};
use support::gate::TestGate;
use support::upstream::Upstream;
use support::wire::End;
use support::{DEADLINE, Latch, pattern, until};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - host: "short.test"
        target: "http://{upstream}"
        tunnel_timeout: "300ms"
      - target: "http://{upstream}"
"#;

const ASK: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn start(upstream: &Upstream) -> TestGate {
    TestGate::start(CONFIG, &[("upstream", upstream)])
}

/// An upstream that switches protocols and then echoes.
fn echo() -> Upstream {
    Upstream::scripted(|connection| {
        if connection.read_request().is_none() {
            return;
        }
        connection.send(SWITCH);
        while let Some(bytes) = connection.read_some() {
            connection.send(bytes);
        }
    })
}

/// Runs a future to its end. Panics at the deadline.
fn in_time<T>(future: impl Future<Output = T>) -> T {
    let late = async {
        Timer::after(DEADLINE).await;
        panic!("the WebSocket client timed out")
    };
    smol::block_on(future.or(late))
}

#[test]
fn a_websocket_library_talks_through_the_gate() {
    let upstream = Upstream::scripted(|connection| {
        let mut socket = tungstenite::accept(connection).expect("a WebSocket handshake");
        while let Ok(message) = socket.read() {
            if message.is_text() || message.is_binary() {
                socket.send(message).expect("the gate takes the echo");
            }
        }
    });
    let gate = start(&upstream);
    let address: SocketAddr = gate.address("http");
    in_time(async {
        let stream = Async::<TcpStream>::connect(address).await.expect("the gate accepts");
        let (mut socket, response) =
            client_async(format!("ws://{address}/chat"), stream).await.expect("a handshake");
        assert_eq!(response.status(), 101);
        let big = pattern(6, 1 << 20);
        for message in
            [Message::text("hello"), Message::binary(Vec::new()), Message::binary(big), Message::text("bye")]
        {
            socket.send(message.clone()).await.expect("sent");
            let echoed = socket.next().await.expect("open").expect("a message");
            assert!(echoed == message, "the echo differs");
        }
        socket.close(None).await.expect("closing");
        while let Some(Ok(message)) = socket.next().await {
            assert!(message.is_close(), "{message:?}");
        }
    });
    upstream.wait_end(0);
}

/// A close is sent with the last bytes of a response. The head of a switch has no last bytes.
#[test]
fn a_client_that_asks_for_close_gets_its_tunnel() {
    let upstream = echo();
    let gate = start(&upstream);
    let mut client = gate.client();
    assert_eq!(client.exchange(ASK.replace("keep-alive", "close")).status(), 101);
    client.send("hello");
    assert_eq!(client.read_exact(5), b"hello");
}

#[test]
fn the_request_and_the_response_keep_the_fields_of_an_upgrade() {
    let upstream = echo();
    let gate = start(&upstream);
    let mut client = gate.client();
    let switched = client.exchange(ASK);
    assert_eq!((switched.status(), switched.get("upgrade")), (101, Some("websocket")));
    assert_eq!(switched.head.list("connection"), ["upgrade"]);
    assert_eq!(switched.get("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    let asked = upstream.request();
    assert_eq!(asked.head.get("upgrade"), Some("websocket"));
    assert_eq!(asked.head.list("connection"), ["upgrade"]);
    assert_eq!(asked.head.get("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    for bytes in [b"\x81\x00".as_slice(), b"\r\n\r\n\0\xff"] {
        client.send(bytes);
        assert_eq!(client.read_exact(bytes.len()), bytes);
    }
}

#[test]
fn bytes_before_101_are_held_back() {
    let hold = Latch::new();
    let held = hold.clone();
    let upstream = Upstream::scripted(move |connection| {
        connection.read_request();
        held.wait();
        connection.send(SWITCH);
        let bytes = connection.read_exact(5);
        connection.send(bytes.unwrap_or_default());
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send([ASK, "early"].concat());
    upstream.wait_requests(1);
    // Other exchanges pass through the worker in the meantime, so it could have leaked these bytes.
    for _ in 0..3 {
        gate.internal("GET", "/livez");
    }
    assert!(upstream.received()[0].ends_with(b"\r\n\r\n"), "{}", support::show(&upstream.received()[0]));
    hold.open();
    assert_eq!(client.read_response().status(), 101);
    assert_eq!(client.read_exact(5), b"early");
}

#[test]
fn a_request_hidden_behind_a_refused_upgrade_is_an_ordinary_request() {
    let upstream = Upstream::says("no");
    let gate = start(&upstream);
    let mut client = gate.client();
    client.send([ASK, "GET /second HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    client.read_response().expect(200, "no");
    // The response decides whether the bytes were HTTP, or whether this connection ends.
    let (bytes, _) = {
        client.half_close();
        client.read_to_end()
    };
    let starts: Vec<_> = upstream.requests().iter().map(|request| request.head.start.clone()).collect();
    if bytes.is_empty() {
        assert_eq!(starts, ["GET /chat HTTP/1.1"]);
    } else {
        assert_eq!(starts, ["GET /chat HTTP/1.1", "GET /second HTTP/1.1"]);
    }
}

#[test]
fn bytes_right_behind_101_belong_to_the_client() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_request();
        connection.send([SWITCH, "first words"].concat());
        connection.hang();
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    assert_eq!(client.exchange(ASK).status(), 101);
    assert_eq!(client.read_exact(11), b"first words");
}

#[test]
fn each_side_may_end_first() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_request();
        connection.send(SWITCH);
        let (bytes, end) = connection.read_to_end();
        connection.send(format!("{} bytes, {end:?}", bytes.len()));
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    assert_eq!(client.exchange(ASK).status(), 101);
    client.send("hello");
    client.half_close();
    assert_eq!(client.read_to_end(), (b"5 bytes, Clean".to_vec(), End::Clean));

    let upstream = Upstream::scripted(|connection| {
        connection.read_request();
        connection.send([SWITCH, "bye"].concat());
        connection.half_close();
        connection.read_to_end();
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    assert_eq!(client.exchange(ASK).status(), 101);
    assert_eq!(client.read_to_end(), (b"bye".to_vec(), End::Clean));
    client.send("last words");
    client.half_close();
    assert_eq!(upstream.wait_end(0), End::Clean);
    assert!(upstream.received()[0].ends_with(b"last words"));
}

#[test]
fn silence_of_both_sides_ends_the_tunnel() {
    let upstream = echo();
    let gate = start(&upstream);
    let mut client = gate.client();
    assert_eq!(client.exchange(ASK.replace("Host: a", "Host: short.test")).status(), 101);
    client.expect_close();
    upstream.wait_end(0);
}

#[test]
fn every_end_of_a_tunnel_is_counted() {
    let upstream = Upstream::scripted(|connection| {
        if connection.read_request().is_none() {
            return;
        }
        connection.send(SWITCH);
        match connection.read_exact(4).as_deref() {
            Some(b"done") => {}
            Some(b"fail") => connection.reset(),
            _ => connection.hang(),
        }
    });
    let config = format!("shutdown_timeout: 0\n{CONFIG}");
    let gate = TestGate::start(&config, &[("upstream", &upstream)]);
    let metric = |name: &str, labels: String| gate.metric(&format!("smolgate_{name}{{{labels}}}"));
    let open = || metric("tunnels_open", "listener=\"http\"".into());
    for result in ["ok", "client_gone", "upstream_reset", "tunnel_idle", "shutting_down"] {
        let host = if result == "tunnel_idle" { "short.test" } else { "a" };
        let mut client = gate.client();
        assert_eq!(client.exchange(ASK.replace("Host: a", &format!("Host: {host}"))).status(), 101);
        if result != "tunnel_idle" {
            until("it is a tunnel", || open() == 1.0);
        }
        match result {
            "ok" => {
                client.send("done");
                client.half_close();
            }
            "upstream_reset" => client.send("fail"),
            "client_gone" => client.reset(),
            "shutting_down" => {
                gate.edit(&config.replace("{upstream}", "127.0.0.1:1"), &[]);
                gate.reload().expect("the reload is fine");
            }
            _ => _ = client.expect_close(),
        }
        let ended = || metric("tunnels_ended_total", format!("listener=\"http\",result=\"{result}\""));
        until("its end is counted", || ended() == 1.0);
        let own = metric("local_replies_total", format!("reason=\"{result}\""));
        assert_eq!((open(), own), (0.0, if result == "ok" { 0.0 } else { 1.0 }), "{result}");
    }
}

#[test]
fn every_end_of_a_tunnel_is_one_line_in_the_access_log() {
    for reason in [None, Some("shutting_down")] {
        let upstream = echo();
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("access.log");
        let config = format!("access_log: \"{}\"\nshutdown_timeout: 0\n{CONFIG}", log.display());
        let gate = TestGate::start(&config, &[("upstream", &upstream)]);
        let mut client = gate.client();
        assert_eq!(client.exchange(ASK).status(), 101);
        client.send("hello");
        assert_eq!(client.read_exact(5), b"hello");
        match reason {
            None => drop(client),
            Some(_) => {
                gate.edit(&config.replace("{upstream}", "127.0.0.1:1"), &[]);
                gate.reload().expect("the reload is fine");
                client.expect_close();
            }
        }
        let read = || std::fs::read_to_string(&log).unwrap_or_default();
        until("there is a line", || read().ends_with('\n'));
        let line: serde_json::Value = serde_json::from_str(&read()).expect("one line");
        let known = (line["status"].as_u64(), line["target"].as_str(), line["reason"].as_str());
        assert_eq!(known, (Some(101), Some("/chat"), reason), "{line}");
        assert_eq!(line["bytes_in"].as_u64(), Some(ASK.len() as u64 + 5), "{line}");
    }
}

#[test]
fn a_tunnel_is_never_pooled() {
    let upstream = Upstream::scripted(|connection| {
        let Some(request) = connection.read_request() else { return };
        if request.target() == "/chat" {
            connection.send(SWITCH);
            connection.read_to_end();
        } else {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
        }
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    assert_eq!(client.exchange(ASK).status(), 101);
    client.half_close();
    client.expect_close();
    gate.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fine");
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn h2c_is_dropped_and_the_request_stays() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    gate.exchange(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    )
    .expect(200, "fine");
    let seen = upstream.request();
    assert_eq!((seen.head.get("upgrade"), seen.head.get("http2-settings")), (None, None));
    assert!(!seen.head.list("connection").iter().any(|token| token != "keep-alive"), "{:?}", seen.head);
}

#[test]
fn http2_settings_alone_is_dropped_too() {
    let upstream = Upstream::says("fine");
    start(&upstream)
        .exchange("GET / HTTP/1.1\r\nHost: a\r\nHTTP2-Settings: AAMA\r\n\r\n")
        .expect(200, "fine");
    assert_eq!(upstream.request().head.get("http2-settings"), None);
}

#[test]
fn upgrade_without_connection_or_in_1_0_is_no_upgrade() {
    for ask in [ASK.replace("keep-alive, Upgrade", "keep-alive"), ASK.replace("HTTP/1.1", "HTTP/1.0")] {
        let upstream = Upstream::says("fine");
        start(&upstream).exchange(ask).expect(200, "fine");
        assert_eq!(upstream.request().head.get("upgrade"), None);
    }
}

#[test]
fn switching_to_another_protocol_is_502() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
        connection.hang();
    });
    start(&upstream).exchange(ASK).expect_own(502, "upgrade_failed");
}
