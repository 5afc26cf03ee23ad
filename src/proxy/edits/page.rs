//! Pages that stand in for answers of targets.

use crate::config::plan::PageValues;
use crate::http::{Method, Name, list_has};
use crate::proxy::client::{Media, Request};
use crate::proxy::record::ExchangeRecord;
use crate::worker::Buffer;

/// The page that stands in for an answer of a target with this status, if there is one and the client is a browser. `head`,
/// which has no end yet, becomes that of the page. Fields that do not describe the body stay. If there is a page for the
/// status, the head says that the response depends on `Accept`, for other clients too.
#[cold]
pub(in crate::proxy) fn intercept(
    record: &ExchangeRecord<'_>,
    request: &Request,
    status: u16,
    head: &mut Buffer,
) -> Option<Box<[u8]>> {
    let policies = record.rule_policies()?;
    let is_intercepted = policies.intercept.as_ref().is_some_and(|intercept| intercept.takes(status));
    let page = policies.pages.as_ref().filter(|_| is_intercepted)?.of_status(status)?;
    let is_shown = request.prefers == Media::Html;
    let mut out = record.snapshot.worker().buffer();
    let lines = head.unread().split_inclusive(|byte| *byte == b'\n');
    write_varying(lines.filter(|line| !is_shown || !describes_body(line)), &mut out);
    if !is_shown {
        *head = out;
        return None;
    }
    let mut body = Vec::with_capacity(page.text.len());
    let values = PageValues { status, reason: "", request_id: record.headers.request_id() };
    page.write(values, |bytes| body.extend_from_slice(bytes));
    out.extend(b"Content-Type: text/html; charset=utf-8\r\nContent-Length: ");
    out.extend(body.len().to_string().as_bytes());
    out.extend(b"\r\n");
    *head = out;
    Some(if request.method == Method::Head { Box::default() } else { body.into() })
}

/// Writes the lines of a head, with `Accept` in the first `Vary` (RFC 9110, section 12.5.5).
fn write_varying<'l>(lines: impl Iterator<Item = &'l [u8]>, out: &mut Buffer) {
    let mut varies = false;
    for line in lines {
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':').unwrap_or(0));
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        let is_first = !varies && Name::classify(name) == Name::Vary;
        varies |= is_first;
        if is_first && !list_has(value, b"accept") && !list_has(value, b"*") {
            [b"Vary: ", value, b", Accept\r\n"].into_iter().for_each(|part| out.extend(part));
        } else {
            out.extend(line);
        }
    }
    if !varies {
        out.extend(b"Vary: Accept\r\n");
    }
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
