//! Whether a client's connection stays open after an exchange.

use super::connections::ConnectionHandle;
use super::request::Request;
use crate::http::Version;

/// Whether a client's connection stays open after an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum KeepAlive {
    /// Another request may follow: the head of the response has said so.
    Keep,
    /// smolgate closes the connection, in a way that lets the client read all that it was sent.
    Close,
    /// smolgate closes the connection at once. The response is cut off and must not look whole, the client does not
    /// read, or there is no request to answer.
    Cut,
}

impl KeepAlive {
    /// Decides for a response whose head is about to be written. The head says the result, so no later event may
    /// change it. `ends_soon`: the rest of the request is here, or is short enough to be read and discarded.
    pub(in crate::proxy) fn after(request: &Request, ends_soon: bool, handle: &ConnectionHandle) -> Self {
        if request.keep_alive && ends_soon && !handle.is_draining() { Self::Keep } else { Self::Close }
    }

    /// The end of a response head: `Connection`, where the client needs it (RFC 9112, section 9.3), and an empty
    /// line.
    pub(in crate::proxy) fn end_of_head(self, version: Version) -> &'static [u8] {
        match (self, version) {
            (Self::Keep, Version::Http10) => b"Connection: keep-alive\r\n\r\n",
            (Self::Keep, Version::Http11) | (_, Version::Http2) => b"\r\n",
            (Self::Close | Self::Cut, _) => b"Connection: close\r\n\r\n",
        }
    }
}
