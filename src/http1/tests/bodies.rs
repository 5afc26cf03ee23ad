//! Tests of bodies: every framing, every cut, and refusals.

use proptest::prelude::*;

use crate::http::Framing;
use crate::http1::{
    BodyError, BodyReader, CHUNK_END, CHUNK_EXTENSION_BYTES_MAX, CHUNK_LINE_BYTES_MAX, ChunkPrefix,
    LAST_CHUNK, TRAILER_BYTES_MAX, TRAILER_FIELDS_MAX,
};

/// The result of a whole body.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    data: Vec<u8>,
    trailers: Vec<u8>,
    consumed: usize,
    done: bool,
}

/// Feeds pieces one after the other, up to the end of the body.
fn decode<'a>(framing: Framing, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Outcome, BodyError> {
    let mut reader = BodyReader::new(framing);
    let mut outcome = Outcome { data: Vec::new(), trailers: Vec::new(), consumed: 0, done: reader.is_done() };
    for piece in pieces {
        let mut raw = piece.to_vec();
        let decoded = reader.decode(&mut raw)?;
        assert_eq!(decoded.done, reader.is_done());
        assert!(decoded.done || decoded.consumed == piece.len());
        assert!(decoded.data.end <= decoded.consumed);
        assert_eq!(raw[decoded.consumed..], piece[decoded.consumed..], "bytes beyond the body were touched");
        outcome.data.extend_from_slice(&raw[decoded.data]);
        outcome.consumed += decoded.consumed;
        outcome.done = decoded.done;
        if decoded.done {
            break;
        }
    }
    outcome.trailers = reader.trailers().to_vec();
    Ok(outcome)
}

fn chunked(bytes: &[u8]) -> Result<Outcome, BodyError> {
    decode(Framing::Chunked, [bytes])
}

/// Cuts bytes at these places, in any order, taken modulo the length.
fn cut<'a>(bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = places.iter().map(|place| place % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

#[test]
fn a_length_is_counted_down() {
    let mut reader = BodyReader::new(Framing::Length(10));
    assert_eq!((reader.is_done(), reader.remaining()), (false, Some(10)));
    let decoded = reader.decode(&mut b"abc".to_vec()).unwrap();
    assert_eq!((decoded.consumed, decoded.data, decoded.done), (3, 0..3, false));
    reader.skip(4);
    assert_eq!(reader.remaining(), Some(3));
    assert_eq!(reader.finish(), Err(BodyError::Truncated));
    let mut reader = BodyReader::new(Framing::Length(3));
    let decoded = reader.decode(&mut b"abcdef".to_vec()).unwrap();
    assert_eq!((decoded.consumed, decoded.data, decoded.done), (3, 0..3, true));
    assert_eq!(reader.finish(), Ok(()));
    let decoded = reader.decode(&mut b"def".to_vec()).unwrap();
    assert_eq!((decoded.consumed, decoded.done), (0, true));
    let mut reader = BodyReader::new(Framing::Length(3));
    reader.skip(3);
    assert!(reader.is_done() && reader.finish().is_ok());
}

#[test]
fn no_body_is_done_at_once() {
    for framing in [Framing::None, Framing::Length(0)] {
        let mut reader = BodyReader::new(framing);
        assert!(reader.is_done() && reader.remaining() == Some(0));
        let decoded = reader.decode(&mut b"GET".to_vec()).unwrap();
        assert_eq!((decoded.consumed, decoded.data.len(), decoded.done), (0, 0, true));
        assert_eq!(reader.finish(), Ok(()));
    }
    assert_eq!(BodyReader::new(Framing::Chunked).remaining(), None);
    assert_eq!(BodyReader::new(Framing::UntilClose).remaining(), None);
}

#[test]
fn a_body_until_close_ends_with_the_close_only() {
    let mut reader = BodyReader::new(Framing::UntilClose);
    let decoded = reader.decode(&mut b"abc".to_vec()).unwrap();
    assert_eq!((decoded.consumed, decoded.data, decoded.done), (3, 0..3, false));
    assert!(!reader.is_done());
    assert_eq!(reader.finish(), Ok(()));
    assert!(reader.is_done());
}

#[test]
fn chunks_are_put_together_in_place() {
    let mut raw = b"5\r\nhello\r\n1;x=\"y;\"\r\n,\r\n00006\r\n world\r\n0\r\n\r\nnext".to_vec();
    let mut reader = BodyReader::new(Framing::Chunked);
    let decoded = reader.decode(&mut raw).unwrap();
    assert_eq!(&raw[decoded.data.clone()], b"hello, world");
    assert_eq!(decoded.data.start, 3, "the first run of data stays where it is");
    assert!(decoded.done && raw[decoded.consumed..] == *b"next");
    assert_eq!(reader.trailers(), b"");
    assert_eq!(chunked(b"A\r\n0123456789\r\n0;a;b=c\r\n\r\n").unwrap().data, b"0123456789");
    assert_eq!(chunked(b"0\r\n\r\n").unwrap().consumed, 5);
}

