//! Chunked bodies: the same data for all ways to cut them, and for a plain reading of the RFC.

use smolgate::http::Framing;
use smolgate::http1::{BodyError, BodyReader, ChunkPrefix, LAST_CHUNK};

/// The result for a body: data, length in bytes, trailers.
#[derive(Debug, PartialEq, Eq)]
struct Body {
    data: Vec<u8>,
    consumed: usize,
    trailers: Vec<u8>,
}

/// Checks that all ways to cut a body give one result, that no data is invented, and that no byte after the
/// end is changed. The end must agree with a reader that knows only the grammar.
pub fn holds(bytes: &[u8]) {
    let whole = read(bytes, usize::MAX);
    for size in [1, 2, 7, 64] {
        assert_eq!(read(bytes, size), whole, "in pieces of {size}");
    }
    let Ok(Some(body)) = whole else {
        // A trailer may be refused for other reasons than its grammar, so the converse does not hold.
        return;
    };
    assert!(body.consumed <= bytes.len() && body.data.len() + 5 <= body.consumed);
    assert_eq!(plainly(bytes), Some((body.data.clone(), body.consumed)), "by the grammar of the RFC");
    let mut again = Vec::new();
    for chunk in body.data.chunks(100) {
        again.extend_from_slice(ChunkPrefix::new(chunk.len()).as_bytes());
        again.extend_from_slice(chunk);
        again.extend_from_slice(b"\r\n");
    }
    again.extend_from_slice(LAST_CHUNK);
    again.extend_from_slice(&body.trailers);
    again.extend_from_slice(b"\r\n");
    let again = read(&again, usize::MAX).expect("what we write is valid").expect("and whole");
    assert_eq!((again.data, again.trailers), (body.data, body.trailers));
}

/// Feeds a reader with pieces of `size` bytes. `None` if the body does not end.
fn read(bytes: &[u8], size: usize) -> Result<Option<Body>, BodyError> {
    let mut reader = BodyReader::new(Framing::Chunked);
    let (mut data, mut consumed) = (Vec::new(), 0);
    for piece in bytes.chunks(size.min(bytes.len().max(1))) {
        let mut raw = piece.to_vec();
        let decoded = reader.decode(&mut raw)?;
        assert!(decoded.consumed == piece.len() || decoded.done);
        assert!(decoded.data.len() <= decoded.consumed && decoded.data.end <= decoded.consumed);
        assert_eq!(raw[decoded.consumed..], piece[decoded.consumed..], "behind the end");
        data.extend_from_slice(&raw[decoded.data]);
        consumed += decoded.consumed;
        assert_eq!(decoded.done, reader.is_done());
        if decoded.done {
            assert_eq!(reader.finish(), Ok(()));
            return Ok(Some(Body { data, consumed, trailers: reader.trailers().to_vec() }));
        }
    }
    assert_eq!(reader.finish(), Err(BodyError::Truncated), "a cut body must be an error");
    Ok(None)
}

/// Data and length by the grammar of RFC 9112, section 7.1, without any limit.
fn plainly(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let line = |from: usize| {
        let length = bytes[from..].windows(2).position(|two| two == b"\r\n")?;
        Some((&bytes[from..from + length], from + length + 2))
    };
    let (mut data, mut at) = (Vec::new(), 0);
    loop {
        let (size, after) = line(at)?;
        let digits = size.split(|byte| *byte == b';').next()?;
        let valid = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
        let size = usize::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| valid)?, 16).ok()?;
        at = after;
        if size == 0 {
            break;
        }
        let end = at.checked_add(size)?;
        data.extend_from_slice(bytes.get(at..end)?);
        at = end + 2;
        (bytes.get(end..at)? == b"\r\n").then_some(())?;
    }
    loop {
        let (trailer, after) = line(at)?;
        at = after;
        if trailer.is_empty() {
            return Some((data, at));
        }
        trailer.contains(&b':').then_some(())?;
    }
}

/// Bodies with every feature, and some invalid ones.
pub fn seeds() -> Vec<Vec<u8>> {
    let bodies: [&[u8]; 9] = [
        b"0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n",
        b"5;a=b;c=\"d\"\r\nhello\r\n00000A\r\n0123456789\r\n000\r\n\r\n",
        b"1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n0\r\nX-Sum: 1\r\nExpires: never\r\nContent-Length: 3\r\n\r\n",
        b"7fffffffffffffff\r\n",
        b"5\nhello\n0\n\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"0\r\nX : 1\r\n folded\r\n\r\n",
    ];
    bodies.map(<[u8]>::to_vec).into()
}
