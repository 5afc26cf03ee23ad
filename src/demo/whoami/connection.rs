//! One client's connection: request after request, until either side ends it.

use super::endpoint;
use super::exchange::{Exchange, Stream, refuse, within};
use super::request::{HEAD_BYTES_MAX, Head, Refusal};
use super::stop::Stop;
use super::websocket;
use futures_lite::FutureExt;
use futures_lite::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use smol::Async;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// The time after which an idle connection is closed. It is longer than that of any proxy, so that the proxy
/// decides and no request meets a closing connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// The time for a head, counted from its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The time in which the client's bytes are still read after the last answer.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves `stream` until it ends.
pub(super) async fn serve(stream: Async<TcpStream>, name: Arc<str>, stop: Stop) -> io::Result<()> {
    stream.get_ref().set_nodelay(true)?;
    let peer = stream.get_ref().peer_addr()?;
    let client = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let mut stream = BufReader::new(stream);
    while awaits_request(&mut stream, &stop).await? {
        let head = match within(HEAD_TIMEOUT, read_head(&mut stream)).await? {
            Ok(head) => head,
            Err(refusal) => {
                refuse(&mut stream, &refusal).await?;
                break;
            }
        };
        tracing::debug!(%client, method = head.method, target = head.target, "request");
        if websocket::is_asked(&head) {
            return websocket::serve(stream, &head, &stop).await;
        }
        let mut exchange = Exchange::new(&mut stream, head);
        exchange.keep &= !stop.is_asked();
        endpoint::answer(&mut exchange, &name, client).await?;
        if !exchange.discard_body().await? {
            break;
        }
    }
    linger(&mut stream).await
}

/// Waits for the first byte of a request. Returns false if there will be none.
async fn awaits_request(stream: &mut Stream, stop: &Stop) -> io::Result<bool> {
    let bytes = async { stream.fill_buf().await.map(|bytes| !bytes.is_empty()) };
    let stopped = async {
        stop.asked().await;
        Ok(false)
    };
    within(IDLE_TIMEOUT, bytes.or(stopped)).await
}

/// Reads one head, never more.
async fn read_head(stream: &mut Stream) -> io::Result<Result<Head, Refusal>> {
    let mut bytes = Vec::new();
    loop {
        let buffered = stream.fill_buf().await?;
        if buffered.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let count = memchr::memchr(b'\n', buffered).map_or(buffered.len(), |at| at + 1);
        bytes.extend_from_slice(&buffered[..count]);
        stream.consume(count);
        // A bare LF ends a head here too. So `Head::parse` refuses it now, before the time is over.
        if bytes.ends_with(b"\n\r\n") || bytes.ends_with(b"\n\n") {
            return Ok(Head::parse(&bytes));
        }
        if bytes.len() > HEAD_BYTES_MAX {
            return Ok(Err(Refusal::new(431, format!("the head is longer than {HEAD_BYTES_MAX} bytes"))));
        }
    }
}

/// Closes so that the last answer arrives. A close with unread bytes would send a reset, which may overtake the
/// answer (RFC 9112, section 9.6).
async fn linger(stream: &mut Stream) -> io::Result<()> {
    stream.get_ref().get_ref().shutdown(Shutdown::Write)?;
    let drained = async {
        let mut scratch = [0; 4096];
        while stream.read(&mut scratch).await? > 0 {}
        Ok(())
    };
    within(LINGER_TIMEOUT, drained).await
}
