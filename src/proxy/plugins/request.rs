//! The question about a request. Its head stays in the input, and is parsed again when the answer is there.

use std::sync::Arc;
use std::time::Instant;

use super::info::{BODY_MAX, failed, request_info};
use crate::config::plan::{HttpListener, PluginChain};
use crate::http::{Framing, Method, RequestHead};
use crate::http1::parse_request;
use crate::plugin::{Decision, Pass, PluginExchange, on_request, wants_body, write_lines};
use crate::policy::Paces;
use crate::proxy::client::{Exchange, Request};
use crate::proxy::local_reply::{self, Reply};
use crate::proxy::record::Failure;
use crate::proxy::transfer::Body;
use crate::reason::Reason;

/// The result of a question.
pub(in crate::proxy) enum Answered {
    /// The request goes on, with the changes that were made.
    Pass,
    /// The connection is closed.
    Drop,
    /// The client gets this response.
    Reply(Reply<'static>),
}

/// Asks the plugins of a rule about the request whose head is at the front of the input.
///
/// # Errors
/// `PluginFailed`, `ClientGone`, and those of a head that cannot be parsed again.
pub(in crate::proxy) async fn ask(
    exchange: &mut Exchange<'_>,
    http: &HttpListener,
    chain: &Arc<PluginChain>,
) -> Result<Answered, Failure> {
    let plugins = exchange.snapshot.generation.plugins.chain(chain);
    if wants_body(&plugins) {
        read_body(exchange, exchange.snapshot.worker().now() + chain.timeout).await?;
    }
    // A slow client takes no time from the plugins.
    let deadline = exchange.snapshot.worker().now() + chain.timeout;
    let route = exchange.record.rule_name().unwrap_or_default();
    let info = with_head(exchange, http, |head| {
        let body = &exchange.client.input.unread()[head.len..];
        let body = if wants_body(&plugins) { &body[..body.len().min(seen(head.framing))] } else { &[] };
        request_info(exchange, route, head, body)
    })?;
    let state = &exchange.snapshot.state;
    let asked = async {
        let answer = on_request(&plugins, (&state.worker, &state.plugin_links), &info, deadline).await;
        answer.map_err(|failure| failed(failure.to_string()))
    };
    let decision = exchange.client.unless_gone(exchange.is_gone_at_end(), asked).await?;
    match decision {
        Decision::Pass(pass) => {
            take(exchange, http, pass)?;
            exchange.record.plugins = PluginExchange::new(plugins, info);
            Ok(Answered::Pass)
        }
        Decision::Drop => Ok(Answered::Drop),
        Decision::Fallback => Err(failed("a plugin asks for a fallback, and the rule has none".to_owned())),
        Decision::Reply { status, lines, body } => {
            Ok(Answered::Reply(local_reply::answer_of_server(exchange, status, &lines, &body)))
        }
    }
}

/// Bytes of a body with this framing that plugins see.
fn seen(framing: Framing) -> usize {
    match framing {
        Framing::Length(length) => usize::try_from(length).unwrap_or(usize::MAX).min(BODY_MAX),
        Framing::None | Framing::Chunked | Framing::UntilClose => 0,
    }
}

/// Reads the first bytes of the body into the input, unless its length is unknown, its client waits for an interim
/// response, or its method has no body that means something. They have to come before the deadline.
async fn read_body(exchange: &mut Exchange<'_>, deadline: Instant) -> Result<(), Failure> {
    let Request { method, framing, expects, len, .. } = exchange.request;
    if expects || matches!(method, Method::Get | Method::Head | Method::Options | Method::Delete) {
        return Ok(());
    }
    let wanted = len + seen(framing);
    let worker = exchange.snapshot.worker();
    let client = &mut *exchange.client;
    while client.input.unread().len() < wanted {
        // One deadline for all of them: a client that sends a byte now and then has no more time.
        let time = deadline.saturating_duration_since(worker.now());
        let fill = client.input.fill(&client.stream, wanted);
        if client.timer.within(time, fill).await.map_err(Failure::of_client)? == 0 {
            return Err(Failure::of_client(std::io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(())
}

/// Parses the head again.
fn with_head<T>(
    exchange: &Exchange<'_>,
    http: &HttpListener,
    read: impl FnOnce(&RequestHead<'_>) -> T,
) -> Result<T, Failure> {
    let mut table = exchange.snapshot.state.table.borrow_mut();
    let (input, limits) = (exchange.client.input.unread(), http.head_limits());
    let head = parse_request(input, &mut exchange.client.head_scan(), &limits, &mut table)?;
    Ok(read(&head.ok_or_else(|| Failure::new(Reason::Internal))?))
}

/// Makes the changes of plugins.
fn take(exchange: &mut Exchange<'_>, http: &HttpListener, pass: Pass) -> Result<(), Failure> {
    let Pass { headers, path, clean_query, download, upload } = pass;
    let mut lines = Vec::new();
    write_lines(&headers, &mut lines);
    exchange.record.policies.pass_plugins(&lines);
    if download != 0 || upload != 0 {
        exchange.record.policies.limit_speed(Paces::own(download, upload));
    }
    if path.is_empty() && !clean_query {
        return Ok(());
    }
    let changed = with_head(exchange, http, |head| changed_head(exchange, head, &path, clean_query))?;
    let Some(changed) = changed else { return Ok(()) };
    let mut buffer = exchange.snapshot.worker().buffer();
    buffer.extend(&changed);
    exchange.client.input = buffer.into();
    let (request, body) =
        with_head(exchange, http, |head| (Request::of(head), Body::new(head.framing, head.len)))?;
    (exchange.request, exchange.body) = (request, body);
    Ok(())
}

/// The unread bytes with another target in the request line. `None` if it is `*`, which is no path.
fn changed_head(
    exchange: &Exchange<'_>,
    head: &RequestHead<'_>,
    path: &[u8],
    clean_query: bool,
) -> Option<Vec<u8>> {
    if head.path_and_query == b"*" {
        return None;
    }
    let unread = exchange.client.input.unread();
    // Empty lines may stand before the request line (RFC 9112, section 2.2).
    let start = unread.iter().position(|byte| !matches!(byte, b'\r' | b'\n'))?;
    let (line, rest) = unread[start..].split_at_checked(head.line.len())?;
    let target = head.raw_target();
    // An absolute form has its authority in front.
    let before = target.strip_suffix(head.path_and_query).unwrap_or(target);
    let own = head.path_and_query;
    let (own_path, query) = memchr::memchr(b'?', own).map_or((own, &b""[..]), |at| own.split_at(at));
    let path = match (path, own_path) {
        (b"", b"") => b"/",
        (b"", own) => own,
        (path, _) => path,
    };
    let version = &line[head.method.len() + 1 + target.len()..];
    let query = if clean_query { &b""[..] } else { query };
    Some([head.method, b" ", before, path, query, version, rest].concat())
}
