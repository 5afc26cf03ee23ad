//! Waits for the first byte of a request.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use super::client::Client;

/// What came of waiting for a request.
pub(in crate::proxy) enum IdleEnd {
    /// There is something to read.
    Request,
    /// Nothing came.
    Timeout,
    /// The gate would rather not have another.
    Draining,
}

/// Waits for the first byte of a request, without a buffer, for at most `timeout`; once the gate would rather
/// not have another, no longer than the connection was said to stay.
///
/// Holds no site: a generation that was replaced is not kept by a silent connection. No `async fn`: its
/// arguments would be stored twice.
pub(in crate::proxy) fn wait_for_request(
    client: &Client,
    timeout: Duration,
) -> impl Future<Output = IdleEnd> {
    // Asks the kernel where the last read has not shown that it took everything: to take that for a
    // request would be to hold a site.
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
            // Boxed, so that a connection that is not asked to leave does not carry this wait too.
            Ok(IdleEnd::Draining) => Box::pin(wait_to_leave(client)).await,
            awaited => awaited.unwrap_or(IdleEnd::Timeout),
        }
    }
}

/// Waits for the request that may be under way, as long as the client was told that its connection stays.
async fn wait_to_leave(client: &Client) -> IdleEnd {
    let left = client.handle.stays_for(client.stream.worker().now());
    let first_byte = poll_fn(|cx| client.stream.poll_readable(cx).map(|()| Ok(IdleEnd::Request)));
    client.timer.within(left, first_byte).await.unwrap_or(IdleEnd::Draining)
}
