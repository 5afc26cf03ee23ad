//! A response of smolgate's own on its way to the client.

use std::io::IoSlice;
use std::time::Duration;

use super::reply::Reply;
use crate::config::plan::RuleHeaders;
use crate::proxy::client::{Client, Exchange, KeepAlive};
use crate::proxy::edits::edited_response;
use crate::proxy::record::Failure;
use crate::proxy::transfer::write_message;

/// How long a client may make no progress with reading a response of smolgate's own.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Sends a response, and with it the end of the connection if no request is to follow.
///
/// # Errors
/// When the client does not take it.
pub(in crate::proxy) async fn send(
    exchange: &mut Exchange<'_>,
    reply: Reply<'_>,
) -> Result<KeepAlive, Failure> {
    exchange.record.status.set(Some(reply.status));
    let headers = exchange.record.rule_headers();
    let reply = match headers {
        None => reply,
        Some(headers) => with_changes(exchange, reply, headers),
    };
    let Client { stream, timer, .. } = &*exchange.client;
    let (head, body) = (reply.head.unread(), reply.body);
    let slices = &mut [IoSlice::new(head), IoSlice::new(body)][..1 + usize::from(!body.is_empty())];
    let ends = reply.keep != KeepAlive::Keep;
    write_message(stream, slices, ends, timer, REPLY_TIMEOUT).await.map_err(Failure::of_client)?;
    stream.message_ended();
    exchange.record.sent.add(head.len() + body.len(), stream.worker().now());
    Ok(reply.keep)
}

/// The response with the changes of the rule.
fn with_changes<'a>(exchange: &Exchange<'_>, reply: Reply<'a>, headers: &RuleHeaders) -> Reply<'a> {
    let (worker, is_encrypted) = (exchange.snapshot.worker(), exchange.client.stream.is_encrypted());
    let head = edited_response(worker, &reply.head, headers, is_encrypted, exchange.record.headers.lines());
    Reply { head, ..reply }
}
