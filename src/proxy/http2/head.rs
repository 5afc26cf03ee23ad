//! Heads that the parser of HTTP/1.1 refuses for their version: the form of a stream, and the preface.

use crate::config::plan::HttpListener;
use crate::http::{FieldTable, HeadLimits, RequestHead, Version};
use crate::http1::{HeadScan, parse_request};
use crate::http2::PREFACE;
use crate::mux::Transport;
use crate::proxy::client::Client;
use crate::proxy::record::Failure;
use crate::reason::Reason;

/// The protocol by which TLS clients ask for HTTP/2 (RFC 9113, section 3.2).
const PROTOCOL: &[u8] = b"h2";

/// The next step after a head was refused for its version.
pub(in crate::proxy) enum Next {
    /// It is the head of a stream: parse it again.
    Parse(Form),
    /// It is the preface of HTTP/2.
    Http2,
    /// It may become the preface.
    Incomplete,
}

/// The proof that a head is that of a stream.
pub(in crate::proxy) struct Form(());

/// Finds out what a head is that was `refused` for its version. That of a stream gets the version of its form, so that
/// the parser takes it.
///
/// # Errors
/// It is neither the head of a stream nor a preface, or the engine has refused the stream.
#[cold]
pub(in crate::proxy) fn next(
    client: &mut Client,
    http: &HttpListener,
    refused: Failure,
) -> Result<Next, Failure> {
    if refused.reason != Reason::VersionUnknown {
        return Err(refused);
    }
    let may_begin = may_begin(client, http);
    let Client { stream, input, .. } = client;
    let stream = match &*stream {
        Transport::Stream(stream) => stream,
        Transport::Connection(_) => {
            let unread = input.unread();
            return match (may_begin, PREFACE.starts_with(unread)) {
                (true, _) if unread.starts_with(PREFACE) => Ok(Next::Http2),
                (true, true) => Ok(Next::Incomplete),
                _ => Err(refused),
            };
        }
    };
    if let Some(reason) = stream.refusal() {
        return Err(Failure::new(reason));
    }
    let head = input.unread_mut();
    let line = memchr::memchr(b'\n', head).unwrap_or_default();
    if let Some(version) = head.get_mut(..line).and_then(|line| line.last_chunk_mut::<4>()) {
        version.copy_from_slice(b"1.1\r");
    }
    Ok(Next::Parse(Form(())))
}

/// Whether a client may begin with HTTP/2 here. Under TLS it must have asked for it in the handshake (RFC 9113, section
/// 3.3). The preface is the beginning of a connection, and never stands behind a request.
pub(super) fn may_begin(client: &Client, http: &HttpListener) -> bool {
    let connection = &client.stream;
    let is_asked = || connection.as_ref().protocol().as_deref() == Some(PROTOCOL);
    http.settings.http2 && client.handle.bytes_answered() == 0 && (!connection.is_encrypted() || is_asked())
}

/// Parses the head of a stream.
///
/// # Errors
/// It is not valid.
#[cold]
pub(in crate::proxy) fn parse<'b>(
    bytes: &'b [u8],
    limits: &HeadLimits,
    table: &'b mut FieldTable,
    _: Form,
) -> Result<Option<RequestHead<'b>>, Failure> {
    let head = parse_request(bytes, &mut HeadScan::default(), limits, table)?;
    Ok(head.map(|head| RequestHead { version: Version::Http2, ..head }))
}
