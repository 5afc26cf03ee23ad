//! What a path and a query ask for.
//!
//! | last segment of the path | answer |
//! |---|---|
//! | `health` | 200, `ok` |
//! | `echo` | the request's body, streamed back |
//! | `bytes?size=10MB` | that many bytes, with `Content-Length` |
//! | `stream?chunks=10&every=200ms` | pieces one by one; as events when `Accept: text/event-stream` |
//! | `ws` | WebSocket that echoes |
//! | anything else | the report: name and what was received; JSON with `Accept: application/json` or `?format=json` |
//!
//! `?delay=500ms` waits before any of them, `?status=503` changes the status of all but `ws`.
//! Only the last segment counts, so that it works behind a rule that keeps its prefix too.

use super::exchange::{Exchange, Extent, TEXT};
use super::report::{Digest, Report};
use super::request::Wishes;
use smol::Timer;
use std::io;
use std::net::SocketAddr;

/// Answers the request of `exchange`.
pub(super) async fn answer(exchange: &mut Exchange<'_>, name: &str, client: SocketAddr) -> io::Result<()> {
    let wishes = match Wishes::of(&exchange.head) {
        Ok(wishes) => wishes,
        Err(refusal) => {
            return exchange.answer(refusal.status, TEXT, &format!("{}\n", refusal.message)).await;
        }
    };
    if !wishes.delay.is_zero() {
        Timer::after(wishes.delay).await;
    }
    match exchange.head.path().rsplit('/').next() {
        Some("health") => exchange.answer(wishes.status, TEXT, "ok\n").await,
        Some("echo") => echo(exchange, &wishes).await,
        Some("bytes") => bytes(exchange, &wishes).await,
        Some("stream") => stream(exchange, &wishes, name).await,
        Some("ws") => exchange.answer(426, TEXT, "this path speaks WebSocket, version 13\n").await,
        _ => report(exchange, &wishes, name, client).await,
    }
}

async fn report(
    exchange: &mut Exchange<'_>,
    wishes: &Wishes,
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
    let (kind, text) = if wishes.json { ("application/json", report.json()) } else { (TEXT, report.text()) };
    exchange.answer(wishes.status, kind, &text).await
}

async fn echo(exchange: &mut Exchange<'_>, wishes: &Wishes) -> io::Result<()> {
    let kind = exchange.head.field("content-type").unwrap_or("application/octet-stream").to_owned();
    exchange.invite_body().await?;
    exchange.start(wishes.status, &kind, exchange.head.framing.into()).await?;
    let mut piece = Vec::new();
    while exchange.read_body(&mut piece).await? {
        exchange.send(&piece).await?;
        piece.clear();
    }
    exchange.finish().await
}

async fn bytes(exchange: &mut Exchange<'_>, wishes: &Wishes) -> io::Result<()> {
    const PIECE: &[u8; 65_536] = &[b'.'; 65_536];
    exchange.start(wishes.status, "application/octet-stream", Extent::Length(wishes.size)).await?;
    let mut left = wishes.size;
    while left > 0 && !exchange.is_bodiless() {
        let count = left.min(PIECE.len() as u64);
        exchange.send(&PIECE[..count as usize]).await?;
        left -= count;
    }
    Ok(())
}

async fn stream(exchange: &mut Exchange<'_>, wishes: &Wishes, name: &str) -> io::Result<()> {
    let events = exchange.head.lists("accept", "text/event-stream");
    exchange.start(wishes.status, if events { "text/event-stream" } else { TEXT }, Extent::Unknown).await?;
    for number in 1..=wishes.chunks {
        if exchange.is_bodiless() {
            break;
        }
        if number > 1 {
            Timer::after(wishes.every).await;
        }
        let text = format!("{number} of {} from {name}", wishes.chunks);
        let text = if events { format!("data: {text}\n\n") } else { format!("{text}\n") };
        exchange.send(text.as_bytes()).await?;
    }
    exchange.finish().await
}
