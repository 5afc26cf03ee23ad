//! Responses of rules, of `redirect_to_https`, to challenges and to `OPTIONS`.

use super::reply::{ALLOW, Reply};
use crate::config::plan::{PageValues, Redirect, RedirectToHttps, Respond, Rule};
use crate::http::{Method, Name, RequestHead, entity_tags};
use crate::proxy::client::Exchange;
use crate::proxy::edits::{ClientValues, with_values};
use crate::proxy::transfer::COPIED_MAX;
use crate::worker::Buffer;

/// The response of a `redirect` rule. `None`: its target needs a host, and the request has none.
pub(in crate::proxy) fn redirect(
    exchange: &Exchange<'_>,
    head: &RequestHead<'_>,
    rule: &Rule,
    redirect: &Redirect,
) -> Option<Reply<'static>> {
    if head.host.is_none() && redirect.to.needs_host() {
        return None;
    }
    let mut reply = Reply::new(exchange, redirect.status, exchange.keep_alive());
    reply.extend(b"Location: ");
    with_values(rule, head, ClientValues::of(exchange), exchange.record.headers.identities(), |values| {
        redirect.to.write(values, |bytes| reply.extend(bytes))
    });
    reply.extend(b"\r\nContent-Length: 0\r\n");
    reply.end_head(exchange);
    Some(reply)
}

/// The response of `redirect_to_https`: the URL of the request with another scheme, path and query kept. `None`:
/// the request has no host.
pub(in crate::proxy) fn redirect_to_https(
    exchange: &Exchange<'_>,
    head: &RequestHead<'_>,
    redirect: RedirectToHttps,
) -> Option<Reply<'static>> {
    let host = head.host_key()?;
    let status = redirect.status_for(head.known_method.label());
    let mut reply = Reply::new(exchange, status, exchange.keep_alive());
    reply.extend(b"Location: https://");
    reply.extend(host.as_bytes());
    if redirect.port != 443 {
        reply.write(format_args!(":{}", redirect.port));
    }
    write_path_and_query(head, &mut reply);
    reply.extend(b"\r\nContent-Length: 0\r\n");
    reply.end_head(exchange);
    Some(reply)
}

