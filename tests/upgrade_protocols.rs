//! Upgrades to protocols other than WebSocket, with and without a body, byte for byte.

mod support;

use support::Latch;
use support::gate::TestGate;
use support::upstream::{Connection, Upstream};
use support::wire::End;

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    body_timeout: "300ms"
    rules:
      - target: "http://{upstream}"
"#;

fn start(upstream: &Upstream) -> TestGate {
    TestGate::start(CONFIG, &[("upstream", upstream)])
}

/// A request with these lines and this body.
fn ask(line: &str, lines: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}")
}

fn switch(protocol: &str) -> String {
    format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n")
}

fn echo(connection: &mut Connection) {
    while let Some(bytes) = connection.read_some() {
        connection.send(bytes);
    }
}

/// A target that switches to this protocol when it has the whole request, and then echoes.
fn switching_to(protocol: &str) -> Upstream {
    let switch = switch(protocol);
    Upstream::scripted(move |connection| {
        if connection.read_request().is_some() {
            connection.send(&switch);
            echo(connection);
        }
    })
}

#[test]
fn a_client_and_a_target_may_agree_on_any_protocol() {
    let length = "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n";
    let chunked = "Connection: Upgrade\r\nUpgrade: tcp\r\nTransfer-Encoding: chunked\r\n";
    let rows = [
        (
            "POST /ts",
            "Connection: upgrade\r\nUpgrade: control-protocol\r\nContent-Length: 0\r\n",
            "",
            "control-protocol",
        ),
        ("GET /derp", "Connection: Upgrade\r\nUpgrade: DERP\r\n", "", "DERP"),
        ("GET /", "Connection: Upgrade\r\nUpgrade: derp\r\n", "", "DERP"),
        ("POST /exec", length, "{}", "tcp"),
        ("POST /exec", chunked, "1\r\n{\r\n1;x\r\n}\r\n0\r\n\r\n", "TCP"),
        ("HEAD /", "Connection: Upgrade\r\nUpgrade: tcp\r\n", "", "tcp"),
        ("GET /", "Connection: Upgrade\r\nUpgrade: a/1 , b/2,\r\nUpgrade: tcp\r\n", "", "b/2"),
    ];
    for (line, lines, body, protocol) in rows {
        let upstream = switching_to(protocol);
        let gate = start(&upstream);
        let mut client = gate.client();
        client.send(ask(line, lines, body));
        let head = client.read_head();
        assert_eq!((support::message::status(&head), head.get("upgrade")), (101, Some(protocol)), "{line}");
        assert_eq!(head.list("connection"), ["upgrade"]);
        let seen = upstream.request();
        assert_eq!(seen.body.bytes, if body.is_empty() { "" } else { "{}" }.as_bytes(), "{lines}");
        assert_eq!(seen.head.list("connection"), ["upgrade"]);
        client.send("\0 hello");
        assert_eq!(client.read_exact(7), b"\0 hello");
        client.half_close();
        assert_eq!(client.read_to_end(), (Vec::new(), End::Clean), "{line}");
    }
}

#[test]
fn protocols_of_several_fields_are_one_list_without_those_that_are_not_served() {
    let lines =
        "Connection: upgrade\r\nUpgrade: h2c, a/1\r\nUpgrade: HTTP/2.0\r\nUpgrade: TLS/1.0, B, b;c, d e\r\n";
    let upstream = switching_to("B");
    let gate = start(&upstream);
    assert_eq!(gate.exchange(ask("GET /", lines, "")).status(), 101);
    assert_eq!(upstream.request().head.all("upgrade"), ["a/1, B"]);
}

#[test]
fn nothing_else_asks_for_an_upgrade() {
    for lines in [
        "Upgrade: tcp\r\n",
        "Connection: upgrade\r\n",
        "Connection: upgrade\r\nUpgrade:\r\n",
        "Connection: upgrade\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: H2C\r\nUpgrade: http/2.0, tls/1.2\r\n",
        "Connection: upgrade\r\nUpgrade: a b\r\n",
        "Connection: upgrades\r\nUpgrade: tcp\r\n",
    ] {
        let upstream = switching_to("tcp");
        let gate = start(&upstream);
        gate.exchange(ask("POST /", lines, "")).expect_own(502, "upgrade_failed");
        let seen = upstream.request();
        assert_eq!((seen.head.get("upgrade"), seen.head.list("connection")), (None, vec![]), "{lines}");
        assert_eq!(upstream.wait_end(0), End::Clean);
    }
}

