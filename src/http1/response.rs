//! Response heads (RFC 9112, section 4).

use super::facts::HeadFacts;
use super::field_lines::ParseStop;
use super::scan::HeadScan;
use crate::http::{FieldTable, Fields, HeadLimits, Refusal, ResponseHead, Version, class};
use crate::reason::Reason;

/// Parses the response head that starts at the first byte. `Ok(None)` means that more bytes are needed.
///
/// `limits.target` is not used. Every fault is `ResponseMalformed`, or `ResponseTooLarge` for bytes and
/// fields. Both give a 502.
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
    let has_both_lengths = facts.has_both_lengths();
    Ok(Some(ResponseHead {
        version: line.version,
        status: line.status,
        phrase: line.phrase,
        line_of_ours: if line.version == Version::Http11 && line.spaced { line.end } else { 0 },
        fields: Fields::new(bytes, table),
        content_length: facts.content_length.filter(|_| !has_both_lengths),
        is_length_plain: facts.is_length_plain && !has_both_lengths,
        chunked: facts.is_chunked(),
        has_both_lengths,
        keep_alive: facts.keep_alive(line.version) && !unframed_http10 && !has_both_lengths,
        keep_alive_timeout: facts.keep_alive_timeout,
        upgrade: line.status == 101 && facts.upgrades(),
        len,
    }))
}

/// `version SP status [SP phrase] CRLF`. Servers often leave out the space before an empty phrase, which does
/// no harm.
#[derive(Debug)]
struct StatusLine<'b> {
    version: Version,
    status: u16,
    phrase: &'b [u8],
    /// Whether a space follows the status.
    spaced: bool,
    /// The offset of the first field line.
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

/// The stop at bytes without a status line. If more bytes cannot complete it, they are refused at once.
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
    malformed("the response does not start with HTTP/1.1 and a status").into()
}

#[cold]
fn malformed(detail: &str) -> Refusal {
    Refusal::new(Reason::ResponseMalformed, detail)
}
