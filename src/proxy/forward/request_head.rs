//! The head that a target gets. The client's lines go on as they came, except those that are not for the target.
//! Lines that describe the client are added.

use std::io::Write;

use super::collect::Collected;
use super::forwarded::{Forwarded, write_forwarded, write_prefix};
use super::hops;
use crate::config::plan::{Proxy, Rule};
use crate::http::{Field, Framing, Name, RequestHead, behind_prefix, is_x_forwarded, upgrade_protocols};
use crate::http1::{HeadScan, parse_request};
use crate::proxy::client::Exchange;
use crate::proxy::record::Failure;
use crate::reason::Reason;
use crate::worker::Buffer;

/// Writes the head for a target. `target` is its authority and its base path.
pub(super) fn request_head(
    exchange: &Exchange<'_>,
    rule: &Rule,
    proxy: &Proxy,
    target: (&str, &str),
    head: &RequestHead<'_>,
) -> Buffer {
    let mut out = exchange.snapshot.worker().buffer();
    write_request_head(head, rule, proxy, target, &Forwarded::of(exchange, head), &mut out);
    out
}

/// Writes the head for another target, or with the length of a `collected` body, which it takes. The client's head,
/// which is still at the front of the input or was collected too, is parsed again.
///
/// # Errors
/// `Internal` if the head cannot be parsed again.
pub(super) fn rebuild_request_head(
    exchange: &Exchange<'_>,
    rule: &Rule,
    proxy: &Proxy,
    target: (&str, &str),
    collected: Option<&mut Collected>,
) -> Result<Buffer, Failure> {
    let gone = || Failure::new(Reason::Internal);
    let limits = &exchange.snapshot.http().ok_or_else(gone)?.head_limits();
    let mut table = exchange.snapshot.state.table.borrow_mut();
    let (input, body) = match collected {
        Some(Collected { head, body, .. }) => (&**head, Some(std::mem::take(body))),
        None => (exchange.client.input.unread(), None),
    };
    let mut head = parse_request(input, &mut HeadScan::default(), limits, &mut table)?.ok_or_else(gone)?;
    if let Some(body) = &body {
        (head.framing, head.is_length_plain) = (Framing::Length(body.len() as u64), false);
    }
    let mut out = request_head(exchange, rule, proxy, target, &head);
    out.extend(&body.unwrap_or_default());
    Ok(out)
}

/// Writes the head for a target: request line, fields, empty line.
///
/// The client's hop-by-hop fields are removed before smolgate adds its own. So a client cannot remove those by naming
/// them in `Connection` (RFC 9110, section 7.6.1).
pub fn write_request_head(
    head: &RequestHead<'_>,
    rule: &Rule,
    proxy: &Proxy,
    target: (&str, &str),
    forwarded: &Forwarded<'_>,
    out: &mut Buffer,
) {
    let (authority, base_path) = target;
    let prefix = rule.stripped_prefix();
    let is_same_path = prefix.is_empty() && base_path.is_empty();
    if is_same_path && head.has_line_of_ours() {
        out.extend(head.line);
    } else {
        out.extend(head.method);
        out.extend(b" ");
        write_target(head, prefix, base_path, out);
        out.extend(b" HTTP/1.1\r\n");
    }
    out.extend(b"Host: ");
    match head.host.filter(|_| proxy.pass_host) {
        Some(host) => out.extend(host.as_bytes()),
        None => out.extend(authority.as_bytes()),
    }
    out.extend(b"\r\n");
    let keep = |field: &Field<'_>| is_for_the_target(field, head, forwarded.is_trusted(), !prefix.is_empty());
    head.fields.for_each_run(0, keep, |lines| out.extend(lines));
    out.extend(hops::via(head.version));
    write_forwarded(head, forwarded, out);
    if !prefix.is_empty() {
        write_prefix(prefix, head, forwarded, out);
    }
    if let Some(left) = hops::max_forwards(head) {
        // Writing into a buffer in memory cannot fail.
        let _ = write!(out, "Max-Forwards: {}\r\n", left.saturating_sub(1));
    }
    match head.framing {
        Framing::Chunked => out.extend(b"Transfer-Encoding: chunked\r\n"),
        Framing::Length(length) if !head.is_length_plain => write_length(length, out),
        _ => {}
    }
    if head.upgrade {
        write_upgrade(upgrade_protocols(head.fields), out);
    } else if head.accepts_trailers {
        out.extend(b"Connection: TE\r\nTE: trailers\r\n");
    }
    out.extend(b"\r\n");
}

/// Writes a length anew that came with leading zeros: some readers take that for an octal number.
pub(super) fn write_length(length: u64, out: &mut Buffer) {
    // Writing into a buffer in memory cannot fail.
    let _ = write!(out, "Content-Length: {length}\r\n");
}

/// Writes the fields of an upgrade, in a request and in a 101.
pub(super) fn write_upgrade<'p>(protocols: impl Iterator<Item = &'p [u8]>, out: &mut Buffer) {
    let mut before: &[u8] = b"Connection: Upgrade\r\nUpgrade: ";
    for protocol in protocols {
        out.extend(std::mem::replace(&mut before, b", "));
        out.extend(protocol);
    }
    out.extend(b"\r\n");
}

/// Writes the base path, then path and query as they came, without the prefix if the rule strips it.
fn write_target(head: &RequestHead<'_>, prefix: &str, base_path: &str, out: &mut Buffer) {
    if head.path_and_query == b"*" {
        return out.extend(head.path_and_query);
    }
    let rest = behind_prefix(head.path_and_query, prefix);
    out.extend(base_path.as_bytes());
    if !rest.starts_with(b"/") {
        // An empty path becomes `/`: a request target is never empty (RFC 9112, section 3.2.1).
        out.extend(b"/");
    }
    out.extend(rest);
}

/// Whether a field of the client goes to the target as it is.
fn is_for_the_target(field: &Field<'_>, head: &RequestHead<'_>, trusted: bool, strips: bool) -> bool {
    match field.known() {
        // smolgate writes these itself, or removes them.
        Name::Host | Name::TransferEncoding | Name::Lookalike => false,
        // CGI passes it on as HTTP_PROXY, which libraries take for the proxy to use (CVE-2016-5385).
        Name::Proxy => false,
        Name::XForwardedFor
        | Name::XForwardedProto
        | Name::XForwardedHost
        | Name::XRealIp
        | Name::Forwarded => false,
        Name::XForwardedPrefix if strips => false,
        Name::ContentLength => head.is_length_plain,
        Name::MaxForwards if hops::max_forwards(head).is_some() => false,
        Name::Trailer => head.framing == Framing::Chunked && head.accepts_trailers,
        // `X-Forwarded-User` and its like: only a trusted proxy may send them.
        _ if !trusted && is_x_forwarded(field.name()) => false,
        name => !name.is_hop_by_hop() && !field.is_named_by_connection(),
    }
}
