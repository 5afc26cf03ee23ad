//! Attacks over HTTP/2 on a running gate, each beside an honest client that must be served. What the target received
//! and what the process holds decide.
#![cfg(feature = "http2")]

mod support;

use support::gate::TestGate;
use support::http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, Http2, INITIAL_WINDOW, PING, PRIORITY, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block, frame, get, headers,
};
use support::program::Program;
use support::upstream::Upstream;

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    header_timeout: "{header_timeout}"
    rules:
      - { path: "/fixed", respond: { body: "fixed" } }
      - { path: "/**", target: "http://{upstream}" }
"#;

/// A gate, and an honest client that speaks while others attack.
struct Setup {
    gate: TestGate,
    upstream: Upstream,
    honest: Http2,
}

impl Setup {
    fn new() -> Setup {
        let upstream = Upstream::says("ok");
        let gate = TestGate::start(CONFIG, &[("upstream", &upstream), ("header_timeout", &"10s")]);
        let mut honest = Http2::connect(gate.address("http"));
        honest.exchange("/x").expect(200, "ok");
        Setup { gate, upstream, honest }
    }

    fn attacker(&self) -> Http2 {
        Http2::connect(self.gate.address("http"))
    }

    /// Expects that the honest client is served: on its connection, and on a new one.
    #[track_caller]
    fn expect_service(mut self) {
        self.honest.exchange("/x").expect(200, "ok");
        Http2::connect(self.gate.address("http")).exchange("/x").expect(200, "ok");
    }

    /// Expects that an attacker lost its connection with `code`, for abuse if that is what the code says.
    #[track_caller]
    fn expect_end(self, mut attacker: Http2, code: u32) {
        assert_eq!(attacker.wait_closed(), Some(code));
        let reason = if code == ENHANCE_YOUR_CALM { "http2_abuse" } else { "http2_malformed" };
        let series = format!("smolgate_local_replies_total{{reason=\"{reason}\"}}");
        support::until("the end is counted", || self.gate.metric(&series) == 1.0);
        self.expect_service();
    }
}

/// Sends what `make` makes until the gate has closed, or a thousand times more than it should take.
fn flood(attacker: &mut Http2, mut make: impl FnMut(&mut Http2) -> Vec<u8>) {
    for _ in 0..100_000 {
        let bytes = make(attacker);
        if !attacker.try_raw(bytes) {
            return;
        }
    }
}

#[test]
fn streams_that_are_reset_at_once_end_the_connection_and_reach_no_target() {
    let setup = Setup::new();
    let mut attacker = setup.attacker();
    flood(&mut attacker, |attacker| {
        let stream = attacker.new_stream();
        [headers(stream, &get("/x"), true), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    });
    let received = setup.upstream.requests().len();
    assert!(received <= 201, "{received} of the requests that were reset at once began");
    setup.expect_end(attacker, ENHANCE_YOUR_CALM);
}

#[test]
fn resets_that_the_gate_is_made_to_send_end_the_connection() {
    let ways: [fn(u32) -> Vec<u8>; 3] = [
        |stream| frame(WINDOW_UPDATE, 0, stream, &[0; 4]),
        |stream| frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffffu32.to_be_bytes()),
        |stream| frame(DATA, 0, stream, b"behind the end"),
    ];
    for way in ways {
        let setup = Setup::new();
        let mut attacker = setup.attacker();
        flood(&mut attacker, |attacker| {
            let stream = attacker.new_stream();
            [headers(stream, &get("/x"), true), way(stream)].concat()
        });
        setup.expect_end(attacker, ENHANCE_YOUR_CALM);
    }
}

#[test]
fn streams_beyond_the_limit_are_refused_and_then_cost_the_connection() {
    let setup = Setup::new();
    let mut attacker = Http2::connect_with(setup.gate.address("http"), &[(INITIAL_WINDOW, 0)]);
    // Each of them waits for its body, so none ends.
    let open: Vec<u32> = (0..100).map(|_| attacker.request(&get("/x"), false)).collect();
    let more = attacker.get("/x");
    assert_eq!(attacker.answer(more).reset, Some(REFUSED_STREAM));
    assert!(open.iter().all(|stream| attacker.seen(*stream).reset.is_none()));
    flood(&mut attacker, |attacker| headers(attacker.new_stream(), &get("/x"), true));
    setup.expect_end(attacker, ENHANCE_YOUR_CALM);
}

