//! One request and its response on a connection: reads the body, frames the answer.

use super::body::Body;
use super::request::{Framing, Head, Refusal};
use futures_lite::FutureExt;
use futures_lite::io::{AsyncWriteExt, BufReader};
use smol::{Async, Timer};
use std::io;
use std::net::TcpStream;
use std::time::Duration;

/// The time without progress of a body or an answer after which the peer counts as gone.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(60);

/// A client's connection with buffered reads.
pub(super) type Stream = BufReader<Async<TcpStream>>;

/// Plain text, for most answers.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// The framing of an answer's body.
#[derive(Clone, Copy)]
pub(super) enum BodyLength {
    /// This many bytes.
    Length(u64),
    /// Unknown: chunked, or for HTTP/1.0 up to the close.
    Unknown,
}

/// A request that is being answered.
pub(super) struct Exchange<'a> {
    pub(super) stream: &'a mut Stream,
    pub(super) head: Head,
    pub(super) body: Body,
    /// Whether the connection can carry another request after this one.
    pub(super) keep: bool,
    /// Whether the client waits for "100 Continue" before it sends its body (RFC 9110, section 10.1.1).
    expects_continue: bool,
    /// The way in which `send` writes a piece.
    pieces: BodyMode,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BodyMode {
    Plain,
    Chunked,
    /// Nothing is written: HEAD, 204 and 304 have no body, whatever their head says.
    Swallowed,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(stream: &'a mut Stream, head: Head) -> Exchange<'a> {
        let body = Body::new(head.framing);
        let expects_continue =
            head.version == "HTTP/1.1" && head.lists("expect", "100-continue") && !body.is_at_end();
        Exchange { stream, keep: head.keeps_alive(), head, body, expects_continue, pieces: BodyMode::Plain }
    }

    /// Tells a waiting client to send its body. An endpoint that answers while it reads calls this before it
    /// starts. After the head of the answer it would be too late.
    pub(super) async fn invite_body(&mut self) -> io::Result<()> {
        match std::mem::take(&mut self.expects_continue) {
            true => write(self.stream, b"HTTP/1.1 100 Continue\r\n\r\n").await,
            false => Ok(()),
        }
    }

    /// Appends the next piece of the request body to `into`. Returns false at its end.
    pub(super) async fn read_body(&mut self, into: &mut Vec<u8>) -> io::Result<bool> {
        self.invite_body().await?;
        within(PROGRESS_TIMEOUT, self.body.read(self.stream, into)).await
    }

    /// Sends the head of the answer.
    pub(super) async fn start(
        &mut self,
        status: u16,
        content_type: &str,
        body_length: BodyLength,
    ) -> io::Result<()> {
        let head = self.answer_head(status, content_type, body_length);
        write(self.stream, &head).await
    }

    /// Sends a piece of the answer's body.
    pub(super) async fn send(&mut self, piece: &[u8]) -> io::Result<()> {
        match self.pieces {
            BodyMode::Swallowed => Ok(()),
            BodyMode::Plain => write(self.stream, piece).await,
            // An empty chunk would end the body.
            BodyMode::Chunked if piece.is_empty() => Ok(()),
            BodyMode::Chunked => {
                let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
                write(self.stream, &framed).await
            }
        }
    }

    /// Whether `send` has no effect, because this answer has no body.
    pub(super) fn is_bodiless(&self) -> bool {
        self.pieces == BodyMode::Swallowed
    }

    /// Ends an answer of unknown length.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        match self.pieces {
            BodyMode::Chunked => write(self.stream, b"0\r\n\r\n").await,
            BodyMode::Plain | BodyMode::Swallowed => Ok(()),
        }
    }

    /// Sends a whole answer, in one write.
    pub(super) async fn answer(&mut self, status: u16, content_type: &str, body: &str) -> io::Result<()> {
        let mut bytes = self.answer_head(status, content_type, BodyLength::Length(body.len() as u64));
        if self.pieces != BodyMode::Swallowed {
            bytes.extend_from_slice(body.as_bytes());
        }
        write(self.stream, &bytes).await
    }

    /// Makes the connection ready for the next request. Returns false if that is not possible.
    pub(super) async fn discard_body(&mut self) -> io::Result<bool> {
        /// Bytes of an unread body that are discarded. After a longer one the connection is closed.
        const DISCARDED_BYTES_MAX: usize = 1024 * 1024;
        let (mut piece, mut discarded) = (Vec::new(), 0);
        while self.keep && !self.body.is_at_end() {
            // A client that still waits may send the body or not.
            if self.expects_continue || discarded > DISCARDED_BYTES_MAX {
                return Ok(false);
            }
            piece.clear();
            self.read_body(&mut piece).await?;
            discarded += piece.len();
        }
        Ok(self.keep)
    }

    fn answer_head(&mut self, status: u16, content_type: &str, body_length: BodyLength) -> Vec<u8> {
        let has_body = !matches!(status, 204 | 304);
        let mut head = status_line(status);
        if has_body {
            head += &format!("Content-Type: {content_type}\r\n");
        }
        self.pieces = BodyMode::Plain;
        match body_length {
            _ if !has_body => {}
            BodyLength::Length(length) => head += &format!("Content-Length: {length}\r\n"),
            BodyLength::Unknown if self.head.version == "HTTP/1.1" => {
                self.pieces = BodyMode::Chunked;
                head += "Transfer-Encoding: chunked\r\n";
            }
            BodyLength::Unknown => self.keep = false,
        }
        if !has_body || self.head.method == "HEAD" {
            self.pieces = BodyMode::Swallowed;
        }
        match (self.head.version, self.keep) {
            ("HTTP/1.1", true) => {}
            (_, true) => head += "Connection: keep-alive\r\n",
            (_, false) => head += "Connection: close\r\n",
        }
        head += "\r\n";
        head.into_bytes()
    }
}

/// Answers bytes that are not a valid request. The connection must be closed after it.
pub(super) async fn refuse(stream: &mut Stream, refusal: &Refusal) -> io::Result<()> {
    let Refusal { status, message } = refusal;
    let length = message.len() + 1;
    let fields = format!("Content-Type: {TEXT}\r\nContent-Length: {length}\r\nConnection: close\r\n");
    write(stream, format!("{}{fields}\r\n{message}\n", status_line(*status)).as_bytes()).await
}

/// Sends raw bytes as long as the peer takes some.
pub(super) async fn write(stream: &mut Stream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match within(PROGRESS_TIMEOUT, stream.write(bytes)).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            count => bytes = &bytes[count..],
        }
    }
    Ok(())
}

/// Returns the result of `future`, or `TimedOut` after `limit`.
pub(super) async fn within<T>(limit: Duration, future: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = async {
        Timer::after(limit).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    future.or(late).await
}

/// The status line. It has phrases for common statuses; the phrase may be empty (RFC 9112, section 4).
fn status_line(status: u16) -> String {
    let phrase = match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        404 => "Not Found",
        426 => "Upgrade Required",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    };
    format!("HTTP/1.1 {status} {phrase}\r\n")
}

/// The length of an answer that repeats the request's body.
impl From<Framing> for BodyLength {
    fn from(framing: Framing) -> BodyLength {
        match framing {
            Framing::Length(length) => BodyLength::Length(length),
            Framing::Chunked => BodyLength::Unknown,
        }
    }
}
