//! Forwards a request and its response.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use super::attempts::Attempts;
use super::response::ResponseReader;
use super::response_head::Response;
use crate::http::Framing;
use crate::proxy::client::{Exchange, KeepAlive, Media, Request};
use crate::proxy::record::{ExchangeRecord, Failure};
use crate::proxy::transfer::{Body, ConcurrentUpload, Incoming, Transfer};
use crate::proxy::tunnel::{self, Done};
use crate::reason::Reason;
use crate::upstream::TargetConnection;
use crate::worker::Buffer;

/// The values that are needed when both messages were transferred.
struct Transferred {
    status: u16,
    /// Whether the client's connection stays open, as the head of the response has said.
    keep: KeepAlive,
    /// The response ends for the client with the connection.
    until_close: bool,
    /// All of the request was sent.
    uploaded: bool,
    /// How long the target would keep its connection; `None`: it does not.
    keep_alive: Option<Duration>,
}

/// The reason why a transfer has stopped.
enum Stop {
    /// It has failed.
    Failed(Failure),
    /// The response has this status, after which another endpoint is tried. The client was sent nothing of it.
    Retry(u16),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Sends the request to a target and its response to the client. Tries another connection or another target as long
/// as nothing can be lost or done twice.
///
/// # Errors
/// Why there is no whole response.
pub(in crate::proxy) async fn run(
    exchange: &mut Exchange<'_>,
    attempts: &mut Attempts<'_>,
) -> Result<Done, Failure> {
    if exchange.request.framing == Framing::Chunked {
        if exchange.request.prefers == Media::Grpc {
            // A stream may wait for an event for as long as a tunnel.
            exchange.client.stream.set_patience(attempts.proxy.limits.tunnel_timeout);
        }
        if let Some(most) = attempts.proxy.buffer_request {
            // Boxed, because few rules have it, and the future of all would have room for it.
            Box::pin(attempts.collect_body(exchange, most)).await?;
        }
    }
    loop {
        let mut target = match attempts.take_idle(exchange) {
            Some(target) => target,
            // Boxed, because few exchanges open a connection, and the future of all would have room for a handshake.
            None => {
                Box::pin(exchange.client.unless_gone(exchange.is_gone_at_end(), attempts.open(exchange)))
                    .await?
            }
        };
        let head = attempts.head(exchange)?;
        exchange.record.target = Some(target.address.clone());
        if !exchange.request.framing.is_empty() {
            exchange.release_head();
        }
        // Pinned, because an `await` alone copies the future once more.
        let mut transferred = None;
        let outcome = pin!(transfer(exchange, attempts, &mut target, head, &mut transferred)).await;
        let failure = match outcome {
            Ok(()) => {
                let transferred = transferred.ok_or_else(|| Failure::new(Reason::Internal))?;
                attempts.answered(exchange, transferred.status);
                return Ok(finish(exchange, attempts, target, transferred));
            }
            Err(Stop::Failed(failure)) => failure,
            Err(Stop::Retry(status)) => {
                attempts.answered(exchange, status);
                // The rest of the response is not read, so the connection is closed.
                drop(target);
                exchange.record.response_started.set(false);
                attempts.retry(exchange);
                continue;
            }
        };
        attempts.failed(exchange, &target, &failure);
        // The stream ends before another one begins, so that its place is free.
        let reused = target.reused;
        let again = failure.was_not_processed() && may_send_again(exchange, attempts, &target);
        drop(target);
        if again && attempts.send_again(&failure) {
            continue;
        }
        if !may_repeat(exchange, &failure) || !attempts.repeat(exchange, reused) {
            return Err(failure);
        }
    }
}

/// Whether the target closed the connection without a response, and the request may be sent twice (RFC 9112, section
/// 9.3.1).
fn may_repeat(exchange: &Exchange<'_>, failure: &Failure) -> bool {
    failure.is_closed_without_response()
        && !exchange.record.response_started.get()
        && exchange.request.is_repeatable()
}

/// Whether a request that was not processed can be sent again: all of it is here, or what was sent of it was kept (RFC
/// 9113, section 8.7).
fn may_send_again(exchange: &Exchange<'_>, attempts: &mut Attempts<'_>, target: &TargetConnection) -> bool {
    let mut is_here =
        || exchange.request.framing.is_empty() || exchange.body.is_released() && attempts.take_back(target);
    !exchange.record.response_started.get() && is_here()
}

/// Ends the exchange on both connections: keeps them, closes them, or makes them a tunnel. Inlined, because its arguments
/// would be copied.
#[inline(always)]
fn finish(
    exchange: &mut Exchange<'_>,
    attempts: &Attempts<'_>,
    target: Box<TargetConnection>,
    transferred: Transferred,
) -> Done {
    exchange.body.release(&mut exchange.client.input);
    if transferred.until_close {
        exchange.client.stream.close_with_reset(false);
    }
    match transferred {
        Transferred { status: 101, .. } => {
            return Done::Tunnel(tunnel::of_upgrade(exchange, target, attempts.proxy.limits.tunnel_timeout));
        }
        // The target answered before it got the whole request: its connection waits for the rest.
        Transferred { uploaded: false, .. } => {}
        Transferred { keep_alive: Some(time), .. } => attempts.give_back(exchange, target, time),
        Transferred { keep_alive: None, .. } => {}
    }
    Done::Http(transferred.keep)
}

/// Records that a response has come. Stops if another endpoint is tried after its status.
#[inline(always)]
fn check_status(
    attempts: &Attempts<'_>,
    request: &Request,
    record: &ExchangeRecord<'_>,
    status: u16,
) -> Result<(), Stop> {
    let worker = record.snapshot.worker();
    attempts.responded(record.received.ended(), worker.moment());
    if attempts.may_retry(request, status, worker.now()) { Err(Stop::Retry(status)) } else { Ok(()) }
}

/// Transfers both messages at once: the request goes on while the response is awaited, and while it passes. Writes what
/// is needed then into the place of its caller, because a large result would be copied.
async fn transfer(
    exchange: &mut Exchange<'_>,
    attempts: &Attempts<'_>,
    target: &mut TargetConnection,
    mut head: Buffer,
    transferred: &mut Option<Transferred>,
) -> Result<(), Stop> {
    let at_end = exchange.is_gone_at_end();
    let Exchange { client, snapshot, timer, record, request, body, .. } = exchange;
    let (proxy, worker) = (attempts.proxy, snapshot.worker());
    let mut upload = Transfer {
        worker,
        from: Incoming { stream: &client.stream, input: &mut client.input, body },
        to: &target.stream,
        timer: &client.timer,
        timeout: proxy.limits.body_timeout,
        chunked: request.framing == Framing::Chunked,
        trailers: request.accepts_trailers,
        most: proxy.limits.max_body.unwrap_or(u64::MAX),
        pace: record.policies.upload(),
        meter: &record.received,
        counts_reads: true,
        end_follows: false,
        begun: Cell::default(),
    };
    let sender = (&client.stream, at_end);
    let sent = upload.send_short(&mut head);
    let uploading = pin!(matches!(sent, Ok(false)).then(|| upload.run(head)));
    let mut upload = ConcurrentUpload::new(sender, uploading.as_pin_mut(), sent.is_err(), &record.received);
    let mut reader = ResponseReader {
        target: &target.stream,
        input: &mut target.input,
        client: &client.stream,
        request,
        record,
        timer,
        proxy,
        cookie: attempts.new_cookie(),
    };
    let mut place = None;
    upload.run(pin!(reader.read_final(&mut place))).await?;
    let mut response = place.ok_or_else(|| Failure::new(Reason::Internal))?;
    check_status(attempts, request, record, response.status)?;
    if response.until_close {
        client.stream.close_with_reset(true);
    }
    let ends_soon = upload.is_complete() || request.ends_soon(record.received.bytes());
    let keep = response.end_head(request, ends_soon, &client.handle);
    let mut body = Body::new(response.framing, 0);
    let mut download = reader.download(&response, &mut body, keep);
    let Response { status, until_close, keep_alive, .. } = response;
    // If the exchange is dropped before its end, the log says which response was on its way.
    record.status.set(Some(status));
    let sent = if response.new_body.is_some() { Ok(false) } else { download.send_short(&mut response.head) };
    let downloaded = match sent {
        Ok(true) => Ok(()),
        Ok(false) => upload.run(pin!(download.run_as_response(response.head, response.new_body))).await,
        Err(error) => Err(Failure::of_client(error)),
    };
    // If nothing of the head went out, because its body was bad already, the client can still be told.
    record.status.set(download.begun.get().then_some(status));
    downloaded?;
    if status == 101 {
        // A client cannot change the protocol in the middle of its request (RFC 9110, section 7.8).
        upload.complete().await?;
    }
    let uploaded = upload.end(&target.stream, until_close, || body.trailers_if(request.accepts_trailers))?;
    *transferred = Some(Transferred { status, keep, until_close, uploaded, keep_alive });
    Ok(())
}
