//! Request heads (RFC 9112, section 3).

use super::facts::HeadFacts;
use super::field_lines::ParseStop;
use super::scan::HeadScan;
use super::target::Target;
use crate::http::{
    Authority, FieldTable, Fields, Framing, HeadLimits, Method, Refusal, RequestHead, Version, class,
    escaped, upgrade_protocols,
};
use crate::reason::Reason;

/// Empty lines that are skipped before a request line. Some clients send one after a body (RFC 9112, section
/// 2.2).
pub const EMPTY_LINES_MAX: usize = 4;

/// Bytes of a method. The longest registered one has 17.
pub const METHOD_BYTES_MAX: usize = 32;

/// Parses the head of the request that starts at the first byte.
///
/// `Ok(None)` means that more bytes are needed. After a refusal, the bytes that follow cannot be understood
/// either: reply and close.
pub fn parse_request<'b>(
    bytes: &'b [u8],
    scan: &mut HeadScan,
    limits: &HeadLimits,
    table: &'b mut FieldTable,
) -> Result<Option<RequestHead<'b>>, Refusal> {
    let is_form = scan.is_form;
    let read = |window, table: &mut FieldTable| {
        let line = RequestLine::read(window, limits, is_form)?;
        let target = Target::parse(line.target, line.known_method)?;
        let mut facts = HeadFacts::default();
        let len = table.fill(window, line.end, limits.fields, &mut facts)?;
        let host = host(&line, &target, &facts)?;
        facts.check_framing(line.version)?;
        Ok((line, target, facts, host, len))
    };
    let Some((line, target, facts, host, len)) = scan.drive(bytes, limits, table, read)? else {
        return Ok(None);
    };
    let framing = match facts.content_length {
        _ if facts.is_chunked() => Framing::Chunked,
        Some(length) => Framing::Length(length),
        None => Framing::None,
    };
    let http11 = line.version != Version::Http10;
    let fields = Fields::new(bytes, table);
    Ok(Some(RequestHead {
        method: line.method,
        known_method: line.known_method,
        version: line.version,
        line: &bytes[line.start..line.end],
        path: target.path,
        query: target.query,
        path_and_query: target.path_and_query,
        host,
        fields,
        framing,
        is_length_plain: facts.is_length_plain,
        keep_alive: facts.keep_alive(line.version),
        expect_continue: facts.expect_continue && http11,
        upgrade: http11 && facts.upgrades() && upgrade_protocols(fields).next().is_some(),
        accepts_trailers: facts.te_trailers,
        len,
    }))
}

/// The authority of the request. HTTP/1.1 requires `Host` even if the target has an authority, and then that
/// of the target counts (RFC 9112, sections 3.2 and 3.2.2).
fn host<'b>(
    line: &RequestLine<'b>,
    target: &Target<'b>,
    facts: &HeadFacts<'b>,
) -> Result<Option<Authority<'b>>, Refusal> {
    if facts.host.is_none() && line.version != Version::Http10 {
        return Err(Refusal::new(Reason::RequestHost, "there is no Host field"));
    }
    Ok(target.authority.or(facts.host))
}

/// `method SP target SP version CRLF`.
#[derive(Debug)]
struct RequestLine<'b> {
    method: &'b [u8],
    known_method: Method,
    target: &'b [u8],
    version: Version,
    /// The offset of the method, behind empty lines.
    start: usize,
    /// The offset of the first field line.
    end: usize,
}

