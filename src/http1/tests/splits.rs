//! Tests of heads that come in pieces: the outcome does not depend on the cuts, and the cost is that of the
//! length.

use super::*;

/// The result of a head: its text, or the refusal; `None` if it never ended.
pub(super) type Outcome = Option<Result<String, Refusal>>;

/// Feeds growing beginnings of `bytes`, as a reader that fills a buffer does, up to the first outcome.
fn feed(
    bytes: &[u8],
    ends: impl IntoIterator<Item = usize>,
    parse: impl Fn(&[u8], &mut HeadScan, &mut FieldTable) -> Result<Option<String>, Refusal>,
) -> Outcome {
    let (mut scan, mut table) = (HeadScan::default(), FieldTable::new());
    ends.into_iter().find_map(|end| parse(&bytes[..end], &mut scan, &mut table).transpose())
}

pub(super) fn feed_request(
    bytes: &[u8],
    ends: impl IntoIterator<Item = usize>,
    limits: &HeadLimits,
) -> Outcome {
    feed(bytes, ends, |bytes, scan, table| {
        Ok(parse_request(bytes, scan, limits, table)?.map(|head| request_as_text(&head)))
    })
}

pub(super) fn feed_response(
    bytes: &[u8],
    ends: impl IntoIterator<Item = usize>,
    limits: &HeadLimits,
) -> Outcome {
    feed(bytes, ends, |bytes, scan, table| {
        Ok(parse_response(bytes, scan, limits, table)?.map(|head| response_as_text(&head)))
    })
}

const REQUESTS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"\r\n\r\nPOST /a?b HTTP/1.1\r\nHost: h:1\r\nContent-Length: 3\r\nConnection: x-a\r\nX-A: \r\n\r\nabcGET",
    b"GET http://h:80/x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nX : y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n z\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nX: y\nZ: a\r\n\r\n",
    b"GET / HTTP/1.1\nHost: h\n\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /../ HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET / HTTP/3.7\r\nHost: h\r\n\r\n",
    b"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n\r\n",
    b"GET /a-target-of-more-than-thirty-two-bytes HTTP/1.1\r\nHost: h\r\n\r\n",
    b"A-METHOD-OF-MORE-THAN-THIRTY-TWO-BYTES / HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nA: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n\r\n",
    b"\r\n\r\n\r\n\r\n\r\n\r\n",
    b"\r\n\r\n\n",
];

/// Limits that several of the requests above exceed.
const TIGHT: HeadLimits = HeadLimits { bytes: 100, fields: 5, target: 32 };

#[test]
fn a_request_cut_anywhere_is_the_same_request() {
    for bytes in REQUESTS {
        let whole = feed_request(bytes, [bytes.len()], &TIGHT);
        assert!(whole.is_some(), "{}", bytes.escape_ascii());
        for first in 0..=bytes.len() {
            assert_eq!(
                feed_request(bytes, [first, bytes.len()], &TIGHT),
                whole,
                "{} {first}",
                bytes.escape_ascii()
            );
            for second in first..=bytes.len() {
                let ends = [first, second, bytes.len()];
                assert_eq!(feed_request(bytes, ends, &TIGHT), whole, "{} {ends:?}", bytes.escape_ascii());
            }
        }
        assert_eq!(feed_request(bytes, 0..=bytes.len(), &TIGHT), whole, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_response_cut_anywhere_is_the_same_response() {
    let responses: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\n\r\nok",
        b"HTTP/1.1 204\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 301 \r\nLocation: /\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nX: y\n\n",
        b"HTTP/1.1 200 OK\r\nX: y\r\n\tz\r\n\r\n",
        b"HTTP/1.1 200 0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\n\r\n",
    ];
    for bytes in responses {
        let whole = feed_response(bytes, [bytes.len()], &TIGHT);
        assert!(whole.is_some(), "{}", bytes.escape_ascii());
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let ends = [first, second, bytes.len()];
                assert_eq!(feed_response(bytes, ends, &TIGHT), whole, "{} {ends:?}", bytes.escape_ascii());
            }
        }
        assert_eq!(feed_response(bytes, 0..=bytes.len(), &TIGHT), whole, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_dripping_head_is_parsed_a_few_times_only() {
    let field = format!("X-Long: {}\r\n", "a".repeat(300));
    let heads = [
        get_with(&field.repeat(100)),
        get_with(&format!("X: {}\r\n", "a".repeat(30_000))),
        format!("\r\n\r\nGET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(8000)).into_bytes(),
    ];
    for bytes in heads {
        let (mut scan, mut table) = (HeadScan::default(), FieldTable::new());
        for end in 0..bytes.len() {
            assert!(
                matches!(parse_request(&bytes[..end], &mut scan, &LIMITS, &mut table), Ok(None)),
                "{end}"
            );
        }
        let head = parse_request(&bytes, &mut scan, &LIMITS, &mut table).unwrap().unwrap();
        assert_eq!(head.len, bytes.len());
        // One attempt for each byte of empty lines and of the method, then one each for target, version and
        // end.
        assert!(scan.attempts <= 12, "{}", scan.attempts);
        assert!(scan.bytes_searched <= bytes.len(), "{}", scan.bytes_searched);
    }
}

#[test]
fn one_scan_serves_message_after_message() {
    let bytes = [REQUESTS[0], REQUESTS[3]].concat();
    let (mut scan, mut table) = (HeadScan::default(), FieldTable::new());
    assert!(matches!(parse_request(&bytes[..20], &mut scan, &LIMITS, &mut table), Ok(None)));
    let first = parse_request(&bytes, &mut scan, &LIMITS, &mut table).unwrap().unwrap().len;
    assert_eq!(first, REQUESTS[0].len());
    let second = parse_request(&bytes[first..], &mut scan, &LIMITS, &mut table).unwrap().unwrap();
    assert_eq!(second.path, b"*");
}
