//! A request body, read piece by piece through the buffer of its source. A whole body is never held.

use super::request::Framing;
use futures_lite::io::{AsyncBufRead, AsyncBufReadExt};
use std::io;

/// Bytes of the longest chunk-size line or trailer line. A longer one ends the connection.
const LINE_BYTES_MAX: u64 = 8 * 1024;
/// Trailer fields of a body. More end the connection.
const TRAILERS_MAX: usize = 128;

/// The rest of a request body.
pub(super) struct Body {
    state: State,
    /// Trailer fields of a chunked body, known when it was read to its end.
    pub(super) trailers: Vec<(String, String)>,
}

enum State {
    /// Bytes left of a body with `Content-Length`.
    Length(u64),
    /// A chunk-size line comes next. The flag tells whether the CRLF of a chunk comes before it.
    Size {
        after_chunk: bool,
    },
    /// Bytes left of a chunk.
    Chunk(u64),
    End,
}

impl Body {
    pub(super) fn new(framing: Framing) -> Body {
        let state = match framing {
            Framing::Length(0) => State::End,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size { after_chunk: false },
        };
        Body { state, trailers: Vec::new() }
    }

    pub(super) fn is_at_end(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// Appends the next piece to `into`, at most as much as `source` has buffered. Returns false at the end of the
    /// body. If the source ends too early, the error is `UnexpectedEof`; for a wrong chunk line it is
    /// `InvalidData`.
    pub(super) async fn read<R: AsyncBufRead + Unpin>(
        &mut self,
        source: &mut R,
        into: &mut Vec<u8>,
    ) -> io::Result<bool> {
        loop {
            match self.state {
                State::End => return Ok(false),
                State::Length(left) => {
                    let left = left - piece(source, left, into).await?;
                    self.state = if left == 0 { State::End } else { State::Length(left) };
                    return Ok(true);
                }
                State::Chunk(left) => {
                    let left = left - piece(source, left, into).await?;
                    self.state =
                        if left == 0 { State::Size { after_chunk: true } } else { State::Chunk(left) };
                    return Ok(true);
                }
                State::Size { after_chunk } => {
                    if after_chunk && !line(source).await?.is_empty() {
                        return Err(invalid("a chunk does not end where its size says"));
                    }
                    match chunk_size(&line(source).await?)? {
                        0 => self.read_trailers(source).await?,
                        size => self.state = State::Chunk(size),
                    }
                }
            }
        }
    }

    async fn read_trailers<R: AsyncBufRead + Unpin>(&mut self, source: &mut R) -> io::Result<()> {
        loop {
            let line = line(source).await?;
            if line.is_empty() {
                self.state = State::End;
                return Ok(());
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid("a trailer without a colon"))?;
            if self.trailers.len() == TRAILERS_MAX {
                return Err(invalid("too many trailers"));
            }
            self.trailers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
}

async fn piece<R: AsyncBufRead + Unpin>(source: &mut R, left: u64, into: &mut Vec<u8>) -> io::Result<u64> {
    let buffered = source.fill_buf().await?;
    if buffered.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let count = buffered.len().min(usize::try_from(left).unwrap_or(usize::MAX));
    into.extend_from_slice(&buffered[..count]);
    source.consume(count);
    Ok(count as u64)
}

/// Reads one line, without the CRLF that must end it.
async fn line<R: AsyncBufRead + Unpin>(source: &mut R) -> io::Result<String> {
    use futures_lite::io::AsyncReadExt;
    let mut bytes = Vec::new();
    source.take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes).await?;
    match bytes.strip_suffix(b"\r\n") {
        Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
        None if bytes.ends_with(b"\n") || bytes.len() as u64 == LINE_BYTES_MAX => {
            Err(invalid("a line without CRLF"))
        }
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Parses a chunk size (RFC 9112, section 7.1). Extensions are skipped.
fn chunk_size(line: &str) -> io::Result<u64> {
    let digits = line.split(';').next().unwrap_or_default().trim_end_matches([' ', '\t']);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(invalid("a chunk without a size"));
    }
    u64::from_str_radix(digits, 16).map_err(|_| invalid("a chunk too large to count"))
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::io::BufReader;
    use proptest::prelude::*;

    type Fields = Vec<(String, String)>;

    /// Reads a body through a buffer of `buffer` bytes. Returns the rest of the input too.
    fn read(framing: Framing, input: &[u8], buffer: usize) -> io::Result<(Vec<u8>, Fields, Vec<u8>)> {
        smol::block_on(async {
            let mut source = BufReader::with_capacity(buffer, input);
            let (mut body, mut bytes) = (Body::new(framing), Vec::new());
            while body.read(&mut source, &mut bytes).await? {}
            let mut rest = source.buffer().to_vec();
            rest.extend_from_slice(source.get_ref());
            Ok((bytes, body.trailers, rest))
        })
    }

    #[test]
    fn a_length_ends_where_it_says() {
        let (bytes, _, rest) = read(Framing::Length(5), b"helloGET /", 3).unwrap();
        assert_eq!((bytes.as_slice(), rest.as_slice()), (&b"hello"[..], &b"GET /"[..]));
        assert_eq!(read(Framing::Length(6), b"hello", 64).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn broken_chunks_are_errors() {
        let inputs = [
            "+5\r\nhello\r\n0\r\n\r\n",
            "\r\n",
            "5\nhello\r\n",
            "5\r\nhelloX\r\n",
            "g\r\n",
            "0x5\r\nhello",
            "ffffffffffffffffff\r\n",
            "0\r\nno colon\r\n\r\n",
        ];
        for input in inputs {
            let error = read(Framing::Chunked, input.as_bytes(), 64).expect_err(input);
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{input:?}");
        }
        for input in ["", "5", "5\r\nhel", "5\r\nhello\r\n", "0\r\n", "0\r\nA: b\r\n"] {
            let error = read(Framing::Chunked, input.as_bytes(), 64).expect_err(input);
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{input:?}");
        }
    }

    proptest! {
        #[test]
        fn chunks_come_back_whole_however_they_are_cut(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            buffer in 1_usize..64,
        ) {
            let mut input = Vec::new();
            for piece in &pieces {
                input.extend_from_slice(format!("{:X};x=y\r\n", piece.len()).as_bytes());
                input.extend_from_slice(piece);
                input.extend_from_slice(b"\r\n");
            }
            input.extend_from_slice(b"0\r\nX-Sum: 1\r\n\r\nNEXT");
            let (bytes, trailers, rest) = read(Framing::Chunked, &input, buffer).unwrap();
            prop_assert_eq!(bytes, pieces.concat());
            prop_assert_eq!(trailers, vec![("X-Sum".to_owned(), "1".to_owned())]);
            prop_assert_eq!(rest, b"NEXT".to_vec());
        }
    }
}
