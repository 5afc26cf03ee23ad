//! A response of smolgate's own on its way to the client.

use std::io::IoSlice;

use super::encoded::send_encoded;
use super::reply::{REPLY_TIMEOUT, Reply};
use crate::proxy::client::{Client, Exchange, KeepAlive};
use crate::proxy::edits::encode_response;
use crate::proxy::record::Failure;
use crate::proxy::transfer::write_message;

/// Sends a response, and with it the end of the connection if no request is to follow.
///
/// # Errors
/// When the client does not take it.
pub(in crate::proxy) async fn send(
    exchange: &mut Exchange<'_>,
    mut reply: Reply<'_>,
) -> Result<KeepAlive, Failure> {
    if exchange.record.policies.is_active()
        && let Some((encoder, body)) =
            encode_response(&exchange.record, &exchange.request, &mut reply.head, None)
    {
        // Boxed, because few responses are encoded, and the future of all would have room for it.
        return Box::pin(send_encoded(exchange, reply, encoder, body)).await;
    }
    exchange.record.status.set(Some(reply.status));
    let Client { stream, timer, .. } = &*exchange.client;
    let (head, body) = (reply.head.unread(), reply.body);
    let slices = &mut [IoSlice::new(head), IoSlice::new(body)][..1 + usize::from(!body.is_empty())];
    let ends = reply.keep != KeepAlive::Keep;
    write_message(stream, slices, ends, timer, REPLY_TIMEOUT).await.map_err(Failure::of_client)?;
    stream.message_ended();
    exchange.record.sent.add(head.len() + body.len(), stream.worker().moment());
    Ok(reply.keep)
}
