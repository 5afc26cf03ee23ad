//! The content of a head, for every version of HTTP.

use std::time::Duration;

use super::authority::{Authority, HostKey};
use super::fields::Fields;
use super::message::{Framing, Method, Version};
use super::upgrade::upgrade_protocols;

/// A valid request head. All its parts point into the bytes that it was read from.
#[derive(Debug)]
pub struct RequestHead<'b> {
    /// The method as written.
    pub method: &'b [u8],
    /// The method, if it is a known one.
    pub known_method: Method,
    /// The version, 1.0 or 1.1.
    pub version: Version,
    /// The request line as written, with its CRLF.
    pub line: &'b [u8],
    /// The path as written. It has no dot segments. `*` for the asterisk form.
    pub path: &'b [u8],
    /// The bytes after the first `?`.
    pub query: Option<&'b [u8]>,
    /// Path and query as they go to a target: unchanged bytes. An absolute form with neither gives `/`, or
    /// `*` for OPTIONS. If it has only a query, the slash is missing.
    pub path_and_query: &'b [u8],
    /// The authority that routes the request and is forwarded: that of an absolute-form target, else the
    /// `Host` field. It is valid and as written, maybe with a port. `None` only in HTTP/1.0.
    pub host: Option<Authority<'b>>,
    /// The field lines.
    pub fields: Fields<'b>,
    /// The framing of the body: `None`, `Length` or `Chunked`.
    pub framing: Framing,
    /// Whether `Content-Length` has no leading zeros, as in messages that smolgate writes. The next reader
    /// may take a number with leading zeros for octal.
    pub is_length_plain: bool,
    /// Whether the client keeps the connection open for another request, by version and `Connection`.
    pub keep_alive: bool,
    /// Whether there is `Expect: 100-continue`; never in HTTP/1.0 (RFC 9110, section 10.1.1).
    pub expect_continue: bool,
    /// Whether the request asks to switch to one of its [`upgrade_protocols`]: over HTTP/1.1, with
    /// `Connection: upgrade`, and there is such a protocol.
    pub upgrade: bool,
    /// Whether the client accepts trailers: `TE: trailers`.
    pub accepts_trailers: bool,
    /// Bytes of the whole head, with the empty lines before it and the one after it.
    pub len: usize,
}

/// Bytes of a space, a version and CRLF at the end of a request line.
const VERSION_BYTES: usize = " HTTP/1.1\r\n".len();

impl<'b> RequestHead<'b> {
    /// The request target as written, in any form.
    pub fn raw_target(&self) -> &'b [u8] {
        &self.line[self.method.len() + 1..self.line.len() - VERSION_BYTES]
    }

    /// Whether smolgate would write the same line for a target whose paths are those of the client. That is a line of
    /// HTTP/1.1 without an authority.
    pub fn has_line_of_ours(&self) -> bool {
        let len = self.method.len() + 1 + self.path_and_query.len() + VERSION_BYTES;
        self.version == Version::Http11 && self.line.len() == len
    }

    /// The host as rules compare it.
    pub fn host_key(&self) -> Option<HostKey> {
        self.host.map(|authority| authority.key())
    }
}

/// A valid response head. All its parts point into the bytes that it was read from.
#[derive(Debug)]
pub struct ResponseHead<'b> {
    /// The version, 1.0 or 1.1.
    pub version: Version,
    /// The status, 100 to 999.
    pub status: u16,
    /// The reason phrase as written; may be empty.
    pub phrase: &'b [u8],
    /// Bytes of the status line with its CRLF, if smolgate would write the same line. That is one of
    /// HTTP/1.1, with a space behind the status even without a phrase. Else 0.
    pub line_of_ours: usize,
    /// The field lines.
    pub fields: Fields<'b>,
    /// The value of `Content-Length`, even if no such body follows (HEAD, 304).
    pub content_length: Option<u64>,
    /// Whether `Content-Length` has no leading zeros, as in messages that smolgate writes.
    pub is_length_plain: bool,
    /// Whether the body is chunked: `Transfer-Encoding: chunked`.
    pub chunked: bool,
    /// Whether there are both lengths. Then `content_length` is left out, because it does not count.
    pub has_both_lengths: bool,
    /// Whether the target keeps the connection open for another request, by version and `Connection`. False
    /// for HTTP/1.0 without a length, and with both lengths. It ignores [`Framing::UntilClose`], which ends the
    /// connection too.
    pub keep_alive: bool,
    /// How long the target says it keeps an idle connection: `Keep-Alive: timeout=n`, in seconds.
    pub keep_alive_timeout: Option<Duration>,
    /// Whether `Connection` and `Upgrade` switch to another protocol. Only a 101 does.
    pub upgrade: bool,
    /// Bytes of the whole head with the empty line.
    pub len: usize,
}

impl<'b> ResponseHead<'b> {
    /// The framing of the body in a response to a request with the method `request` (RFC 9112, section 6.3).
    /// `None`: the head has both lengths. Only a response to HEAD and a 304 may: they describe a body, and have none.
    pub fn framing(&self, request: Method) -> Option<Framing> {
        let describes_a_body = self.status == 304 || request == Method::Head;
        if self.has_both_lengths && !describes_a_body {
            return None;
        }
        Some(match self.content_length {
            _ if describes_a_body || matches!(self.status, 100..=199 | 204) => Framing::None,
            _ if self.chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        })
    }

    /// The protocol to which a 101 switches; `None` if it names none, or several.
    pub fn switches_to(&self) -> Option<&'b [u8]> {
        let mut protocols = upgrade_protocols(self.fields);
        let protocol = protocols.next().filter(|_| self.upgrade)?;
        protocols.next().is_none().then_some(protocol)
    }
}
