//! The end of an exchange on the client's side: the rest of the request's body, or the close.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::time::Duration;

use futures_lite::future::poll_once;

use super::client::Client;
use super::keep_alive::KeepAlive;
use super::unfinished::Unfinished;
use super::wait::{IdleEnd, wait_for_request};
use crate::proxy::transfer::{Body, Incoming};

/// How long a closing connection may be silent while it is read. A client that sends a long body may pause.
const SILENCE: Duration = Duration::from_secs(5);

/// Bytes that leave for a client as soon as they are written: ten packets (RFC 6928, section 2), less the overhead of
/// TLS and TCP. Of a longer response, some may still be in the send buffer when the connection is to be closed.
const SENT_AT_ONCE: u64 = 13 * 1024;

/// How long a closing connection is read at most. In this time a client can receive a long response, or send the rest
/// of a body that is not wanted any more. nginx has the same time (`lingering_time`).
const LINGER_TIME: Duration = Duration::from_secs(30);

/// Ends an exchange on the client's side. Reads the rest of the request's body, so that another request may follow.
/// Else closes in a way that lets the client read all that it was sent. Returns whether another request may follow.
pub(in crate::proxy) async fn finish_body(client: &mut Client, body: &mut Body, keep: KeepAlive) -> bool {
    let mut unfinished = Unfinished::default();
    match keep {
        KeepAlive::Keep if discard_rest(client, body, &mut unfinished).await => return true,
        KeepAlive::Keep | KeepAlive::Close => {}
        KeepAlive::Cut => return false,
    }
    body.release(&mut client.input);
    close(client, !body.is_complete(), unfinished).await;
    false
}

/// Reads and discards the rest of the body. Whether it came. The response has kept the connection open, so the rest
/// has as much time as the next request: the client may send it as late.
async fn discard_rest(client: &mut Client, body: &mut Body, unfinished: &mut Unfinished) -> bool {
    if body.is_complete() {
        // The usual case, without a future.
        body.release(&mut client.input);
        return true;
    }
    loop {
        let Client { stream, input, .. } = client;
        let mut rest = Incoming { stream, input, body };
        if let Some(ended) = poll_once(pin!(rest.discard())).await {
            return matches!(ended, Ok(true));
        }
        unfinished.begin(&client.listener_state, &client.handle);
        let timeout = client.listener_state.snapshot().http().map(|http| http.settings.idle_timeout);
        let Some(timeout) = timeout else { return false };
        if !matches!(wait_for_request(client, timeout).await, IdleEnd::Request) {
            return false;
        }
    }
}

/// Closes a connection so that the client can read the whole response.
///
/// Closing a socket with unread bytes resets it, and so do bytes that come later. A reset may overtake the response
/// (RFC 9112, section 9.6). So smolgate ends its side and reads on until the client ends its side too, within
/// [`LINGER_TIME`]. Many clients read no response before they have sent their whole request, so there is no limit in
/// bytes. The connection counts as idle meanwhile. `sends`: more of the client's request is to come.
///
/// After a short response none of this is needed if the client sends nothing: the response has left already.
async fn close(client: &mut Client, sends: bool, mut unfinished: Unfinished) {
    let Client { listener_state, stream, input, timer, handle, .. } = client;
    let is_long = handle.bytes_answered() > SENT_AT_ONCE;
    let drains = is_long || sends || !input.is_empty() || stream.has_pending_event();
    if handle.bytes_answered() == 0 || !drains && !stream.is_encrypted() {
        return;
    }
    let worker = stream.worker();
    let end = worker.now() + LINGER_TIME;
    // While a long response is on its way, the client may have nothing to send.
    let silence = if is_long { LINGER_TIME } else { SILENCE };
    let ended = async {
        timer.within(silence, poll_fn(|cx| stream.poll_shutdown(cx))).await?;
        while drains && worker.now() < end {
            input.consume(input.unread().len());
            let wait = silence.min(end - worker.now());
            if timer.within(wait, input.fill(stream, usize::MAX)).await? == 0 {
                break;
            }
        }
        Ok(())
    };
    // The connection is closed next, so an error changes nothing.
    let _: io::Result<()> = unfinished.wait(listener_state, handle, ended).await;
}