#[test]
fn a_switch_to_what_was_not_asked_for_is_502() {
    let lines = "Connection: upgrade\r\nUpgrade: tcp\r\n";
    let head = "HTTP/1.1 101 Switching Protocols\r\n";
    for answer in [
        "Connection: upgrade\r\nUpgrade: udp\r\n\r\n",
        "Connection: upgrade\r\nUpgrade: tcp, udp\r\n\r\n",
        "Connection: upgrade\r\nUpgrade: tcp\r\nUpgrade: tcp\r\n\r\n",
        "Connection: upgrade\r\nUpgrade: tc\r\n\r\n",
        "Connection: upgrade\r\nUpgrade: tcp/1\r\n\r\n",
        "Connection: upgrade\r\n\r\n",
        "Upgrade: tcp\r\n\r\n",
    ] {
        let answer = format!("{head}{answer}raw");
        let upstream = Upstream::scripted(move |connection| {
            connection.read_request();
            connection.send(&answer);
            connection.hang();
        });
        let gate = start(&upstream);
        for line in ["GET /", "HEAD /", "POST /"] {
            let mut client = gate.client();
            client.send(ask(line, lines, ""));
            let head = client.read_head();
            assert_eq!(support::message::status(&head), 502, "{line}");
            assert!(head.get("proxy-status").is_some_and(|status| status.contains("upgrade_failed")));
        }
    }
}

/// Bytes behind a request are a request as long as the target has not switched.
#[test]
fn a_target_that_ignores_the_upgrade_goes_on_with_http() {
    let upstream = Upstream::says("no");
    let gate = start(&upstream);
    let mut client = gate.client();
    let lines = "Connection: upgrade\r\nUpgrade: tcp\r\nContent-Length: 4\r\n";
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
    client.send([ask("POST /first", lines, "body"), hidden.to_owned()].concat());
    client.read_response().expect(200, "no");
    client.read_response().expect(200, "no");
    let seen = upstream.requests();
    let starts: Vec<_> = seen.iter().map(|request| request.head.start.as_str()).collect();
    assert_eq!(starts, ["POST /first HTTP/1.1", "GET /hidden HTTP/1.1"]);
    assert_eq!(seen[0].body.bytes, b"body");
    assert_eq!(seen[1].head.get("via"), Some("1.1 smolgate"), "it went through the rules");
    // A byte that is not HTTP does not reach the target.
    let before = upstream.received().concat().len();
    let mut client = gate.client();
    client.send([ask("POST /first", lines, "body"), "\0raw\r\n\r\n".to_owned()].concat());
    client.read_response().expect(200, "no");
    client.read_response().expect_own(400, "request_malformed");
    let after = upstream.received().concat();
    assert!(!after[before..].windows(4).any(|bytes| bytes == b"\0raw"));
}

/// The tunnel begins behind the body, also if the target switches before it has come.
#[test]
fn the_rest_of_a_body_comes_before_the_tunnel() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_head();
        connection.send(switch("tcp"));
        let bytes = connection.read_exact(11).unwrap_or_default();
        connection.send(bytes);
        echo(connection);
    });
    let gate = start(&upstream);
    let lines = "Connection: upgrade\r\nUpgrade: tcp\r\nTransfer-Encoding: chunked\r\n";
    let mut client = gate.client();
    client.send(ask("POST /", lines, ""));
    assert_eq!(support::message::status(&client.read_head()), 101);
    client.send("1\r\n{\r\n0\r\n\r\nraw");
    assert_eq!(client.read_exact(14), b"1\r\n{\r\n0\r\n\r\nraw");
}

#[test]
fn a_body_that_breaks_after_the_switch_opens_no_tunnel() {
    for rest in ["zz\r\nraw", "5\r\n12"] {
        let upstream = Upstream::scripted(|connection| {
            connection.read_head();
            connection.send(switch("tcp"));
            connection.hang();
        });
        let gate = start(&upstream);
        let lines = "Connection: upgrade\r\nUpgrade: tcp\r\nTransfer-Encoding: chunked\r\n";
        let mut client = gate.client();
        client.send(ask("POST /", lines, ""));
        assert_eq!(support::message::status(&client.read_head()), 101);
        client.send(rest);
        client.expect_close();
        upstream.wait_end(0);
        assert!(!upstream.received()[0].ends_with(b"raw"), "{rest}");
    }
}

#[test]
fn expect_and_upgrade_work_together() {
    let hold = Latch::new();
    let held = hold.clone();
    let upstream = Upstream::scripted(move |connection| {
        let Some(head) = connection.read_head() else { return };
        held.wait();
        connection.send("HTTP/1.1 100 Continue\r\n\r\n");
        connection.read_body(head);
        connection.send(switch("tcp"));
        echo(connection);
    });
    let gate = start(&upstream);
    let lines = "Connection: upgrade\r\nUpgrade: tcp\r\nExpect: 100-continue\r\nContent-Length: 4\r\n";
    let mut client = gate.client();
    client.send(ask("POST /", lines, ""));
    hold.open();
    assert_eq!(support::message::status(&client.read_head()), 100);
    client.send("bodyraw");
    assert_eq!(support::message::status(&client.read_head()), 101);
    assert_eq!(client.read_exact(3), b"raw");
    assert_eq!(upstream.request().body.bytes, b"body");
}
