//! Clients of HTTP/2 over sockets: what the target receives, and what the client is told.
#![cfg(feature = "http2")]

mod support;

use std::sync::Arc;

use support::gate::TestGate;
use support::http2::{Frame, Http2, SETTINGS, WINDOW_UPDATE, frame, get, headers};
use support::tls::Authority;
use support::upstream::Upstream;
use support::{Latch, pattern};

const CONFIG: &str = r#"
access_log: { to: "{log}", format: json }
listeners:
  - name: http
    bind: "127.0.0.1:0"
    head_bytes_max: 16KiB
    rules:
      - { host: b.test, path: "/fixed", respond: { body: "other" } }
      - { path: "/fixed", respond: { body: "fixed" } }
      - { path: "/drop", drop: true }
      - { path: "/small", max_body: 10B, target: "http://{upstream}" }
      - { path: "/collect", buffer_request: 1MiB, target: "http://{upstream}" }
      - { path: "/**", target: "http://{upstream}" }
"#;

/// A gate in front of an upstream, and the folder of its log.
struct Setup {
    gate: TestGate,
    upstream: Upstream,
    log: std::path::PathBuf,
    _dir: tempfile::TempDir,
}

impl Setup {
    fn new(upstream: Upstream) -> Setup {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("access.log");
        let gate = TestGate::start(CONFIG, &[("upstream", &upstream), ("log", &log.display())]);
        Setup { gate, upstream, log, _dir: dir }
    }

    fn client(&self) -> Http2 {
        Http2::connect(self.gate.address("http"))
    }
}

const POST: [(&str, &str); 4] =
    [(":method", "POST"), (":scheme", "http"), (":path", "/x"), (":authority", "a.test")];

fn post<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&POST[..], more].concat()
}

#[test]
fn a_get_reaches_the_target_as_http_1_1_and_its_response_comes_back_as_fields() {
    let setup = Setup::new(Upstream::answers(
        "HTTP/1.1 200 OK\r\nX-A: 1\r\nConnection: keep-alive, x-b\r\nX-B: 2\r\nKeep-Alive: timeout=5\r\nContent-Length: 5\r\n\r\nhello",
    ));
    let mut client = setup.client();
    let fields = [&get("/x?y=z")[..], &[("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2")]].concat();
    let stream = client.request(&fields, true);
    let answer = client.answer(stream);
    answer.expect(200, "hello");
    assert_eq!(answer.get("x-a"), Some("1"));
    assert_eq!(answer.get("content-length"), Some("5"));
    for gone in ["connection", "keep-alive", "x-b", "transfer-encoding"] {
        assert_eq!(answer.get(gone), None, "{gone}");
    }
    let request = setup.upstream.request();
    assert_eq!((request.method(), request.target()), ("GET", "/x?y=z"));
    assert_eq!(request.head.get("cookie"), Some("a=1; b=2"));
    assert_eq!(request.head.get("via"), Some("2.0 smolgate"));
    assert_eq!(request.head.get("x-forwarded-host"), Some("a.test"));
    assert_eq!(request.head.get("content-length"), None);
    assert_eq!(request.head.get("transfer-encoding"), None);
    client.exchange("/fixed").expect(200, "fixed");
    support::until("the log has both", || std::fs::read_to_string(&setup.log).unwrap().lines().count() == 2);
    let log = std::fs::read_to_string(&setup.log).unwrap();
    assert!(log.lines().all(|line| line.contains("\"version\":\"HTTP/2.0\"")), "{log}");
    assert_eq!(setup.gate.metric("smolgate_http2_streams_total{listener=\"http\"}"), 2.0);
}

