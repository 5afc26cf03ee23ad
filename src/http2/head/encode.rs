//! Heads and field lines become header blocks.

use super::super::hpack::{BlockEncoder, Literals};
use crate::http::{Field, Fields, Name, RequestHead, ResponseHead};

/// Whether a field belongs to an HTTP/1.1 connection, so that HTTP/2 forbids it (RFC 9113, section 8.2.2).
fn is_connection_specific(field: &Field<'_>) -> bool {
    field.known().is_hop_by_hop() || field.is_named_by_connection()
}

/// Writes the fields that `keep` selects, except those that HTTP/2 forbids.
fn encode_fields<'b>(
    block: &mut BlockEncoder<'_>,
    fields: Fields<'b>,
    mut keep: impl FnMut(&Field<'b>) -> bool,
) {
    for field in fields.iter().filter(|field| !is_connection_specific(field)) {
        if keep(&field) {
            block.field(field.name(), field.value(), field.known());
        }
    }
}

/// Appends the block of a response with the fields that `keep` selects. More fields may follow with
/// [`encode_lines`].
pub fn encode_response<'b>(
    head: &ResponseHead<'b>,
    literals: Literals,
    keep: impl FnMut(&Field<'b>) -> bool,
    out: &mut Vec<u8>,
) {
    let mut block = BlockEncoder::new(out, literals);
    block.status(head.status);
    encode_fields(&mut block, head.fields, keep);
}

/// Appends the block of a request: `scheme`, its own path and query, `authority`, and the fields that `keep`
/// selects. `Host` is left out, because the authority replaces it (RFC 9113, section 8.3.1). With a `protocol`, the
/// request is an extended CONNECT for it (RFC 8441, section 4).
pub fn encode_request<'b>(
    head: &RequestHead<'b>,
    scheme: &[u8],
    authority: &[u8],
    protocol: Option<&[u8]>,
    literals: Literals,
    mut keep: impl FnMut(&Field<'b>) -> bool,
    out: &mut Vec<u8>,
) {
    let mut block = BlockEncoder::new(out, literals);
    block.field(b":method", if protocol.is_some() { b"CONNECT" } else { head.method }, Name::Other);
    if let Some(protocol) = protocol {
        block.field(b":protocol", protocol, Name::Other);
    }
    block.field(b":scheme", scheme, Name::Other);
    // An absolute target may lack the slash before its query, and `:path` may not.
    match head.path_and_query {
        query @ [b'?', ..] => block.field(b":path", &[b"/", query].concat(), Name::Other),
        path => block.field(b":path", path, Name::Other),
    }
    block.field(b":authority", authority, Name::Other);
    encode_fields(&mut block, head.fields, |field| field.known() != Name::Host && keep(field));
    if head.accepts_trailers {
        block.field(b"te", b"trailers", Name::Te);
    }
}

/// Appends field lines in the HTTP/1.1 form, `name: value` and CRLF each: trailers, or fields of our own.
pub fn encode_lines(lines: &[u8], literals: Literals, out: &mut Vec<u8>) {
    let mut block = BlockEncoder::new(out, literals);
    for line in lines.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(colon) = line.iter().position(|&byte| byte == b':') else { continue };
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let known = Name::classify(name);
        if !known.is_hop_by_hop() {
            block.field(name, value.trim_ascii(), known);
        }
    }
}
