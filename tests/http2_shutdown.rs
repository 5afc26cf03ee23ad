//! Reloads and stops with clients of HTTP/2: no stream is lost.
#![cfg(feature = "http2")]

mod support;

use rustix::process::Signal;
use support::Latch;
use support::gate::TestGate;
use support::http2::Http2;
use support::program::Program;
use support::upstream::Upstream;

const CONFIG: &str = r#"
shutdown_timeout: "20s"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { path: "/version", respond: { body: "before" } }
      - { path: "/**", target: "http://{upstream}" }
"#;

/// The number of the last stream in a GOAWAY that refuses nothing.
const LAST_OF_ALL: u32 = 0x7fff_ffff;

/// An upstream that answers when it may.
fn held(latch: &Latch) -> Upstream {
    let held = latch.clone();
    Upstream::each(move |connection, _| {
        held.wait();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalive");
    })
}

#[test]
fn a_reload_ends_no_stream_and_the_next_one_gets_the_new_rules() {
    let latch = Latch::new();
    let upstream = held(&latch);
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let mut client = Http2::connect(gate.address("http"));
    let open = client.get("/open");
    upstream.wait_requests(1);
    client.exchange("/version").expect(200, "before");
    for round in 0..20 {
        let text = format!("after {round}");
        gate.edit(&CONFIG.replace("before", &text), &[("upstream", &upstream)]);
        gate.reload().unwrap();
        client.exchange("/version").expect(200, &text);
    }
    latch.open();
    client.answer(open).expect(200, "alive");
    assert_eq!(client.go_aways, []);
}

#[test]
fn a_listener_that_closes_takes_streams_on_their_way_and_answers_the_open_ones() {
    let latch = Latch::new();
    let upstream = held(&latch);
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let mut client = Http2::connect(gate.address("http"));
    client.answers_pings = false;
    let open = client.get("/open");
    upstream.wait_requests(1);
    gate.edit(&CONFIG.replace("name: http", "name: other"), &[("upstream", &upstream)]);
    gate.reload().unwrap();
    client.until(|client| !client.go_aways.is_empty());
    assert_eq!(client.go_aways, [(LAST_OF_ALL, 0)]);
    // This request was on its way when the client learned of the end.
    client.exchange("/version").expect(200, "before");
    client.frame(6, 1, 0, b"shutdown");
    client.until(|client| client.go_aways.len() == 2);
    assert_eq!(client.go_aways[1], (3, 0));
    let late = client.get("/late");
    assert_eq!(client.answer(late).reset, Some(7));
    latch.open();
    client.answer(open).expect(200, "alive");
    assert_eq!(client.wait_closed(), Some(0));
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_stop_answers_open_streams_and_ends_idle_connections() {
    let latch = Latch::new();
    let upstream = held(&latch);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("smolgate.yml");
    let text = CONFIG.replace("{upstream}", &upstream.to_string());
    std::fs::write(&file, format!("internal_api: {{ bind: \"127.0.0.1:0\" }}\n{text}")).unwrap();
    let mut program = Program::start(|command| _ = command.arg("-c").arg(&file));
    let mut busy = Http2::connect(program.address("http"));
    let mut idle = Http2::connect(program.address("http"));
    idle.exchange("/version").expect(200, "before");
    let open = busy.get("/open");
    upstream.wait_requests(1);
    program.signal(Signal::TERM);
    assert_eq!(idle.wait_closed(), Some(0));
    busy.until(|client| client.go_aways.len() == 2);
    latch.open();
    busy.answer(open).expect(200, "alive");
    assert_eq!(busy.wait_closed(), Some(0));
    assert!(program.wait().success());
}

#[test]
fn a_stream_that_outlives_shutdown_timeout_is_cut() {
    let latch = Latch::new();
    let upstream = held(&latch);
    let config = CONFIG.replace("20s", "100ms");
    let gate = TestGate::start(&config, &[("upstream", &upstream)]);
    let mut client = Http2::connect(gate.address("http"));
    client.get("/open");
    upstream.wait_requests(1);
    gate.stop();
    client.wait_closed();
    latch.open();
}

#[test]
fn an_idle_connection_makes_room_and_a_busy_one_does_not() {
    let latch = Latch::new();
    let upstream = held(&latch);
    let gate = TestGate::start(&format!("max_connections: 2\n{CONFIG}"), &[("upstream", &upstream)]);
    let mut busy = Http2::connect(gate.address("http"));
    let open = busy.get("/open");
    upstream.wait_requests(1);
    let mut idle = Http2::connect(gate.address("http"));
    idle.exchange("/version").expect(200, "before");
    let mut third = Http2::connect(gate.address("http"));
    third.exchange("/version").expect(200, "before");
    assert_eq!(idle.wait_closed(), Some(0));
    latch.open();
    busy.answer(open).expect(200, "alive");
}

#[test]
fn a_connection_without_streams_ends_after_idle_timeout() {
    let upstream = Upstream::says("ok");
    let config = CONFIG.replace("    rules:", "    idle_timeout: 200ms\n    rules:");
    let gate = TestGate::start(&config, &[("upstream", &upstream)]);
    let mut client = Http2::connect(gate.address("http"));
    client.exchange("/x").expect(200, "ok");
    assert_eq!(client.wait_closed(), Some(0));
    assert_eq!(client.go_aways.last(), Some(&(1, 0)));
}
