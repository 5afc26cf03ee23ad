//! TCP listeners: bytes in both directions, and the end of each direction.

mod support;

use std::io::Write;
use std::thread;

use support::gate::TestGate;
use support::upstream::{Blackhole, Refusing, Upstream};
use support::wire::End;
use support::{pattern, until};

const CONFIG: &str = r#"
listeners:
  - name: raw
    bind: "127.0.0.1:0"
    protocol: tcp
    target: "{upstream}"
"#;

fn start(upstream: &Upstream) -> TestGate {
    TestGate::start(CONFIG, &[("upstream", upstream)])
}

/// Echoes all bytes until the end.
fn echo() -> Upstream {
    Upstream::scripted(|connection| {
        while let Some(bytes) = connection.read_some() {
            connection.send(bytes);
        }
    })
}

#[test]
fn bytes_pass_both_ways_as_they_are() {
    let upstream = echo();
    let gate = start(&upstream);
    let mut client = gate.client_of("raw");
    for bytes in [b"\0\x01\xff".as_slice(), b"GET / HTTP/1.1\r\n\r\n", b"\n"] {
        client.send(bytes);
        assert_eq!(client.read_exact(bytes.len()), bytes);
    }
    assert_eq!(upstream.received(), [b"\0\x01\xffGET / HTTP/1.1\r\n\r\n\n"]);
}

#[test]
fn the_upstream_may_speak_first() {
    let upstream = Upstream::scripted(|connection| {
        connection.send("220 ready\r\n");
        connection.hang();
    });
    let gate = start(&upstream);
    assert_eq!(gate.client_of("raw").read_exact(11), b"220 ready\r\n");
}

#[test]
fn the_client_may_end_first() {
    let upstream = Upstream::scripted(|connection| {
        let (bytes, end) = connection.read_to_end();
        connection.send(format!("{} bytes, {end:?}", bytes.len()));
    });
    let gate = start(&upstream);
    let mut client = gate.client_of("raw");
    client.send("hello");
    client.half_close();
    assert_eq!(client.read_to_end(), (b"5 bytes, Clean".to_vec(), End::Clean));
}

#[test]
fn the_upstream_may_end_first() {
    let upstream = Upstream::scripted(|connection| {
        connection.send("bye");
        connection.half_close();
        connection.read_to_end();
    });
    let gate = start(&upstream);
    let mut client = gate.client_of("raw");
    assert_eq!(client.read_to_end(), (b"bye".to_vec(), End::Clean));
    client.send("still here");
    client.half_close();
    assert_eq!(upstream.wait_end(0), End::Clean);
    assert_eq!(upstream.received(), [b"still here"]);
}

#[test]
fn a_reset_of_the_client_ends_the_upstream_side() {
    let upstream = echo();
    let gate = start(&upstream);
    let mut client = gate.client_of("raw");
    client.send("x");
    client.read_exact(1);
    client.reset();
    assert_eq!(upstream.wait_end(0), End::Reset);
}

#[test]
fn a_reset_of_the_upstream_ends_the_client_side() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_exact(1);
        connection.reset();
    });
    let gate = start(&upstream);
    let mut client = gate.client_of("raw");
    client.send("x");
    assert_eq!(client.expect_close(), End::Reset);
}

