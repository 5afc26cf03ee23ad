//! Targets that speak HTTP/2: what they receive, and what the client is told.
#![cfg(feature = "http2")]

mod support;

use std::sync::Arc;

use support::gate::TestGate;
use support::http2::{Http2, frame};
use support::http2_target::{Peer, Target};
use support::tls::{Authority, Tls};
use support::upstream::Upstream;
use support::wire::Transport;
use support::{Latch, pattern};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { path: "/**", target: "h2c://{target}" }
"#;

fn gate(target: &Target) -> TestGate {
    TestGate::start(CONFIG, &[("target", target)])
}

const OK: [(&str, &str); 1] = [(":status", "200")];

#[test]
fn a_get_reaches_the_target_as_fields_and_its_response_comes_back_as_http_1_1() {
    let target = Target::each(|peer, request| {
        peer.respond(request.stream, &[(":status", "200"), ("x-a", "1")], "hello");
    });
    let gate = gate(&target);
    let mut client = gate.client();
    for _ in 0..2 {
        let response = client.exchange(
            "GET /x?y=z HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\nConnection: x-b\r\nX-B: 2\r\n\r\n",
        );
        response.expect(200, "hello");
        assert_eq!(response.head.get("x-a"), Some("1"));
    }
    let requests = target.requests();
    assert_eq!((requests.len(), target.connections()), (2, 1));
    let names: Vec<&str> = requests[0].fields.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names[..5], [":method", ":scheme", ":path", ":authority", "accept"]);
    assert_eq!(requests[0].get(":path"), Some("/x?y=z"));
    assert_eq!(requests[0].get(":scheme"), Some("http"));
    assert_eq!(requests[0].get("x-forwarded-host"), Some("a.test"));
    for gone in ["host", "connection", "x-b", "te", "transfer-encoding"] {
        assert_eq!(requests[0].get(gone), None, "{gone}");
    }
}

#[test]
fn bodies_and_trailers_go_both_ways_between_streams() {
    let target = Target::each(|peer, request| {
        peer.head(request.stream, &OK, false);
        peer.body(request.stream, &request.body);
        peer.head(request.stream, &[("x-sum", "1")], true);
    });
    let gate = gate(&target);
    let body = pattern(1, 300_000);
    let mut client = Http2::connect(gate.address("http"));
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "a.test"),
        ("te", "trailers"),
    ];
    let stream = client.request(&fields, false);
    for piece in body[..60_000].chunks(7_000) {
        client.data(stream, piece, false);
    }
    client.raw(support::http2::headers(stream, &[("x-end", "2")], true));
    let answer = client.answer(stream);
    answer.expect(200, &body[..60_000]);
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "1".to_owned())]);
    let request = target.request();
    assert_eq!(request.get("te"), Some("trailers"));
    assert_eq!(request.get("content-length"), None);
    assert_eq!(request.trailers, [("x-end".to_owned(), "2".to_owned())]);
    // A length stays, and large bodies need the windows of both sides.
    let mut client = gate.client();
    client.send(format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len()));
    client.send(&body);
    client.read_response().expect(200, &body);
    assert_eq!(target.requests()[1].get("content-length"), Some("300000"));
}

#[test]
fn requests_share_a_connection() {
    let latch = Latch::new();
    let held = latch.clone();
    let target = Target::scripted(move |peer, _| {
        let requests: Vec<_> = (0..20).map(|_| peer.next_request().unwrap()).collect();
        held.wait();
        requests.iter().for_each(|request| peer.respond(request.stream, &OK, request.path()));
        peer.wait_closed();
    });
    let gate = gate(&target);
    let mut client = Http2::connect(gate.address("http"));
    let streams: Vec<u32> = (0..20).map(|number| client.get(&format!("/{number}"))).collect();
    latch.open();
    for (number, stream) in streams.into_iter().enumerate() {
        client.answer(stream).expect(200, format!("/{number}"));
    }
    assert_eq!(target.connections(), 1);
}

/// Answers 200 with the number of the connection, or what `refuse` says for the first request.
fn refusing_once(refuse: fn(&mut Peer, u32)) -> Target {
    Target::scripted(move |peer, number| {
        if number == 0 {
            let first = peer.next_request().unwrap();
            refuse(peer, first.stream);
        }
        peer.serve(|peer, request| peer.respond(request.stream, &OK, request.path()));
    })
}

