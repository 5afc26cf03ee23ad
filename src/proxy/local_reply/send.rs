//! A response of ours on its way to the client.

use std::io::{self, IoSlice};
use std::time::Duration;

use crate::proxy::client::Client;
use crate::proxy::exchange::AfterExchange;
use crate::proxy::record::{ExchangeRecord, Failure};
use crate::proxy::transfer::write_message;

/// How long a client may make no progress with reading an answer of ours.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// Sends an answer that is written already: head and body.
///
/// # Errors
/// When the client does not take it.
pub(in crate::proxy) async fn send(
    client: &mut Client,
    record: &mut ExchangeRecord<'_>,
    status: u16,
    answer: [&[u8]; 2],
    keep: bool,
) -> Result<AfterExchange, Failure> {
    record.status = Some(status);
    write_reply(client, record, answer, keep).await.map_err(Failure::of_client)
}

/// Writes an answer, and the end of the connection with it when no request is to follow.
pub(super) async fn write_reply(
    client: &Client,
    record: &ExchangeRecord<'_>,
    answer: [&[u8]; 2],
    keep: bool,
) -> io::Result<AfterExchange> {
    let stream = &client.stream;
    let slices = &mut answer.map(IoSlice::new)[..1 + usize::from(!answer[1].is_empty())];
    write_message(stream, slices, !keep, &client.timer, ANSWER_TIME).await?;
    stream.message_ended();
    record.sent.add(answer[0].len() + answer[1].len(), stream.worker().now());
    Ok(if keep { AfterExchange::KeepAlive } else { AfterExchange::Close })
}
