//! A response of smolgate's own whose body goes through an encoder.

use std::cell::Cell;

use super::reply::{REPLY_TIMEOUT, Reply};
use crate::encoding::Encoder;
use crate::proxy::client::{Client, Exchange, KeepAlive};
use crate::proxy::record::Failure;
use crate::proxy::transfer::EncodedBody;
use crate::worker::Buffer;

/// Sends a response of which all bytes are there. `body` stood behind the head.
///
/// # Errors
/// When the client does not take it.
pub(super) async fn send_encoded(
    exchange: &Exchange<'_>,
    reply: Reply<'_>,
    encoder: Encoder,
    body: Buffer,
) -> Result<KeepAlive, Failure> {
    let Client { stream, timer, .. } = &*exchange.client;
    let (begun, record) = (Cell::new(false), &exchange.record);
    record.status.set(Some(reply.status));
    let way = (exchange.snapshot.worker(), stream, timer);
    let mut encoded = EncodedBody::new(way, REPLY_TIMEOUT, &record.sent, encoder, reply.head);
    for part in [body.unread(), reply.body] {
        encoded.add(part, &begun).await.map_err(Failure::of_download)?;
    }
    let ends = reply.keep != KeepAlive::Keep;
    encoded.end(&[], ends, &begun).await.map_err(Failure::of_download)?;
    stream.message_ended();
    Ok(reply.keep)
}
