//! WebSocket (RFC 6455) that echoes messages.

use super::exchange::{Stream, refuse, within, write};
use super::request::{Head, Refusal};
use super::stop::Stop;
use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::Error;
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};
use futures_lite::{FutureExt, StreamExt};
use std::io;
use std::time::Duration;

/// Bytes of the longest message. A longer one ends the connection.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The time without a message after which the connection ends.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3600);
/// The time after which a peer that takes no answer counts as gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether `head` asks for WebSocket at the path that has it.
pub(super) fn is_asked(head: &Head) -> bool {
    head.path().ends_with("/ws") && head.lists("upgrade", "websocket") && head.lists("connection", "upgrade")
}

/// Answers the handshake and echoes until either side ends the connection.
pub(super) async fn serve(mut stream: Stream, head: &Head, stop: &Stop) -> io::Result<()> {
    let (Some(key), Some("13")) = (head.field("sec-websocket-key"), head.field("sec-websocket-version"))
    else {
        return refuse(&mut stream, &Refusal::new(426, "this path speaks WebSocket, version 13")).await;
    };
    let accept = derive_accept_key(key.as_bytes());
    let switch = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    write(&mut stream, switch.as_bytes()).await?;
    // A client may send messages before it has read the answer. They are already in the buffer.
    let early = stream.buffer().to_vec();
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let socket =
        WebSocketStream::from_partially_read(stream.into_inner(), early, Role::Server, Some(config)).await;
    echo(socket, stop).await
}

async fn echo<S>(mut socket: WebSocketStream<S>, stop: &Stop) -> io::Result<()>
where
    S: futures_lite::AsyncRead + futures_lite::AsyncWrite + Unpin,
{
    /// The next event: a message, the end, or the signal to stop.
    enum Event {
        Heard(Option<Result<Message, Error>>),
        Stopped,
    }
    loop {
        let heard = async { Ok(Event::Heard(socket.next().await)) };
        let stopped = async {
            stop.asked().await;
            Ok(Event::Stopped)
        };
        let answer = match within(IDLE_TIMEOUT, heard.or(stopped)).await? {
            Event::Heard(None) => return Ok(()),
            Event::Heard(Some(Err(error))) => return closed(error),
            Event::Heard(Some(Ok(message @ (Message::Text(_) | Message::Binary(_))))) => message,
            // The library answers pings and closes by itself, at the next read.
            Event::Heard(Some(Ok(_))) => continue,
            Event::Stopped => {
                let frame = CloseFrame { code: CloseCode::Away, reason: "stopping".into() };
                let _ = within(SEND_TIMEOUT, async { Ok(socket.close(Some(frame)).await) }).await?;
                return Ok(());
            }
        };
        if let Err(error) = within(SEND_TIMEOUT, async { Ok(socket.send(answer).await) }).await? {
            return closed(error);
        }
    }
}

/// A close is the normal end. Other errors are logged.
fn closed(error: Error) -> io::Result<()> {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => Ok(()),
        Error::Io(error) => Err(error),
        error => Err(io::Error::other(error)),
    }
}
