//! Heads that the parser refuses for their version: the preface of HTTP/2, and the form of a stream that is refused.

use crate::config::plan::HttpListener;
use crate::http2::PREFACE;
use crate::proxy::client::Client;
use crate::proxy::record::Failure;
use crate::reason::Reason;

/// The protocol by which TLS clients ask for HTTP/2 (RFC 9113, section 3.2).
const PROTOCOL: &[u8] = b"h2";

/// The next step after a head was refused.
pub(in crate::proxy) enum Next {
    /// Refuse it.
    Refuse(Failure),
    /// It is the preface of HTTP/2.
    Http2,
    /// It may become the preface.
    Incomplete,
}

/// Decides about a head that was `refused`. So only such a head is compared with the preface.
#[cold]
pub(in crate::proxy) fn next(client: &Client, http: &HttpListener, refused: Failure) -> Next {
    if refused.reason != Reason::VersionUnknown {
        return Next::Refuse(refused);
    }
    if let Some(stream) = client.stream.stream() {
        return Next::Refuse(stream.refusal().map_or(refused, Failure::new));
    }
    let unread = client.input.unread();
    match (may_begin(client, http), PREFACE.starts_with(unread)) {
        (true, _) if unread.starts_with(PREFACE) => Next::Http2,
        (true, true) => Next::Incomplete,
        _ => Next::Refuse(refused),
    }
}

/// Whether a client may begin with HTTP/2 here. Under TLS it must have asked for it in the handshake (RFC 9113, section
/// 3.3). The preface is the beginning of a connection, and never stands behind a request.
pub(super) fn may_begin(client: &Client, http: &HttpListener) -> bool {
    let connection = &client.stream;
    let is_asked = || connection.protocol().as_deref() == Some(PROTOCOL);
    http.settings.http2 && client.handle.bytes_answered() == 0 && (!connection.is_encrypted() || is_asked())
}