const PATCH: &str = "PATCH /x HTTP/1.1\r\nHost: a.test\r\n\r\n";
const EMPTY: &str = "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n";
const GET: &str = "GET /x HTTP/1.1\r\nHost: a.test\r\n\r\n";

#[test]
fn a_request_that_was_not_processed_is_sent_again_whatever_its_method() {
    for request in [PATCH, EMPTY] {
        let refused = refusing_once(|peer, stream| peer.reset(stream, 7));
        gate(&refused).client().exchange(request).expect(200, "/x");
        assert_eq!((refused.requests().len(), refused.connections()), (2, 1));
    }
    let gone = refusing_once(|peer, _| peer.go_away(0));
    gate(&gone).client().exchange(PATCH).expect(200, "/x");
    assert_eq!((gone.requests().len(), gone.connections()), (2, 2));
    assert_eq!(gone.requests()[1].connection, 1);
}

#[test]
fn a_target_that_refuses_every_stream_is_asked_four_times() {
    let target = Target::scripted(|peer, _| {
        while let Some(request) = peer.next_request() {
            peer.reset(request.stream, 7);
        }
    });
    gate(&target).client().exchange(GET).expect_own(502, "upstream_reset");
    assert_eq!(target.requests().len(), 4);
}

#[test]
fn a_request_that_may_have_been_processed_is_not_sent_again() {
    for code in [0, 2, 8, 11, 13] {
        let target = Target::scripted(move |peer, _| {
            while let Some(request) = peer.next_request() {
                peer.reset(request.stream, code);
            }
        });
        gate(&target).client().exchange(GET).expect_own(502, "upstream_reset");
        assert_eq!((target.requests().len(), target.connections()), (1, 1), "{code}");
    }
    // A target that answers has processed the request.
    let target = Target::scripted(|peer, _| {
        while let Some(request) = peer.next_request() {
            let answer = [frame(1, 4, request.stream, &[0x88]), frame(3, 0, request.stream, &[0, 0, 0, 7])];
            peer.raw(answer.concat());
        }
    });
    gate(&target).client().exchange(GET).expect_own(502, "upstream_reset");
    assert_eq!(target.requests().len(), 1);
}

#[test]
fn a_connection_that_dies_fails_only_its_streams() {
    let latch = Latch::new();
    let held = latch.clone();
    let target = Target::scripted(move |peer, number| {
        if number == 0 {
            let answered = peer.next_request().unwrap();
            peer.respond(answered.stream, &OK, "done");
            // Both are lost with the connection.
            (0..2).for_each(|_| _ = peer.next_request().unwrap());
            held.wait();
            return;
        }
        peer.serve(|peer, request| peer.respond(request.stream, &OK, format!("again {}", request.path())));
    });
    let gate = gate(&target);
    let mut client = Http2::connect(gate.address("http"));
    client.exchange("/answered").expect(200, "done");
    let get = client.get("/get");
    let post = [(":method", "POST"), (":scheme", "http"), (":path", "/post"), (":authority", "a")];
    let post = client.request(&post, true);
    latch.open();
    // A GET may be sent again, a POST may not.
    client.answer(get).expect(200, "again /get");
    client.answer(post).expect_own(502, "upstream_reset");
    assert_eq!(target.connections(), 2);
}

#[test]
fn the_limit_of_the_target_opens_further_connections_and_is_kept() {
    let latch = Latch::new();
    let held = latch.clone();
    let target = Target::wrapped(
        |stream| Some(Box::new(stream)),
        // MAX_CONCURRENT_STREAMS
        &[(3, 2)],
        move |peer, number| {
            let requests: Vec<_> = (0..2).map_while(|_| peer.next_request()).collect();
            held.wait();
            requests.iter().for_each(|request| peer.respond(request.stream, &OK, number.to_string()));
            peer.wait_closed();
        },
    );
    let gate = gate(&target);
    let mut client = Http2::connect(gate.address("http"));
    let streams: Vec<u32> = (0..6).map(|number| client.get(&format!("/{number}"))).collect();
    support::until("three connections", || target.requests().len() == 6);
    latch.open();
    let mut answers: Vec<Vec<u8>> = streams.into_iter().map(|stream| client.answer(stream).body).collect();
    answers.sort();
    assert_eq!(answers, [b"0", b"0", b"1", b"1", b"2", b"2"]);
    assert_eq!(target.connections(), 3);
    let count = |what: &str| {
        gate.metric(&format!("smolgate_upstream_connections_{what}_total{{upstream=\"h2c://{target}\"}}"))
    };
    assert_eq!((count("opened"), count("reused")), (3.0, 3.0));
}

