//! Pages that stand in for answers of targets.

use crate::config::plan::PageValues;
use crate::http::{Method, Name};
use crate::proxy::client::{Media, Request};
use crate::proxy::record::ExchangeRecord;
use crate::worker::Buffer;

/// The page that stands in for an answer of a target with this status, if there is one and the client is a browser. `head`,
/// which has no end yet, becomes that of the page. Fields that do not describe the body stay.
#[cold]
pub(in crate::proxy) fn intercept(
    record: &ExchangeRecord<'_>,
    request: &Request,
    status: u16,
    head: &mut Buffer,
) -> Option<Box<[u8]>> {
    let policies = record.rule_policies().filter(|_| request.prefers == Media::Html)?;
    let is_intercepted = policies.intercept.as_ref().is_some_and(|intercept| intercept.takes(status));
    let page = policies.pages.as_ref().filter(|_| is_intercepted)?.of_status(status)?;
    let mut body = Vec::with_capacity(page.text.len());
    let values = PageValues { status, reason: "", request_id: record.headers.request_id() };
    page.write(values, |bytes| body.extend_from_slice(bytes));
    let mut out = record.snapshot.worker().buffer();
    let lines = head.unread().split_inclusive(|byte| *byte == b'\n');
    lines.filter(|line| !describes_body(line)).for_each(|line| out.extend(line));
    out.extend(b"Content-Type: text/html; charset=utf-8\r\nContent-Length: ");
    out.extend(body.len().to_string().as_bytes());
    out.extend(b"\r\n");
    *head = out;
    Some(if request.method == Method::Head { Box::default() } else { body.into() })
}

/// Whether a line of a head is a field about the body. The status line is none.
fn describes_body(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
    let name = &line[..colon];
    let starts = |start: &[u8]| name.get(..start.len()).is_some_and(|name| name.eq_ignore_ascii_case(start));
    let is_any = |names: [&[u8]; 4]| names.iter().any(|own| name.eq_ignore_ascii_case(own));
    starts(b"content-")
        || is_any([b"etag", b"last-modified", b"accept-ranges", b"repr-digest"])
        || matches!(Name::classify(name), Name::TransferEncoding | Name::Trailer)
}

#[cfg(test)]
mod tests {
    use super::describes_body;

    #[test]
    fn fields_about_the_body_are_found() {
        for (line, is_one) in [
            ("HTTP/1.1 500 a:b", false),
            ("Content-Type: a", true),
            ("content-security-policy: a", true),
            ("ETag: \"a\"", true),
            ("Transfer-Encoding: chunked", true),
            ("Trailer: a", true),
            ("Retry-After: 1", false),
            ("Set-Cookie: content-type=1", false),
            ("Contents: a", false),
        ] {
            assert_eq!(describes_body(line.as_bytes()), is_one, "{line}");
        }
    }
}