#[test]
fn streams_are_served_at_once_and_each_by_its_own_rule() {
    let latch = Latch::new();
    let held = latch.clone();
    let setup = Setup::new(Upstream::each(move |connection, request| {
        if request.target() == "/slow" {
            held.wait();
        }
        let body = request.target().to_owned();
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    }));
    let mut client = setup.client();
    let slow = client.get("/slow");
    let fast: Vec<u32> = (0..20).map(|number| client.get(&format!("/{number}"))).collect();
    let mut other = get("/fixed");
    other[3].1 = "b.test";
    let other = client.request(&other, true);
    client.answer(other).expect(200, "other");
    for (number, stream) in fast.into_iter().enumerate() {
        client.answer(stream).expect(200, format!("/{number}"));
    }
    latch.open();
    client.answer(slow).expect(200, "/slow");
}

#[test]
fn head_and_statuses_without_a_body_end_with_their_head() {
    let setup = Setup::new(Upstream::each(|connection, request| {
        connection.send(match request.target() {
            "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
            "/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
        });
    }));
    let mut client = setup.client();
    let mut head = get("/x");
    head[0].1 = "HEAD";
    let stream = client.request(&head, true);
    let answer = client.answer(stream);
    answer.expect(200, "");
    assert_eq!(answer.get("content-length"), Some("7"));
    client.exchange("/204").expect(204, "");
    client.exchange("/304").expect(304, "");
}

#[test]
fn a_body_with_a_length_arrives_with_it() {
    let setup = Setup::new(Upstream::says("ok"));
    let mut client = setup.client();
    let stream = client.request(&post(&[("content-length", "11")]), false);
    client.data(stream, "hello ", false);
    client.data(stream, "world", true);
    client.answer(stream).expect(200, "ok");
    let request = setup.upstream.request();
    assert_eq!(request.head.get("content-length"), Some("11"));
    assert_eq!(request.body.bytes, b"hello world");
}

#[test]
fn a_body_without_a_length_arrives_in_chunks_with_its_trailers() {
    let setup = Setup::new(Upstream::says("ok"));
    let mut client = setup.client();
    let fields = post(&[("te", "trailers"), ("trailer", "x-sum")]);
    let stream = client.request(&fields, false);
    client.data(stream, "hello ", false);
    client.data(stream, "world", false);
    let trailers =
        [("x-sum", "7"), ("content-length", "3"), ("host", "evil"), ("x-forwarded-for", "1.1.1.1")];
    client.raw(headers(stream, &trailers, true));
    client.answer(stream).expect(200, "ok");
    let request = setup.upstream.request();
    assert_eq!(request.head.get("transfer-encoding"), Some("chunked"));
    assert_eq!(request.body.bytes, b"hello world");
    assert_eq!(request.body.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    let stream = client.request(&post(&[]), false);
    client.data(stream, "", true);
    client.answer(stream).expect(200, "ok");
    let empty = &setup.upstream.requests()[1];
    assert_eq!((empty.head.get("transfer-encoding"), &*empty.body.bytes), (Some("chunked"), &b""[..]));
}

#[test]
fn a_collected_body_arrives_with_a_length() {
    let setup = Setup::new(Upstream::says("ok"));
    let mut client = setup.client();
    let mut fields = post(&[]);
    fields[2].1 = "/collect";
    let stream = client.request(&fields, false);
    client.data(stream, "hello ", false);
    client.data(stream, "world", true);
    client.answer(stream).expect(200, "ok");
    let request = setup.upstream.request();
    assert_eq!(request.head.get("content-length"), Some("11"));
    assert_eq!((request.head.get("transfer-encoding"), &*request.body.bytes), (None, &b"hello world"[..]));
}

#[test]
fn trailers_of_a_target_come_if_the_client_accepts_them() {
    let setup = Setup::new(Upstream::answers(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n",
    ));
    let mut client = setup.client();
    let stream = client.request(&[&get("/x")[..], &[("te", "trailers")]].concat(), true);
    let answer = client.answer(stream);
    answer.expect(200, "hello");
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "7".to_owned())]);
    let answer = client.exchange("/x");
    answer.expect(200, "hello");
    assert_eq!(answer.trailers, []);
}