#[test]
fn a_head_in_endless_continuations_ends_the_connection() {
    let setup = Setup::new();
    let mut attacker = setup.attacker();
    attacker.frame(HEADERS, END_STREAM, 1, block(&get("/x")));
    flood(&mut attacker, |_| frame(CONTINUATION, 0, 1, &block(&[("x-a", "b")])));
    setup.expect_end(attacker, ENHANCE_YOUR_CALM);
}

#[test]
fn a_block_that_is_a_bomb_ends_the_connection() {
    let setup = Setup::new();
    let mut attacker = setup.attacker();
    // A field of 4,000 bytes enters the table, and each further byte repeats it.
    let mut bomb = block(&get("/x"));
    let value = "x".repeat(3_900);
    let field = block(&[("x-a", &value)]);
    bomb.push(0x40);
    bomb.extend(&field[1..]);
    bomb.extend([0xbe; 10_000]);
    attacker.frame(HEADERS, END_HEADERS | END_STREAM, 1, bomb);
    setup.expect_end(attacker, ENHANCE_YOUR_CALM);
}

#[test]
fn floods_of_control_frames_end_the_connection() {
    let floods: [fn() -> Vec<u8>; 5] = [
        || frame(PING, 0, 0, &[0; 8]),
        || frame(SETTINGS, 0, 0, &[]),
        || frame(0x77, 0, 0, b"unknown"),
        || frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 0]),
        || frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
    ];
    for make in floods {
        let setup = Setup::new();
        let mut attacker = setup.attacker();
        // The gate stops to read while its answers are not taken, so a thread takes them.
        flood(&mut attacker, |_| make().repeat(10));
        setup.expect_end(attacker, ENHANCE_YOUR_CALM);
    }
}

#[test]
fn data_without_data_end_the_connection() {
    let setup = Setup::new();
    let mut attacker = setup.attacker();
    let stream = attacker
        .request(&[(":method", "POST"), (":scheme", "http"), (":path", "/x"), (":authority", "a")], false);
    flood(&mut attacker, |_| frame(DATA, 0, stream, &[]));
    setup.expect_end(attacker, ENHANCE_YOUR_CALM);
}

#[test]
fn errors_of_a_connection_have_the_code_of_the_rfc() {
    type Case = (fn() -> Vec<u8>, u32);
    let cases: [Case; 6] = [
        (|| frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffffu32.to_be_bytes()), FLOW_CONTROL_ERROR),
        (|| frame(WINDOW_UPDATE, 0, 0, &[0; 4]), PROTOCOL_ERROR),
        (|| frame(SETTINGS, 0, 0, &[0; 5]), FRAME_SIZE_ERROR),
        (|| frame(DATA, 0, 9, b"idle stream"), PROTOCOL_ERROR),
        (|| frame(HEADERS, END_HEADERS, 2, &block(&get("/x"))), PROTOCOL_ERROR),
        (|| frame(CONTINUATION, END_HEADERS, 1, &[]), PROTOCOL_ERROR),
    ];
    for (make, code) in cases {
        let setup = Setup::new();
        let mut attacker = setup.attacker();
        attacker.raw(make());
        setup.expect_end(attacker, code);
    }
}

#[test]
fn a_frame_that_does_not_end_loses_its_connection() {
    let upstream = Upstream::says("ok");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream), ("header_timeout", &"300ms")]);
    let mut attacker = Http2::connect(gate.address("http"));
    attacker.ping();
    attacker.raw(&headers(1, &get("/x"), true)[..20]);
    assert_eq!(attacker.wait_closed(), Some(ENHANCE_YOUR_CALM));
    let mut attacker = Http2::connect(gate.address("http"));
    attacker.ping();
    attacker.frame(HEADERS, END_STREAM, 1, block(&get("/x")));
    assert_eq!(attacker.wait_closed(), Some(ENHANCE_YOUR_CALM));
    Http2::connect(gate.address("http")).exchange("/x").expect(200, "ok");
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn an_upload_that_nothing_takes_does_not_stop_another_stream() {
    let upstream = Upstream::scripted(|connection| {
        let Some(head) = connection.read_head() else { return };
        if head.start.contains("/stuck") {
            connection.hang();
            return;
        }
        connection.read_body(head);
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream), ("header_timeout", &"10s")]);
    let mut client = Http2::connect(gate.address("http"));
    let post = |path| [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "a.test")];
    let stuck = client.request(&post("/stuck"), false);
    for _ in 0..3 {
        client.data(stuck, [7; 16_000], false);
    }
    let other = client.request(&post("/other"), false);
    client.data(other, [7; 10_000], true);
    client.answer(other).expect(200, "ok");
}

