//! Tests of response heads, row by row.

use std::time::Duration;

use super::*;
use crate::http::{Framing, Method, Name, Version};

fn refused_response(bytes: &[u8], limits: &HeadLimits) -> Refusal {
    match parse_response(bytes, &mut HeadScan::default(), limits, &mut FieldTable::new()) {
        Err(refusal) => refusal,
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

#[test]
fn a_plain_response_is_taken_apart() {
    let bytes = b"HTTP/1.1 200 All \xe4 right\r\nContent-Length: 2\r\nKeep-Alive: max=3, Timeout=7\r\nSet-Cookie: a\r\n\r\nok";
    with_response(bytes, |head| {
        assert_eq!((head.version, head.status, head.phrase), (Version::Http11, 200, &b"All \xe4 right"[..]));
        assert_eq!(head.content_length, Some(2));
        assert!(head.keep_alive && !head.chunked && !head.upgrade);
        assert_eq!(head.keep_alive_timeout, Some(Duration::from_secs(7)));
        assert_eq!(head.fields.get(Name::SetCookie), Some(&b"a"[..]));
        assert_eq!(head.len, bytes.len() - 2);
    });
    for (line, phrase) in [("HTTP/1.1 200 ", ""), ("HTTP/1.1 200", ""), ("HTTP/1.1 999  x", " x")] {
        with_response(format!("{line}\r\n\r\n").as_bytes(), |head| {
            assert_eq!(head.phrase, phrase.as_bytes())
        });
    }
}

#[test]
fn the_end_of_a_body_depends_on_the_request_too() {
    for (status, lines, request, framing) in [
        (200, "Content-Length: 5\r\n", Method::Get, Framing::Length(5)),
        (200, "Content-Length: 5\r\n", Method::Head, Framing::None),
        (200, "Transfer-Encoding: chunked\r\n", Method::Post, Framing::Chunked),
        (200, "Transfer-Encoding: Chunked\r\n", Method::Head, Framing::None),
        (200, "", Method::Get, Framing::UntilClose),
        (200, "", Method::Head, Framing::None),
        (204, "Content-Length: 5\r\n", Method::Get, Framing::None),
        (204, "Transfer-Encoding: chunked\r\n", Method::Get, Framing::None),
        (304, "Content-Length: 5\r\n", Method::Get, Framing::None),
        (304, "", Method::Get, Framing::None),
        (100, "", Method::Post, Framing::None),
        (101, "Content-Length: 5\r\n", Method::Get, Framing::None),
        (103, "", Method::Get, Framing::None),
        (199, "", Method::Get, Framing::None),
        (404, "Content-Length: 0\r\n", Method::Get, Framing::Length(0)),
        (500, "", Method::Get, Framing::UntilClose),
    ] {
        let bytes = format!("HTTP/1.1 {status} x\r\n{lines}\r\n");
        with_response(bytes.as_bytes(), |head| {
            assert_eq!(head.framing(request), Some(framing), "{bytes} {request:?}")
        });
    }
}

#[test]
fn reuse_follows_version_and_connection() {
    for (version, lines, keep_alive) in [
        ("1.1", "Content-Length: 1\r\n", true),
        ("1.1", "Content-Length: 1\r\nConnection: close\r\n", false),
        ("1.0", "Content-Length: 1\r\n", false),
        ("1.0", "Content-Length: 1\r\nConnection: keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive\r\n", false),
        ("1.0", "", false),
    ] {
        let bytes = format!("HTTP/{version} 200 OK\r\n{lines}\r\n");
        with_response(bytes.as_bytes(), |head| assert_eq!(head.keep_alive, keep_alive, "{bytes}"));
    }
    with_response(b"HTTP/1.0 200 OK\r\n\r\n", |head| {
        assert_eq!(head.framing(Method::Get), Some(Framing::UntilClose))
    });
}

#[test]
fn both_lengths_are_harmless_only_where_no_body_follows() {
    for (status, request, framing) in [
        (200, Method::Get, None),
        (200, Method::Head, Some(Framing::None)),
        (304, Method::Get, Some(Framing::None)),
        (204, Method::Get, None),
        (100, Method::Post, None),
        (101, Method::Get, None),
        (404, Method::Post, None),
    ] {
        for lines in [
            ["Content-Length: 5", "Transfer-Encoding: chunked"],
            ["Transfer-Encoding: Chunked", "Content-Length: 05"],
        ] {
            let bytes = format!("HTTP/1.1 {status} x\r\n{}\r\n\r\n", lines.join("\r\n"));
            with_response(bytes.as_bytes(), |head| {
                assert_eq!(head.framing(request), framing, "{bytes} {request:?}");
                assert!(head.content_length.is_none() && !head.is_length_plain && !head.keep_alive);
            });
        }
    }
}

#[test]
fn only_a_whole_101_switches_protocols() {
    let lines = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for (status, lines, upgrade) in [
        (101, lines, true),
        (200, lines, false),
        (426, lines, false),
        (101, "Upgrade: websocket\r\n", false),
        (101, "Connection: upgrade\r\n", false),
        (101, "Connection: upgrade\r\nUpgrade: h2c\r\n", false),
        (101, "Connection: upgrade\r\nUpgrade: a, b\r\n", false),
        (101, "Connection: upgrade\r\nUpgrade: a\r\nUpgrade: a\r\n", false),
        (101, "Connection: upgrade\r\nUpgrade: ,a,\r\nUpgrade:\r\n", true),
    ] {
        let bytes = format!("HTTP/1.1 {status} x\r\n{lines}\r\n");
        with_response(bytes.as_bytes(), |head| assert_eq!(head.switches_to().is_some(), upgrade, "{bytes}"));
    }
}

#[test]
fn connection_names_fields_of_a_response_too() {
    with_response(
        b"HTTP/1.1 200 OK\r\nConnection: x-a, set-cookie\r\nX-A: 1\r\nSet-Cookie: c\r\n\r\n",
        |head| {
            let named: Vec<_> = head.fields.iter().map(|field| field.is_named_by_connection()).collect();
            assert_eq!(named, [false, true, false]);
        },
    );
}

#[test]
fn a_host_field_in_a_response_is_a_field_like_any_other() {
    with_response(b"HTTP/1.1 200 OK\r\nHost: a b\r\nHost: c\r\n\r\n", |head| {
        assert_eq!(head.fields.len(), 2)
    });
}

#[test]
fn odd_keep_alive_times_are_ignored() {
    for (value, seconds) in [
        ("timeout=0", Some(0)),
        ("timeout=", None),
        ("timeout=-1", None),
        ("timeout=99999999999", None),
        ("timeou", None),
        ("max=5", None),
        ("xtimeout=5", None),
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\nKeep-Alive: {value}\r\n\r\n");
        with_response(bytes.as_bytes(), |head| {
            assert_eq!(head.keep_alive_timeout, seconds.map(Duration::from_secs), "{value}");
        });
    }
}

#[test]
fn malformed_responses_are_refused() {
    let table: &[&[u8]] = &[
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 +20 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1\t200 OK\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n",
        b"http/1.1 200 OK\r\n\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"<html>",
        b"HTTP/1.1 200 O\x01K\r\n\r\n",
        b"HTTP/1.1 200 OK\n\n",
        b"HTTP/1.1 200\n\n",
        b"HTTP/1.1 200 OK\rX\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n X: a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 304 x\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.0 304 x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 304 x\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    for bytes in table {
        let refusal = refused_response(bytes, &LIMITS);
        assert_eq!(refusal.reason, Reason::ResponseMalformed, "{}", bytes.escape_ascii());
        assert!(!refusal.detail.is_empty());
    }
}

#[test]
fn a_response_head_has_limits_too() {
    let limits = HeadLimits { bytes: 64, fields: 2, target: 1 };
    for bytes in [
        format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(100)),
        format!("HTTP/1.1 200 {}", "a".repeat(100)),
        format!("HTTP/1.1 200 OK\r\n{}\r\n", "a:b\r\n".repeat(3)),
    ] {
        assert_eq!(refused_response(bytes.as_bytes(), &limits).reason, Reason::ResponseTooLarge, "{bytes}");
    }
}
