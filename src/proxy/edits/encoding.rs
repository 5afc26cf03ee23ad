//! Responses whose bodies are compressed on their way.

use crate::encoding::{EncodedHead, Encoder, EncodingRequest, encode_head};
use crate::http::Method;
use crate::proxy::client::Request;
use crate::proxy::record::ExchangeRecord;
use crate::worker::Buffer;

/// Changes the head of a response as `compress` of its rule says. `written` begins with the head, maybe without its end, and
/// what stands behind it. `full` is the head of the 200 in whose place a 304 stands, if it is known. The result is the
/// encoder for the body, if that goes through one. Then `written` has the head alone, and the buffer has what stood
/// behind it.
#[cold]
pub(in crate::proxy) fn encode_response(
    record: &ExchangeRecord<'_>,
    request: &Request,
    written: &mut Buffer,
    full: Option<&[u8]>,
) -> Option<(Encoder, Buffer)> {
    let watched = record.policies.watched()?;
    let wanted = EncodingRequest {
        compress: record.rule_policies()?.compress.as_deref()?,
        coding: watched.coding,
        version: request.version,
        is_head: request.method == Method::Head,
        names_weak_tag: watched.names_weak_tag,
        full,
    };
    let mut head = record.snapshot.worker().buffer();
    let bytes = written.unread();
    let end = memchr::memmem::find(bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 2);
    let (fields, rest) = bytes.split_at(end);
    match encode_head(fields, &wanted, |bytes| head.extend(bytes)) {
        EncodedHead::Same => None,
        EncodedHead::Changed => {
            head.extend(rest);
            *written = head;
            None
        }
        EncodedHead::Encoded(encoder) => {
            let end_of_head = rest.len().min(2);
            head.extend(&rest[..end_of_head]);
            let mut body = std::mem::replace(written, head);
            body.consume(end + end_of_head);
            Some((encoder, body))
        }
    }
}
