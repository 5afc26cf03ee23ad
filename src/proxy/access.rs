//! What the access log wants to know of a request, copied while its head is there.

use crate::http::{Name, PartialHead, RequestHead, Version};
use crate::log::AccessRequest;

/// The parts of a head that end up in an access log line. Made only when there is a log.
#[derive(Clone)]
pub(super) struct Note {
    pub(super) method: Box<[u8]>,
    pub(super) host: Box<[u8]>,
    pub(super) target: Box<[u8]>,
    pub(super) version: &'static str,
    pub(super) user_agent: Box<[u8]>,
    pub(super) referer: Box<[u8]>,
}

impl Note {
    pub(super) fn of(head: &RequestHead<'_>) -> Self {
        let field = |name| head.fields.get(name).unwrap_or_default().into();
        Self {
            method: head.method.into(),
            host: head.host.unwrap_or_default().into(),
            target: head.raw_target.into(),
            version: match head.version {
                Version::Http10 => "HTTP/1.0",
                Version::Http11 => "HTTP/1.1",
            },
            user_agent: field(Name::UserAgent),
            referer: field(Name::Referer),
        }
    }

    /// The host, and what a line says of the request; or of one of which nothing is known.
    pub(super) fn line(note: Option<&Self>, status: u16) -> (&[u8], AccessRequest<'_>) {
        let request = AccessRequest {
            method: note.map_or(b"-", |note| &note.method),
            target: note.map_or(b"-", |note| &note.target),
            version: note.map_or("-", |note| note.version),
            status,
            user_agent: note.map_or(b"", |note| &note.user_agent),
            referer: note.map_or(b"", |note| &note.referer),
        };
        (note.map_or(b"", |note| &note.host), request)
    }
}

/// The same of a request whose head was not taken, as far as it was read.
pub(super) fn refused(bytes: &[u8], status: u16) -> (&[u8], AccessRequest<'_>) {
    let head = PartialHead::of(bytes);
    let request = AccessRequest {
        method: or_dash(head.method),
        target: or_dash(head.target),
        version: match head.version {
            b"HTTP/1.1" => "HTTP/1.1",
            b"HTTP/1.0" => "HTTP/1.0",
            _ => "-",
        },
        status,
        user_agent: head.field(b"user-agent"),
        referer: head.field(b"referer"),
    };
    (head.host(), request)
}

fn or_dash(part: &[u8]) -> &[u8] {
    if part.is_empty() { b"-" } else { part }
}
