//! Repeated requests: when the gate may send a request again, and when it must not.

mod support;

use support::Latch;
use support::gate::TestGate;
use support::upstream::{Connection, Refusing, Upstream};

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    rules:
      - host: "two.test"
        targets: ["http://{refusing}", "http://{upstream}"]
      - host: "down.test"
        targets: ["http://{refusing}", "http://{refusing2}"]
      - host: "three.test"
        targets: ["http://{refusing}", "http://{refusing2}", "http://{upstream}"]
      - target: "http://{upstream}"
"#;

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine";
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

fn start(upstream: &Upstream) -> TestGate {
    let (refusing, refusing2) = (Refusing::new(), Refusing::new());
    TestGate::start(CONFIG, &[("upstream", upstream), ("refusing", &refusing), ("refusing2", &refusing2)])
        .keep((refusing, refusing2))
}

/// Responds to one request and dies after the second without a byte, like a connection that was closed while
/// a request was on its way. Later connections respond to everything.
fn dies_when_reused(die: fn(&mut Connection)) -> Upstream {
    Upstream::scripted(move |connection| {
        if connection.number == 0 {
            connection.read_request();
            connection.send(FINE);
            connection.read_request();
            die(connection);
        } else {
            while connection.read_request().is_some() {
                connection.send(FINE);
            }
        }
    })
}

#[test]
fn idempotent_requests_are_sent_again_when_a_reused_connection_died() {
    for method in ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"] {
        for die in [Connection::close, Connection::reset] {
            let upstream = dies_when_reused(die);
            let gate = start(&upstream);
            let mut client = gate.client();
            client.exchange(GET).expect(200, "fine");
            let response = client.exchange(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(response.status(), 200, "{method}: {response:?}");
            assert_eq!((upstream.connections(), upstream.requests().len()), (2, 3), "{method}");
        }
    }
}

#[test]
fn a_post_is_never_sent_twice() {
    for die in [Connection::close, Connection::reset] {
        for request in [
            POST,
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "PATCH / HTTP/1.1\r\nHost: a\r\n\r\n",
        ] {
            let upstream = dies_when_reused(die);
            let gate = start(&upstream);
            let mut client = gate.client();
            client.exchange(GET).expect(200, "fine");
            let response = client.exchange(request);
            assert_eq!(response.status(), 502, "{response:?}");
            assert!(
                ["upstream_closed", "upstream_reset"].contains(&response.reason().unwrap()),
                "{response:?}"
            );
            assert_eq!(upstream.requests().len(), 2, "{request:?}");
            // Only that exchange fails.
            gate.exchange(GET).expect(200, "fine");
        }
    }
}

