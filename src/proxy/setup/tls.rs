//! The client hello, then the TLS handshake, unless a rule passes the connection on or drops it.
//!
//! All of this runs in the connection's own task, so that a slow client does not delay other connections.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::generation::{ListenerSnapshot, NameAction};
use crate::http::HostKey;
use crate::metrics::Handshake;
use crate::mux::Transport;
use crate::proxy::client::{Client, IdleEnd, Unfinished, wait_for_request};
use crate::tls::{
    Alert, HELLO_BYTES_MAX, HandshakeError, HelloError, HelloScan, Input, Stream, parse_hello, refuse,
};
use crate::worker::Slots;

/// Unfinished TLS handshakes that one worker has at most: each holds a TLS session with its buffers. A client whose
/// hello is not complete is not counted.
const HANDSHAKES_MAX: usize = 512;

/// The limit on unfinished handshakes of one worker.
pub fn handshake_limit() -> Slots {
    Slots::new(HANDSHAKES_MAX)
}

/// The response to a client that speaks HTTP without TLS, such as a browser with an `http://` URL and the port of
/// `https://`.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 51\r\nConnection: close\r\n\r\n400 Bad Request: https:// is spoken here, not http\n";

/// Why there is no TLS: the label of the counter, and an explanation for the log.
type Refused = (Handshake, String);

/// A client whose hello was read.
pub(in crate::proxy) struct Inspected {
    /// Its stream is encrypted if `action` is to terminate TLS. Else smolgate has sent nothing, and the whole hello
    /// is still in the input.
    pub(in crate::proxy) client: Client,
    /// The snapshot when the hello was complete. `action` comes from its rules.
    pub(in crate::proxy) snapshot: Rc<ListenerSnapshot>,
    pub(in crate::proxy) action: NameAction,
    /// The server name in the hello, for the access log; empty if there is none.
    pub(in crate::proxy) name: Box<[u8]>,
}

/// Reads the client hello, and accepts TLS unless a rule passes the connection on or drops it. `None`: the connection
/// is over, and the client was told so if it could be.
pub(in crate::proxy) async fn accept_tls(client: Client) -> Option<Inspected> {
    let (listener_state, handle, peer) = (client.listener_state.clone(), client.handle.clone(), client.peer);
    let (timeout, timer) = {
        let snapshot = listener_state.snapshot();
        let timeout = snapshot.listener().tls.as_ref().map(|tls| tls.settings.handshake_timeout);
        (timeout.unwrap_or_default(), snapshot.worker().timer())
    };
    let attempt = async { Ok(attempt(client).await) };
    let mut unfinished = Unfinished::default();
    let attempt = unfinished.wait(&listener_state, &handle, attempt);
    let (ended, why) = match timer.within(timeout, attempt).await {
        Ok(Ok(inspected)) => {
            inspected.snapshot.counters.handshake(match inspected.action {
                NameAction::Terminate => Handshake::Ok,
                NameAction::Pass(_) => Handshake::Passed,
                NameAction::Drop(_) => Handshake::Dropped,
            });
            return Some(inspected);
        }
        Ok(Err(refused)) => refused,
        Err(error) => (Handshake::TimedOut, error.to_string()),
    };
    let snapshot = listener_state.snapshot();
    snapshot.counters.handshake(ended);
    tracing::debug!(listener = %snapshot.listener().name, client = %peer, result = ended.label(), "no TLS: {why}");
    None
}

async fn attempt(mut client: Client) -> Result<Inspected, Refused> {
    let waits = client.input.is_empty();
    if waits && !matches!(wait_for_request(&client, Duration::MAX).await, IdleEnd::Request) {
        return Err((Handshake::Gone, "the client sent nothing, and the listener closes".into()));
    }
    let name = read_client_hello(&client.stream, &mut client.input).await?;
    // Take the snapshot only now, because a reload may have come before the hello.
    let snapshot = client.listener_state.snapshot();
    let action = snapshot.action_for_name(name.as_ref(), client.peer);
    let asked: Box<[u8]> = name.as_ref().map(HostKey::as_bytes).unwrap_or_default().into();
    let stream = match (action, client.stream.into_plain()) {
        (NameAction::Terminate, Ok(stream)) => stream,
        (_, stream) => {
            let stream = stream.map_or_else(|stream| stream, Stream::Plain);
            return Ok(Inspected { client: Client { stream, ..client }, snapshot, action, name: asked });
        }
    };
    let Some(terminator) = snapshot.terminator() else {
        return Err((Handshake::Failed, "TLS is no longer terminated here".into()));
    };
    let slot = snapshot.state.handshakes.take();
    let accepted = terminator.accept(stream, name.as_ref(), &mut client.input, &slot).await;
    drop(slot);
    let accepted = accepted.map_err(|error| match error {
        HandshakeError::ChallengeAnswered => (Handshake::Challenge, error.to_string()),
        HandshakeError::UnknownName => (Handshake::UnknownName, asked_for(name.as_ref())),
        HandshakeError::Displaced => (Handshake::TimedOut, error.to_string()),
        HandshakeError::Failed(error) if is_gone(&error) => (Handshake::Gone, error.to_string()),
        HandshakeError::Failed(error) => (Handshake::Failed, error.to_string()),
    })?;
    client.stream = accepted.widen();
    Ok(Inspected { client, snapshot, action, name: asked })
}

/// Reads the server name of the client hello. Sends nothing, and leaves the hello in the input.
async fn read_client_hello(stream: &Transport, input: &mut Input) -> Result<Option<HostKey>, Refused> {
    let mut scan = HelloScan::default();
    loop {
        match parse_hello(input.unread(), &mut scan) {
            Ok(Some(hello)) => return Ok(hello.server_name),
            Ok(None) => {}
            Err(error) => {
                reject(stream, input, error);
                return Err((Handshake::NotTls, error.explain().into()));
            }
        }
        match input.fill(stream, HELLO_BYTES_MAX).await {
            Ok(0) => return Err((Handshake::Gone, "the client left".into())),
            Ok(_) => {}
            Err(error) => return Err((Handshake::Gone, error.to_string())),
        }
    }
}

/// Answers a client whose hello is not valid: in plain HTTP if it seems to speak HTTP, else with an alert.
fn reject(stream: &Transport, input: &mut Input, error: HelloError) {
    let Some(tcp) = stream.plain() else { return };
    match error {
        HelloError::NotTls if input.unread().first().is_some_and(u8::is_ascii_uppercase) => {
            tcp.write_best_effort(NOT_TLS);
            // It fails if the client is gone already.
            let _ = tcp.shutdown_write();
        }
        HelloError::NotTls => {}
        HelloError::Malformed | HelloError::TooLong => refuse(tcp, Alert::DecodeError),
    }
    input.consume(input.unread().len());
}

fn asked_for(name: Option<&HostKey>) -> String {
    match name {
        Some(name) => format!("no certificate has the name {}", name.as_bytes().escape_ascii()),
        None => "the client asks for no name, and there is no default_certificate".into(),
    }
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe | ConnectionAborted)
}

#[cfg(test)]
mod tests {
    use super::NOT_TLS;

    #[test]
    fn the_plain_response_has_the_right_length() {
        let text = std::str::from_utf8(NOT_TLS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{}", body.len());
        assert!(!text.contains("  "));
    }
}
