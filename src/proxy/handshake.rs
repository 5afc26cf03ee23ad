//! TLS at the door: a client is looked at before a byte is answered, then shaken hands with.
//!
//! In the connection's own task, so that a slow client keeps nobody else waiting, and boxed, so that
//! what stays of it when it is over is nothing.

use std::future::Future;
use std::io;
use std::rc::Rc;

use super::connection::{self, Client};
use super::door::Door;
use super::guests::UnlessSentAway;
use super::passthrough;
use super::record;
use super::site::Site;
use super::tcp;
use crate::http::HostKey;
use crate::log::counters::Handshake;
use crate::tls::{
    Alert, HELLO_BYTES_MAX, HandshakeError, HelloError, HelloScan, Input, Slots, Stream, parse_hello, refuse,
};
use crate::worker::Parking;

/// TLS handshakes that may go on at once on one worker: each holds a TLS state with its buffers. Who
/// has not said hello yet is not counted.
const HANDSHAKES_MAX: usize = 512;

/// What bounds the handshakes of one worker.
pub fn handshake_slots() -> Slots {
    Slots::new(HANDSHAKES_MAX)
}

/// What a browser that was sent to `http://` with the port of `https://` is told.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 51\r\nConnection: close\r\n\r\n400 Bad Request: https:// is spoken here, not http\n";

/// Serves a connection to a listener with TLS.
pub(super) async fn serve<F>(
    client: Client,
    door: Rc<Door>,
    parking: Parking<F>,
    exchanges: impl Fn(Client, Rc<Door>) -> F,
) where
    F: Future<Output = Option<Client>>,
{
    match Box::pin(begin(client, door.clone())).await {
        Begun::Ended => {}
        Begun::PassedOn(client, site, rule) => Box::pin(passthrough::serve(client, site, rule)).await,
        Begun::Encrypted(client, site) if site.tcp().is_some() => Box::pin(tcp::serve(client, site)).await,
        Begun::Encrypted(client, site) => {
            drop(site);
            connection::serve(client, door, parking, exchanges).await;
        }
    }
}

/// What became of a connection.
enum Begun {
    /// Hands were shaken, for this site.
    Encrypted(Client, Rc<Site>),
    /// The rule of the site with this index passes it on; nothing was answered, and all of it is still
    /// there.
    PassedOn(Client, Rc<Site>, usize),
    /// It is over. The client was told, as far as it could be.
    Ended,
}

async fn begin(client: Client, door: Rc<Door>) -> Begun {
    let (guest, peer) = (client.guest.clone(), client.peer);
    let mut begun = Begun::Ended;
    let attempt = async {
        let (ended, became) = attempt(client, &door).await;
        door.site().counters.handshake(ended);
        begun = became;
    };
    UnlessSentAway::new(guest, attempt, || record::sent_away(&door.site(), peer)).await;
    begun
}

async fn attempt(mut client: Client, door: &Door) -> (Handshake, Begun) {
    let site = door.site();
    let patience = site.listener().tls.as_ref().map(|tls| tls.handshake_timeout).unwrap_or_default();
    let (peer, listener) = (client.peer, site.listener().name.clone());
    let timer = site.worker().timer();
    drop(site);
    match timer.within(patience, open(client.stream, &mut client.input, door)).await {
        Ok(Ok(Opened::Encrypted(stream, site))) => {
            client.stream = stream;
            (Handshake::Ok, Begun::Encrypted(client, site))
        }
        Ok(Ok(Opened::PassedOn(stream, site, rule))) => {
            client.stream = stream;
            (Handshake::Passed, Begun::PassedOn(client, site, rule))
        }
        Ok(Err((ended, why))) => {
            tracing::debug!(%listener, client = %peer, result = ended.label(), "no TLS: {why}");
            (ended, Begun::Ended)
        }
        Err(_) => {
            tracing::debug!(%listener, client = %peer, result = "timeout", "no TLS: the client took too long");
            (Handshake::TimedOut, Begun::Ended)
        }
    }
}

/// What became of the stream of a connection.
enum Opened {
    Encrypted(Stream, Rc<Site>),
    PassedOn(Stream, Rc<Site>, usize),
}

/// Everything up to the end of the handshake, from the first byte. The outer result is for the timer.
async fn open(
    stream: Stream,
    input: &mut Input,
    door: &Door,
) -> io::Result<Result<Opened, (Handshake, String)>> {
    let name = match look(&stream, input).await {
        Ok(name) => name,
        Err(refused) => return Ok(Err(refused)),
    };
    // Asked for only now: a reload may have come before the hello.
    let site = door.site();
    if let Some(rule) = site.passes_on(name.as_ref()) {
        return Ok(Ok(Opened::PassedOn(stream, site, rule)));
    }
    let (Some(terminator), Stream::Plain(stream)) = (site.terminator(), stream) else {
        return Ok(Err((Handshake::Failed, "TLS is not ended here".into())));
    };
    let slot = site.state.handshakes.take().await;
    let accepted = terminator.accept(stream, name.as_ref(), input).await;
    drop(slot);
    Ok(accepted.map(|stream| Opened::Encrypted(stream, site)).map_err(|error| match error {
        HandshakeError::UnknownName => (Handshake::UnknownName, asked_for(name.as_ref())),
        HandshakeError::Failed(error) if is_gone(&error) => (Handshake::Gone, error.to_string()),
        HandshakeError::Failed(error) => (Handshake::Failed, error.to_string()),
    }))
}

/// The name that the client asks for. Nothing is answered yet and nothing consumed.
async fn look(stream: &Stream, input: &mut Input) -> Result<Option<HostKey>, (Handshake, String)> {
    let mut scan = HelloScan::default();
    loop {
        match parse_hello(input.unread(), &mut scan) {
            Ok(Some(hello)) => return Ok(hello.server_name),
            Ok(None) => {}
            Err(error) => {
                turn_away(stream, input, error);
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
fn turn_away(stream: &Stream, input: &mut Input, error: HelloError) {
    let Some(tcp) = stream.plain() else { return };
    match error {
        HelloError::NotTls if input.unread().first().is_some_and(u8::is_ascii_uppercase) => {
            tcp.write_now(NOT_TLS);
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