#[test]
fn a_body_that_was_consumed_is_not_sent_again() {
    let upstream = dies_when_reused(Connection::close);
    let gate = start(&upstream);
    let mut client = gate.client();
    client.exchange(GET).expect(200, "fine");
    let response = client
        .exchange("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(response.status(), 502, "{response:?}");
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn a_fresh_connection_that_dies_is_not_tried_again() {
    for (die, reason) in
        [(Connection::close as fn(&mut Connection), "upstream_closed"), (Connection::reset, "upstream_reset")]
    {
        let upstream = Upstream::scripted(move |connection| {
            connection.read_request();
            die(connection);
        });
        let gate = start(&upstream);
        gate.exchange(GET).expect_own(502, reason);
        assert_eq!(upstream.requests().len(), 1, "{reason}");
    }
}

#[test]
fn a_connection_that_dies_inside_the_head_is_not_tried_again() {
    let upstream = Upstream::scripted(|connection| {
        connection.read_request();
        if connection.number == 0 {
            connection.send(FINE);
            connection.read_request();
        }
        connection.send("HTTP/1.1 200 OK\r\nContent-Le");
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.exchange(GET).expect(200, "fine");
    let response = client.exchange(GET);
    assert_eq!(response.status(), 502, "{response:?}");
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn an_idle_connection_that_was_closed_is_never_handed_out() {
    let (told, closed) = (Latch::new(), Latch::new());
    let (closes, says) = (told.clone(), closed.clone());
    let upstream = Upstream::scripted(move |connection| {
        connection.read_request();
        connection.send(FINE);
        if connection.number == 0 {
            closes.wait();
            connection.half_close();
            says.open();
        }
        connection.hang();
    });
    let gate = start(&upstream);
    let mut client = gate.client();
    client.exchange(GET).expect(200, "fine");
    told.open();
    closed.wait();
    // Even a POST never gets that connection, although a POST is never sent twice.
    client.exchange(POST).expect(200, "fine");
    assert_eq!((upstream.connections(), upstream.requests().len()), (2, 2));
}

#[test]
fn a_refused_connection_goes_to_the_next_target_with_any_method() {
    let upstream = Upstream::answers(FINE);
    let gate = start(&upstream);
    let mut client = gate.client();
    for _ in 0..4 {
        client.exchange(POST.replace("Host: a", "Host: two.test")).expect(200, "fine");
    }
    assert_eq!(upstream.requests().len(), 4);
    assert!(upstream.requests().iter().all(|request| request.body.bytes == b"hello"));
}

#[test]
fn a_target_that_comes_back_is_used_at_once() {
    let refusing = Refusing::new();
    let gate = TestGate::start(
        &CONFIG.replace("{refusing2}", "{refusing}"),
        &[("upstream", &refusing), ("refusing", &refusing)],
    );
    let mut client = gate.client();
    client.exchange(GET).expect_own(502, "connect_refused");
    let upstream = refusing.revive(|connection| {
        while connection.read_request().is_some() {
            connection.send(FINE);
        }
    });
    client.exchange(GET).expect(200, "fine");
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn all_addresses_of_a_name_are_tried() {
    // `localhost` may be ::1 first, where nothing listens.
    let upstream = Upstream::answers(FINE);
    let named = format!("localhost:{}", upstream.address().port());
    let refusing = Refusing::new();
    let gate = TestGate::start(
        &CONFIG.replace("{refusing2}", "{refusing}"),
        &[("upstream", &named), ("refusing", &refusing)],
    );
    let mut client = gate.client();
    for _ in 0..3 {
        client.exchange(POST).expect(200, "fine");
    }
    assert_eq!(upstream.requests()[0].head.get("host"), Some(named.as_str()));
}

#[test]
fn two_targets_are_tried_and_no_more() {
    let upstream = Upstream::answers(FINE);
    let gate = start(&upstream);
    let mut client = gate.client();
    let mut refused = 0;
    for _ in 0..4 {
        let response = client.exchange("GET / HTTP/1.1\r\nHost: three.test\r\n\r\n");
        if response.status() == 502 {
            response.expect_own(502, "connect_refused");
            refused += 1;
        }
    }
    // The first request meets both targets that refuse. After that, a further try goes to the one that has not failed.
    assert_eq!((refused, upstream.requests().len()), (1, 3));
}

#[test]
fn an_upstream_without_a_live_target_is_503_with_retry_after() {
    let upstream = Upstream::says("fine");
    let gate = start(&upstream);
    let response = gate.exchange("GET / HTTP/1.1\r\nHost: down.test\r\n\r\n");
    response.expect_own(503, "no_target");
    assert!(
        response.get("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()),
        "{response:?}"
    );
}

#[test]
fn a_keep_alive_timeout_of_the_upstream_shortens_the_idle_time() {
    let upstream =
        Upstream::answers("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 4\r\n\r\nfine");
    let gate = start(&upstream);
    gate.exchange(POST).expect(200, "fine");
    // One second less the margin of one second: the connection is never kept, so there is no race.
    upstream.wait_end(0);
    gate.exchange(POST).expect(200, "fine");
    assert_eq!(upstream.connections(), 2);
}
