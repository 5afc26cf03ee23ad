//! Tests of request heads, row by row.

use super::*;
use crate::http::{Authority, Framing, Method, Name, Version};
use crate::http1::{CONNECTION_OPTIONS_MAX, EMPTY_LINES_MAX, METHOD_BYTES_MAX};

#[test]
fn a_plain_request_is_taken_apart() {
    let bytes = b"GET /a/b?c=d?e HTTP/1.1\r\nHost: Example.org:8080\r\nX-A:1\r\nX-B: \t two words \t\r\nx-empty:\r\n\r\nrest";
    with_request(bytes, |head| {
        assert_eq!(head.method, b"GET");
        assert_eq!(head.known_method, Method::Get);
        assert_eq!(head.version, Version::Http11);
        assert_eq!(head.raw_target(), b"/a/b?c=d?e");
        assert_eq!(head.path, b"/a/b");
        assert_eq!(head.query, Some(&b"c=d?e"[..]));
        assert_eq!(head.path_and_query, b"/a/b?c=d?e");
        assert_eq!(head.host, Authority::parse(b"Example.org:8080").ok());
        assert_eq!(head.framing, Framing::None);
        assert!(head.keep_alive && !head.expect_continue && !head.upgrade && !head.accepts_trailers);
        assert_eq!(head.len, bytes.len() - 4);
        assert_eq!(
            fields_of(&head.fields),
            [
                "Host|Example.org:8080|Host|Host: Example.org:8080\\r\\n|false",
                "X-A|1|Other|X-A:1\\r\\n|false",
                "X-B|two words|Other|X-B: \\t two words \\t\\r\\n|false",
                "x-empty||Other|x-empty:\\r\\n|false",
            ]
        );
        assert_eq!(head.fields.len(), 4);
        assert_eq!(head.fields.get(Name::Host), Some(&b"Example.org:8080"[..]));
        assert_eq!(head.fields.find(b"x-b"), Some(&b"two words"[..]));
        assert_eq!(head.fields.find(b"x-c"), None);
    });
}

#[test]
fn an_unfinished_head_is_not_an_error() {
    let whole = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for end in 0..whole.len() {
        let mut table = FieldTable::new();
        let parsed = parse_request(&whole[..end], &mut HeadScan::default(), &LIMITS, &mut table);
        assert!(matches!(parsed, Ok(None)), "{end}");
    }
}

#[test]
fn a_few_empty_lines_before_a_request_are_skipped() {
    for count in 0..=EMPTY_LINES_MAX {
        let bytes = ["\r\n".repeat(count).as_bytes(), &get_with("")].concat();
        with_request(&bytes, |head| {
            assert_eq!(head.len, bytes.len());
            assert_eq!(head.path, b"/");
        });
    }
    let bytes = ["\r\n".repeat(EMPTY_LINES_MAX + 1).as_bytes(), &get_with("")].concat();
    assert_refused(Reason::RequestMalformed, &[&bytes, b"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", b"\r\r\n"]);
}

#[test]
fn a_client_hello_is_known_as_tls() {
    for bytes in [&b"\x16"[..], b"\x16\x03\x01\x02\x00\x01"] {
        let mut table = FieldTable::new();
        let refused = parse_request(bytes, &mut HeadScan::default(), &LIMITS, &mut table).unwrap_err();
        assert_eq!(refused.reason, Reason::RequestMalformed);
        assert_eq!(refused.detail, "the client speaks TLS, and this listener has no `tls`");
    }
}

