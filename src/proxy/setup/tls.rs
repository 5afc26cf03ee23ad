//! TLS at the door: a client is looked at before a byte is answered, then shaken hands with.
//!
//! In the connection's own task, so that a slow client keeps nobody else waiting.

use std::io;
use std::rc::Rc;

use crate::generation::{ListenerSnapshot, NameAction};
use crate::http::HostKey;
use crate::metrics::Handshake;
use crate::proxy::client::{Client, Unfinished};
use crate::tls::{
    Alert, HELLO_BYTES_MAX, HandshakeError, HelloError, HelloScan, Input, Stream, parse_hello, refuse,
};
use crate::worker::Semaphore;

/// TLS handshakes on one worker that may be unfinished at once: each holds a TLS state with its buffers. A
/// client that has not said hello yet is not counted.
const HANDSHAKES_MAX: usize = 512;

/// What bounds the handshakes of one worker.
pub fn handshake_limit() -> Semaphore {
    Semaphore::new(HANDSHAKES_MAX)
}

/// What a browser that was sent to `http://` with the port of `https://` is told.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 51\r\nConnection: close\r\n\r\n400 Bad Request: https:// is spoken here, not http\n";

/// Why there is no TLS: how it is counted, and what happened.
type Refused = (Handshake, String);

/// A client that was looked at.
pub(in crate::proxy) struct Inspected {
    /// Encrypted, if the verdict is to end TLS here; else nothing was answered, and all of it is still
    /// there.
    pub(in crate::proxy) client: Client,
    /// What was served here when it had said its hello: the verdict is of its rules.
    pub(in crate::proxy) snapshot: Rc<ListenerSnapshot>,
    pub(in crate::proxy) action: NameAction,
    /// What it asked for, as the access log wants it; empty if nothing.
    pub(in crate::proxy) name: Box<[u8]>,
}

/// Looks at a client before a byte is answered, and shakes hands with it if the rules do not say
/// otherwise. `None` when the connection is over; the client was told then, as far as it could be.
pub(in crate::proxy) async fn accept_tls(client: Client) -> Option<Inspected> {
    let (listener_state, handle, peer) = (client.listener_state.clone(), client.handle.clone(), client.peer);
    let (timeout, timer) = {
        let snapshot = listener_state.snapshot();
        let timeout = snapshot.listener().tls.as_ref().map(|tls| tls.handshake_timeout);
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
    if client.input.is_empty() && !client.speaks().await {
        return Err((Handshake::Gone, "the client said nothing, and the listener closes".into()));
    }
    let name = read_client_hello(&client.stream, &mut client.input).await?;
    // Asked for only now: a reload may have come before the hello.
    let snapshot = client.listener_state.snapshot();
    let action = snapshot.action_for_name(name.as_ref());
    let asked: Box<[u8]> = name.as_ref().map(HostKey::as_bytes).unwrap_or_default().into();
    let stream = match (action, client.stream) {
        (NameAction::Terminate, Stream::Plain(stream)) => stream,
        (_, stream) => {
            return Ok(Inspected { client: Client { stream, ..client }, snapshot, action, name: asked });
        }
    };
    let Some(terminator) = snapshot.terminator() else {
        return Err((Handshake::Failed, "TLS is no longer ended here".into()));
    };
    let slot = snapshot.state.handshakes.take();
    let accepted = terminator.accept(stream, name.as_ref(), &mut client.input, &slot).await;
    drop(slot);
    client.stream = accepted.map_err(|error| match error {
        HandshakeError::UnknownName => (Handshake::UnknownName, asked_for(name.as_ref())),
        HandshakeError::Displaced => (Handshake::TimedOut, error.to_string()),
        HandshakeError::Failed(error) if is_gone(&error) => (Handshake::Gone, error.to_string()),
        HandshakeError::Failed(error) => (Handshake::Failed, error.to_string()),
    })?;
    Ok(Inspected { client, snapshot, action, name: asked })
}

/// The name that the client asks for. Nothing is answered yet and nothing consumed.
async fn read_client_hello(stream: &Stream, input: &mut Input) -> Result<Option<HostKey>, Refused> {
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

/// Tells a client that does not speak TLS as much as it may understand.
fn reject(stream: &Stream, input: &mut Input, error: HelloError) {
    let Some(tcp) = stream.plain() else { return };
    match error {
        HelloError::NotTls if input.unread().first().is_some_and(u8::is_ascii_uppercase) => {
            tcp.write_best_effort(NOT_TLS);
            // It may be gone already.
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
    fn the_length_of_the_plain_answer_is_right() {
        let text = std::str::from_utf8(NOT_TLS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())), "{}", body.len());
        assert!(!text.contains("  "));
    }
}
