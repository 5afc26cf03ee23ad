//! The few values of a request that are needed after its head was parsed.

use crate::http::{
    Framing, Method, Name, RequestHead, ResponseHead, Version, list_items, preferred_media, upgrade_protocols,
};
use crate::mux::{WebSocketAccept, expected_accept};

/// Bytes of a request that are read and discarded at most to use the connection again.
pub(in crate::proxy) const DRAIN_BYTES: usize = 256 * 1024;

/// The values of a request that are needed after its head was parsed.
pub(in crate::proxy) struct Request {
    pub(in crate::proxy) method: Method,
    pub(in crate::proxy) version: Version,
    pub(in crate::proxy) framing: Framing,
    /// The client means to send another request on this connection.
    pub(in crate::proxy) keep_alive: bool,
    /// The upgrade. Allocated only if the head asks for one.
    pub(in crate::proxy) upgrade: Option<Box<Upgrade>>,
    /// The head has `Expect: 100-continue`.
    pub(in crate::proxy) expects: bool,
    /// The head has `TE: trailers`.
    pub(in crate::proxy) accepts_trailers: bool,
    /// The preferred media type for responses of smolgate's own.
    pub(in crate::proxy) prefers: Media,
    /// Bytes of the head.
    pub(in crate::proxy) len: usize,
}

/// The media types of responses of smolgate's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::proxy) enum Media {
    #[default]
    Text,
    Json,
    Html,
    /// None: the client is one of gRPC, which reads a status in fields.
    Grpc,
}

impl Media {
    /// Each of them with its name. Text comes first, because every client can show it.
    const NAMES: [(Self, &'static str); 3] =
        [(Self::Text, "text/plain"), (Self::Json, "application/json"), (Self::Html, "text/html")];

    /// The media type that the client prefers. Most clients that are no browsers send no `Accept`, or `*/*`.
    #[inline(always)]
    fn of(head: &RequestHead<'_>) -> Self {
        match head.fields.list(Name::Accept) {
            Some(accept) => Self::preferred(&accept),
            None if head.version == Version::Http2 => Self::without_accept(head),
            None => Self::Text,
        }
    }

    /// The media type of a client of HTTP/2 that names none. Those of gRPC are such clients.
    #[cold]
    fn without_accept(head: &RequestHead<'_>) -> Self {
        let rest = || head.fields.get(Name::ContentType)?.strip_prefix(b"application/grpc");
        // `application/grpc-web` is another protocol.
        if let Some([] | [b'+' | b';', ..]) = rest() { Self::Grpc } else { Self::Text }
    }

    pub(super) fn preferred(accept: &[u8]) -> Self {
        let index = preferred_media(accept, Self::NAMES.map(|(_, name)| name));
        index.map_or(Self::Text, |index| Self::NAMES[index].0)
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
            upgrade: None,
            expects: false,
            accepts_trailers: false,
            prefers: Media::default(),
            len: 0,
        }
    }

    /// The request of this head.
    #[inline(always)]
    pub(in crate::proxy) fn of(head: &RequestHead<'_>) -> Self {
        Self {
            method: head.known_method,
            version: head.version,
            framing: head.framing,
            keep_alive: head.keep_alive,
            upgrade: head.upgrade.then(|| Upgrade::of(head)),
            expects: head.expect_continue,
            accepts_trailers: head.accepts_trailers,
            prefers: Media::of(head),
            len: head.len,
        }
    }

    /// Whether a response of a target may follow this request. 101 needs a request that asks for its protocol, and a
    /// stream with a WebSocket knows no other success (RFC 8441, section 4).
    #[inline(always)]
    pub(in crate::proxy) fn accepts(&self, head: &ResponseHead<'_>) -> bool {
        (head.status != 101 && self.upgrade.is_none()) || self.accepts_switch(head)
    }

    #[cold]
    fn accepts_switch(&self, head: &ResponseHead<'_>) -> bool {
        match (&self.upgrade, head.status) {
            (Some(upgrade), 101) => upgrade.is_done_by(head),
            (Some(upgrade), 200..300) => upgrade.accept.is_none(),
            (None, 101) => false,
            _ => true,
        }
    }

    /// Whether the request may be sent to a target twice. Its method must be idempotent (RFC 9110, section 9.2.2),
    /// and all of it must still be in the input.
    pub(in crate::proxy) fn is_repeatable(&self) -> bool {
        self.method.is_idempotent() && self.framing.is_empty()
    }

    /// Whether the rest of the request, after the first `received` bytes, will come and is short enough to be
    /// discarded. The length of a chunked body is unknown. A client that sent `Expect: 100-continue` may never send
    /// its body after a final status.
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

/// The upgrade that a request asks for.
pub(in crate::proxy) struct Upgrade {
    /// The protocols, in one list.
    protocols: Box<[u8]>,
    /// The answer to the key of a WebSocket, if the client is a stream, which cannot compare it.
    accept: Option<WebSocketAccept>,
}

impl Upgrade {
    #[cold]
    fn of(head: &RequestHead<'_>) -> Box<Self> {
        let protocols = upgrade_protocols(head.fields).collect::<Vec<_>>().join(&b", "[..]).into();
        Box::new(Self { protocols, accept: expected_accept(head) })
    }

    /// Whether a response switches to one of the protocols, whose name may be written in any case.
    fn is_done_by(&self, head: &ResponseHead<'_>) -> bool {
        let asks_for = |protocol| list_items(&self.protocols).any(|item| item.eq_ignore_ascii_case(protocol));
        let is_answer = |accept: &WebSocketAccept| head.fields.get(Name::SecWebSocketAccept) == Some(accept);
        head.switches_to().is_some_and(asks_for) && self.accept.as_ref().is_none_or(is_answer)
    }
}