#[test]
fn malformed_chunks_are_refused() {
    let table: &[&[u8]] = &[
        b"\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"5 ;a\r\nhello\r\n",
        b"5\t\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"1_0\r\n",
        b"5,\r\n",
        b"g\r\n",
        b";a\r\n",
        b"\n",
        b"5\nhello\r\n",
        b"5\r\rhello\r\n",
        b"5\rhello",
        b"5;a\nhello\r\n",
        b"5;a\rb\r\nhello\r\n",
        b"5;\0\r\nhello\r\n",
        b"5;\x7f\r\nhello\r\n",
        b"5\r\nhello!\r\n",
        b"5\r\nhello\n",
        b"5\r\nhello\rX",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhell\r\n0\r\n\r\n",
        b"8000000000000000\r\n",
        b"10000000000000000\r\n",
        b"ffffffffffffffffffff\r\n",
        b"0\r\n\n",
        b"0\r\n\rX",
        b"0\n\r\n",
        b"0\r\n a: b\r\n\r\n",
        b"0\r\na : b\r\n\r\n",
        b"0\r\na\r\n\r\n",
        b"0\r\n: b\r\n\r\n",
        b"0\r\na: b\n\r\n",
        b"0\r\na: b\rc\r\n\r\n",
        b"0\r\na: \0\r\n\r\n",
        b"0\r\na: b\r\n c\r\n\r\n",
        b"0\r\na\0: b\r\n\r\n",
        b"0\r\nGET / HTTP/1.1\r\n\r\n",
    ];
    for bytes in table {
        let outcome = chunked(bytes);
        assert!(matches!(outcome, Err(BodyError::Malformed(_))), "{}: {outcome:?}", bytes.escape_ascii());
        for at in 0..=bytes.len() {
            assert_eq!(
                decode(Framing::Chunked, cut(bytes, &[at])),
                outcome,
                "{} cut at {at}",
                bytes.escape_ascii()
            );
        }
    }
}

#[test]
fn a_broken_body_stays_broken() {
    let mut reader = BodyReader::new(Framing::Chunked);
    let error = reader.decode(&mut b"x".to_vec()).unwrap_err();
    assert_eq!(reader.decode(&mut b"0\r\n\r\n".to_vec()), Err(error));
    assert_eq!(reader.finish(), Err(error));
    assert!(!reader.is_done() && !error.explain().is_empty());
    let mut reader = BodyReader::new(Framing::Length(1));
    assert_eq!(reader.finish(), Err(BodyError::Truncated));
    assert_eq!(reader.decode(&mut b"a".to_vec()), Err(BodyError::Truncated));
}

#[test]
fn a_close_inside_chunks_is_never_an_end() {
    let bytes = b"5;a\r\nhello\r\n0\r\nA: b\r\n\r\n";
    for end in 0..=bytes.len() {
        let mut reader = BodyReader::new(Framing::Chunked);
        reader.decode(&mut bytes[..end].to_vec()).unwrap();
        let want = if end == bytes.len() { Ok(()) } else { Err(BodyError::Truncated) };
        assert_eq!(reader.finish(), want, "{end}");
    }
}

#[test]
fn the_largest_size_is_taken_without_overflow() {
    let mut reader = BodyReader::new(Framing::Chunked);
    let mut raw = b"7fffffffffffffff\r\nabc".to_vec();
    let decoded = reader.decode(&mut raw).unwrap();
    assert_eq!((decoded.data.len(), decoded.done), (3, false));
}

#[test]
fn trailers_are_kept_unless_they_could_change_the_message() {
    let bytes = b"0\r\nGrpc-Status: 0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nHost: evil\r\nAuthorization: a\r\n\
        Cookie: c\r\nset-cookie: c\r\nConnection: close\r\nTrailer: x\r\nTE: x\r\nX-Forwarded-For: 1\r\ncontent_type: x\r\n\
        Cache-Control: x\r\nContent-Encoding: x\r\nProxy-Authorization: x\r\nX-Sum: \t1 \r\n\r\n";
    for at in 0..bytes.len() {
        let outcome = decode(Framing::Chunked, cut(bytes, &[at])).unwrap();
        assert_eq!(outcome.trailers, b"Grpc-Status: 0\r\nX-Sum: \t1 \r\n");
        assert!(outcome.done);
    }
    let mut reader = BodyReader::new(Framing::Chunked);
    reader.decode(&mut b"0\r\nA: b\r\n".to_vec()).unwrap();
    assert_eq!(reader.trailers(), b"", "nothing is shown before the end");
}