#[test]
fn heads_interim_responses_and_early_answers_come_through() {
    let target = Target::scripted(|peer, _| {
        while let Some(head) = peer.next_head() {
            match head.path() {
                "/head" => peer.head(head.stream, &[(":status", "200"), ("content-length", "7")], true),
                "/204" => peer.head(head.stream, &[(":status", "204")], true),
                "/empty" => peer.head(head.stream, &OK, true),
                "/early" => {
                    peer.head(head.stream, &[(":status", "103"), ("link", "</a>")], false);
                    peer.respond(head.stream, &[(":status", "413")], "too much");
                    peer.reset(head.stream, 0);
                }
                path => panic!("{path}"),
            }
        }
    });
    let gate = gate(&target);
    let mut client = gate.client();
    client.send("HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.read_response_to("HEAD");
    assert_eq!((head.status(), head.get("content-length")), (200, Some("7")));
    client.exchange("GET /204 HTTP/1.1\r\nHost: a\r\n\r\n").expect(204, "");
    let empty = client.exchange("GET /empty HTTP/1.1\r\nHost: a\r\n\r\n");
    empty.expect(200, "");
    assert_eq!(empty.get("content-length"), Some("0"));
    client.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nonly this");
    let early = client.read_response();
    early.expect(413, "too much");
    assert_eq!(early.interim.len(), 1);
}

/// The answer of a target to the request on a stream.
type Attack = fn(&mut Peer, u32);

/// The response to a GET at a target that does `answer`, which may be cut.
fn attacked(answer: Attack) -> Result<support::message::Response, support::wire::End> {
    let target = Target::scripted(move |peer, _| {
        while let Some(request) = peer.next_request() {
            answer(peer, request.stream);
        }
    });
    let gate = gate(&target);
    let mut client = gate.client();
    client.send(GET);
    client.try_read_response("GET")
}

#[test]
fn a_response_that_breaks_a_rule_gets_502_and_nothing_of_it_passes() {
    let cases: [(&str, Attack); 9] = [
        ("upgrade", |peer, stream| peer.head(stream, &[(":status", "101")], true)),
        ("coding", |peer, stream| {
            peer.respond(stream, &[(":status", "200"), ("transfer-encoding", "chunked")], "0")
        }),
        ("line end", |peer, stream| peer.respond(stream, &[(":status", "200"), ("a", "b\r\nx: y")], "")),
        ("colon", |peer, stream| peer.respond(stream, &[(":status", "200"), ("a: b", "c")], "")),
        ("status", |peer, stream| peer.respond(stream, &[(":status", "200 OK\r\nx: y")], "")),
        ("lengths", |peer, stream| {
            peer.respond(
                stream,
                &[(":status", "200"), ("content-length", "1"), ("content-length", "2")],
                "a",
            );
        }),
        ("short", |peer, stream| peer.head(stream, &[(":status", "200"), ("content-length", "5")], true)),
        ("data first", |peer, stream| peer.data(stream, "HTTP/1.1 200 OK\r\n\r\n", true)),
        ("fields", |peer, stream| {
            let fields: Vec<_> = OK.into_iter().chain((0..300).map(|_| ("a", "b"))).collect();
            peer.respond(stream, &fields, "");
        }),
    ];
    for (name, answer) in cases {
        let response = attacked(answer).unwrap_or_else(|end| panic!("{name}: {end:?}"));
        assert_eq!(response.status(), 502, "{name}: {response:?}");
        let reason = if name == "fields" { "response_too_large" } else { "response_malformed" };
        assert_eq!(response.reason(), Some(reason), "{name}");
        assert_eq!(response.get("x"), None, "{name}");
    }
}

#[test]
fn a_body_that_contradicts_its_length_is_cut() {
    let long = attacked(|peer, stream| {
        peer.head(stream, &[(":status", "200"), ("content-length", "5")], false);
        peer.data(stream, "12", false);
        peer.data(stream, "345HTTP/1.1 200 OK\r\n\r\n", true);
    });
    let short = attacked(|peer, stream| {
        peer.respond(stream, &[(":status", "200"), ("content-length", "5")], "1234");
    });
    let reset = attacked(|peer, stream| {
        peer.head(stream, &OK, false);
        peer.data(stream, "12", false);
        peer.reset(stream, 2);
    });
    let window = attacked(|peer, stream| {
        peer.head(stream, &OK, false);
        (0..10).for_each(|_| peer.data(stream, [b'a'; 16_384], false));
    });
    for response in [long, short, reset, window] {
        // The whole of the data must not look like the whole of a body.
        let is_cut =
            |response: &support::message::Response| response.body.fault.is_some() || response.status() == 502;
        assert!(response.as_ref().map_or(true, is_cut), "{response:?}");
        assert!(!format!("{response:?}").contains("345HTTP"), "{response:?}");
    }
}

#[test]
fn a_target_that_breaks_the_protocol_loses_its_connection_and_the_next_one_serves() {
    let cases: [(&str, Attack); 6] = [
        ("push", |peer, stream| peer.frame(5, 4, stream, [0, 0, 0, 2])),
        ("length", |peer, _| peer.raw([0xff; 9])),
        ("block", |peer, stream| peer.frame(1, 4, stream, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ("stream", |peer, _| peer.head(2, &OK, true)),
        ("continuation", |peer, stream| {
            peer.frame(1, 0, stream, []);
            (0..20).for_each(|_| peer.frame(9, 0, stream, [0x82]));
        }),
        ("settings", |peer, _| (0..1000).for_each(|_| peer.frame(4, 0, 0, []))),
    ];
    for (name, answer) in cases {
        let target = Target::scripted(move |peer, number| {
            while let Some(request) = peer.next_request() {
                match number {
                    0 => answer(peer, request.stream),
                    _ => peer.respond(request.stream, &OK, "fine"),
                }
            }
        });
        let gate = gate(&target);
        // The first one is cut, gets 502, or is sent again.
        let mut client = gate.client();
        client.send(GET);
        let first = client.try_read_response("GET");
        let is_clean = |response: &support::message::Response| response.body.fault.is_none();
        let is_harmless = first.as_ref().map_or(true, |response| {
            response.status() == 502 || !is_clean(response) || response.text() == "fine"
        });
        assert!(is_harmless, "{name}: {first:?}");
        // The target is blamed for the rule that it broke, and not for the end of the connection, which the gate made.
        if let ("push", Ok(first)) = (name, &first) {
            first.expect_own(502, "response_malformed");
        }
        gate.exchange(GET).expect(200, "fine");
    }
}

#[test]
fn a_target_that_speaks_something_else_is_a_failed_connection() {
    let other = Upstream::says("HTTP/1.1");
    let target = Target::says("HTTP/2");
    let config =
        CONFIG.replace("target: \"h2c://{target}\"", "targets: [\"h2c://{other}\", \"h2c://{target}\"]");
    let gate = TestGate::start(&config, &[("target", &target), ("other", &other)]);
    let post = "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi";
    for _ in 0..4 {
        gate.exchange(post).expect(200, "HTTP/2");
    }
    assert!(
        other.requests().iter().all(|request| ["PRI", "SM"].contains(&request.method())),
        "{:?}",
        other.requests()
    );
    assert!(target.requests().iter().all(|request| request.body == b"hi"));
}

#[test]
fn a_silent_connection_is_asked_and_left() {
    let left = Latch::new();
    let leaves = left.clone();
    let target = Target::scripted(move |peer, number| {
        if number == 0 {
            peer.answers_pings = false;
            while peer.next().is_ok() {
                if peer.has_left {
                    assert_eq!(peer.pings, 1);
                    leaves.open();
                }
            }
        }
        peer.serve(|peer, request| peer.respond(request.stream, &OK, "second"));
    });
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - { path: "/**", upstream: { targets: "h2c://{target}", connect_timeout: 300ms } }
"#;
    let gate = TestGate::start(config, &[("target", &target)]);
    let mut client = Http2::connect(gate.address("http"));
    let silent = client.get("/silent");
    left.wait();
    let other = client.get("/other");
    client.answer(other).expect(200, "second");
    assert_eq!(client.seen(silent).status, 0);
}

#[test]
fn a_reload_and_an_idle_timeout_close_connections_without_a_lost_request() {
    let latch = Latch::new();
    let held = latch.clone();
    let target = Target::scripted(move |peer, _| {
        while let Some(request) = peer.next_request() {
            if request.path() == "/slow" {
                held.wait();
            }
            peer.respond(request.stream, &OK, request.path());
        }
    });
    let other = Target::says("other");
    let gate = gate(&target);
    let mut client = gate.client();
    client.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    support::until("the request is there", || target.connections() == 1);
    gate.edit(CONFIG, &[("target", &other)]);
    gate.reload().unwrap();
    gate.exchange(GET).expect(200, "other");
    latch.open();
    client.read_response().expect(200, "/slow");
}

/// A target over TLS that offers `protocols`, and a gate whose upstream has these keys.
fn over_tls(protocols: &[&str], scheme: &str, keys: &str) -> (Target, TestGate) {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca");
    let leaf = authority.issue(dir.path(), "leaf", &["a.test"]);
    let mut server = (*leaf.server()).clone();
    server.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let server = Arc::new(server);
    let accept =
        move |socket| -> Option<Box<dyn Transport>> { Some(Box::new(Tls::accept(socket, &server).ok()?)) };
    let target = Target::wrapped(accept, &[], |peer, _| {
        peer.serve(|peer, request| peer.respond(request.stream, &OK, request.get(":scheme").unwrap()));
    });
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - path: "/**"
        upstream: { targets: "{scheme}://{target}", tls: { ca: "{ca}", sni: a.test }{keys} }
"#;
    let gate = TestGate::start(
        config,
        &[("scheme", &scheme), ("target", &target), ("ca", &authority.file.display()), ("keys", &keys)],
    );
    (target, gate.keep(dir))
}

#[test]
fn http2_over_tls_is_spoken_where_it_is_meant_and_offered_where_it_is_wanted() {
    for (scheme, keys) in [("h2", ""), ("https", ", http2: true")] {
        let (target, gate) = over_tls(&["h2", "http/1.1"], scheme, keys);
        let mut client = gate.client();
        for _ in 0..3 {
            client.exchange(GET).expect(200, "https");
        }
        assert_eq!(target.connections(), 1, "{scheme}");
    }
    // A target that does not agree is a failed connection.
    let (target, gate) = over_tls(&[], "h2", "");
    gate.exchange(GET).expect_own(502, "tls_failed");
    assert!(target.requests().is_empty());
}

#[test]
fn a_target_that_declines_the_offer_gets_http_1_1() {
    for protocols in [&["http/1.1"][..], &[]] {
        let dir = tempfile::tempdir().unwrap();
        let authority = Authority::new(dir.path(), "ca");
        let leaf = authority.issue(dir.path(), "leaf", &["a.test"]);
        let mut server = (*leaf.server()).clone();
        server.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let server = Arc::new(server);
        let accept = move |socket| -> Option<Box<dyn Transport>> {
            Some(Box::new(Tls::accept(socket, &server).ok()?))
        };
        let target = Upstream::wrapped(accept, |connection| {
            while connection.read_request().is_some() {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - path: "/**"
        upstream: { targets: "https://{target}", http2: true, tls: { ca: "{ca}", sni: a.test } }
"#;
        let gate = TestGate::start(config, &[("target", &target), ("ca", &authority.file.display())]);
        let mut client = gate.client();
        client.exchange(GET).expect(200, "ok");
        client.exchange(GET).expect(200, "ok");
        assert_eq!(target.requests().len(), 2);
        assert_eq!(target.connections(), 1);
    }
}

#[test]
fn health_checks_speak_http2_to_such_targets() {
    let target = Target::each(|peer, request| match request.path() {
        "/up" => peer.respond(request.stream, &OK, "all is well"),
        "/down" => peer.head(request.stream, &[(":status", "503")], true),
        _ => peer.respond(request.stream, &OK, "served"),
    });
    let config = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    rules:
      - path: "/up/**"
        upstream: { targets: "h2c://{target}", health: { path: /up, body: well, interval: 20ms } }
      - path: "/down/**"
        upstream: { targets: ["h2c://{target}/a", "h2c://{other}"], health: { path: /x, interval: 20ms } }
"#;
    let other = Target::each(|peer, request| match request.path() {
        "/x" => peer.head(request.stream, &[(":status", "503")], true),
        path => panic!("{path}"),
    });
    let gate = TestGate::start(config, &[("target", &target), ("other", &other)]);
    let checks = |target: &Target, path: &str| {
        target.requests().iter().filter(|request| request.path() == path).count()
    };
    support::until("both were checked", || checks(&target, "/up") > 2 && checks(&other, "/x") > 5);
    let check = target.requests().into_iter().find(|request| request.path() == "/up").unwrap();
    assert_eq!(check.get("user-agent"), Some("smolgate-health"));
    for _ in 0..4 {
        gate.exchange("GET /up/a HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "served");
        gate.exchange("GET /down/a HTTP/1.1\r\nHost: a\r\n\r\n").expect(200, "served");
    }
}
