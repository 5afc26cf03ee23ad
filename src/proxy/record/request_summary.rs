//! The parts of a head for the access log, copied while the head is parsed.

use super::header_state::Identities;
use super::trace::is_traceparent;
use crate::http::{Authority, Name, RequestHead, Version};
use crate::http1::PartialHead;
use crate::log::AccessRequest;

/// The parts of a head for its line in the access log. Made only if there is a log.
#[derive(Clone)]
pub(in crate::proxy) struct RequestSummary {
    pub(in crate::proxy) method: Box<[u8]>,
    pub(in crate::proxy) host: Box<[u8]>,
    pub(in crate::proxy) target: Box<[u8]>,
    pub(in crate::proxy) version: &'static str,
    pub(in crate::proxy) user_agent: Box<[u8]>,
    pub(in crate::proxy) referer: Box<[u8]>,
    /// Empty if the rule gives none.
    pub(in crate::proxy) request_id: Box<[u8]>,
    /// The context of its trace. Empty if it has none that is well-formed.
    pub(in crate::proxy) traceparent: Box<[u8]>,
    /// The name of the user, once it is known.
    pub(in crate::proxy) user: Box<[u8]>,
}

impl RequestSummary {
    pub(in crate::proxy) fn of(head: &RequestHead<'_>, identities: Identities<'_>) -> Self {
        let Identities { request_id, traceparent, is_new_trace: _ } = identities;
        let sent =
            || head.fields.find(b"traceparent").filter(|value| is_traceparent(value)).unwrap_or_default();
        let field = |name| head.fields.get(name).unwrap_or_default().into();
        Self {
            method: head.method.into(),
            host: head.host.as_ref().map_or(&b""[..], Authority::as_bytes).into(),
            target: head.raw_target().into(),
            version: match head.version {
                Version::Http10 => "HTTP/1.0",
                Version::Http11 => "HTTP/1.1",
                Version::Http2 => "HTTP/2.0",
            },
            user_agent: field(Name::UserAgent),
            referer: field(Name::Referer),
            request_id: request_id.into(),
            traceparent: if traceparent.is_empty() { sent() } else { traceparent }.into(),
            user: Box::default(),
        }
    }

    /// The summary of a head that was refused, as far as it was read.
    pub(in crate::proxy) fn of_part(bytes: &[u8]) -> Self {
        let head = PartialHead::of(bytes);
        Self {
            method: or_dash(head.method),
            host: head.host().into(),
            target: or_dash(head.target),
            version: match head.version {
                b"HTTP/1.1" => "HTTP/1.1",
                b"HTTP/1.0" => "HTTP/1.0",
                b"HTTP/2.1" => "HTTP/2.0",
                _ => "-",
            },
            user_agent: head.field(b"user-agent").into(),
            referer: head.field(b"referer").into(),
            request_id: Box::default(),
            traceparent: Box::default(),
            user: Box::default(),
        }
    }

    /// The host, and the part of a log line that describes the request. Without a summary nothing is known of it.
    pub(in crate::proxy) fn line(summary: Option<&Self>, status: u16) -> (&[u8], AccessRequest<'_>) {
        let request = AccessRequest {
            method: summary.map_or(b"-", |summary| &summary.method),
            target: summary.map_or(b"-", |summary| &summary.target),
            version: summary.map_or("-", |summary| summary.version),
            status,
            user_agent: summary.map_or(b"", |summary| &summary.user_agent),
            referer: summary.map_or(b"", |summary| &summary.referer),
            request_id: summary.map_or(b"", |summary| &summary.request_id),
            traceparent: summary.map_or(b"", |summary| &summary.traceparent),
            user: summary.map_or(b"", |summary| &summary.user),
        };
        (summary.map_or(b"", |summary| &summary.host), request)
    }
}

fn or_dash(part: &[u8]) -> Box<[u8]> {
    if part.is_empty() { b"-" } else { part }.into()
}
