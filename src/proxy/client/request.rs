//! A request, once its head is no longer looked at.

use crate::http::{Framing, Method, Name, RequestHead, Version, list_items};

/// Bytes of a request that are read and discarded, so that the connection can be used again, or so that a reset
/// does not overtake the answer.
pub(in crate::proxy) const DRAIN_BYTES: usize = 256 * 1024;

/// What is known of a request once its head is no longer looked at.
pub(in crate::proxy) struct Request {
    pub(in crate::proxy) method: Method,
    pub(in crate::proxy) version: Version,
    pub(in crate::proxy) framing: Framing,
    /// The client would go on with this connection.
    pub(in crate::proxy) keep_alive: bool,
    /// It asks for `Upgrade: websocket`.
    pub(in crate::proxy) upgrade: bool,
    /// It sent `Expect: 100-continue`.
    pub(in crate::proxy) expects: bool,
    /// It sent `TE: trailers`.
    pub(in crate::proxy) accepts_trailers: bool,
    /// What it likes best of what own answers come in.
    pub(in crate::proxy) prefers: Media,
    /// Bytes of the head.
    pub(in crate::proxy) len: usize,
}

/// What own answers come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) enum Media {
    #[default]
    Text,
    Json,
    Html,
}

impl Media {
    /// What `Accept` names first of what we have; text when it names none of it. Weights are not
    /// read: who cares for the form of an error message names it first.
    fn of(head: &RequestHead<'_>) -> Self {
        Self::preferred(head.fields.get(Name::Accept).unwrap_or_default())
    }

    pub(super) fn preferred(accept: &[u8]) -> Self {
        let known = list_items(accept).find_map(|item| {
            let media = item.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            match media {
                b"text/plain" => Some(Self::Text),
                b"application/json" => Some(Self::Json),
                b"text/html" => Some(Self::Html),
                _ => None,
            }
        });
        known.unwrap_or_default()
    }
}

impl Request {
    /// A request whose head was not read.
    pub(in crate::proxy) fn unknown() -> Self {
        Self {
            method: Method::Other,
            version: Version::Http11,
            framing: Framing::UntilClose,
            keep_alive: false,
            upgrade: false,
            expects: false,
            accepts_trailers: false,
            prefers: Media::default(),
            len: 0,
        }
    }

    /// The request of this head.
    pub(in crate::proxy) fn of(head: &RequestHead<'_>) -> Self {
        Self {
            method: head.known_method,
            version: head.version,
            framing: head.framing,
            keep_alive: head.keep_alive,
            upgrade: head.upgrade_websocket,
            expects: head.expect_continue,
            accepts_trailers: head.accepts_trailers,
            prefers: Media::of(head),
            len: head.len,
        }
    }

    /// Whether it may go to a target twice: doing it twice is doing it once (RFC 9110, section 9.2.2),
    /// and all of it is still there.
    pub(in crate::proxy) fn is_repeatable(&self) -> bool {
        self.method.is_idempotent() && self.framing == Framing::None
    }

    /// Whether what is left of it, after the first `received` bytes, will come and is little enough to be read for
    /// nothing: of chunks nobody knows, and who waits for leave to send a body sends none after a final answer.
    pub(in crate::proxy) fn ends_soon(&self, received: u64) -> bool {
        match self.framing {
            Framing::None => true,
            Framing::Length(length) => {
                let waits = self.expects && received <= self.len as u64;
                let left = (self.len as u64 + length).saturating_sub(received);
                left == 0 || !waits && left <= DRAIN_BYTES as u64
            }
            Framing::Chunked | Framing::UntilClose => false,
        }
    }
}
