//! Parses a request head. Opens no socket and never waits.

use std::time::Duration;

/// Bytes of the longest head. A longer one is refused with 431.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;

/// The longest wait of `?delay` and `?every`: long enough for any time-out of a proxy.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// The largest `?size` in bytes.
const SIZE_MAX: u64 = 10_000_000_000;
/// The largest `?chunks`.
const CHUNKS_MAX: u64 = 100_000;

/// The status of an error, and one line for people.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: u16, message: impl Into<String>) -> Refusal {
        Refusal { status, message: message.into() }
    }
}

/// The framing of the request body (RFC 9112, section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// This many bytes; 0 if the head does not tell.
    Length(u64),
    /// The chunked coding.
    Chunked,
}

/// A request head as it was received: fields in order, names in their case.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: String,
    /// The target of the request line, not decoded.
    pub(super) target: String,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub(super) version: &'static str,
    pub(super) fields: Vec<(String, String)>,
    pub(super) framing: Framing,
}

impl Head {
    /// Parses `bytes`, a whole head with its empty line.
    pub(super) fn parse(bytes: &[u8]) -> Result<Head, Refusal> {
        let text = String::from_utf8_lossy(bytes);
        let text =
            text.strip_suffix("\r\n\r\n").ok_or_else(|| malformed("the head does not end in CRLF CRLF"))?;
        let mut lines = text.split("\r\n");
        let (method, target, version) = request_line(lines.next().unwrap_or_default())?;
        let fields = lines.map(field).collect::<Result<Vec<_>, _>>()?;
        let framing = framing(&fields)?;
        Ok(Head { method, target, version, fields, framing })
    }

    /// The first field of this name, in any case.
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether a comma-separated field has this member, in any case.
    pub(super) fn lists(&self, name: &str, member: &str) -> bool {
        let fields = self.fields.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name));
        fields.flat_map(|(_, value)| value.split(',')).any(|have| have.trim().eq_ignore_ascii_case(member))
    }

    /// The path without the query, and without the origin of an absolute-form target.
    pub(super) fn path(&self) -> &str {
        let target = self.target.split('?').next().unwrap_or_default();
        match target.split_once("://") {
            Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("/", |at| &rest[at..]),
            _ => target,
        }
    }

    /// Whether the connection may carry another request (RFC 9112, section 9.3).
    pub(super) fn keeps_alive(&self) -> bool {
        match self.version {
            "HTTP/1.1" => !self.lists("connection", "close"),
            _ => self.lists("connection", "keep-alive"),
        }
    }

    /// A parameter of the query, as written.
    fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(have, _)| *have == name)
            .map(|(_, value)| value)
    }
}

/// The options of the query, parsed once and checked against the limits.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QueryOptions {
    /// The wait before the answer.
    pub(super) delay: Duration,
    pub(super) status: u16,
    /// Whether the report is JSON.
    pub(super) json: bool,
    /// Pieces that `/stream` sends.
    pub(super) chunks: u64,
    /// The time between two pieces.
    pub(super) every: Duration,
    /// Bytes that `/bytes` sends.
    pub(super) size: u64,
}

impl QueryOptions {
    /// Parses the query of `head`. Missing options have defaults.
    pub(super) fn of(head: &Head) -> Result<QueryOptions, Refusal> {
        let json = match head.parameter("format") {
            Some("json") => true,
            Some("text") => false,
            Some(other) => return Err(malformed(format!("format: `{other}` is neither json nor text"))),
            None => head.lists("accept", "application/json"),
        };
        Ok(QueryOptions {
            delay: option(head, "delay", Duration::ZERO, duration, "a time up to 10m, such as 500ms or 2s")?,
            status: option(head, "status", 200, status, "a final status, 200 to 599")?,
            json,
            chunks: option(head, "chunks", 10, |text| up_to(text, CHUNKS_MAX), "a number up to 100000")?,
            every: option(
                head,
                "every",
                Duration::from_millis(200),
                duration,
                "a time up to 10m, such as 200ms",
            )?,
            size: option(head, "size", 1_000_000, size, "a size up to 10GB, such as 512, 64KiB or 10MB")?,
        })
    }
}

fn malformed(message: impl Into<String>) -> Refusal {
    Refusal::new(400, message)
}

