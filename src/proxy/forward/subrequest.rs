//! The question whether a server lets a request in (`auth.forward`).
//!
//! The server gets a request without a body, with the fields of the client and with those that describe the client's
//! request. It has an upstream of its own, and so connections that are kept.

use std::time::Duration;

use futures_lite::future;

use super::answer::{self, FinalAnswer, with_connection};
use super::forwarded::{Forwarded, write_forwarded};
use crate::config::plan::{AuthServer, HttpListener};
use crate::http::{Field, Method, Name, RequestHead, ResponseHead, is_x_forwarded, write_percent_encoded};
use crate::http1::parse_request;
use crate::proxy::client::{Exchange, Media};
use crate::proxy::record::Failure;
use crate::proxy::transfer::{Body, Incoming};
use crate::reason::Reason;
use crate::upstream::{Choice, TargetConnection, Upstream};
use crate::worker::Buffer;

/// Bytes of the longest body of an answer.
const BODY_MAX: usize = 64 * 1024;

/// The answer of the server.
pub(in crate::proxy) enum Answer {
    /// The request is let in. Lines go to the target and to the client.
    LetIn { request: Vec<u8>, response: Vec<u8> },
    /// The client gets this response.
    Refuse { status: u16, lines: Vec<u8>, body: Vec<u8> },
}

/// Asks the server about a request. Its head is at the front of the input.
///
/// # Errors
/// `AuthUnavailable` if the server has no answer in time, or one that says nothing of the request. `ClientGone`.
pub(in crate::proxy) async fn ask_server(
    exchange: &Exchange<'_>,
    http: &HttpListener,
    server: &AuthServer,
) -> Result<Answer, Failure> {
    let worker = exchange.snapshot.worker();
    let upstream = exchange.snapshot.upstreams.get(server.upstream.0);
    let unavailable = || Failure::new(Reason::AuthUnavailable);
    let mut choice = upstream.choose(worker.now(), None, None).ok_or_else(unavailable)?;
    let late = async {
        worker.sleep(server.timeout).await;
        Ok(None)
    };
    let asking = async { ask(exchange, http, server, upstream, &mut choice).await.map(Some) };
    let answer = exchange.client.unless_gone(exchange.is_gone_at_end(), future::or(asking, late)).await?;
    answer.ok_or_else(|| {
        // An endpoint that is silent has failed, as one that closes.
        upstream.failed(&choice, worker.now());
        unavailable()
    })
}

async fn ask(
    exchange: &Exchange<'_>,
    http: &HttpListener,
    server: &AuthServer,
    upstream: &Upstream,
    choice: &mut Choice,
) -> Result<Answer, Failure> {
    let ask = async |choice: &Choice, target: &mut TargetConnection| {
        let head = request_head(exchange, http, server, choice.origin())?;
        exchange_with(exchange, server, target, &head).await
    };
    let asked = with_connection(exchange.snapshot.worker(), upstream, choice, ask).await;
    asked.map_err(|Failure { detail, .. }| Failure { reason: Reason::AuthUnavailable, detail })
}

/// Sends the question and reads the answer. The second value is how long the connection may be kept.
async fn exchange_with(
    exchange: &Exchange<'_>,
    server: &AuthServer,
    target: &mut TargetConnection,
    head: &Buffer,
) -> Result<(Answer, Option<Duration>), Failure> {
    let (state, timer) = (&exchange.snapshot.state, exchange.timer);
    let read = |head: &ResponseHead<'_>| answer(exchange, server, head);
    let found = answer::ask(state, timer, server.timeout, target, (Method::Get, head), read).await?;
    let FinalAnswer { head: answer, framing, keep } = found;
    let mut body = Body::new(framing, 0);
    let TargetConnection { stream, input, .. } = target;
    let bytes = read_body(&mut Incoming { stream, input, body: &mut body }).await?;
    let answer = match answer {
        Answer::Refuse { status, lines, .. } => Answer::Refuse { status, lines, body: bytes },
        let_in => let_in,
    };
    Ok((answer, keep))
}

async fn read_body(from: &mut Incoming<'_>) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let bad = || Failure::new(Reason::AuthUnavailable);
    while !from.body.is_complete() {
        let piece = from.decode().map_err(|_| bad())?;
        bytes.extend_from_slice(from.data(&piece));
        from.release();
        if bytes.len() > BODY_MAX {
            return Err(bad());
        }
        if !piece.is_last {
            from.read().await.map_err(|_| bad())?.map_err(|_| bad())?;
        }
    }
    Ok(bytes)
}

/// The meaning of an answer. An error of the server lets no request in, and is none of the client.
fn answer(exchange: &Exchange<'_>, server: &AuthServer, head: &ResponseHead<'_>) -> Result<Answer, Failure> {
    let lines = |keep: &dyn Fn(&Field<'_>) -> bool| {
        let mut lines = Vec::new();
        head.fields.for_each_run(
            0,
            |field| is_end_to_end(field) && keep(field),
            |run| lines.extend_from_slice(run),
        );
        lines
    };
    match head.status {
        200..300 => Ok(Answer::LetIn {
            request: lines(&|field| server.copies(field.name())),
            response: lines(&|field| field.known() == Name::SetCookie),
        }),
        300..500 => {
            let owns_cors = exchange.record.policies.owns_cors();
            let is_of_cors = |field: &Field<'_>| owns_cors && super::response_head::is_of_cors(field.name());
            let lines = lines(&|field| field.known() != Name::Date && !is_of_cors(field));
            Ok(Answer::Refuse { status: head.status, lines, body: Vec::new() })
        }
        _ => Err(Failure::new(Reason::AuthUnavailable)),
    }
}

