//! One connection of the internal API: one request and one response, each with a deadline.
//!
//! The socket is read and written here. async-h1 decodes a head only from memory, when the head is complete and
//! has passed [`head::check`]. It also encodes the response. So it never waits for a peer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_h1::server::{Encoder, decode};
use futures_lite::future;
use futures_lite::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Cursor};
use http_types::{Method, Response, StatusCode};
use rustix::fd::AsFd;
use rustix::net::{Shutdown, shutdown};
use smol::Timer;

use crate::internal_api::endpoints;
use crate::internal_api::head::{self, Head, Refusal};
use crate::internal_api::live;
use crate::internal_api::message::{Answer, Received};
use crate::internal_api::slots::{ConnectionSlot, Service};
use crate::internal_api::v1;
use crate::log::access::TailReader;

/// Bytes that are read and discarded after a response. Without that, closing might reset the connection before the
/// peer has read the response.
const LINGER_BYTES_MAX: usize = 64 * 1024;

/// The time in which they are read.
const LINGER_TIME_MAX: Duration = Duration::from_secs(1);

/// Serves one request. The connection ends early if its slot is taken away while it waits for the peer. During a
/// reload that cannot happen.
pub(super) async fn serve<S>(mut stream: S, service: Arc<Service>, slot: ConnectionSlot)
where
    S: AsyncRead + AsyncWrite + AsFd + Unpin,
{
    let Some(request) = slot.or_evicted(receive(&mut stream, &service)).await else {
        return;
    };
    let (response, method) = match request {
        Ok(Some(received)) => {
            let method = received.request.method();
            match respond(&received, &service, &slot).await {
                Ok(response) => (response, method),
                Err(reader) => {
                    let _held = slot.hold();
                    return live::stream(&mut stream, *reader).await;
                }
            }
        }
        Ok(None) => return,
        Err(refusal) => (endpoints::refused(refusal), Method::Get),
    };
    slot.or_evicted(send(&mut stream, response, method, &service)).await;
}

/// Reads a request. Discards its body unless the path takes one. `None` if the peer left or sent nothing.
async fn receive<S>(stream: &mut S, service: &Service) -> Result<Option<Received>, Refusal>
where
    S: AsyncRead + Unpin,
{
    let late = Refusal { status: 408, why: "the request did not arrive in time" };
    let mut bytes = Vec::new();
    let head = match within(service.limits.head_time, read_head(stream, &mut bytes)).await {
        Some(Ok(Some(head))) => head,
        Some(Ok(None)) => return Ok(None),
        Some(Err(refusal)) => return Err(refusal),
        None if bytes.is_empty() => return Ok(None),
        None => return Err(late),
    };
    let rest = head.body.saturating_sub((bytes.len() - head.length) as u64);
    let mut kept = v1::takes_body(&head.path).then(|| bytes.split_off(head.length));
    match within(service.limits.body_time, read_body(stream, rest, kept.as_mut())).await {
        Some(Ok(())) => {}
        Some(Err(_)) => return Ok(None),
        None => return Err(late),
    }
    let malformed = Refusal { status: 400, why: "the request is malformed" };
    match decode(Cursor::new(head.bytes)).await {
        Ok(Some((request, _))) => {
            Ok(Some(Received { request, path: head.path, body: body(kept, head.body) }))
        }
        Ok(None) | Err(_) => Err(malformed),
    }
}

async fn read_head<S>(stream: &mut S, bytes: &mut Vec<u8>) -> Result<Option<Head>, Refusal>
where
    S: AsyncRead + Unpin,
{
    let mut buffer = [0; 1024];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return Ok(None),
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
        if let Some(head) = head::check(bytes)? {
            return Ok(Some(head));
        }
    }
}

/// The bytes of the body. Those behind it are no part of it.
fn body(kept: Option<Vec<u8>>, length: u64) -> Vec<u8> {
    let mut body = kept.unwrap_or_default();
    body.truncate(usize::try_from(length).unwrap_or(usize::MAX));
    body
}

/// Reads `rest` bytes, and keeps them if that is asked for.
async fn read_body<S: AsyncRead + Unpin>(
    stream: &mut S,
    mut rest: u64,
    mut kept: Option<&mut Vec<u8>>,
) -> io::Result<()> {
    let mut buffer = [0; 1024];
    while rest > 0 {
        let want = buffer.len().min(usize::try_from(rest).unwrap_or(usize::MAX));
        match stream.read(&mut buffer[..want]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                if let Some(kept) = &mut kept {
                    kept.extend_from_slice(&buffer[..read]);
                }
                rest -= read as u64;
            }
        }
    }
    Ok(())
}

/// The response, or the reader of a response without an end.
async fn respond(
    received: &Received,
    service: &Service,
    slot: &ConnectionSlot,
) -> Result<Response, Box<TailReader>> {
    let token = service.token();
    Ok(match endpoints::answer(received, token.as_ref(), &*service.control).await {
        Answer::Now(response) => *response,
        Answer::Reload { restart } => {
            let Some(_turn) = service.begin_reload() else {
                return Ok(endpoints::too_many_reloads());
            };
            let _held = slot.hold();
            endpoints::reloaded(service.control.reload(restart).await)
        }
        Answer::Change(change) => {
            let Some(_turn) = service.begin_reload() else { return Ok(v1::too_many()) };
            let _held = slot.hold();
            v1::changed(&change, service.control.change(change.clone()).await)
        }
        Answer::Certificates(question) => {
            let _held = slot.hold();
            endpoints::told(service.control.answer(question).await)
        }
        Answer::Tail(reader) => return Err(reader),
    })
}

async fn send<S>(stream: &mut S, response: Response, method: Method, service: &Service)
where
    S: AsyncRead + AsyncWrite + AsFd + Unpin,
{
    let is_empty = response.status() == StatusCode::NoContent;
    let mut encoder = Encoder::new(response, method);
    let write = async {
        let mut bytes = Vec::new();
        encoder.read_to_end(&mut bytes).await?;
        if is_empty {
            leave_length_out(&mut bytes);
        }
        stream.write_all(&bytes).await?;
        // Closing this kind of stream only flushes it, so shut the socket down.
        shutdown(&*stream, Shutdown::Write).map_err(io::Error::from)
    };
    if let Some(Ok(())) = within(service.limits.answer_time, write).await {
        within(LINGER_TIME_MAX, linger(stream)).await;
    }
}

/// Takes out the field that the library writes for an empty body, and that a response with status 204 must not have
/// (RFC 9110, section 8.6).
fn leave_length_out(bytes: &mut Vec<u8>) {
    const FIELD: &[u8] = b"content-length: 0\r\n";
    if let Some(at) = memchr::memmem::find(bytes, FIELD) {
        bytes.drain(at..at + FIELD.len());
    }
}

/// Waits until the peer has read the response and closes.
async fn linger<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut buffer = [0; 4096];
    let mut read = 0;
    while read < LINGER_BYTES_MAX {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(more) => read += more,
        }
    }
}

/// Returns the result of `work`, or `None` after `limit`.
async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let work = async { Some(work.await) };
    let timer = async {
        Timer::after(limit).await;
        None
    };
    // `or` polls its first future first, so a result at the last moment counts.
    future::or(work, timer).await
}
