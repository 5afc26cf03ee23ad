//! Properties that hold for any fields, any cut and any frames.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::head::HeadKind;
use super::super::hpack::{Decoder, Field};
use super::super::*;
use super::downgrade::{Fate, fate, form};
use super::peer::*;
use crate::http::{FieldTable, Name};
use crate::http1::{HeadScan, parse_request};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Names and values that are often those of the static table, and mostly valid.
fn field() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let name = prop_oneof![
        Just(b"accept".to_vec()),
        Just(b"cookie".to_vec()),
        Just(b"x".to_vec()),
        "[a-z][a-z0-9-]{0,40}".prop_map(String::into_bytes),
    ];
    (name, prop_oneof!["[!-~]{0,30}".prop_map(String::into_bytes), vec(any::<u8>(), 0..200)])
}

/// Bytes of the parts of a request that are rarely valid.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        "(GET|POST|http|https|/|\\*|a\\.test|a\\.test:80|chunked|trailers|5)".prop_map(String::into_bytes),
        "[ -~\r\n\t]{0,12}".prop_map(String::into_bytes),
        vec(any::<u8>(), 0..6),
    ]
}

fn hostile_name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "(:method|:scheme|:path|:authority|:status|:protocol)".prop_map(String::into_bytes),
        4 => "(host|cookie|content-length|transfer-encoding|te|connection|x)".prop_map(String::into_bytes),
        1 => hostile(),
    ]
}

/// A frame that is often valid, and one that often is not.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let stream = prop_oneof![Just(0u32), 0u32..12, any::<u32>()];
    let payload = prop_oneof![
        vec(any::<u8>(), 0..40),
        Just(block(GET)),
        Just(block(POST)),
        Just(vec![0; 4]),
        Just(vec![0; 8]),
        Just(vec![0xbe; 3]),
    ];
    prop_oneof![
        (0u8..12, any::<u8>(), stream, payload)
            .prop_map(|(kind, flags, stream, payload)| { frame(kind, flags, stream, &payload) }),
        (0u32..8).prop_map(|at| get(1 + 2 * at)),
        (0u32..8).prop_map(|at| post(1 + 2 * at)),
        (0u32..8, 0u8..2, 0usize..300).prop_map(|(at, ends, bytes)| data(1 + 2 * at, ends, bytes)),
        (0u32..8, any::<u32>()).prop_map(|(at, more)| window_update(1 + 2 * at, more)),
        vec(any::<u8>(), 0..30),
    ]
}

/// The outcome of bytes in pieces: the events, with neighbouring pieces of data joined, the error, the output.
fn outcome(bytes: &[u8], cuts: &[usize]) -> (Vec<String>, Option<ErrorCode>, Vec<u8>) {
    let mut peer = Peer::server();
    let mut events: Vec<String> = Vec::new();
    let mut rest = bytes;
    let mut error = None;
    for size in cuts.iter().cycle() {
        let (piece, behind) = rest.split_at(rest.len().min(*size));
        rest = behind;
        let mut more = Vec::new();
        error = peer.feed_into(piece, &mut more).err().map(|error| error.code);
        more.into_iter().for_each(|event| join(&mut events, event));
        if error.is_some() || rest.is_empty() {
            break;
        }
    }
    (events, error, peer.out)
}