/// The response to an `OPTIONS` that may go no further.
pub(in crate::proxy) fn options(exchange: &Exchange<'_>) -> Reply<'static> {
    let mut reply = Reply::new(exchange, 200, exchange.keep_alive());
    reply.extend(ALLOW);
    reply.extend(b"Content-Length: 0\r\n");
    reply.end_head(exchange);
    reply
}

/// The answer to a preflight. Its fields are those that the policy has written.
pub(in crate::proxy) fn preflight(exchange: &Exchange<'_>) -> Reply<'static> {
    let mut reply = Reply::new(exchange, 204, exchange.keep_alive());
    reply.end_head(exchange);
    reply
}

/// The answer of a server that does not let a request in, with its field lines.
pub(in crate::proxy) fn answer_of_server(
    exchange: &Exchange<'_>,
    status: u16,
    lines: &[u8],
    body: &[u8],
) -> Reply<'static> {
    let mut reply = Reply::new(exchange, status, exchange.keep_alive());
    reply.extend(lines);
    // RFC 9110, section 8.6: no length in a 204.
    if !matches!(status, 204 | 304) {
        reply.write(format_args!("Content-Length: {}\r\n", body.len()));
    }
    reply.end_head(exchange);
    if exchange.request.method != Method::Head && status != 304 {
        reply.extend(body);
    }
    reply
}

/// The redirect of a browser to the place where it signs in.
pub(in crate::proxy) fn sign_in(exchange: &Exchange<'_>, place: &[u8]) -> Reply<'static> {
    let mut reply = Reply::new(exchange, 302, exchange.keep_alive());
    reply.extend(b"Location: ");
    reply.extend(place);
    reply.extend(b"\r\nCache-Control: no-store\r\nContent-Length: 0\r\n");
    reply.end_head(exchange);
    reply
}

/// The answer to a challenge of a certificate authority (RFC 8555, section 8.3).
pub(in crate::proxy) fn challenge(exchange: &Exchange<'_>, answer: &str) -> Reply<'static> {
    let mut reply = Reply::new(exchange, 200, exchange.keep_alive());
    reply.write(format_args!(
        "Content-Type: application/octet-stream\r\nContent-Length: {}\r\n",
        answer.len()
    ));
    reply.end_head(exchange);
    if exchange.request.method != Method::Head {
        reply.extend(answer.as_bytes());
    }
    reply
}

/// Whether the client has the body of a `respond` rule: its tag is one of `If-None-Match` (RFC 9110, section 13.1.2).
fn is_known(head: &RequestHead<'_>, respond: &Respond) -> bool {
    let Some(tag) = respond.entity_tag().filter(|_| matches!(head.known_method, Method::Get | Method::Head))
    else {
        return false;
    };
    // The comparison is the weak one.
    let tag = tag.strip_prefix("W/").unwrap_or(tag).as_bytes();
    let known = head.fields.list(Name::IfNoneMatch);
    known.is_some_and(|known| &*known == b"*" || entity_tags(&known).any(|(_, known)| known == tag))
}

/// The response of a `respond` rule to a client that has the body: without fields that describe it (RFC 9110, section
/// 15.4.5).
fn not_modified(exchange: &Exchange<'_>, respond: &Respond) -> Reply<'static> {
    let mut reply = Reply::new(exchange, 304, exchange.keep_alive());
    let describes = |name: &str| {
        let starts = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"));
        starts && !name.eq_ignore_ascii_case("content-location")
    };
    for (name, value) in respond.headers.iter().filter(|(name, _)| !describes(name)) {
        reply.write(format_args!("{name}: {value}\r\n"));
    }
    reply.end_head(exchange);
    reply
}

/// The response of a `respond` rule. A short body is copied behind the head.
pub(in crate::proxy) fn respond<'a>(
    exchange: &Exchange<'_>,
    head: &RequestHead<'_>,
    rule: &Rule,
    respond: &'a Respond,
) -> Reply<'a> {
    if is_known(head, respond) {
        return not_modified(exchange, respond);
    }
    let mut reply = Reply::new(exchange, respond.status, exchange.keep_alive());
    for (name, value) in &respond.headers {
        reply.write(format_args!("{name}: {value}\r\n"));
    }
    let literal = respond.body.as_literal().filter(|_| respond.page.is_none());
    let written = literal.is_none().then(|| write_body(exchange, head, rule, respond));
    let body = written.as_ref().map_or(literal.unwrap_or_default().as_bytes(), Buffer::unread);
    // RFC 9110, section 8.6: no length in a 204.
    if respond.status != 204 {
        reply.write(format_args!("Content-Length: {}\r\n", body.len()));
    }
    reply.end_head(exchange);
    match literal {
        _ if exchange.request.method == Method::Head || matches!(respond.status, 204 | 304) => {}
        Some(long) if long.len() > COPIED_MAX => reply.body = long.as_bytes(),
        _ => reply.extend(body),
    }
    reply
}

/// The body for a request, with its parts in the place of placeholders.
fn write_body(exchange: &Exchange<'_>, head: &RequestHead<'_>, rule: &Rule, respond: &Respond) -> Buffer {
    let mut out = exchange.snapshot.worker().buffer();
    let request_id = exchange.record.headers.request_id();
    if let Some(page) = &respond.page {
        let values = PageValues { status: respond.status, reason: "", request_id };
        page.write(values, |bytes| out.extend(bytes));
        return out;
    }
    with_values(rule, head, ClientValues::of(exchange), exchange.record.headers.identities(), |values| {
        respond.body.write(values, respond.escape(), &mut |bytes| out.extend(bytes));
    });
    out
}

/// Path and query of the request; `/` if the request has none.
fn write_path_and_query(head: &RequestHead<'_>, reply: &mut Reply<'_>) {
    if !head.path_and_query.starts_with(b"/") {
        reply.extend(b"/");
    }
    if head.path_and_query != b"*" {
        reply.extend(head.path_and_query);
    }
}