#[test]
fn large_transfers_pass_both_ways_at_once_unchanged() {
    let (up, down) = (pattern(4, 32 << 20), pattern(5, 32 << 20));
    let (expected, sent) = (up.clone(), down.clone());
    let upstream = Upstream::scripted(move |connection| {
        // Writing must not wait for reading.
        let mut writer = connection.writer().expect("open");
        let sent = sent.clone();
        let sender = thread::spawn(move || writer.write_all(&sent).expect("the gate takes all of it"));
        let (bytes, end) = connection.read_to_end();
        assert!(bytes == expected, "{} bytes came up, changed", bytes.len());
        assert_eq!(end, End::Clean);
        sender.join().unwrap();
        connection.half_close();
    });
    let gate = start(&upstream);
    let mut client = gate.client_of("raw");
    let mut writer = client.writer();
    let sent = up.clone();
    let sender = thread::spawn(move || {
        writer.write_all(&sent).expect("the gate takes all of it");
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    let (bytes, end) = client.read_to_end();
    sender.join().unwrap();
    assert!(bytes == down, "{} bytes came down, changed", bytes.len());
    assert_eq!(end, End::Clean);
    assert!(upstream.received()[0] == up, "the bytes from the client changed");
}

/// Small and large transfers use different code, and each direction must switch between them.
#[test]
fn messages_and_large_transfers_take_turns() {
    const SIZES: [usize; 6] = [1 << 20, 3, 16 << 10, 1 << 20, 100 << 10, 3];
    let upstream = Upstream::scripted(|connection| {
        for size in SIZES {
            let bytes = connection.read_exact(size).expect("open");
            connection.send(bytes);
        }
    });
    let gate = start(&upstream);
    let mut client = gate.client_of("raw");
    for (seed, size) in (1..).zip(SIZES) {
        let bytes = pattern(seed, size);
        client.send(&bytes);
        assert!(client.read_exact(size) == bytes, "{size} bytes came back changed");
    }
    client.expect_close();
}

#[test]
fn several_targets_are_used_in_turn() {
    let (one, two) = (Upstream::scripted(|c| c.send("one")), Upstream::scripted(|c| c.send("two")));
    let config = CONFIG.replace(r#"target: "{upstream}""#, r#"targets: ["{one}", "{two}"]"#);
    let gate = TestGate::start(&config, &[("one", &one), ("two", &two)]);
    let answers: Vec<_> = (0..6).map(|_| gate.client_of("raw").read_exact(3)).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == b"one").count(), 3, "{answers:?}");
    assert!(answers.windows(2).all(|pair| pair[0] != pair[1]), "{answers:?}");
}

#[test]
fn a_refusing_target_is_skipped() {
    let (refusing, upstream) = (Refusing::new(), Upstream::scripted(|c| c.send("alive")));
    let config = CONFIG.replace(r#"target: "{upstream}""#, r#"targets: ["{refusing}", "{upstream}"]"#);
    let gate = TestGate::start(&config, &[("refusing", &refusing), ("upstream", &upstream)]);
    for _ in 0..4 {
        assert_eq!(gate.client_of("raw").read_exact(5), b"alive");
    }
}

#[test]
fn without_an_upstream_the_client_is_closed() {
    let refusing = Refusing::new();
    let gate = TestGate::start(CONFIG, &[("upstream", &refusing)]);
    let mut client = gate.client_of("raw");
    client.try_send("hello");
    client.expect_close();
}

#[test]
fn a_client_reset_during_the_connect_ends_the_connection() {
    let blackhole = Blackhole::new();
    let upstreams = "upstreams: { far: { targets: [\"{upstream}\"], connect_timeout: 1h } }\n";
    let config = format!("{upstreams}{}", CONFIG.replace("target: \"{upstream}\"", "upstream: far"));
    let gate = TestGate::start(&config, &[("upstream", &blackhole)]);
    let client = gate.client_of("raw");
    let open = || gate.metric("smolgate_connections_open{listener=\"raw\"}");
    until("it has been accepted", || open() == 1.0);
    client.reset();
    until("it is closed", || open() == 0.0);
    assert_eq!(gate.metric("smolgate_local_replies_total{reason=\"client_gone\"}"), 1.0);
}

#[test]
fn silence_of_both_sides_ends_the_tunnel() {
    for size in [1, 1 << 20] {
        let upstream = Upstream::scripted(move |connection| {
            let bytes = connection.read_exact(size).expect("open");
            connection.send(bytes);
            connection.hang();
        });
        let config = CONFIG.replace("protocol: tcp", "protocol: tcp\n    idle_timeout: \"1s\"");
        let gate = TestGate::start(&config, &[("upstream", &upstream)]);
        let (mut client, bytes) = (gate.client_of("raw"), pattern(6, size));
        client.send(&bytes);
        assert!(client.read_exact(size) == bytes, "{size} bytes came back changed");
        client.expect_close();
        upstream.wait_end(0);
    }
}

#[test]
fn one_side_that_speaks_keeps_the_tunnel() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_to_end();
        connection.send("end");
    });
    let config = CONFIG.replace("protocol: tcp", "protocol: tcp\n    idle_timeout: \"2s\"");
    let gate = TestGate::start(&config, &[("upstream", &upstream)]);
    let mut client = gate.client_of("raw");
    for _ in 0..12 {
        client.send("x");
        std::thread::sleep(std::time::Duration::from_millis(250));
    }
    client.half_close();
    assert_eq!(client.read_to_end().0, b"end");
    assert_eq!(upstream.received(), [b"xxxxxxxxxxxx"]);
}