/// Adds an event. A piece of data that follows another of its stream continues it.
fn join(events: &mut Vec<String>, event: String) {
    let parts = |text: &str| -> Option<(String, bool, String)> {
        let rest = text.strip_prefix("data ")?;
        let (id, rest) = rest.split_once(' ')?;
        let ends = rest.starts_with("end ");
        Some((id.to_owned(), ends, rest.strip_prefix("end ").unwrap_or(rest).to_owned()))
    };
    if let (Some((id, ends, more)), Some(last)) = (parts(&event), events.last_mut())
        && let Some((before, false, earlier)) = parts(last)
        && before == id
    {
        *last = format!("data {id}{} {earlier}{more}", if ends { " end" } else { "" });
        return;
    }
    events.push(event);
}

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn fields_survive_encoder_and_decoder(
        fields in vec(field(), 0..20), huffman: bool, never_indexed: bool, repeat in 1usize..3,
    ) {
        let mut decoder = Decoder::default();
        for _ in 0..repeat {
            let mut block = Vec::new();
            let mut encoder = BlockEncoder::new(&mut block, Literals { huffman, never_indexed });
            for (name, value) in &fields {
                encoder.field(name, value, Name::classify(name));
            }
            let mut got: Pairs = Vec::new();
            decoder.decode(&block, &mut Vec::new(), |Field { name, value, .. }| {
                got.push((name.to_vec(), value.to_vec()));
                Ok(())
            }).unwrap();
            prop_assert_eq!(&got, &fields);
        }
    }

    #[test]
    fn blocks_of_any_bytes_are_decoded_or_refused(blocks in vec(vec(any::<u8>(), 0..120), 1..20)) {
        let (mut decoder, mut scratch) = (Decoder::default(), Vec::new());
        for block in blocks {
            let mut bytes = 0;
            let decoded = decoder.decode(&block, &mut scratch, |field| {
                bytes += field.name.len() + field.value.len();
                Ok(())
            });
            prop_assert!(decoder.held() <= 8 * 1024);
            // One byte of a block gives at most a whole table.
            prop_assert!(bytes <= block.len() * TABLE_BYTES_MAX);
            if decoded.is_err() {
                break;
            }
        }
    }

    /// The form holds exactly the fields that were sent, or the head is refused.
    #[test]
    fn a_form_says_what_the_fields_say(
        start in 0usize..4, fields in vec((hostile_name(), hostile()), 0..8), extended: bool,
    ) {
        let mut sent: Pairs = GET[..start].iter().map(|(name, value)| (name.as_bytes().into(), value.as_bytes().into())).collect();
        sent.extend(fields);
        let Fate::Passed(_) = fate(&sent, extended) else { return Ok(()) };
        let form = form(HeadKind::Request { extended_connect: extended }, &sent).unwrap();
        let (mut scan, mut table) = (HeadScan::default(), FieldTable::default());
        let head = parse_request(&form, &mut scan, &LIMITS.head, &mut table).unwrap().unwrap();
        let pseudo = |name: &[u8]| sent.iter().find(|field| field.0 == name).map(|field| &field.1[..]);
        let is_tunnel = pseudo(b":protocol").is_some();
        prop_assert_eq!(head.method, if is_tunnel { b"GET" } else { pseudo(b":method").unwrap() });
        prop_assert_eq!(head.path_and_query, pseudo(b":path").unwrap());
        let host = pseudo(b":authority").or(pseudo(b"host")).unwrap();
        prop_assert_eq!(head.host.unwrap().as_bytes(), host);
        prop_assert!(!form.windows(4).rev().skip(1).any(|bytes| bytes == b"\r\n\r\n"));
        let mut want: Pairs = sent.iter()
            .filter(|(name, _)| !name.starts_with(b":") && name != b"host" && name != b"cookie").cloned().collect();
        let crumbs: Vec<_> = sent.iter().filter(|field| field.0 == b"cookie").map(|field| field.1.clone()).collect();
        let cookie = crumbs.join(&b"; "[..]);
        if !crumbs.is_empty() {
            want.push((b"cookie".to_vec(), cookie));
        }
        let ours = |name: &[u8]| name == b"host" || (is_tunnel && (name == b"upgrade" || name == b"connection"));
        let got: Pairs = head.fields.iter().filter(|field| !ours(field.name()))
            .map(|field| (field.name().to_vec(), field.value().to_vec())).collect();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn any_cut_of_the_bytes_gives_one_outcome(
        frames in vec(any_frame(), 1..12), cuts in vec(1usize..40, 1..20),
    ) {
        let bytes = frames.concat();
        let whole = outcome(&bytes, &[usize::MAX]);
        prop_assert_eq!(&outcome(&bytes, &cuts), &whole);
        prop_assert_eq!(&outcome(&bytes, &[1]), &whole);
    }

    #[test]
    fn no_frames_break_a_client(frames in vec(any_frame(), 1..20), is_head: bool) {
        let mut peer = Peer::client(is_head);
        for bytes in frames {
            if peer.feed(&bytes).is_err() {
                break;
            }
        }
    }

    /// The application does anything at any time. Memory stays in its bounds, and all of it comes back.
    #[test]
    fn the_application_may_do_anything(
        steps in vec((any_frame(), 0u8..8, 0usize..8, 0usize..100_000), 1..40),
    ) {
        let mut peer = Peer::server();
        let whole = peer.budget.left();
        for (bytes, action, which, size) in steps {
            if peer.feed(&bytes).is_err() {
                break;
            }
            let Some(&key) = peer.keys.get(which.min(peer.keys.len().saturating_sub(1))) else { continue };
            let Peer { connection, out, now, .. } = &mut peer;
            match action {
                0 => connection.close(key, out),
                1 => connection.reset(key, ErrorCode::InternalError, out),
                2 => connection.release_capacity(key, size, out),
                3 => connection.release_head(key),
                4 => _ = connection.send_head(key, &[0x88], size % 2 == 0, out),
                5 => if let Some((bytes, head)) = connection.send_data(key, size, size % 2 == 0) {
                    prop_assert!(bytes <= size.min(PAYLOAD_BYTES_MAX));
                    out.extend(head);
                    out.extend(vec![0; bytes]);
                },
                6 => connection.shrink(),
                _ => connection.shut_down(*now, out),
            }
            prop_assert!(connection.held().unread <= UNREAD_WINDOW_BYTES_MAX as usize);
            let sent = std::mem::take(out);
            _ = written(&sent);
        }
        for key in peer.keys.clone() {
            peer.connection.close(key, &mut peer.out);
        }
        let held = peer.connection.held();
        prop_assert_eq!((held.streams, held.heads, held.unread), (0, 0, 0));
        drop(peer.connection);
        prop_assert_eq!(peer.budget.left(), whole);
    }
}
