//! The answer to the key of a WebSocket, which a client of HTTP/2 neither sends nor gets (RFC 8441, section 5).

use crate::http::{Name, RequestHead, Version};
use crate::http2::{ACCEPT_BYTES, accept_of};

/// The value of `Sec-WebSocket-Accept`.
pub(in crate::proxy) type WebSocketAccept = [u8; ACCEPT_BYTES];

/// The answer that a target must give to the key in the form of an extended CONNECT. `None` for a client that has sent a key
/// of its own, and compares the answer itself.
pub(in crate::proxy) fn websocket_accept(head: &RequestHead<'_>) -> Option<WebSocketAccept> {
    let key = head.fields.get(Name::SecWebSocketKey).filter(|_| head.version == Version::Http2);
    key.map(accept_of)
}