#[test]
fn every_form_of_target_gives_path_and_host() {
    for (line, path, query, path_and_query, host) in [
        ("GET / HTTP/1.1", "/", None, "/", "field"),
        ("GET /? HTTP/1.1", "/", Some(""), "/?", "field"),
        ("GET //x//y HTTP/1.1", "//x//y", None, "//x//y", "field"),
        ("GET /%41%2f{|}\"<>\\^` HTTP/1.1", "/%41%2f{|}\"<>\\^`", None, "/%41%2f{|}\"<>\\^`", "field"),
        ("GET /a?/../b HTTP/1.1", "/a", Some("/../b"), "/a?/../b", "field"),
        ("GET http://other:81/x?y HTTP/1.1", "/x", Some("y"), "/x?y", "other:81"),
        ("GET HTTPS://[::1]/x HTTP/1.1", "/x", None, "/x", "[::1]"),
        ("GET http://other HTTP/1.1", "/", None, "/", "other"),
        ("GET http://other?x/y HTTP/1.1", "/", Some("x/y"), "?x/y", "other"),
        ("OPTIONS http://other? HTTP/1.1", "/", Some(""), "?", "other"),
        ("OPTIONS * HTTP/1.1", "*", None, "*", "field"),
        ("OPTIONS http://other HTTP/1.1", "*", None, "*", "other"),
        ("OPTIONS http://other/ HTTP/1.1", "/", None, "/", "other"),
        ("OPTIONS /x HTTP/1.1", "/x", None, "/x", "field"),
    ] {
        with_request(format!("{line}\r\nHost: field\r\n\r\n").as_bytes(), |head| {
            assert_eq!(head.path, path.as_bytes(), "{line}");
            assert_eq!(head.query, query.map(str::as_bytes), "{line}");
            assert_eq!(head.path_and_query, path_and_query.as_bytes(), "{line}");
            assert_eq!(head.host, Authority::parse(host.as_bytes()).ok(), "{line}");
        });
    }
}

#[test]
fn the_request_line_is_kept_as_it_is_if_it_would_be_written_so() {
    for (before, line, kept) in [
        ("", "GET /a?b HTTP/1.1\r\n", true),
        ("\r\n\r\n", "BREW / HTTP/1.1\r\n", true),
        ("", "OPTIONS * HTTP/1.1\r\n", true),
        ("", "GET /a HTTP/1.0\r\n", false),
        ("", "GET http://h/a HTTP/1.1\r\n", false),
        ("", "GET http://h HTTP/1.1\r\n", false),
        ("", "GET http://h?b HTTP/1.1\r\n", false),
        ("", "OPTIONS http://h HTTP/1.1\r\n", false),
    ] {
        with_request(format!("{before}{line}Host: h\r\n\r\n").as_bytes(), |head| {
            assert_eq!((head.line, head.has_line_of_ours()), (line.as_bytes(), kept), "{line}");
            assert_eq!(head.raw_target(), line.split(' ').nth(1).unwrap().as_bytes());
        });
    }
}

#[test]
fn bad_targets_are_refused() {
    assert_refused(
        Reason::RequestTarget,
        &[
            b"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET / / HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /\x01 HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /\t HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /\xc3\xa4 HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET * HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET x HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET ?x HTTP/1.1\r\nHost: h\r\n\r\n",
            b"OPTIONS *x HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /a/../b HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /%2e%2E/b HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /a/.%2e HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET /a/. HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET http://h/../b HTTP/1.1\r\nHost: h\r\n\r\n",
        ],
    );
}

