//! A response of smolgate's own on its way to the client.

use std::io::IoSlice;
use std::time::Duration;

use super::reply::Reply;
use crate::proxy::client::{Client, Exchange, KeepAlive};
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
    let Client { stream, timer, .. } = &*exchange.client;
    let (head, body) = (reply.head.unread(), reply.body);
    let slices = &mut [IoSlice::new(head), IoSlice::new(body)][..1 + usize::from(!body.is_empty())];
    let ends = reply.keep != KeepAlive::Keep;
    write_message(stream, slices, ends, timer, REPLY_TIMEOUT).await.map_err(Failure::of_client)?;
    stream.message_ended();
    exchange.record.sent.add(head.len() + body.len(), stream.worker().now());
    Ok(reply.keep)
}
