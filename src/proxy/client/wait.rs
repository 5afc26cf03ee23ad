//! The wait for the first byte of a request.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use super::client::Client;

/// How a wait for a request ended.
pub(in crate::proxy) enum IdleEnd {
    /// There are bytes to read.
    Request,
    /// Nothing came in time.
    Timeout,
    /// The connection drains, and no request came.
    Draining,
}

/// Waits for the first byte of a request, without a buffer, for at most `timeout`. A draining connection waits no
/// longer than [`ConnectionHandle::stays_for`].
///
/// Holds no snapshot: an idle connection must not keep an old generation in memory. Not an `async fn`: that would
/// store its arguments twice.
///
/// [`ConnectionHandle::stays_for`]: super::connections::ConnectionHandle::stays_for
pub(in crate::proxy) fn wait_for_request(
    client: &Client,
    timeout: Duration,
) -> impl Future<Output = IdleEnd> {
    // The readiness flag may still be set although everything was read. Clear it with one `peek`; else an idle
    // connection looks like a request and takes a snapshot.
    client.stream.has_pending_event();
    async move {
        let first_byte = poll_fn(|cx| {
            if client.stream.poll_readable(cx).is_ready() {
                return Poll::Ready(Ok(IdleEnd::Request));
            }
            // The kernel is asked, because a request that arrives at this moment must be served. A part of a TLS
            // record is no request yet.
            if client.handle.poll_draining(cx).is_ready() && client.stream.is_socket_idle() {
                return Poll::Ready(Ok(IdleEnd::Draining));
            }
            Poll::Pending
        });
        match client.timer.within(timeout, first_byte).await {
            // Boxed, so that the future of a connection that does not drain has no room for this wait.
            Ok(IdleEnd::Draining) => Box::pin(wait_while_draining(client)).await,
            awaited => awaited.unwrap_or(IdleEnd::Timeout),
        }
    }
}

/// Waits for a request that may be on its way, for the time that the last response has promised.
async fn wait_while_draining(client: &Client) -> IdleEnd {
    let left = client.handle.stays_for(client.stream.worker().now());
    let first_byte = poll_fn(|cx| client.stream.poll_readable(cx).map(|()| Ok(IdleEnd::Request)));
    client.timer.within(left, first_byte).await.unwrap_or(IdleEnd::Draining)
}