fn is_end_to_end(field: &Field<'_>) -> bool {
    let framing =
        matches!(field.known(), Name::ContentLength | Name::TransferEncoding | Name::Trailer | Name::Host);
    !framing && !field.known().is_hop_by_hop() && !field.is_named_by_connection()
}

/// Writes the question: a GET without a body, with the fields of the client and those that describe its request. Both
/// families of fields are there, so that any of the known servers understands it.
fn request_head(
    exchange: &Exchange<'_>,
    http: &HttpListener,
    server: &AuthServer,
    (authority, base_path): (&str, &str),
) -> Result<Buffer, Failure> {
    let internal = || Failure::new(Reason::Internal);
    let mut table = exchange.snapshot.state.table.borrow_mut();
    let (input, limits) = (exchange.client.input.unread(), http.head_limits());
    let head =
        parse_request(input, &mut exchange.client.head_scan(), &limits, &mut table)?.ok_or_else(internal)?;
    let forwarded = Forwarded::of(exchange, &head);
    let mut out = exchange.snapshot.worker().buffer();
    let path = [base_path, server.path()];
    let path = if path.iter().all(|part| part.is_empty()) { ["/", ""] } else { path };
    for part in ["GET ", path[0], path[1], " HTTP/1.1\r\nHost: ", authority, "\r\n"] {
        out.extend(part.as_bytes());
    }
    // The server tells of the user, so it gets no word of the client about that, except the client's credentials.
    let is_told = |field: &Field<'_>| {
        server.copies(field.name()) && !matches!(field.known(), Name::Authorization | Name::Cookie)
    };
    head.fields.for_each_run(
        0,
        |field| is_for_the_server(field) && !is_told(field),
        |lines| out.extend(lines),
    );
    write_forwarded(&head, &forwarded, &mut out);
    let (proto, host) = place(&head, &forwarded);
    for (name, value) in [
        ("X-Forwarded-Method", &[head.method][..]),
        ("X-Forwarded-Uri", &[head.path_and_query]),
        ("X-Original-Method", &[head.method]),
        ("X-Original-URL", &[proto, b"://", host, head.path_and_query]),
    ] {
        out.extend(name.as_bytes());
        out.extend(b": ");
        value.iter().for_each(|part| out.extend(part));
        out.extend(b"\r\n");
    }
    out.extend(b"\r\n");
    Ok(out)
}

/// Whether a field of the client goes to the server. Conditions and ranges are about another resource.
fn is_for_the_server(field: &Field<'_>) -> bool {
    let is_original = |name: &[u8]| name.len() > 11 && name[..11].eq_ignore_ascii_case(b"x-original-");
    match field.known() {
        Name::Host | Name::ContentLength | Name::TransferEncoding | Name::Trailer | Name::Expect => false,
        Name::Lookalike | Name::Proxy | Name::XRealIp | Name::Forwarded | Name::MaxForwards | Name::Range => {
            false
        }
        Name::IfMatch
        | Name::IfNoneMatch
        | Name::IfModifiedSince
        | Name::IfUnmodifiedSince
        | Name::IfRange => false,
        _ if is_x_forwarded(field.name()) || is_original(field.name()) => false,
        name => !name.is_hop_by_hop() && !field.is_named_by_connection(),
    }
}

/// Scheme and host of the client's URL, as a trusted proxy tells them.
fn place<'b>(head: &RequestHead<'b>, forwarded: &Forwarded<'_>) -> (&'b [u8], &'b [u8]) {
    let told = |name| head.fields.get(name).filter(|_| forwarded.is_trusted());
    let own = if forwarded.proto == "https" { &b"https"[..] } else { b"http" };
    let host = head.host.as_ref().map_or(&b""[..], |host| host.as_bytes());
    (told(Name::XForwardedProto).unwrap_or(own), told(Name::XForwardedHost).unwrap_or(host))
}

/// The place where a browser signs in, if the server has one and this is a page.
///
/// # Errors
/// `Internal` if the head cannot be parsed again.
pub(in crate::proxy) fn sign_in(
    exchange: &Exchange<'_>,
    http: &HttpListener,
    server: &AuthServer,
) -> Result<Option<Vec<u8>>, Failure> {
    let Some(template) = server.sign_in.as_deref() else { return Ok(None) };
    if exchange.request.method != Method::Get || exchange.request.prefers != Media::Html {
        return Ok(None);
    }
    let internal = || Failure::new(Reason::Internal);
    let mut table = exchange.snapshot.state.table.borrow_mut();
    let (input, limits) = (exchange.client.input.unread(), http.head_limits());
    let head =
        parse_request(input, &mut exchange.client.head_scan(), &limits, &mut table)?.ok_or_else(internal)?;
    let (proto, host) = place(&head, &Forwarded::of(exchange, &head));
    let url = [proto, b"://", host, head.path_and_query].concat();
    let mut place = Vec::new();
    let (before, after) = template.split_once("{url}").unwrap_or((template, ""));
    place.extend_from_slice(before.as_bytes());
    if template.contains("{url}") {
        write_percent_encoded(&url, |bytes| place.extend_from_slice(bytes));
    }
    place.extend_from_slice(after.as_bytes());
    Ok(Some(place))
}
