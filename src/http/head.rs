//! What a head says, whatever version of HTTP it came in.

use std::time::Duration;

use super::authority::{Authority, HostKey};
use super::fields::Fields;
use super::message::{Framing, Method, Version};

/// A valid request head; everything in it points into the bytes it was read from.
#[derive(Debug)]
pub struct RequestHead<'b> {
    /// As written.
    pub method: &'b [u8],
    /// The method, if it is a known one.
    pub known_method: Method,
    /// 1.0 or 1.1.
    pub version: Version,
    /// The target as written, whatever its form.
    pub raw_target: &'b [u8],
    /// The path, unchanged bytes, without dot segments; `*` for the asterisk form.
    pub path: &'b [u8],
    /// What stands after the first `?`.
    pub query: Option<&'b [u8]>,
    /// Path and query as they go to a target: unchanged bytes. `/` where an absolute form has neither
    /// (`*` if the method is OPTIONS); the slash is missing where it has a query only.
    pub path_and_query: &'b [u8],
    /// The authority that routes the request and is forwarded: that of an absolute-form target,
    /// else the `Host` field. Valid, as written, maybe with a port. `None` only in HTTP/1.0.
    pub host: Option<Authority<'b>>,
    /// The field lines.
    pub fields: Fields<'b>,
    /// `None`, `Length` or `Chunked`.
    pub framing: Framing,
    /// `Content-Length` is written as we would write it: without zeros in front, which the next reader
    /// may take for an octal number.
    pub is_length_plain: bool,
    /// Whether the client means to send another request, by version and `Connection`.
    pub keep_alive: bool,
    /// `Expect: 100-continue`; never in HTTP/1.0 (RFC 9110, section 10.1.1).
    pub expect_continue: bool,
    /// A GET without a body over HTTP/1.1 that asks, in `Connection` and in one `Upgrade` field,
    /// for nothing but `websocket` (RFC 6455, section 4.1).
    pub upgrade_websocket: bool,
    /// `TE: trailers`.
    pub accepts_trailers: bool,
    /// Bytes of the whole head, empty lines before and the one after it included.
    pub len: usize,
}

impl RequestHead<'_> {
    /// The host as rules compare it.
    pub fn host_key(&self) -> Option<HostKey> {
        self.host.map(|authority| authority.key())
    }
}

/// A valid response head; everything in it points into the bytes it was read from.
#[derive(Debug)]
pub struct ResponseHead<'b> {
    /// 1.0 or 1.1.
    pub version: Version,
    /// 100 to 999.
    pub status: u16,
    /// The reason phrase as written; may be empty.
    pub phrase: &'b [u8],
    /// Bytes of the status line, its CRLF included, if it is one that we would write: of HTTP/1.1, with a
    /// space behind the status even where there is no phrase. Else 0.
    pub line_of_ours: usize,
    /// The field lines.
    pub fields: Fields<'b>,
    /// `Content-Length`, also where there is no such body (HEAD, 304).
    pub content_length: Option<u64>,
    /// `Content-Length` is written as we would write it: without zeros in front.
    pub is_length_plain: bool,
    /// `Transfer-Encoding: chunked`.
    pub chunked: bool,
    /// Whether the target means to take another request, by version and `Connection`. False for
    /// HTTP/1.0 without a length. It does not look at [`Framing::UntilClose`], which of course ends
    /// the connection too.
    pub keep_alive: bool,
    /// `Keep-Alive: timeout=n`: how long the target says it keeps an idle connection.
    pub keep_alive_timeout: Option<Duration>,
    /// A 101 that switches, in `Connection` and in one `Upgrade` field, to `websocket`.
    pub upgrade: bool,
    /// Bytes of the whole head with the empty line.
    pub len: usize,
}

impl ResponseHead<'_> {
    /// How the body of this answer to a request of that method ends (RFC 9112, section 6.3).
    pub fn framing(&self, request: Method) -> Framing {
        let never_a_body = matches!(self.status, 100..=199 | 204 | 304);
        if never_a_body || request == Method::Head {
            return Framing::None;
        }
        match self.content_length {
            _ if self.chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        }
    }
}
