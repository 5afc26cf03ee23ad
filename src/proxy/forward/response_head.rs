//! From the head of a target's response to the head that the client gets.

use std::time::Duration;

use super::hops;
use super::request_head::{write_length, write_upgrade};
use crate::generation::ListenerSnapshot;
use crate::http::{Field, Framing, Name, ResponseHead};
use crate::proxy::client::{ConnectionHandle, KeepAlive, Request};
use crate::proxy::transfer::NewBody;
use crate::worker::Buffer;

/// The values of a response that are needed after its head was parsed.
pub(super) struct Response {
    pub(super) status: u16,
    /// The framing of the body, as the target sends it.
    pub(super) framing: Framing,
    /// The body goes to the client in chunks.
    pub(super) chunked: bool,
    /// The body ends for the client with the connection.
    pub(super) until_close: bool,
    /// How long the target would keep the connection, if at all.
    pub(super) keep_alive: Option<Duration>,
    /// The head for the client. The end of a final head is written by [`Response::end_head`].
    pub(super) head: Buffer,
    /// The body that the client gets in the place of the target's.
    pub(super) new_body: Option<Box<NewBody>>,
}

/// The values that decide about the fields of smolgate itself.
pub(super) struct HeadFlags {
    interim: bool,
    upgraded: bool,
    /// `Content-Length` is not allowed in 1xx and 204 (RFC 9110, section 8.6).
    may_have_length: bool,
    chunked: bool,
    trailers: bool,
    /// A policy writes `Access-Control-*`. To a browser two of them are an error.
    owns_cors: bool,
}

impl Response {
    pub(super) fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// Ends the head, which says whether the client's connection stays. Call it when nothing is awaited before the
    /// head goes out: no later event may change what it says.
    pub(super) fn end_head(
        &mut self,
        request: &Request,
        ends_soon: bool,
        handle: &ConnectionHandle,
    ) -> KeepAlive {
        let keep = KeepAlive::after(request, ends_soon && !self.until_close, handle);
        // The head of an upgrade has its end already.
        if self.status != 101 {
            self.head.extend(keep.end_of_head(request.version));
        }
        keep
    }

    pub(super) fn flags(&self, request: &Request, owns_cors: bool) -> HeadFlags {
        HeadFlags {
            interim: self.is_interim(),
            upgraded: self.status == 101,
            may_have_length: self.status >= 200 && self.status != 204,
            chunked: self.chunked,
            trailers: self.chunked && request.accepts_trailers,
            owns_cors,
        }
    }
}

/// How long the target would keep its connection: a second less than it says, to be safe.
pub(super) fn keep_alive_time(head: &ResponseHead<'_>) -> Duration {
    head.keep_alive_timeout.map_or(Duration::MAX, |timeout| timeout.saturating_sub(Duration::from_secs(1)))
}

pub(super) fn write_head(
    head: &ResponseHead<'_>,
    flags: &HeadFlags,
    snapshot: &ListenerSnapshot,
    out: &mut Buffer,
) {
    if head.line_of_ours == 0 {
        out.extend(b"HTTP/1.1 ");
        out.extend(&digits(head.status));
        out.extend(b" ");
        out.extend(head.phrase);
        out.extend(b"\r\n");
    }
    let keep = |field: &Field<'_>| is_for_the_client(field, head, flags);
    head.fields.for_each_run(head.line_of_ours, keep, |lines| out.extend(lines));
    out.extend(hops::via(head.version));
    if flags.upgraded {
        write_upgrade(head.switches_to().into_iter(), out);
        out.extend(b"\r\n");
    } else if flags.interim {
        out.extend(b"\r\n");
    } else {
        if head.fields.get(Name::Date).is_none() {
            // RFC 9110, section 6.6.1: a recipient adds the time of receipt if there is no `Date`.
            snapshot.state.date.write(snapshot.worker(), out);
        }
        if flags.chunked {
            out.extend(b"Transfer-Encoding: chunked\r\n");
        }
        if let Some(length) = head.content_length.filter(|_| flags.may_have_length && !head.is_length_plain) {
            write_length(length, out);
        }
    }
}

/// Writes a cookie, for TLS alone if the client speaks it.
pub(super) fn write_cookie(line: &[u8], is_encrypted: bool, out: &mut Buffer) {
    out.extend(line);
    out.extend(if is_encrypted { b"; Secure\r\n" } else { b"\r\n" });
}

fn is_for_the_client(field: &Field<'_>, head: &ResponseHead<'_>, flags: &HeadFlags) -> bool {
    match field.known() {
        Name::TransferEncoding => false,
        Name::ContentLength => flags.may_have_length && head.is_length_plain,
        Name::Trailer => flags.trailers,
        Name::Other if flags.owns_cors && is_of_cors(field.name()) => false,
        name => !name.is_hop_by_hop() && !field.is_named_by_connection(),
    }
}

/// Whether the name begins with `Access-Control-`.
pub(super) fn is_of_cors(name: &[u8]) -> bool {
    let start: &[u8] = b"access-control-";
    name.get(..start.len()).is_some_and(|name| name.eq_ignore_ascii_case(start))
}

fn digits(status: u16) -> [u8; 3] {
    [status / 100, status / 10 % 10, status % 10].map(|digit| b'0' + digit as u8)
}