fn request_line(line: &str) -> Result<(String, String, &'static str), Refusal> {
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(malformed("the request line is not `method target version`"));
    };
    let version = match version {
        "HTTP/1.1" => "HTTP/1.1",
        "HTTP/1.0" => "HTTP/1.0",
        _ => return Err(Refusal::new(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")),
    };
    if !is_token(method) || target.is_empty() || target.contains(|byte: char| byte.is_control()) {
        return Err(malformed("the request line is not `method target version`"));
    }
    Ok((method.to_owned(), target.to_owned(), version))
}

fn field(line: &str) -> Result<(String, String), Refusal> {
    let (name, value) = line.split_once(':').ok_or_else(|| malformed("a field without a colon"))?;
    if !is_token(name) {
        return Err(malformed("a field whose name is not a token"));
    }
    let value = value.trim_matches([' ', '\t']);
    if value.contains(|byte: char| byte.is_control() && byte != '\t') {
        return Err(malformed(format!("control bytes in `{name}`")));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// The framing by RFC 9112, section 6.3, but stricter: whatever two readers could understand differently is
/// refused.
fn framing(fields: &[(String, String)]) -> Result<Framing, Refusal> {
    let all = |name: &str| {
        fields
            .iter()
            .filter(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect::<Vec<_>>()
    };
    match (all("content-length").as_slice(), all("transfer-encoding").as_slice()) {
        ([], []) => Ok(Framing::Length(0)),
        ([length], []) => {
            digits(length).map(Framing::Length).ok_or_else(|| malformed("Content-Length is no number"))
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Framing::Chunked),
        ([], [_]) => Err(Refusal::new(501, "no transfer coding but chunked is spoken here")),
        _ => Err(malformed("Content-Length or Transfer-Encoding twice, or both")),
    }
}

/// Whether the text is a token (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn option<T>(
    head: &Head,
    name: &str,
    default: T,
    read: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Result<T, Refusal> {
    match head.parameter(name) {
        None => Ok(default),
        Some(text) => read(text).ok_or_else(|| malformed(format!("{name}: `{text}` is not {expected}"))),
    }
}

/// Parses digits alone; `str::parse` would accept a sign too.
fn digits(text: &str) -> Option<u64> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn up_to(text: &str, max: u64) -> Option<u64> {
    digits(text).filter(|number| *number <= max)
}

fn status(text: &str) -> Option<u16> {
    digits(text).filter(|number| (200..600).contains(number)).and_then(|number| number.try_into().ok())
}

/// A number and its unit. Without a unit, that is an empty string.
fn measure(text: &str) -> Option<(u64, &str)> {
    let unit = text.find(|byte: char| !byte.is_ascii_digit()).unwrap_or(text.len());
    digits(&text[..unit]).map(|number| (number, &text[unit..]))
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = measure(text)?;
    let wait = match unit {
        "ms" => Duration::from_millis(number),
        "s" | "" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        _ => return None,
    };
    (wait <= WAIT_MAX).then_some(wait)
}

fn size(text: &str) -> Option<u64> {
    let (number, unit) = measure(text)?;
    let factor = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor).filter(|bytes| *bytes <= SIZE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Head, Refusal> {
        Head::parse(text.as_bytes())
    }

    #[test]
    fn a_head_keeps_order_case_and_repetition() {
        let head = parse("GET /a?b=c HTTP/1.1\r\nHoSt: h\r\nX-Two: 1\r\nx-two:\t 2 \r\n\r\n").unwrap();
        assert_eq!((head.method.as_str(), head.target.as_str(), head.version), ("GET", "/a?b=c", "HTTP/1.1"));
        let fields: Vec<_> =
            head.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(fields, [("HoSt", "h"), ("X-Two", "1"), ("x-two", "2")]);
        assert_eq!((head.field("host"), head.path(), head.framing), (Some("h"), "/a", Framing::Length(0)));
    }

    #[test]
    fn ambiguous_heads_are_refused() {
        let heads = [
            ("GET / HTTP/1.1\nHost: h\r\n\r\n", 400),
            ("GET  / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\n\r\n", 505),
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nspace : 1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n folded: 1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\na: 1\n2\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: \r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ];
        for (text, status) in heads {
            assert_eq!(parse(text).expect_err(text).status, status, "{text:?}");
        }
    }

    #[test]
    fn framing_is_known_from_the_head() {
        let framing = |field: &str| parse(&format!("POST / HTTP/1.1\r\n{field}\r\n\r\n")).unwrap().framing;
        assert_eq!(framing("Content-Length: 12"), Framing::Length(12));
        assert_eq!(framing("Transfer-Encoding: Chunked"), Framing::Chunked);
    }

    #[test]
    fn an_absolute_target_has_its_path() {
        let path = |target: &str| parse(&format!("GET {target} HTTP/1.1\r\n\r\n")).unwrap().path().to_owned();
        assert_eq!(path("http://h:1/a/b?c"), "/a/b");
        assert_eq!(path("http://h"), "/");
        assert_eq!(path("/to/http://h/x"), "/to/http://h/x");
    }

    #[test]
    fn keep_alive_follows_the_version() {
        let keeps = |line: &str| parse(&format!("GET / {line}\r\n\r\n")).unwrap().keeps_alive();
        assert!(keeps("HTTP/1.1"));
        assert!(!keeps("HTTP/1.1\r\nConnection: foo, Close"));
        assert!(!keeps("HTTP/1.0"));
        assert!(keeps("HTTP/1.0\r\nConnection: keep-alive"));
    }

    #[test]
    fn options_of_the_query_have_defaults_units_and_limits() {
        let options =
            |target: &str| QueryOptions::of(&parse(&format!("GET {target} HTTP/1.1\r\n\r\n")).unwrap());
        let defaults = options("/").unwrap();
        assert_eq!((defaults.status, defaults.delay, defaults.json), (200, Duration::ZERO, false));
        let all = options("/x?delay=500ms&status=503&format=json&chunks=3&every=1m&size=10MB").unwrap();
        assert_eq!((all.delay, all.every), (Duration::from_millis(500), Duration::from_secs(60)));
        assert_eq!((all.status, all.json, all.chunks, all.size), (503, true, 3, 10_000_000));
        for target in
            ["/?delay=11m", "/?delay=1h", "/?delay=", "/?status=101", "/?status=600", "/?status=%2B200"]
        {
            assert_eq!(options(target).expect_err(target).status, 400, "{target}");
        }
        for target in [
            "/?chunks=100001",
            "/?chunks=-1",
            "/?size=11GB",
            "/?size=18446744073709551615KiB",
            "/?format=xml",
        ] {
            assert_eq!(options(target).expect_err(target).status, 400, "{target}");
        }
    }
}
