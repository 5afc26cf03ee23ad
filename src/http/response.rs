//! Response heads (RFC 9112, section 4).

use std::time::Duration;

use super::class;
use super::facts::{HeadFacts, Upgrade};
use super::fields::{FieldTable, Fields};
use super::limits::HeadLimits;
use super::message::{Framing, Method, Version};
use super::refusal::{ParseStop, Refusal};
use super::scan::HeadScan;
use crate::reason::Reason;

/// A valid response head; everything in it points into the bytes it was read from.
#[derive(Debug)]
pub struct ResponseHead<'b> {
    /// 1.0 or 1.1.
    pub version: Version,
    /// 100 to 999.
    pub status: u16,
    /// The reason phrase as written; may be empty.
    pub phrase: &'b [u8],
    /// Bytes of the status line, its CRLF included, if it is one that we would write: of HTTP/1.1, with a
    /// space behind the status even where there is no phrase. Else 0.
    pub line_of_ours: usize,
    /// The field lines.
    pub fields: Fields<'b>,
    /// `Content-Length`, also where there is no such body (HEAD, 304).
    pub content_length: Option<u64>,
    /// `Content-Length` is written as we would write it: without zeros in front.
    pub is_length_plain: bool,
    /// `Transfer-Encoding: chunked`.
    pub chunked: bool,
    /// Whether the target means to take another request, by version and `Connection`. False for
    /// HTTP/1.0 without a length. It does not look at [`Framing::UntilClose`], which of course ends
    /// the connection too.
    pub keep_alive: bool,
    /// `Keep-Alive: timeout=n`: how long the target says it keeps an idle connection.
    pub keep_alive_timeout: Option<Duration>,
    /// A 101 that switches, in `Connection` and in one `Upgrade` field, to `websocket`.
    pub upgrade: bool,
    /// Bytes of the whole head with the empty line.
    pub len: usize,
}

impl ResponseHead<'_> {
    /// How the body of this answer to a request of that method ends (RFC 9112, section 6.3).
    pub fn framing(&self, request: Method) -> Framing {
        let never_a_body = matches!(self.status, 100..=199 | 204 | 304);
        if never_a_body || request == Method::Head {
            return Framing::None;
        }
        match self.content_length {
            _ if self.chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        }
    }
}

/// Parses the response head that starts at the first byte. `Ok(None)`: more bytes are needed.
///
/// `limits.target` plays no part. Every fault is `ResponseMalformed`, or `ResponseTooLarge` for
/// bytes and fields: whatever it is, it makes a 502.
pub fn parse_response<'b>(
    bytes: &'b [u8],
    scan: &mut HeadScan,
    limits: &HeadLimits,
    table: &'b mut FieldTable,
) -> Result<Option<ResponseHead<'b>>, Refusal> {
    let read = |window, table: &mut FieldTable| {
        let line = StatusLine::read(window)?;
        let mut facts = HeadFacts::of_response();
        let len = table.fill(window, line.end, limits.fields, &mut facts)?;
        facts.check_framing(line.version)?;
        Ok((line, facts, len))
    };
    let parsed = scan.drive(bytes, limits, table, read).map_err(Refusal::of_response)?;
    let Some((line, facts, len)) = parsed else {
        return Ok(None);
    };
    let unframed_http10 = line.version == Version::Http10 && facts.content_length.is_none();
    let websocket = facts.connection.upgrade && facts.upgrade == Upgrade::WebSocket;
    Ok(Some(ResponseHead {
        version: line.version,
        status: line.status,
        phrase: line.phrase,
        line_of_ours: if line.version == Version::Http11 && line.spaced { line.end } else { 0 },
        fields: Fields::new(bytes, table),
        content_length: facts.content_length,
        is_length_plain: facts.is_length_plain,
        chunked: facts.is_chunked(),
        keep_alive: facts.keep_alive(line.version) && !unframed_http10,
        keep_alive_timeout: facts.keep_alive_timeout,
        upgrade: line.status == 101 && websocket,
        len,
    }))
}

/// `version SP status [SP phrase] CRLF`. The space before an empty phrase is often left out, and
/// nothing hangs on it.
#[derive(Debug)]
struct StatusLine<'b> {
    version: Version,
    status: u16,
    phrase: &'b [u8],
    /// A space follows the status.
    spaced: bool,
    /// Where the first field line starts.
    end: usize,
}

/// Bytes of `HTTP/1.1 200`.
const STATUS_BYTES: usize = 12;

impl<'b> StatusLine<'b> {
    fn read(bytes: &'b [u8]) -> Result<StatusLine<'b>, ParseStop> {
        let Some((version, status)) = bytes.first_chunk().and_then(read_status) else {
            return Err(no_status(bytes));
        };
        let phrase_start = match bytes.get(STATUS_BYTES) {
            None => return Err(ParseStop::More(STATUS_BYTES + 1)),
            Some(b' ') => STATUS_BYTES + 1,
            Some(b'\r') => STATUS_BYTES,
            Some(_) => return Err(malformed("a status has three digits and then a space").into()),
        };
        let phrase_end = class::value_end(bytes, phrase_start);
        match bytes.get(phrase_end..) {
            Some([b'\r', b'\n', ..]) => {}
            None | Some([] | [b'\r']) => return Err(ParseStop::More(usize::MAX)),
            Some(_) => return Err(malformed("the status line does not end in CRLF").into()),
        }
        let (phrase, spaced) = (&bytes[phrase_start..phrase_end], phrase_start > STATUS_BYTES);
        Ok(StatusLine { version, status, phrase, spaced, end: phrase_end + 2 })
    }
}

fn read_status(text: &[u8; STATUS_BYTES]) -> Option<(Version, u16)> {
    let [version, b' ', digits @ ..] = text.strip_prefix(b"HTTP/1.")? else { return None };
    let version = match version {
        b'0' => Version::Http10,
        b'1' => Version::Http11,
        _ => return None,
    };
    let number =
        |status: u16, digit: &u8| digit.is_ascii_digit().then(|| status * 10 + u16::from(digit - b'0'));
    Some((version, digits.iter().try_fold(0, number).filter(|&status| status >= 100)?))
}

/// Whether more bytes could make one, judged at once, so that what never will is not waited for.
#[cold]
fn no_status(bytes: &[u8]) -> ParseStop {
    let text = &bytes[..bytes.len().min(STATUS_BYTES)];
    let fits = text.iter().zip(b"HTTP/1.v 500").all(|(&byte, &want)| match want {
        b'v' => matches!(byte, b'0' | b'1'),
        b'5' => matches!(byte, b'1'..=b'9'),
        b'0' => byte.is_ascii_digit(),
        _ => byte == want,
    });
    if fits {
        return ParseStop::More(STATUS_BYTES);
    }
    malformed("the answer does not start with HTTP/1.1 and a status").into()
}

#[cold]
fn malformed(detail: &str) -> Refusal {
    Refusal::new(Reason::ResponseMalformed, detail)
}
