//! The paths, and the parameters of the query.
//!
//! | last segment of the path | answer |
//! |---|---|
//! | `health` | 200, `ok` |
//! | `readyz` | 200, `ready`, as a gate says it: so `smolgate healthcheck` works in a container of either |
//! | `echo` | the request's body, streamed back |
//! | `bytes?size=10MB` | that many bytes, with `Content-Length` |
//! | `stream?chunks=10&every=200ms` | pieces one by one; as events when `Accept: text/event-stream` |
//! | `ws` | WebSocket that echoes |
//! | anything else | the report: name and what was received; JSON with `Accept: application/json` or `?format=json` |
//!
//! `?delay=500ms` waits before any of them, `?status=503` changes the status of all but `ws`.
//! Only the last segment counts, so that these paths work behind a rule that keeps its prefix too.

use super::exchange::{BodyLength, Exchange, TEXT};
use super::report::{Digest, Report};
use super::request::QueryOptions;
use smol::Timer;
use std::io;
use std::net::SocketAddr;

/// Answers the request of `exchange`.
pub(super) async fn answer(exchange: &mut Exchange<'_>, name: &str, client: SocketAddr) -> io::Result<()> {
    let options = match QueryOptions::of(&exchange.head) {
        Ok(options) => options,
        Err(refusal) => {
            return exchange.answer(refusal.status, TEXT, &format!("{}\n", refusal.message)).await;
        }
    };
    if !options.delay.is_zero() {
        Timer::after(options.delay).await;
    }
    match exchange.head.path().rsplit('/').next() {
        Some("health") => exchange.answer(options.status, TEXT, "ok\n").await,
        Some("readyz") => exchange.answer(options.status, TEXT, "ready\n").await,
        Some("echo") => echo(exchange, &options).await,
        Some("bytes") => bytes(exchange, &options).await,
        Some("stream") => stream(exchange, &options, name).await,
        Some("ws") => exchange.answer(426, TEXT, "this path speaks WebSocket, version 13\n").await,
        _ => report(exchange, &options, name, client).await,
    }
}

async fn report(
    exchange: &mut Exchange<'_>,
    options: &QueryOptions,
    name: &str,
    client: SocketAddr,
) -> io::Result<()> {
    let (mut digest, mut piece) = (Digest::new(), Vec::new());
    while exchange.read_body(&mut piece).await? {
        digest.add(&piece);
        piece.clear();
    }
    let report =
        Report { name, client, head: &exchange.head, body: &digest, trailers: &exchange.body.trailers };
    let (kind, text) = if options.json { ("application/json", report.json()) } else { (TEXT, report.text()) };
    exchange.answer(options.status, kind, &text).await
}

async fn echo(exchange: &mut Exchange<'_>, options: &QueryOptions) -> io::Result<()> {
    let kind = exchange.head.field("content-type").unwrap_or("application/octet-stream").to_owned();
    exchange.invite_body().await?;
    exchange.start(options.status, &kind, exchange.head.framing.into()).await?;
    let mut piece = Vec::new();
    while exchange.read_body(&mut piece).await? {
        exchange.send(&piece).await?;
        piece.clear();
    }
    exchange.finish().await
}

async fn bytes(exchange: &mut Exchange<'_>, options: &QueryOptions) -> io::Result<()> {
    const PIECE: &[u8; 65_536] = &[b'.'; 65_536];
    exchange.start(options.status, "application/octet-stream", BodyLength::Length(options.size)).await?;
    let mut left = options.size;
    while left > 0 && !exchange.is_bodiless() {
        let count = left.min(PIECE.len() as u64);
        exchange.send(&PIECE[..count as usize]).await?;
        left -= count;
    }
    Ok(())
}

async fn stream(exchange: &mut Exchange<'_>, options: &QueryOptions, name: &str) -> io::Result<()> {
    let events = exchange.head.lists("accept", "text/event-stream");
    exchange
        .start(options.status, if events { "text/event-stream" } else { TEXT }, BodyLength::Unknown)
        .await?;
    for number in 1..=options.chunks {
        if exchange.is_bodiless() {
            break;
        }
        if number > 1 {
            Timer::after(options.every).await;
        }
        let text = format!("{number} of {} from {name}", options.chunks);
        let text = if events { format!("data: {text}\n\n") } else { format!("{text}\n") };
        exchange.send(text.as_bytes()).await?;
    }
    exchange.finish().await
}
