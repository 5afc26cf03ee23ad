//! Answers that rules and methods fix: redirects, responses, `OPTIONS`.

use super::head::{ALLOW, write, write_connection, write_status_line};
use crate::config::plan::{Redirect, RedirectToHttps, Respond};
use crate::generation::ListenerSnapshot;
use crate::http::{Method, RequestHead};
use crate::proxy::transfer::COPIED_MAX;
use crate::worker::Buffer;

/// Writes the answer of a `redirect` rule.
pub(in crate::proxy) fn write_redirect(
    redirect: &Redirect,
    head: &RequestHead<'_>,
    keep: bool,
    snapshot: &ListenerSnapshot,
    out: &mut Buffer,
) {
    write_status_line(redirect.status, snapshot, out);
    out.extend(b"Location: ");
    out.extend(redirect.to.as_bytes());
    if is_origin(&redirect.to) {
        write_path_and_query(head, out);
    }
    out.extend(b"\r\nContent-Length: 0\r\n");
    write_connection(head, keep, out);
    out.extend(b"\r\n");
}

/// Writes the answer of `redirect_to_https`: the same URL, path and query kept. The status; `None` when
/// the request has no host to be sent to.
pub(in crate::proxy) fn write_redirect_to_https(
    redirect: RedirectToHttps,
    head: &RequestHead<'_>,
    keep: bool,
    snapshot: &ListenerSnapshot,
    out: &mut Buffer,
) -> Option<u16> {
    let host = head.host_key()?;
    let status = redirect.status_for(head.known_method.label());
    write_status_line(status, snapshot, out);
    out.extend(b"Location: https://");
    out.extend(host.as_bytes());
    if redirect.port != 443 {
        write(out, format_args!(":{}", redirect.port));
    }
    write_path_and_query(head, out);
    out.extend(b"\r\nContent-Length: 0\r\n");
    write_connection(head, keep, out);
    out.extend(b"\r\n");
    Some(status)
}

/// Writes the answer to `OPTIONS` that may go no further.
pub(in crate::proxy) fn write_options(
    head: &RequestHead<'_>,
    keep: bool,
    snapshot: &ListenerSnapshot,
    out: &mut Buffer,
) {
    write_status_line(200, snapshot, out);
    out.extend(ALLOW);
    out.extend(b"Content-Length: 0\r\n");
    write_connection(head, keep, out);
    out.extend(b"\r\n");
}

/// Writes the head of the answer of a `respond` rule, and the body behind it if that is short. A longer
/// one is returned: it belongs to the rule, and no exchange has a copy.
pub(in crate::proxy) fn write_respond<'a>(
    respond: &'a Respond,
    head: &RequestHead<'_>,
    keep: bool,
    snapshot: &ListenerSnapshot,
    out: &mut Buffer,
) -> &'a [u8] {
    write_status_line(respond.status, snapshot, out);
    for (name, value) in &respond.headers {
        write(out, format_args!("{name}: {value}\r\n"));
    }
    // RFC 9110, section 8.6: no length in a 204.
    if respond.status != 204 {
        write(out, format_args!("Content-Length: {}\r\n", respond.body.len()));
    }
    write_connection(head, keep, out);
    out.extend(b"\r\n");
    match respond.body.as_bytes() {
        _ if head.known_method == Method::Head || matches!(respond.status, 204 | 304) => &[],
        short if short.len() <= COPIED_MAX => {
            out.extend(short);
            &[]
        }
        long => long,
    }
}

/// What the client asked for; `/` when that was the server itself.
fn write_path_and_query(head: &RequestHead<'_>, out: &mut Buffer) {
    if !head.path_and_query.starts_with(b"/") {
        out.extend(b"/");
    }
    if head.path_and_query != b"*" {
        out.extend(head.path_and_query);
    }
}

/// Scheme and authority and nothing behind them: then the path of the request is kept.
fn is_origin(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?', '#']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_origin_keeps_the_path() {
        assert!(is_origin("https://example.com"));
        assert!(is_origin("http://example.com:8080"));
        assert!(!is_origin("https://example.com/"));
        assert!(!is_origin("/login"));
    }
}
