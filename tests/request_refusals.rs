//! Requests that the gate refuses: malformed, ambiguous and oversized ones.
//!
//! Each row is one request as bytes, with a second request right behind it. Whatever the status is, nothing
//! of it may reach the upstream, the second request may get no response, and the connection must end.

mod support;

use support::client::Client;
use support::gate::TestGate;
use support::show;
use support::upstream::Upstream;

const CONFIG: &str = r#"
listeners:
  - name: http
    bind: "127.0.0.1:0"
    protocol: http
    head_bytes_max: 4096
    head_fields_max: 20
    target_bytes_max: 1000
    rules:
      - host: "small.test"
        target: "http://{upstream}"
        max_body: 10
      - path_prefix: "/named"
        host: "named.test"
        target: "http://{upstream}"
      - target: "http://{upstream}"
"#;

/// Name of the row, the request, and the status and reason of the refusal. If a request breaks two rules,
/// both reasons are given with a `|` between them.
type Row<'a> = (&'a str, &'a [u8], u16, &'a str);

/// Follows every row: a request that gets a response if the gate accepts the row.
const GLUED: &[u8] = b"GET /smuggled HTTP/1.1\r\nHost: smuggled.test\r\n\r\n";

/// Sends every row and reports all failures.
#[track_caller]
fn refuses(rows: &[Row]) {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let mut wrong = Vec::new();
    for (name, bytes, status, reason) in rows {
        let mut client = gate.client();
        client.try_send([bytes, GLUED].concat());
        let response = client.read_response();
        let (rest, _) = client.read_to_end();
        let seen = response.reason().unwrap_or("none");
        if response.status() != *status || !reason.split('|').any(|reason| reason == seen) {
            wrong.push(format!("{name}: {} {seen} instead of {status} {reason}", response.status()));
        }
        if !rest.is_empty() {
            wrong.push(format!("{name}: answered again: {}", show(&rest)));
        }
        if !response.head.list("connection").contains(&"close".to_owned()) {
            wrong.push(format!("{name}: closes without saying so"));
        }
        // A valid request afterwards: anything that a row sent upstream would have arrived before it.
        gate.exchange("GET /fine HTTP/1.1\r\nHost: fine.test\r\n\r\n").expect(200, "fine");
        let leaked: Vec<_> = upstream.requests().iter().map(|request| request.head.start.clone()).collect();
        if leaked.iter().any(|start| start != "GET /fine HTTP/1.1") {
            wrong.push(format!("{name}: reached the upstream: {leaked:?}"));
            break;
        }
    }
    let clean = upstream.received().concat();
    if clean.windows(8).any(|window| window == b"smuggled") {
        wrong.push(format!("bytes of a refused request reached the upstream: {}", show(&clean)));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn lengths_that_are_not_one_number() {
    let row = |name, lines: &str| (name, format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\nhello"));
    let rows = [
        row("length and coding", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        row("coding and length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        row("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        row("two equal lengths", "Content-Length: 5\r\nContent-Length: 5\r\n"),
        row("a list", "Content-Length: 5, 5\r\n"),
        row("empty", "Content-Length:\r\n"),
        row("only a space", "Content-Length: \r\n"),
        row("plus", "Content-Length: +5\r\n"),
        row("minus", "Content-Length: -5\r\n"),
        row("hex", "Content-Length: 0x5\r\n"),
        row("hex digits", "Content-Length: a\r\n"),
        row("space inside", "Content-Length: 5 5\r\n"),
        row("fraction", "Content-Length: 5.0\r\n"),
        row("underscore", "Content-Length: 0_5\r\n"),
        row("2^63", "Content-Length: 9223372036854775808\r\n"),
        row("2^64 + 5", "Content-Length: 18446744073709551621\r\n"),
        row("very long", "Content-Length: 99999999999999999999999999999999999999\r\n"),
    ];
    refuses(&rows.each_ref().map(|(name, bytes)| (*name, bytes.as_bytes(), 400, "request_framing")));
}

#[test]
fn transfer_codings_that_are_not_exactly_chunked() {
    let row = |name, version, lines: &str, status, reason| {
        let request = format!("POST / HTTP/{version}\r\nHost: a\r\n{lines}\r\n5\r\nhello\r\n0\r\n\r\n");
        (name, request, status, reason)
    };
    let framing = "request_framing";
    let rows = [
        row("not a coding", "1.1", "Transfer-Encoding: xchunked\r\n", 400, framing),
        row("quoted", "1.1", "Transfer-Encoding: \"chunked\"\r\n", 400, framing),
        row("with a parameter", "1.1", "Transfer-Encoding: chunked;q=1\r\n", 400, framing),
        row("twice in a list", "1.1", "Transfer-Encoding: chunked, chunked\r\n", 400, framing),
        row(
            "two fields",
            "1.1",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            400,
            framing,
        ),
        row(
            "two fields, other",
            "1.1",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n",
            400,
            framing,
        ),
        row("empty", "1.1", "Transfer-Encoding:\r\n", 400, framing),
        row("empty member", "1.1", "Transfer-Encoding: ,chunked\r\n", 400, framing),
        row("in HTTP/1.0", "1.0", "Transfer-Encoding: chunked\r\n", 400, framing),
        row("a known coding", "1.1", "Transfer-Encoding: gzip\r\n", 501, "coding_unknown"),
        row(
            "a known coding, then chunked",
            "1.1",
            "Transfer-Encoding: gzip, chunked\r\n",
            501,
            "coding_unknown",
        ),
    ];
    refuses(
        &rows.each_ref().map(|(name, bytes, status, reason)| (*name, bytes.as_bytes(), *status, *reason)),
    );
}

/// A known coding is a valid request only if nothing else leaves the framing in doubt.
#[test]
fn known_codings_beside_another_sign_of_smuggling() {
    const GZIP: &str = "Transfer-Encoding: gzip\r\n";
    const LIST: &str = "Transfer-Encoding: gzip, chunked\r\n";
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    const LENGTH: &str = "Content-Length: 5\r\n";
    let row = |name, version, lines: &[&str]| {
        let lines = lines.concat();
        (name, format!("POST / HTTP/{version}\r\nHost: a\r\n{lines}\r\n5\r\nhello\r\n0\r\n\r\n"))
    };
    let rows = [
        row("in HTTP/1.0", "1.0", &[GZIP]),
        row("and a length", "1.1", &[GZIP, LENGTH]),
        row("a list and a length", "1.1", &[LIST, LENGTH]),
        row("behind a length", "1.1", &[LENGTH, LIST]),
        row("two fields", "1.1", &[GZIP, CHUNKED]),
        row("two equal fields", "1.1", &[GZIP, GZIP]),
        row("two fields and a length", "1.1", &[GZIP, LENGTH, CHUNKED]),
        row("two fields behind a length", "1.1", &[LENGTH, CHUNKED, CHUNKED]),
    ];
    refuses(&rows.each_ref().map(|(name, bytes)| (*name, bytes.as_bytes(), 400, "request_framing")));
}

#[test]
fn heads_that_are_not_well_formed() {
    const ROWS: &[(&str, &[u8])] = &[
        ("bare CR in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n"),
        ("bare CR before the end", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\r\n\r\n"),
        ("bare LF in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\nY: c\r\n\r\n"),
        ("bare LF after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n"),
        ("bare LF at every line", b"GET / HTTP/1.1\nHost: a\n\n"),
        ("bare LF as the empty line", b"GET / HTTP/1.1\r\nHost: a\r\n\n"),
        ("bare LF before the empty line", b"GET / HTTP/1.1\r\nHost: a\n\r\n"),
        ("NUL in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n"),
        ("SOH in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x01c\r\n\r\n"),
        ("vertical tab in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x0bc\r\n\r\n"),
        ("DEL in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x7fc\r\n\r\n"),
        (
            "coding behind a control byte",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n",
        ),
        ("folded with a space", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n"),
        ("folded with a tab", b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n"),
        ("space before the colon", b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n"),
        ("tab before the colon", b"GET / HTTP/1.1\r\nHost: a\r\nX\t: b\r\n\r\n"),
        (
            "space before the colon of a length",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\nhello",
        ),
        ("no colon", b"GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n"),
        ("leading space on the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
        ("leading tab on the first field", b"GET / HTTP/1.1\r\n\tX: b\r\nHost: a\r\n\r\n"),
        ("empty name", b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n"),
        ("parenthesis in a name", b"GET / HTTP/1.1\r\nHost: a\r\nX(y): b\r\n\r\n"),
        ("quote in a name", b"GET / HTTP/1.1\r\nHost: a\r\n\"X\": b\r\n\r\n"),
        ("space in a name", b"GET / HTTP/1.1\r\nHost: a\r\nX y: b\r\n\r\n"),
        ("slash in a name", b"GET / HTTP/1.1\r\nHost: a\r\nX/y: b\r\n\r\n"),
        ("NUL in a name", b"GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n"),
        ("name beyond ASCII", b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: b\r\n\r\n"),
        ("no method", b" / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("method that is no token", b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("two spaces before the target", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("tab in the request line", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("space after the version", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        ("lower-case protocol", b"GET / http/1.1\r\nHost: a\r\n\r\n"),
        ("version without digits", b"GET / HTTP/x.y\r\nHost: a\r\n\r\n"),
        ("no version", b"GET /\r\nHost: a\r\n\r\n"),
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    ];
    let rows: Vec<Row> = ROWS.iter().map(|(name, bytes)| (*name, *bytes, 400, "request_malformed")).collect();
    refuses(&rows);
    refuses(&[
        (
            "two spaces before the version",
            b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
            400,
            "request_malformed|request_target",
        ),
        ("another protocol", b"GET / ICAP/1.1\r\nHost: a\r\n\r\n", 400, "request_malformed|request_target"),
        (
            "folded coding",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
            400,
            "request_malformed|request_framing",
        ),
    ]);
}

#[test]
fn hosts_that_are_not_one_host() {
    let row = |name, lines: &str| (name, format!("GET /named HTTP/1.1\r\n{lines}X: y\r\n\r\n"));
    let rows = [
        row("none", ""),
        row("two", "Host: a\r\nHost: b\r\n"),
        row("two equal ones", "Host: a\r\nHost: a\r\n"),
        row("empty", "Host:\r\n"),
        row("userinfo", "Host: user@a\r\n"),
        row("userinfo with a password", "Host: user:pass@a\r\n"),
        row("path", "Host: a/b\r\n"),
        row("query", "Host: a?b\r\n"),
        row("comma", "Host: a,b\r\n"),
        row("list", "Host: a, b\r\n"),
        row("fragment", "Host: a#b\r\n"),
        row("space", "Host: a b\r\n"),
        row("backslash", "Host: a\\b\r\n"),
        row("port that is no number", "Host: a:b\r\n"),
        row("port too large", "Host: a:65536\r\n"),
        row("two ports", "Host: a:1:2\r\n"),
        row("open bracket", "Host: [::1\r\n"),
        row("bracket of nonsense", "Host: [a]\r\n"),
    ];
    refuses(&rows.each_ref().map(|(name, bytes)| (*name, bytes.as_bytes(), 400, "request_host")));
}

#[test]
fn targets_that_are_not_valid() {
    let row = |name, target: &[u8]| (name, [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    let rows = [
        row("fragment", b"/a#b"),
        row("only a fragment", b"#"),
        row("fragment behind a query", b"/a?b#c"),
        row("not from the root", b"a/b"),
        row("beyond ASCII", b"/\xc3\xa9"),
        row("beyond ASCII in the query", b"/?\xff"),
        row("asterisk with GET", b"*"),
        row("two dots", b"/a/../b"),
        row("two dots at the end", b"/a/.."),
        row("two dots at the start", b"/../a"),
        row("one dot", b"/a/./b"),
        row("one dot at the end", b"/a/."),
        row("encoded", b"/a/%2e%2e/b"),
        row("encoded in upper case", b"/a/%2E%2E/b"),
        row("half encoded", b"/a/.%2e/b"),
        row("half encoded, other half", b"/a/%2E./b"),
        row("one encoded dot", b"/a/%2e/b"),
        row("dots before a query", b"/a/..?b"),
        row("encoded dots at the end", b"/a/%2e%2e"),
        row("dots in absolute form", b"http://a/b/../c"),
    ];
    refuses(&rows.each_ref().map(|(name, bytes)| (*name, bytes.as_slice(), 400, "request_target")));
}

#[test]
fn control_bytes_in_a_target() {
    let row = |name, target: &[u8]| (name, [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    let rows = [row("NUL", b"/\0"), row("tab", b"/a\tb"), row("DEL", b"/\x7f"), row("bare CR", b"/a\rb")];
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    for (name, bytes) in rows {
        let mut client = gate.client();
        client.send(&bytes);
        // Line and target are both malformed, so either reason is right.
        let response = client.read_response();
        assert_eq!(response.status(), 400, "{name}: {response:?}");
        assert!(
            ["request_target", "request_malformed"].contains(&response.reason().unwrap()),
            "{name}: {response:?}"
        );
        client.expect_close();
    }
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn authorities_in_absolute_form_that_are_not_valid() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    for target in [
        "http://user@a/",
        "http://a:b/",
        "http:///path",
        "http://a,b/",
        "http://[::1/",
        "http://a\\b/",
        "http://",
    ] {
        let mut client = gate.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = client.read_response();
        assert_eq!(response.status(), 400, "{target}: {response:?}");
        assert!(
            ["request_target", "request_host"].contains(&response.reason().unwrap()),
            "{target}: {response:?}"
        );
        client.expect_close();
    }
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn connect_and_other_versions() {
    refuses(&[
        ("CONNECT", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405, "request_method"),
        ("no preface", b"PRI * HTTP/2.0\r\nHost: a\r\n\r\nSM\r\n\r\n", 505, "version_unknown"),
        ("HTTP/2.0", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, "version_unknown"),
        ("HTTP/1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505, "version_unknown"),
        ("HTTP/0.9", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505, "version_unknown"),
    ]);
}

#[test]
fn heads_beyond_the_limits() {
    let long = "v".repeat(5000);
    let many = "A: b\r\n".repeat(21);
    let rows = [
        (
            "a field too long",
            format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {long}\r\n\r\n"),
            431,
            "head_too_large",
        ),
        ("too many fields", format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n"), 431, "head_too_large"),
        (
            "a target too long",
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", &long[..1001]),
            414,
            "target_too_long",
        ),
        ("a line without end", format!("GET /{long}{long}"), 414, "target_too_long"),
    ];
    refuses(
        &rows.each_ref().map(|(name, bytes, status, reason)| (*name, bytes.as_bytes(), *status, *reason)),
    );
}

#[test]
fn a_refused_head_has_the_name_of_the_field_that_is_too_long() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let value = "v".repeat(3900);
    let mut client = gate.client();
    client.send(format!(
        "GET / HTTP/1.1\r\nHost: a\r\nShort: x\r\nX-Culprit: {value}\r\nOther: {}\r\n\r\n",
        &value[..500]
    ));
    let response = client.read_response();
    response.expect_own(431, "head_too_large");
    assert!(
        response.text().contains("X-Culprit") || response.text().contains("x-culprit"),
        "{}",
        response.text()
    );
    assert!(response.text().contains("39"), "its length is missing: {}", response.text());
    assert!(!response.text().contains("vvvvvvvv"), "the value is not repeated: {}", response.text());
    client.expect_close();
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn heads_just_within_the_limits_pass() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let mut client = gate.client();
    client
        .exchange(format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(19)))
        .expect(200, "fine");
    client.exchange(format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "t".repeat(999))).expect(200, "fine");
    let frame = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
    client
        .exchange(format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "v".repeat(4096 - frame)))
        .expect(200, "fine");
}

#[test]
fn a_body_known_to_be_too_large_is_refused_before_it_is_read() {
    let upstream = Upstream::says("fine");
    let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
    let mut client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: small.test\r\nContent-Length: 11\r\n\r\n");
    client.read_response().expect_own(413, "body_too_large");
    client.expect_close();
    // With the expectation, the client waits and need not send the body.
    let mut client = gate.client();
    client.send("POST / HTTP/1.1\r\nHost: small.test\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n");
    let response = client.read_response();
    response.expect_own(413, "body_too_large");
    assert!(response.interim.is_empty(), "{response:?}");
    assert_eq!(upstream.connections(), 0);
    // The limit is the rule's, so the rule's metric counts it.
    let series = r#"smolgate_requests_total{listener="http",rule="small.test",method="POST",code="413"}"#;
    support::until("both are counted", || gate.metric(series) == 2.0);
    // Ten bytes are within the limit.
    gate.exchange("POST / HTTP/1.1\r\nHost: small.test\r\nContent-Length: 10\r\n\r\n0123456789")
        .expect(200, "fine");
}

#[test]
fn malformed_chunked_bodies_never_end_cleanly_upstream() {
    let long = "e".repeat(70_000);
    let rows: &[(&str, &[u8])] = &[
        ("plus", b"+5\r\nhello\r\n0\r\n\r\n"),
        ("minus", b"-5\r\nhello\r\n0\r\n\r\n"),
        ("space before", b" 5\r\nhello\r\n0\r\n\r\n"),
        ("space after", b"5 \r\nhello\r\n0\r\n\r\n"),
        ("0x", b"0x5\r\nhello\r\n0\r\n\r\n"),
        ("underscore", b"0_5\r\nhello\r\n0\r\n\r\n"),
        ("empty", b"\r\nhello\r\n0\r\n\r\n"),
        ("no digits", b"g\r\nhello\r\n0\r\n\r\n"),
        ("only an extension", b";a=b\r\nhello\r\n0\r\n\r\n"),
        ("2^64", b"10000000000000000\r\nhello\r\n0\r\n\r\n"),
        ("2^64 + 5", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("2^64 - 1", b"FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
        ("bare LF after the size", b"5\nhello\r\n0\r\n\r\n"),
        ("bare CR after the size", b"5\rhello\r\n0\r\n\r\n"),
        ("bare LF in an extension", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
        ("bare CR in an extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
        ("NUL in an extension", b"5;a\0b\r\nhello\r\n0\r\n\r\n"),
        ("data too long", b"5\r\nhelloX\r\n0\r\n\r\n"),
        ("data without CRLF", b"5\r\nhello0\r\n\r\n"),
        ("LF alone after data", b"5\r\nhello\n0\r\n\r\n"),
        ("bare LF after the last size", b"5\r\nhello\r\n0\n\r\n"),
        ("bare LF as the last line", b"5\r\nhello\r\n0\r\n\n"),
        ("trailer without colon", b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n"),
        ("trailer with a space before the colon", b"5\r\nhello\r\n0\r\nX : y\r\n\r\n"),
        ("trailer with NUL", b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n"),
        ("trailer with bare LF", b"5\r\nhello\r\n0\r\nX: y\nZ: w\r\n\r\n"),
        ("folded trailer", b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n"),
    ];
    let endless = format!("5;{long}\r\nhello\r\n0\r\n\r\n");
    let rows = rows.iter().copied().chain([("extension without end", endless.as_bytes())]);
    for (name, body) in rows {
        let upstream = Upstream::says("fine");
        let gate = TestGate::start(CONFIG, &[("upstream", &upstream)]);
        let mut client = gate.client();
        let head = b"POST /row HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.try_send([head, body, GLUED].concat());
        judge_cut(name, client, &upstream);
    }
}

/// Fails unless the client got 400 or a plain close, and the upstream no complete request.
fn judge_cut(name: &str, mut client: Client, upstream: &Upstream) {
    let (bytes, _) = client.read_to_end();
    assert!(bytes.is_empty() || bytes.starts_with(b"HTTP/1.1 400 "), "{name}: {}", show(&bytes));
    let answers = bytes.windows(9).filter(|window| *window == b"HTTP/1.1 ").count();
    assert!(answers <= 1, "{name}: two responses: {}", show(&bytes));
    for number in 0..upstream.connections() {
        upstream.wait_end(number);
    }
    for request in upstream.requests() {
        assert!(!request.complete(), "{name}: a whole request reached the upstream: {request:?}");
    }
    let received = upstream.received().concat();
    assert!(!received.windows(8).any(|window| window == b"smuggled"), "{name}: {}", show(&received));
}
