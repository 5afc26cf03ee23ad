//! The head that a target gets. The client's lines go on as they came, except those that are not for the target.
//! Lines that describe the client are added.

use std::io::Write;

use super::collect::Collected;
use super::forwarded::{Forwarded, write_forwarded, write_prefix};
use super::hops;
use crate::config::plan::{Location, Proxy, Rule};
use crate::http::{
    Field, Framing, Name, RequestHead, behind_prefix, has_dot_segments, is_x_forwarded, upgrade_protocols,
};
use crate::http1::parse_request;
use crate::policy::PolicyState;
use crate::proxy::client::{Exchange, balance_key};
use crate::proxy::edits::{ClientValues, edited_request, with_values};
use crate::proxy::record::{Failure, Identities};
use crate::reason::Reason;
use crate::upstream::{Keys, Upstream};
use crate::worker::Buffer;

/// Writes the head for a target. `target` is its authority and its base path.
#[inline(always)]
pub(super) fn request_head(
    exchange: &Exchange<'_>,
    rule: &Rule,
    proxy: &Proxy,
    target: (&str, &str),
    head: &RequestHead<'_>,
) -> Buffer {
    let mut out = exchange.snapshot.worker().buffer();
    let policies = &exchange.record.policies;
    write_request_head(head, rule, proxy, target, &Forwarded::of(exchange, head), policies, &mut out);
    match &rule.headers {
        None => out,
        Some(headers) => {
            let client = (ClientValues::of(exchange), exchange.record.headers.identities());
            edited_request(exchange.snapshot.worker(), &out, rule, headers, head, client)
        }
    }
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
    let body = collected.map(|collected| (&*collected.head, std::mem::take(&mut collected.body)));
    let (input, body) = body.unzip();
    parsed_again(exchange, input, |mut head| {
        if let Some(body) = &body {
            (head.framing, head.is_length_plain) = (Framing::Length(body.len() as u64), false);
        }
        let mut out = request_head(exchange, rule, proxy, target, &head);
        out.extend(&body.unwrap_or_default());
        out
    })
}

/// The parts of the request by which `upstream` chooses an endpoint, for a choice that comes later.
///
/// # Errors
/// `Internal` if the head cannot be parsed again.
pub(super) fn keys_again(
    exchange: &Exchange<'_>,
    upstream: &Upstream,
    collected: Option<&Collected>,
) -> Result<Keys, Failure> {
    let (key, cookie) = (upstream.hash_key(), upstream.sticky());
    if key.is_none() && cookie.is_none() {
        return Ok(Keys::default());
    }
    parsed_again(exchange, collected.map(|collected| &*collected.head), |head| Keys {
        hash: key.and_then(|key| balance_key::of_request(key, &head, exchange.client.peer)),
        cookie: cookie.and_then(|name| head.fields.cookie(name.as_bytes())).map(Box::from),
    })
}

/// Parses the head again, which is still at the front of the input, or is `collected`.
fn parsed_again<T>(
    exchange: &Exchange<'_>,
    collected: Option<&[u8]>,
    read: impl FnOnce(RequestHead<'_>) -> T,
) -> Result<T, Failure> {
    let gone = || Failure::new(Reason::Internal);
    let limits = &exchange.snapshot.http().ok_or_else(gone)?.head_limits();
    let mut table = exchange.snapshot.state.table.borrow_mut();
    let input = collected.unwrap_or_else(|| exchange.client.input.unread());
    let head =
        parse_request(input, &mut exchange.client.head_scan(), limits, &mut table)?.ok_or_else(gone)?;
    Ok(read(head))
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
    policies: &PolicyState,
    out: &mut Buffer,
) {
    let (authority, base_path) = target;
    let prefix = rule.stripped_prefix();
    let is_same_path = prefix.is_empty() && base_path.is_empty() && proxy.rewrite.is_none();
    if is_same_path && head.has_line_of_ours() {
        out.extend(head.line);
    } else {
        out.extend(head.method);
        out.extend(b" ");
        match &proxy.rewrite {
            None => write_target(head, prefix, base_path, out),
            Some(rewrite) => {
                out.extend(base_path.as_bytes());
                let client = ClientValues::new(forwarded.client(), forwarded.proto == "https", policies);
                write_rewritten(rewrite, rule, head, client, out);
            }
        }
        out.extend(b" HTTP/1.1\r\n");
    }
    out.extend(b"Host: ");
    match head.host.filter(|_| proxy.pass_host) {
        Some(host) => out.extend(host.as_bytes()),
        None => out.extend(authority.as_bytes()),
    }
    out.extend(b"\r\n");
    let keep = |field: &Field<'_>| is_for_the_target(field, head, forwarded.is_trusted(), !prefix.is_empty());
    if policies.removes_fields() {
        let keep = |field: &Field<'_>| keep(field) && !policies.removes(field.name());
        head.fields.for_each_run(0, keep, |lines| out.extend(lines));
        out.extend(policies.request_lines());
    } else {
        head.fields.for_each_run(0, keep, |lines| out.extend(lines));
    }
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

/// Writes the target that a rule gives in the place of the client's.
#[cold]
fn write_rewritten(
    rewrite: &Location,
    rule: &Rule,
    head: &RequestHead<'_>,
    client: ClientValues<'_>,
    out: &mut Buffer,
) {
    with_values(rule, head, client, Identities::default(), |values| {
        rewrite.write(values, |bytes| out.extend(bytes))
    });
}

/// Whether the target that a rule gives in the place of the client's can be sent: what the client chose in it makes no
/// dot segment.
#[cold]
pub(in crate::proxy) fn can_rewrite(
    exchange: &Exchange<'_>,
    rule: &Rule,
    rewrite: &Location,
    head: &RequestHead<'_>,
) -> bool {
    let mut out = exchange.snapshot.worker().buffer();
    write_rewritten(rewrite, rule, head, ClientValues::of(exchange), &mut out);
    let target = out.unread();
    let path = memchr::memchr(b'?', target).map_or(target, |end| &target[..end]);
    !has_dot_segments(path)
}

/// Whether a field of the client goes to the target as it is.
#[inline(always)]
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