#[test]
fn bodies_of_every_framing_end_with_the_stream_and_the_connection_stays() {
    let setup = Setup::new(Upstream::scripted(|connection| {
        while let Some(request) = connection.read_request() {
            match request.target() {
                "/chunks" => connection.send(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n",
                ),
                "/until-close" => {
                    connection.send("HTTP/1.1 200 OK\r\n\r\nabcde");
                    connection.close();
                    return;
                }
                _ => connection.send("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nabcde"),
            }
        }
    }));
    let mut client = setup.client();
    for path in ["/chunks", "/until-close", "/length", "/chunks"] {
        let answer = client.exchange(path);
        answer.expect(200, "abcde");
        assert_eq!(answer.get("transfer-encoding"), None);
    }
}

#[test]
fn a_response_that_is_cut_is_reset_and_other_streams_go_on() {
    let setup = Setup::new(Upstream::scripted(|connection| {
        while let Some(request) = connection.read_request() {
            if request.target() == "/cut" {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
                connection.close();
                return;
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    }));
    let mut client = setup.client();
    let cut = client.get("/cut");
    let answer = client.answer(cut);
    assert!(answer.reset.is_some() && !answer.has_ended, "{answer:?}");
    client.exchange("/x").expect(200, "ok");
}

#[test]
fn interim_responses_come_before_the_final_one() {
    let setup = Setup::new(Upstream::scripted(|connection| {
        while let Some(head) = connection.read_head() {
            connection.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            let request = connection.read_body(head);
            let body = String::from_utf8(request.body.bytes).unwrap();
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    }));
    let mut client = setup.client();
    let stream = client.request(&post(&[("content-length", "4"), ("expect", "100-continue")]), false);
    client.until(|client| client.seen(stream).interim == [100, 103]);
    client.data(stream, "body", true);
    let answer = client.answer(stream);
    answer.expect(200, "body");
    assert_eq!(answer.interim, [100, 103]);
}

#[test]
fn an_early_answer_is_whole_and_the_rest_of_the_request_is_not_wanted() {
    let setup = Setup::new(Upstream::scripted(|connection| {
        if connection.read_head().is_some() {
            connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
            connection.close();
        }
    }));
    let mut client = setup.client();
    let stream = client.request(&post(&[]), false);
    client.data(stream, "some", false);
    client.until(|client| client.seen(stream).has_ended);
    client.until(|client| client.seen(stream).reset.is_some());
    let answer = client.seen(stream);
    assert_eq!((answer.status, &*answer.body, answer.reset), (413, &b"big"[..], Some(0)));
    client.exchange("/fixed").expect(200, "fixed");
}

#[test]
fn answers_of_the_gate_have_their_reason() {
    let setup = Setup::new(Upstream::says("ok"));
    let mut client = setup.client();
    let mut own = |fields: &[(&str, &str)], status, reason| {
        let stream = client.request(fields, true);
        client.answer(stream).expect_own(status, reason);
    };
    own(&get("/a/../b"), 400, "request_target");
    own(&[(":method", "CONNECT"), (":authority", "a.test:443")], 405, "request_method");
    let long = "x".repeat(30_000);
    own(&[&get("/x")[..], &[("x-long", &*long)]].concat(), 431, "head_too_large");
    let many: Vec<(&str, &str)> = get("/x").into_iter().chain((0..130).map(|_| ("x-a", "b"))).collect();
    own(&many, 431, "head_too_large");
    let mut small = post(&[("content-length", "11")]);
    small[2].1 = "/small";
    let stream = client.request(&small, false);
    client.status(stream);
    client.seen(stream).expect_own(413, "body_too_large");
    // None of these requests reached the target.
    client.exchange("/x").expect(200, "ok");
    assert_eq!(setup.upstream.requests().len(), 1);
}

#[test]
fn a_rule_that_drops_resets_the_stream_alone() {
    let setup = Setup::new(Upstream::says("ok"));
    let mut client = setup.client();
    let answer = client.exchange("/drop");
    assert!(answer.reset.is_some() && answer.status == 0, "{answer:?}");
    client.exchange("/x").expect(200, "ok");
}

#[test]
fn a_malformed_request_is_reset_and_reaches_no_target() {
    let setup = Setup::new(Upstream::says("ok"));
    let mut client = setup.client();
    for (name, value) in [
        ("x-a", "b\r\nhost: evil"),
        ("x-a", "b\nc"),
        ("x\r\ny", "b"),
        ("X-Capital", "b"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("upgrade", "h2c"),
        ("host", "other.test"),
        ("content-length", "5"),
        (":path", "/second"),
    ] {
        let stream = client.request(&[&get("/x")[..], &[(name, value)]].concat(), true);
        let answer = client.answer(stream);
        assert_eq!((answer.status, answer.reset), (0, Some(1)), "{name}: {value:?}");
    }
    client.exchange("/x").expect(200, "ok");
    let received = setup.upstream.requests();
    assert_eq!(received.len(), 1, "{received:?}");
}

#[test]
fn a_stream_that_the_client_resets_ends_at_the_target_and_others_go_on() {
    let setup = Setup::new(Upstream::scripted(|connection| {
        while let Some(request) = connection.read_request() {
            if request.target() == "/silent" {
                connection.hang();
                return;
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    }));
    let mut client = setup.client();
    let silent = client.get("/silent");
    setup.upstream.wait_requests(1);
    client.reset(silent, 8);
    client.exchange("/x").expect(200, "ok");
    support::until("the exchange ends", || {
        std::fs::read_to_string(&setup.log).unwrap().contains("\"reason\":\"client_gone\"")
    });
}

#[test]
fn large_bodies_arrive_whole_both_ways_side_by_side() {
    let bytes = pattern(7, 3_000_000);
    let setup = Setup::new(Upstream::each(|connection, request| {
        let body = &request.body.bytes;
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
        connection.send(body);
    }));
    let mut client = setup.client();
    let streams: Vec<u32> = (0..3).map(|_| client.request(&post(&[]), false)).collect();
    let (mut left, mut window) = ([0; 3], (65_535, [65_535; 3]));
    // The client sends as its windows allow, and takes what comes meanwhile.
    while left.iter().any(|sent| *sent < bytes.len()) {
        let mut has_sent = false;
        for (index, stream) in streams.iter().enumerate() {
            let room = window.0.min(window.1[index]).min(16_384).min(bytes.len() - left[index]);
            if room > 0 {
                let piece = &bytes[left[index]..left[index] + room];
                left[index] += room;
                window.0 -= room;
                window.1[index] -= room;
                client.data(*stream, piece, left[index] == bytes.len());
                has_sent = true;
            }
        }
        if !has_sent {
            let Frame { kind, stream, payload, .. } = client.next().unwrap();
            if kind == WINDOW_UPDATE {
                let more = u32::from_be_bytes(payload.try_into().unwrap()) as usize;
                match streams.iter().position(|one| *one == stream) {
                    Some(index) => window.1[index] += more,
                    None => window.0 += more,
                }
            }
        }
    }
    for stream in streams {
        client.answer(stream).expect(200, &bytes);
    }
}

#[test]
fn the_preface_may_come_byte_by_byte_and_what_only_looks_like_it_is_refused() {
    let setup = Setup::new(Upstream::says("ok"));
    let address = setup.gate.address("http");
    let socket = std::net::TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    let mut bytes = smolgate::http2::PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes.extend(headers(1, &get("/x"), true));
    let mut writer = socket.try_clone().unwrap();
    let sending = std::thread::spawn(move || {
        for byte in bytes {
            std::io::Write::write_all(&mut writer, &[byte]).unwrap();
        }
    });
    let mut client = support::client::Client::over(socket);
    let head = client.read_exact(9);
    assert_eq!(head[3], SETTINGS);
    sending.join().unwrap();
    let refused = "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n";
    setup.gate.exchange(refused).expect_own(505, "version_unknown");
    let mut later = setup.gate.client();
    later.exchange("GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "fixed");
    later.exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect_own(505, "version_unknown");
    setup.gate.exchange("GET /x HTTP/2.0\r\nHost: a\r\n\r\n").expect_own(505, "version_unknown");
    setup.upstream.wait_requests(1);
}

#[test]
fn without_http2_the_preface_is_refused_as_any_other_version() {
    let upstream = Upstream::says("ok");
    let config = "listeners: [{ name: http, bind: \"127.0.0.1:0\", http2: false, rules: [{ target: \"http://{up}\" }] }]";
    let gate = TestGate::start(config, &[("up", &upstream)]);
    gate.exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect_own(505, "version_unknown");
    assert!(upstream.requests().is_empty());
}

#[test]
fn tls_clients_choose_http2_by_alpn_and_only_by_it() {
    let upstream = Upstream::says("ok");
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca");
    let leaf = authority.issue(dir.path(), "a", &["a.test"]);
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    tls: { certificates: { cert: "{cert}", key: "{key}" } }
    rules: [{ target: "http://{up}" }]
"#;
    let names: support::gate::Names =
        &[("up", &upstream), ("cert", &leaf.cert.display()), ("key", &leaf.key.display())];
    let gate = TestGate::start(config, names);
    let connect = |gate: &TestGate, protocols: &[&str]| {
        let client = Arc::new(authority.client(protocols));
        support::tls::Tls::connect(gate.address("http"), &client, "a.test").unwrap()
    };
    let tls = connect(&gate, &["h2", "http/1.1"]);
    assert_eq!(tls.0.conn.alpn_protocol(), Some(&b"h2"[..]));
    let mut client = Http2::over(Box::new(tls), &[]);
    client.exchange("/x").expect(200, "ok");
    assert_eq!(upstream.request().head.get("x-forwarded-proto"), Some("https"));
    let mut plain = connect(&gate, &["http/1.1"]).client();
    plain.exchange("GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n").expect(200, "ok");
    let mut unasked = connect(&gate, &["http/1.1"]).client();
    unasked.exchange("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect_own(505, "version_unknown");
    gate.edit(&config.replace("    tls:", "    http2: false\n    tls:"), names);
    gate.reload().unwrap();
    assert_eq!(connect(&gate, &["h2", "http/1.1"]).0.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[test]
fn a_stream_beyond_max_streams_is_refused_and_may_be_sent_again() {
    let latch = Latch::new();
    let held = latch.clone();
    let upstream = Upstream::each(move |connection, _| {
        held.wait();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let config = "max_streams: 2\nlisteners: [{ name: http, bind: \"127.0.0.1:0\", rules: [{ target: \"http://{up}\" }] }]";
    let gate = TestGate::start(config, &[("up", &upstream)]);
    let mut client = Http2::connect(gate.address("http"));
    let open = [client.get("/1"), client.get("/2")];
    upstream.wait_requests(2);
    let answer = client.exchange("/3");
    assert_eq!((answer.status, answer.reset), (0, Some(7)));
    latch.open();
    for stream in open {
        client.answer(stream).expect(200, "ok");
    }
    support::until("their places are free", || {
        let answer = client.exchange("/4");
        answer.status == 200
    });
    assert!(gate.metric("smolgate_http2_streams_refused_total{listener=\"http\"}") >= 1.0);
}

/// The end of the client's side ends an upload that is not complete, as in HTTP/1.1, and leaves other streams alone.
#[test]
fn an_upload_whose_client_has_ended_its_side_is_cut() {
    let (begun, go_on) = (Latch::new(), Latch::new());
    let latches = (begun.clone(), go_on.clone());
    let setup = Setup::new(Upstream::each(move |connection, request| {
        if request.target() == "/slow" {
            latches.0.open();
            latches.1.wait();
        }
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    }));
    let mut client = setup.client();
    let slow = client.request(&get("/slow"), true);
    begun.wait();
    let upload = client.request(&post(&[("content-length", "50")]), false);
    client.data(upload, "abc", false);
    setup.upstream.wait_connections(2);
    client.half_close();
    setup.upstream.wait_end(1);
    go_on.open();
    client.answer(slow).expect(200, "fine");
}
