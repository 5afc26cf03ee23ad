//! The end of an exchange on the client's side.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::time::Duration;

use futures_lite::future::poll_once;

use super::client::Client;
use super::keep_alive::KeepAlive;
use super::request::DRAIN_BYTES;
use super::unfinished::Unfinished;
use super::wait::{IdleEnd, wait_for_request};
use crate::proxy::transfer::{Body, Incoming};

/// How long a connection that ends is read, so that a reset does not overtake the answer.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Bytes that leave for a client as soon as they are written: ten packets (RFC 6928, section 2), less what
/// TLS and TCP add. Of more than that, some may still be here when the connection is to be closed.
const SENT_AT_ONCE: u64 = 13 * 1024;

/// How long a client may take to receive the rest of what was written, and to end its side then.
const LINGER_TIME: Duration = Duration::from_secs(30);

/// Ends an exchange on the client's side: reads the rest of the request's body, so that another request may
/// follow, or closes in a way that lets the client read all that it was sent. Whether another request may follow.
pub(in crate::proxy) async fn finish_body(client: &mut Client, body: &mut Body, keep: KeepAlive) -> bool {
    match keep {
        KeepAlive::Keep if discard_rest(client, body).await => return true,
        KeepAlive::Keep | KeepAlive::Close => {}
        KeepAlive::Cut => return false,
    }
    body.release(&mut client.input);
    close(client, !body.is_complete()).await;
    false
}

/// Reads and discards the rest of the body. Whether it came. The head of the answer has said that the connection
/// stays, so the rest has the time that the next request has: the client may send it as late.
async fn discard_rest(client: &mut Client, body: &mut Body) -> bool {
    let mut idling = None;
    loop {
        let Client { stream, input, .. } = client;
        let mut rest = Incoming { stream, input, body };
        if let Some(ended) = poll_once(pin!(rest.discard())).await {
            return matches!(ended, Ok(true));
        }
        idling.get_or_insert_with(|| client.idle());
        let timeout = client.listener_state.snapshot().http().map(|http| http.idle_timeout);
        let Some(timeout) = timeout else { return false };
        if !matches!(wait_for_request(client, timeout).await, IdleEnd::Request) {
            return false;
        }
    }
}

/// A close with unread bytes behind it is a reset, bytes that come after the close cause one, and a reset may
/// overtake the answer (RFC 9112, section 9.6). So what the client still says is read until it ends its side
/// too, within bounds. `talks`: there is more of its request to come.
///
/// A short answer has left by now, and needs none of this when the client has nothing to say.
async fn close(client: &mut Client, talks: bool) {
    let Client { listener_state, stream, input, timer, handle, .. } = client;
    let is_long = handle.bytes_answered() > SENT_AT_ONCE;
    let drains = is_long || talks || !input.is_empty() || stream.has_pending_event();
    if handle.bytes_answered() == 0 || !drains && !stream.is_encrypted() {
        return;
    }
    let ended = async {
        poll_fn(|cx| stream.poll_shutdown(cx)).await?;
        let mut read = 0;
        while drains && read <= DRAIN_BYTES {
            input.consume(input.unread().len());
            match input.fill(stream, usize::MAX).await? {
                0 => break,
                more => read += more,
            }
        }
        Ok(())
    };
    let ended = timer.within(if is_long { LINGER_TIME } else { DRAIN_TIME }, ended);
    // Whatever comes of it, the connection is closed next.
    let _: io::Result<()> = Unfinished::default().wait(listener_state, handle, ended).await;
}