#[test]
fn bad_request_lines_are_refused() {
    let long = [&[b'A'; METHOD_BYTES_MAX + 1][..], b" / HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
    assert_refused(
        Reason::RequestMalformed,
        &[
            b" GET / HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET  / HTTP/1.1\r\nHost: h\r\n\r\n",
            b"G(T / HTTP/1.1\r\nHost: h\r\n\r\n",
            b"G\xffT / HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET\r\n\r\n",
            b"GET /\r\n",
            b"GET / HTTP/1.1\nHost: h\n\n",
            b"GET / HTTP/1.1\rHost: h\r\n\r\n",
            b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
            b"GET / HTTP/1.10\r\nHost: h\r\n\r\n",
            b"GET / HTTP/11\r\nHost: h\r\n\r\n",
            b"GET / http/1.1\r\nHost: h\r\n\r\n",
            b"GET / H\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            &long,
        ],
    );
    // An invalid beginning is refused without the rest.
    assert_refused(Reason::RequestMalformed, &[b"\x16", b"GET / HTTP/1.1\n"]);
}

#[test]
fn other_versions_and_connect_are_refused() {
    assert_refused(
        Reason::VersionUnknown,
        &[
            b"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"GET / HTTP/1.2\r\nHost: h\r\n\r\n",
            b"GET / HTTP/0.9\r\nHost: h\r\n\r\n",
        ],
    );
    assert_refused(Reason::RequestMethod, &[b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"]);
}

#[test]
fn bad_field_lines_are_refused() {
    let lines: &[&[u8]] = &[
        b"X : a\r\n",
        b"X\t: a\r\n",
        b"X\r\n",
        b"X a\r\n",
        b": a\r\n",
        b" X: a\r\n",
        b"\tX: a\r\n",
        b"X: a\r\n b\r\n",
        b"X: a\r\n\tb\r\n",
        b"X: a\rb\r\n",
        b"X: a\nY: b\r\n",
        b"X: a\r\r\n",
        b"X: \0\r\n",
        b"X: \x01\r\n",
        b"X: \x7f\r\n",
        b"X\0: a\r\n",
        b"X\r: a\r\n",
        b"X\n: a\r\n",
        b"X@: a\r\n",
        b"X\xe4: a\r\n",
        b"\"X\": a\r\n",
        b"X(: a\r\n",
        b"X: a\x0bb\r\n",
        b"X:\r\n \r\n",
        b"X: a\n",
        b"\n",
        b"X\n",
        b"{}\r\n",
    ];
    for line in lines {
        let after = [&b"GET / HTTP/1.1\r\nHost: h\r\n"[..], line, b"\r\n"].concat();
        let first = [&b"GET / HTTP/1.1\r\n"[..], line, b"Host: h\r\n\r\n"].concat();
        assert_refused(Reason::RequestMalformed, &[&after, &first]);
    }
    with_request(b"GET / HTTP/1.1\r\nHost: h\r\nX: \xe4\xff\tb\r\n\r\n", |head| {
        assert_eq!(head.fields.find(b"x"), Some(&b"\xe4\xff\tb"[..]));
    });
}

#[test]
fn a_detail_names_the_field_and_never_echoes_raw_bytes() {
    let refusal = refused_request(&get_with("X-Bad : <script>\r\n"), &LIMITS);
    assert_eq!(
        refusal.detail,
        "field 2 (X-Bad): white space between a field name and its colon is not allowed"
    );
    let refusal = refused_request(b"GET / HTTP/1.1\r\nHost: <b>\x1b\"\r\n\r\n", &LIMITS);
    assert_eq!(refusal.reason, Reason::RequestMalformed);
    let refusal = refused_request(b"GET / HTTP/1.1\r\nHost: <b>\xff\"\r\n\r\n", &LIMITS);
    assert_eq!(
        refusal.detail,
        "the Host field (\\x3cb\\x3e\\xff\\x22): a byte that is not allowed in a host name"
    );
}

#[test]
fn host_must_be_one_and_valid() {
    assert_refused(
        Reason::RequestHost,
        &[
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nH0st: h\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h\r\nhOST: i\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: u:p@h\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h/x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h, i\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h#x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h?x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h i\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: h:99999\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n",
            b"GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n",
            b"GET / HTTP/1.0\r\nHost: h/x\r\n\r\n",
            b"GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET http:/// HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET http://h,i/ HTTP/1.1\r\nHost: h\r\n\r\n",
            b"GET http://h/ HTTP/1.1\r\n\r\n",
            b"GET http://h/ HTTP/1.1\r\nHost: h/x\r\n\r\n",
        ],
    );
    with_request(b"GET / HTTP/1.0\r\n\r\n", |head| assert_eq!(head.host, None));
    with_request(b"GET http://h/ HTTP/1.0\r\n\r\n", |head| {
        assert_eq!(head.host, Authority::parse(b"h").ok())
    });
}

#[test]
fn framing_is_clear_or_refused() {
    for (lines, framing) in [
        ("", Framing::None),
        ("Content-Length: 0\r\n", Framing::Length(0)),
        ("content-length:\t42 \r\n", Framing::Length(42)),
        ("Content-Length: 9223372036854775807\r\n", Framing::Length(i64::MAX as u64)),
        ("Content-Length: 0000000000000000000000000000005\r\n", Framing::Length(5)),
        ("Transfer-Encoding: chunked\r\n", Framing::Chunked),
        ("transfer-encoding: ChUnKeD\r\n", Framing::Chunked),
        ("Content_Length: 5\r\n", Framing::None),
        ("X-Content-Length: 5\r\n", Framing::None),
    ] {
        with_request(&get_with(lines), |head| assert_eq!(head.framing, framing, "{lines}"));
    }
    for value in [
        "",
        "+5",
        "-5",
        "0x5",
        "5a",
        "a",
        "5, 5",
        "5,5",
        "5 5",
        "5,",
        ",5",
        "5.0",
        "1e3",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999",
        "\u{663}",
    ] {
        assert_refused(Reason::RequestFraming, &[&get_with(&format!("Content-Length: {value}\r\n"))]);
    }
    for lines in [
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ] {
        assert_refused(Reason::RequestFraming, &[&get_with(lines)]);
    }
    assert_refused(
        Reason::RequestFraming,
        &[b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"],
    );
}

#[test]
fn transfer_codings_other_than_chunked_are_refused() {
    for value in [
        "",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "chunked, gzip",
        "xchunked",
        "chunked;x=y",
        "\"chunked\"",
        "'chunked'",
        "chunke",
        "chunked chunked",
        "identity, chunked, chunked",
        "cow",
        "gzip, cow",
        "chunked, identity",
        "\u{b}chunked",
        "gzip;q=1",
    ] {
        let bytes = get_with(&format!("Transfer-Encoding: {value}\r\n"));
        let reason = match value.contains('\u{b}') {
            true => Reason::RequestMalformed,
            false => Reason::RequestFraming,
        };
        assert_refused(reason, &[&bytes]);
    }
    for value in
        ["gzip", "GZip, chunked", "deflate", "compress", "identity", "x-gzip , deflate,chunked", "br", "zstd"]
    {
        assert_refused(Reason::CodingUnknown, &[&get_with(&format!("Transfer-Encoding: {value}\r\n"))]);
    }
}

#[test]
fn keep_alive_follows_version_and_connection() {
    for (version, lines, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Keep-Alive\r\n", true),
        ("1.1", "Connection: keep-alive, CLOSE\r\n", false),
        ("1.1", "Connection: x\r\nConnection: close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "Proxy-Connection: close\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: close, keep-alive\r\n", false),
        ("1.0", "Proxy-Connection: keep-alive\r\n", false),
    ] {
        let bytes = format!("GET / HTTP/{version}\r\nHost: h\r\n{lines}\r\n");
        with_request(bytes.as_bytes(), |head| assert_eq!(head.keep_alive, keep_alive, "{bytes}"));
    }
}

#[test]
fn expect_te_and_upgrade_are_noticed() {
    with_request(&get_with("Expect: 100-Continue\r\nTE: gzip, Trailers\r\n"), |head| {
        assert!(head.expect_continue && head.accepts_trailers);
    });
    with_request(&get_with("Expect: 200-ok\r\nTE: trailer\r\n"), |head| {
        assert!(!head.expect_continue && !head.accepts_trailers);
    });
    with_request(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", |head| {
        assert!(!head.expect_continue);
    });
    let upgrade = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n";
    for lines in [
        upgrade,
        "Connection: upgrade\r\nUpgrade: tcp\r\nContent-Length: 1\r\n",
        "Connection: upgrade\r\nUpgrade: tcp\r\nTransfer-Encoding: chunked\r\n",
        "Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n",
        "Upgrade: a/1, b\r\nConnection: x\r\nConnection: upgrade\r\n",
    ] {
        with_request(&get_with(lines), |head| assert!(head.upgrade, "{lines}"));
    }
    for lines in [
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "Connection: upgrade\r\nUpgrade: ,\r\n",
        "Connection: upgrade\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: HTTP/2.0, TLS/1.0\r\n",
    ] {
        with_request(&get_with(lines), |head| assert!(!head.upgrade, "{lines}"));
    }
    with_request(format!("GET / HTTP/1.0\r\nHost: h\r\n{upgrade}\r\n").as_bytes(), |head| {
        assert!(!head.upgrade);
    });
}

#[test]
fn connection_names_fields_but_not_those_a_peer_may_not_remove() {
    let lines = "Connection: close, X-Foo ,,Content-Length\r\nX-Foo: 1\r\nx-foo: 2\r\nX-Bar: 3\r\nContent-Length: 0\r\n\
                 Connection: host, x-forwarded-for, x-late\r\nX-Forwarded-For: a\r\nX-Late: 4\r\nCookie: c\r\n";
    with_request(&get_with(lines), |head| {
        let named: Vec<_> = head
            .fields
            .iter()
            .filter(|field| field.is_named_by_connection())
            .map(|field| field.value())
            .collect();
        assert_eq!(named, [&b"1"[..], b"2", b"4"]);
        assert!(!head.keep_alive);
        assert_eq!(head.framing, Framing::Length(0));
    });
    let many = |count: usize| get_with(&format!("Connection: {}\r\n", vec!["x"; count].join(",")));
    with_request(&many(CONNECTION_OPTIONS_MAX), |head| assert!(head.keep_alive));
    assert_refused(Reason::RequestMalformed, &[&many(CONNECTION_OPTIONS_MAX + 1)]);
}

#[test]
fn known_names_and_their_lookalikes_are_marked() {
    with_request(
        &get_with("x_forwarded_for: 1\r\nX-Forwarded-For: 2\r\nTransfer_Encoding: x\r\nx_y: z\r\n"),
        |head| {
            let known: Vec<_> = head.fields.iter().map(|field| field.known()).collect();
            assert_eq!(
                known,
                [Name::Host, Name::Lookalike, Name::XForwardedFor, Name::Lookalike, Name::Other]
            );
        },
    );
}

#[test]
fn the_target_has_a_limit_even_before_its_line_ends() {
    let limits = HeadLimits { target: 10, ..LIMITS };
    let fits = b"GET /23456789 HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(
        parse_request(fits, &mut HeadScan::default(), &limits, &mut FieldTable::new()).unwrap().is_some()
    );
    for bytes in [&b"GET /2345678901 HTTP/1.1\r\nHost: h\r\n\r\n"[..], b"GET /2345678901", b"GET http://h/23"]
    {
        let refusal = refused_request(bytes, &limits);
        assert_eq!(refusal.reason, Reason::TargetTooLong);
        assert!(refusal.detail.contains("10 bytes"), "{}", refusal.detail);
    }
    let mut scan = HeadScan::default();
    let dripped = [&b"GET /"[..], &[b'a'; 20]].concat();
    let found = (1..dripped.len()).find_map(|end| {
        parse_request(&dripped[..end], &mut scan, &limits, &mut FieldTable::new()).err().map(|_| end)
    });
    assert_eq!(found, Some(b"GET ".len() + 11));
}

#[test]
fn a_head_has_limits_even_before_its_end() {
    let limits = HeadLimits { bytes: 100, fields: 3, target: 50 };
    let head =
        |fill: usize| format!("GET / HTTP/1.1\r\nHost: h\r\nX-Long: {}\r\nX: y\r\n\r\n", "a".repeat(fill));
    let fill = 100 - head(0).len();
    let parse = |bytes: &[u8]| {
        parse_request(bytes, &mut HeadScan::default(), &limits, &mut FieldTable::new())
            .map(|head| head.is_some())
    };
    assert_eq!(parse(head(fill).as_bytes()), Ok(true));
    assert_eq!(parse(format!("{}more", head(fill)).as_bytes()), Ok(true));
    let over = head(fill + 1);
    for end in 0..100 {
        assert_eq!(parse(&over.as_bytes()[..end]), Ok(false), "{end}");
    }
    let refusal = parse(over.as_bytes()).unwrap_err();
    assert_eq!(refusal.reason, Reason::HeadTooLarge);
    assert_eq!(parse(&over.as_bytes()[..100]).unwrap_err(), refusal);
    let length = "X-Long: \r\n".len() + fill + 1;
    let detail =
        format!("the head is larger than 100 bytes; its longest field, X-Long, has {length} bytes so far");
    assert_eq!(refusal.detail, detail);

    let fields = |count: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a:b\r\n".repeat(count - 1));
    assert_eq!(parse(fields(3).as_bytes()), Ok(true));
    let refusal = parse(fields(4).as_bytes()).unwrap_err();
    assert_eq!((refusal.reason, &*refusal.detail), (Reason::HeadTooLarge, "the head has more than 3 fields"));
}

#[test]
fn a_table_keeps_nothing_of_the_message_before() {
    let mut table = FieldTable::new();
    let mut scan = HeadScan::default();
    for lines in ["A: 1\r\nB: 2\r\nConnection: a\r\n", "A: 3\r\n", ""] {
        let bytes = get_with(lines);
        let head = parse_request(&bytes, &mut scan, &LIMITS, &mut table).unwrap().unwrap();
        let alone = with_request(&bytes, request_as_text);
        assert_eq!(request_as_text(&head), alone);
    }
}