#[test]
fn chunk_lines_extensions_and_trailers_have_limits() {
    let line = |extension: usize| [&b"1;"[..], &vec![b'x'; extension], b"\r\na\r\n"].concat();
    // Size, semicolon and CR count too.
    let longest = CHUNK_LINE_BYTES_MAX as usize - 3;
    assert!(chunked(&line(longest)).is_ok());
    assert!(matches!(chunked(&line(longest + 1)), Err(BodyError::TooLarge(_))));
    assert!(matches!(chunked(&vec![b'0'; CHUNK_LINE_BYTES_MAX as usize + 1]), Err(BodyError::TooLarge(_))));

    let one = line(1023);
    let count = CHUNK_EXTENSION_BYTES_MAX as usize / 1024;
    assert!(chunked(&one.repeat(count)).is_ok());
    let over = [one.repeat(count), b"1;".to_vec()].concat();
    assert!(matches!(chunked(&over), Err(BodyError::TooLarge(_))));

    let fields = |count: usize| [&b"0\r\n"[..], &b"te: b\r\n".repeat(count), b"\r\n"].concat();
    assert!(chunked(&fields(TRAILER_FIELDS_MAX)).is_ok());
    assert!(matches!(chunked(&fields(TRAILER_FIELDS_MAX + 1)), Err(BodyError::TooLarge(_))));

    let bytes = |len: usize| [&b"0\r\na:"[..], &vec![b'x'; len - 4], b"\r\n\r\n"].concat();
    assert!(chunked(&bytes(TRAILER_BYTES_MAX)).is_ok());
    assert!(matches!(chunked(&bytes(TRAILER_BYTES_MAX + 1)), Err(BodyError::TooLarge(_))));
    let dropped =
        [&b"0\r\n"[..], &b"te: 3456789012345678901234567890\r\n".repeat(60), b"te:", &[b'x'; 8192]].concat();
    assert!(matches!(chunked(&dropped), Err(BodyError::TooLarge(_))));
}

/// Writes a body as the proxy does.
fn encode(pieces: &[Vec<u8>], trailers: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        bytes.extend_from_slice(ChunkPrefix::new(piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(CHUNK_END);
    }
    [&bytes, LAST_CHUNK, trailers, CHUNK_END].concat()
}

#[test]
fn every_cut_into_two_gives_the_same_body() {
    let bytes = b"5\r\nhello\r\n1;x=y\r\n,\r\n6\r\n world\r\n0;z\r\nA: b\r\nC: d\r\n\r\n";
    let whole = chunked(bytes).unwrap();
    assert_eq!(
        (&*whole.data, &*whole.trailers, whole.done),
        (&b"hello, world"[..], &b"A: b\r\nC: d\r\n"[..], true)
    );
    let drip: Vec<usize> = (0..bytes.len()).collect();
    assert_eq!(decode(Framing::Chunked, cut(bytes, &drip)).unwrap(), whole);
    for at in 0..=bytes.len() {
        assert_eq!(decode(Framing::Chunked, cut(bytes, &[at])).unwrap(), whole, "cut at {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_encoded_body_decodes_to_its_data_however_it_is_cut(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..12),
        places in prop::collection::vec(any::<usize>(), 0..40),
        beyond in prop::collection::vec(any::<u8>(), 0..20),
        trailers in prop_oneof![Just(&b""[..]), Just(&b"X-A: 1\r\n"[..])],
    ) {
        let body = encode(&pieces, trailers);
        let bytes = [&body[..], &beyond].concat();
        let outcome = decode(Framing::Chunked, cut(&bytes, &places)).unwrap();
        prop_assert_eq!(outcome, Outcome { data: pieces.concat(), trailers: trailers.to_vec(), consumed: body.len(), done: true });
    }

    #[test]
    fn a_damaged_body_is_judged_the_same_however_it_is_cut(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..5),
        damage in prop::collection::vec((any::<usize>(), prop::sample::select(&b"\r\n0;: a\x00f+"[..])), 1..4),
        places in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let mut bytes = encode(&pieces, b"X-A: 1\r\n");
        for (place, byte) in damage {
            let at = place % bytes.len();
            bytes[at] = byte;
        }
        prop_assert_eq!(decode(Framing::Chunked, cut(&bytes, &places)), chunked(&bytes));
    }

    #[test]
    fn any_bytes_are_taken_or_refused(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"\r\n01a;:"[..])], 0..200),
        places in prop::collection::vec(any::<usize>(), 0..20),
        length in any::<u64>(),
    ) {
        prop_assert_eq!(decode(Framing::Chunked, cut(&bytes, &places)), chunked(&bytes));
        for framing in [Framing::None, Framing::UntilClose, Framing::Length(length % 300)] {
            prop_assert_eq!(decode(framing, cut(&bytes, &places)).unwrap(), decode(framing, [&bytes[..]]).unwrap());
        }
    }
}