/// A program with an upstream of large responses.
fn program(upstream: &Upstream) -> (Program, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("smolgate.yml");
    let text = CONFIG.replace("{upstream}", &upstream.to_string()).replace("{header_timeout}", "10s");
    std::fs::write(&file, format!("workers: 1\ninternal_api: {{ bind: \"127.0.0.1:0\" }}\n{text}")).unwrap();
    (Program::start(|command| _ = command.arg("-c").arg(&file)), dir)
}

#[test]
fn responses_that_are_not_taken_and_heads_that_are_held_take_little_memory() {
    let big = vec![b'x'; 1_000_000];
    let upstream = Upstream::each(move |connection, request| {
        if request.target() == "/honest" {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            return;
        }
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", big.len()));
        connection.try_send(&big);
    });
    let (program, _dir) = program(&upstream);
    let mut honest = Http2::connect(program.address("http"));
    honest.exchange("/honest").expect(200, "ok");
    let before = program.memory();
    let crumbs: Vec<(&str, &str)> =
        get("/big").into_iter().chain((0..100).map(|_| ("cookie", "a"))).collect();
    let mut attackers = Vec::new();
    for _ in 0..5 {
        let mut attacker = Http2::connect_with(program.address("http"), &[(INITIAL_WINDOW, 0)]);
        let streams: Vec<u32> = (0..100).map(|_| attacker.request(&crumbs, true)).collect();
        for stream in streams {
            attacker.status(stream);
        }
        attackers.push(attacker);
    }
    honest.exchange("/honest").expect(200, "ok");
    // 500 responses that wait: a buffer of 64 KiB on each side of the gate, and what an exchange takes.
    let grown = program.memory().saturating_sub(before);
    assert!(grown < 110 * 1024 * 1024, "{grown} bytes for 500 streams");
    drop(attackers);
    honest.exchange("/honest").expect(200, "ok");
}

#[test]
fn answers_that_are_never_read_stop_the_reading() {
    let upstream = Upstream::says("ok");
    let (program, _dir) = program(&upstream);
    let mut honest = Http2::connect(program.address("http"));
    honest.exchange("/honest").expect(200, "ok");
    let before = program.memory();
    let mut attacker = Http2::connect(program.address("http"));
    // PINGs that are free, since a frame of a stream stands before each, and whose answers are not read.
    let post = [(":method", "POST"), (":scheme", "http"), (":path", "/x"), (":authority", "a.test")];
    let stream = attacker.request(&post, false);
    let pair = [frame(DATA, 0, stream, b"x"), frame(PING, 0, 0, &[0; 8])].concat().repeat(60_000);
    attacker.stall_after(std::time::Duration::from_millis(300));
    attacker.try_raw(pair);
    honest.exchange("/honest").expect(200, "ok");
    let grown = program.memory().saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes for answers that are not read");
}

#[test]
fn windows_of_one_byte_are_served_and_a_flood_of_them_ends_the_connection() {
    let upstream = Upstream::says("a body of some length");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream), ("header_timeout", &"10s")]);
    let mut client = Http2::connect_with(gate.address("http"), &[(INITIAL_WINDOW, 1)]);
    client.exchange("/x").expect(200, "a body of some length");
    let big = Upstream::says(&"x".repeat(20_000));
    gate.edit(CONFIG, &[("upstream", &big), ("header_timeout", &"10s")]);
    gate.reload().unwrap();
    client.get("/x");
    assert_eq!(client.wait_closed(), Some(ENHANCE_YOUR_CALM));
}
