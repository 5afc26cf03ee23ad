//! Tests with random heads: nothing panics, accepted heads are as strict as promised, and cuts make no
//! difference.

use proptest::prelude::*;

use super::splits::{feed_request, feed_response};
use super::*;
use crate::http::{Framing, HostKey, has_dot_segments, match_path};

const SEEDS: &[&[u8]] = &[
    b"GET /a/b?c HTTP/1.1\r\nHost: example.org\r\nConnection: close, x-a\r\nX-A: 1\r\nContent-Length: 12\r\n\r\n",
    b"POST http://h:80/%2e%41 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nKeep-Alive: timeout=5\r\nConnection: keep-alive, x-a\r\nX-A: 1\r\n\r\n",
];

/// Pieces of hostile heads.
const SPICE: &[&[u8]] = &[
    b"\r\n",
    b"\r",
    b"\n",
    b"\r\n\r\n",
    b" ",
    b"\t",
    b":",
    b"\0",
    b"/../",
    b"%2e",
    b"Host: i\r\n",
    b"chunked",
    b"Content-Length: 1\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b",",
    b"HTTP/1.0",
    b"_",
    b"#",
    b"*",
];

/// Changes to the bytes of a head: at a place, remove some bytes and insert others.
fn edits() -> impl Strategy<Value = Vec<(usize, usize, Vec<u8>)>> {
    let spice = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3),
        prop::sample::select(SPICE).prop_map(<[u8]>::to_vec),
    ];
    prop::collection::vec((any::<usize>(), 0usize..4, spice), 0..4)
}

fn edited(seed: &[u8], edits: Vec<(usize, usize, Vec<u8>)>) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for (place, removed, put) in edits {
        let at = place % (bytes.len() + 1);
        let end = (at + removed).min(bytes.len());
        bytes.splice(at..end, put);
    }
    bytes
}

fn ends(bytes: &[u8], places: &[usize]) -> Vec<usize> {
    let mut ends: Vec<usize> = places.iter().map(|place| place % (bytes.len() + 1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    ends
}

/// Checks what holds for every request that is accepted.
fn check_request(bytes: &[u8], head: &RequestHead<'_>) {
    let taken = &bytes[..head.len];
    let lines: Vec<u8> = head.fields.iter().flat_map(|field| field.line().to_vec()).collect();
    assert!(taken.ends_with(&[&lines[..], b"\r\n"].concat()), "the lines are the head, without gap");
    assert!(taken.iter().all(|&byte| byte >= b' ' && byte != 0x7f || b"\r\n\t".contains(&byte)));
    let line_ends = taken.windows(2).filter(|pair| pair == b"\r\n").count();
    assert_eq!(taken.iter().filter(|&&byte| byte == b'\n').count(), line_ends);
    assert_eq!(taken.iter().filter(|&&byte| byte == b'\r').count(), line_ends);
    assert!(!has_dot_segments(head.path));
    assert!(head.path == b"*" || head.path.starts_with(b"/"));
    let without_path = head.path == b"/" && head.path_and_query.starts_with(b"?");
    assert!(head.path_and_query.starts_with(head.path) || without_path);
    assert!(
        head.host
            .is_none_or(|host| HostKey::new(host.as_bytes()).is_some_and(|key| head.host_key() == Some(key)))
    );
    assert_ne!(head.framing, Framing::UntilClose);
    for field in head.fields.iter() {
        assert!(field.line().starts_with(field.name()) && field.line().ends_with(b"\r\n"));
        assert_eq!(field.value(), field.value().trim_ascii());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edited_head_is_judged_the_same_however_it_is_cut(
        seed in prop::sample::select(SEEDS),
        edits in edits(),
        places in prop::collection::vec(any::<usize>(), 0..12),
        tight in any::<bool>(),
    ) {
        // The last bytes make sure that every parse comes to an outcome.
        let bytes = [&edited(seed, edits)[..], b"\r\n\r\n\n"].concat();
        let limits = HeadLimits { bytes: if tight { 80 } else { 8192 }, fields: 5, target: 20 };
        let ends = ends(&bytes, &places);
        prop_assert_eq!(feed_request(&bytes, ends.clone(), &limits), feed_request(&bytes, [bytes.len()], &limits));
        prop_assert_eq!(feed_response(&bytes, ends, &limits), feed_response(&bytes, [bytes.len()], &limits));
        let mut table = FieldTable::new();
        if let Ok(Some(head)) = parse_request(&bytes, &mut HeadScan::default(), &limits, &mut table) {
            check_request(&bytes, &head);
        }
    }

    #[test]
    fn any_bytes_are_taken_or_refused(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"\r\n :/HTP1."[..])], 0..120),
        bytes_max in 0usize..130,
        fields in 0usize..4,
        target in 0usize..20,
    ) {
        let limits = HeadLimits { bytes: bytes_max, fields, target };
        feed_request(&bytes, 0..=bytes.len(), &limits);
        feed_response(&bytes, 0..=bytes.len(), &limits);
        let after_line = [&b"GET / HTTP/1.1\r\nHost: h\r\n"[..], &bytes].concat();
        feed_request(&after_line, [after_line.len()], &LIMITS);
        HostKey::new(&bytes);
        has_dot_segments(&bytes);
        prop_assert!(match_path(&bytes).len() <= bytes.len());
    }
}