impl<'b> RequestLine<'b> {
    fn read(bytes: &'b [u8], limits: &HeadLimits, is_form: bool) -> Result<RequestLine<'b>, ParseStop> {
        let start = skip_empty_lines(bytes)?;
        let method = read_method(bytes, start)?;
        let target_start = start + method.len() + 1;
        let target = read_target(bytes, target_start, limits.target)?;
        let version_start = target_start + target.len() + 1;
        let version = read_version(bytes, version_start, is_form)?;
        let known_method = Method::parse(method);
        if known_method == Method::Connect {
            return Err(Refusal::new(Reason::RequestMethod, "CONNECT is not served here").into());
        }
        let end = version_start + VERSION_LINE_BYTES;
        Ok(RequestLine { method, known_method, target, version, start, end })
    }
}

fn skip_empty_lines(bytes: &[u8]) -> Result<usize, ParseStop> {
    for line in 0..=EMPTY_LINES_MAX {
        match bytes.get(line * 2..) {
            None | Some([] | [b'\r']) => return Err(ParseStop::More(bytes.len() + 1)),
            Some([b'\r', b'\n', ..]) => {}
            Some([b'\r' | b'\n', ..]) => return Err(malformed("a line end that is not CRLF").into()),
            Some(_) => return Ok(line * 2),
        }
    }
    Err(malformed("too many empty lines before the request").into())
}

/// The first byte of a client hello (RFC 8446, section 5.1: the type of a record).
const TLS_HANDSHAKE: u8 = 22;

fn read_method(bytes: &[u8], start: usize) -> Result<&[u8], ParseStop> {
    let limit = start + METHOD_BYTES_MAX;
    let end = class::token_end(&bytes[..bytes.len().min(limit + 1)], start);
    if end > limit {
        return Err(malformed(format!("the method is longer than {METHOD_BYTES_MAX} bytes")).into());
    }
    match bytes.get(end) {
        None => Err(ParseStop::More(bytes.len() + 1)),
        Some(b' ') if end > start => Ok(&bytes[start..end]),
        Some(&TLS_HANDSHAKE) if end == start => {
            Err(malformed("the client speaks TLS, and this listener has no `tls`").into())
        }
        Some(_) => {
            Err(malformed(format!("no method followed by a space: {}", escaped(&bytes[start..=end]))).into())
        }
    }
}

fn read_target(bytes: &[u8], start: usize, bytes_max: usize) -> Result<&[u8], ParseStop> {
    let limit = start.saturating_add(bytes_max);
    let end = class::target_end(&bytes[..bytes.len().min(limit.saturating_add(1))], start);
    if end > limit {
        let detail = format!("the request target is longer than {bytes_max} bytes");
        return Err(Refusal::new(Reason::TargetTooLong, detail).into());
    }
    let refusal = match bytes.get(end) {
        None => return Err(ParseStop::More(limit.saturating_add(1))),
        Some(b' ') if end > start => return Ok(&bytes[start..end]),
        Some(b' ') => malformed("the request has no target"),
        Some(b'\r' | b'\n') => malformed("the request line has no version"),
        Some(byte) => target_byte(*byte),
    };
    Err(refusal.into())
}

/// Bytes of `HTTP/1.1` and CRLF.
const VERSION_LINE_BYTES: usize = 10;

/// Reads the version. The bytes that have come are checked at once, so that an invalid line needs no end.
fn read_version(bytes: &[u8], start: usize, is_form: bool) -> Result<Version, ParseStop> {
    let limit = start + VERSION_LINE_BYTES;
    let text = &bytes[start..bytes.len().min(limit)];
    match text {
        b"HTTP/1.1\r\n" => return Ok(Version::Http11),
        b"HTTP/1.0\r\n" => return Ok(Version::Http10),
        b"HTTP/2.0\r\n" if is_form => return Ok(Version::Http2),
        _ => {}
    }
    let fits = text.iter().zip(b"HTTP/0.0\r\n").all(|(&byte, &want)| match want {
        b'0' => byte.is_ascii_digit(),
        _ => byte == want,
    });
    let refusal = match text.first() {
        _ if fits && text.len() < VERSION_LINE_BYTES => return Err(ParseStop::More(limit)),
        _ if fits => {
            let detail = format!("{} is not served, HTTP/1.0 and HTTP/1.1 are", escaped(&text[..8]));
            Refusal::new(Reason::VersionUnknown, detail)
        }
        Some(b'H' | b'h') => malformed("the request line does not end in HTTP/1.1 and CRLF"),
        _ => target_byte(b' '),
    };
    Err(refusal.into())
}

#[cold]
fn target_byte(byte: u8) -> Refusal {
    let detail = format!("the request target has a byte that must be percent-encoded: {}", escaped(&[byte]));
    Refusal::new(Reason::RequestTarget, detail)
}

#[cold]
fn malformed(detail: impl Into<String>) -> Refusal {
    Refusal::new(Reason::RequestMalformed, detail)
}
